"""Where the SDK itself could stop the server or lose its events: what anybody may send, and processes that fork."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from core.monitoring.sdk import active


@cache  # once in a process: it can't be taken back
def mend() -> None:
    """Change what the SDK does. Needs the SDK."""
    _bear_any_header()
    os.register_at_fork(after_in_child=_renew)


def _bear_any_header() -> None:
    """Begin a new trace where a caller's headers can't be read.

    The SDK reads them outside of Django: with `baggage: sentry-sample_rate=inf` it raises, and the server answers 500.
    """
    from sentry_sdk.tracing_utils import PropagationContext

    read = PropagationContext.from_incoming_data

    def from_incoming_data(incoming_data: Mapping[str, Any]) -> PropagationContext:
        try:
            return read(dict(incoming_data))
        except Exception:
            return PropagationContext()

    PropagationContext.from_incoming_data = from_incoming_data  # type: ignore[method-assign]


def _renew() -> None:
    """Give a forked process a transport and a guard of its own.

    It would share its parent's open connection to the tracker, and inherit locks that another thread held.
    """
    import sentry_sdk
    from sentry_sdk.transport import make_transport

    client = sentry_sdk.get_client()
    if getattr(client, "transport", None) is not None:
        client.transport = make_transport(client.options)
    if guard := active().guard:
        guard.renew()
