"""How long a request waited in front of the workers, from the time that a proxy wrote into its headers."""

from __future__ import annotations

import re
from collections.abc import Mapping

# In the order in which they are believed; the name in Django's `request.META`.
HEADERS = ("HTTP_X_REQUEST_START", "HTTP_X_QUEUE_START")

# Proxies write the time since 1970 in a unit of their own, with or without "t=": nginx seconds with a fraction
# (`t=${msec}`), Heroku and HAProxy milliseconds, Apache and Render microseconds, some load balancers nanoseconds. The
# whole digits tell which: until the year 2286 seconds have ten of them, from 2001 on.
TIME = re.compile(r"(?:t=)?([0-9]{10,19})(\.[0-9]{1,9})?")
PER_SECOND = {10: 1, 13: 10**3, 16: 10**6, 19: 10**9}

# Seconds. Nobody waits longer; whoever claims it has another clock, or is joking.
MAX_WAIT = 3600.0


def queue_time(meta: Mapping[str, object], started: float) -> float | None:
    """Return the milliseconds between the proxy's time in `meta` and `started` (seconds since 1970), or None.

    None for a header that is missing, malformed, in the future or more than an hour old: any client can send one.
    """
    for header in HEADERS:
        match = TIME.fullmatch(str(meta.get(header, "")).strip())
        per_second = PER_SECOND.get(len(match[1])) if match else None
        if match and per_second:
            waited = started - float(match[1] + (match[2] or "")) / per_second
            if 0.0 <= waited <= MAX_WAIT:
                return round(waited * 1000, 3)
    return None
