"""How much leaves: which requests are traced, and how many copies of one error."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

logger = logging.getLogger("core.monitoring")

# Issues that the guard keeps apart; the one that has been quiet longest is forgotten first.
MAX_ISSUES = 1000
# Characters of a message that tell its issue from others.
MAX_KEY = 200
MINUTE = 60.0
# Requests a minute, in each process, that are traced because their caller says so.
MAX_CALLERS_TRACES = 100


def traces_sampler(
    rate: float, ignore_paths: tuple[str, ...], clock: Callable[[], float] = time.monotonic
) -> Callable[[Mapping[str, Any]], float]:
    """Return the SDK's `traces_sampler`: nothing below `ignore_paths`, else the caller's decision, else `rate`.

    The sampling context is the SDK's: `parent_sampled`, and `wsgi_environ` or `asgi_scope` for a request. Anybody can
    claim to be a caller that traces, so only `MAX_CALLERS_TRACES` requests a minute are taken at their word; a task's
    caller is the server itself.
    """
    callers = PerMinute(MAX_CALLERS_TRACES, clock)

    def sample(context: Mapping[str, Any]) -> float:
        if f"{_path(context)}/".startswith(ignore_paths):
            return 0.0
        parent = context.get("parent_sampled")
        if parent is False:
            return 0.0
        if parent is None and not (context.get("transaction_context") or {}).get("parent_span_id"):
            return rate
        from_outside = "wsgi_environ" in context or "asgi_scope" in context
        if not from_outside or callers.allows():
            return rate if parent is None else 1.0
        # The SDK would compare `rate` with a number that the caller has sent, too.
        return float(random.random() < rate)  # noqa: S311 - nothing is secret about it

    return sample


class WhenTraced:
    """True while the current request is traced: as an option of the SDK, it saves all others what the option costs."""

    def __bool__(self) -> bool:
        import sentry_sdk

        span = sentry_sdk.get_current_span()
        return span is not None and bool(span.sampled)


class PerMinute:
    """Says yes `limit` times a minute."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._since = clock()
        self._said = 0

    def allows(self) -> bool:
        """Say yes, or that the minute's yeses are used up. Two threads at once may get one more."""
        if self._clock() - self._since >= MINUTE:
            self._since, self._said = self._clock(), 0
        self._said += 1
        return self._said <= self._limit


def _path(context: Mapping[str, Any]) -> str:
    environ = context.get("wsgi_environ") or {}
    scope = context.get("asgi_scope") or {}
    # Under ASGI the path begins with that of the server's own root.
    return str(environ.get("PATH_INFO") or str(scope.get("path") or "").removeprefix(scope.get("root_path") or ""))


class StormGuard:
    """Lets `limit` copies of one issue pass a minute; the rest are counted, and named once in the local log.

    An error in a hot path would otherwise cost its serialization, and the operator's quota, on every request.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.held_back = 0
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._issues: OrderedDict[Any, tuple[float, int]] = OrderedDict()

    def renew(self) -> None:
        """Forget, in a forked process, that another thread of its parent might have held the lock."""
        self._lock = threading.Lock()

    def allows(self, event: Mapping[str, Any]) -> bool:
        """Say whether this event may leave. Transactions and check-ins always may."""
        if not self._limit or event.get("type") is not None:
            return True
        issue = _issue(event)
        now = self._clock()
        with self._lock:
            since, seen = self._issues.pop(issue, (now, 0))
            if now - since >= MINUTE:
                since, seen = now, 0
            self._issues[issue] = (since, seen + 1)
            if len(self._issues) > MAX_ISSUES:
                self._issues.popitem(last=False)
            if seen < self._limit:
                return True
            self.held_back += 1
        if seen == self._limit:
            logger.warning(
                "More than %d copies of one error within a minute: %s. Further ones are counted, not sent "
                "(SENTRY_MAX_EVENTS_PER_MINUTE).",
                self._limit,
                issue[0],
            )
        return False


def _issue(event: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what makes two events copies of one issue: the exceptions and where they rose, else the message."""
    exceptions = (event.get("exception") or {}).get("values") or []
    if exceptions:
        frames = (exceptions[-1].get("stacktrace") or {}).get("frames") or [{}]
        last = frames[-1]
        types = " from ".join(str(e.get("type")) for e in reversed(exceptions))
        return types[:MAX_KEY], last.get("module"), last.get("function"), last.get("lineno")
    entry = event.get("logentry") or {}
    return str(event.get("logger") or "message"), str(entry.get("message") or event.get("message"))[:MAX_KEY]
