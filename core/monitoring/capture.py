"""What the server's own code may tell the tracker, in requests, tasks and commands.

Every function here does nothing while monitoring is off, and none ever raises, whatever it is given.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Mapping, Sequence, Set
from functools import wraps
from itertools import islice
from types import TracebackType
from typing import Any, Literal, ParamSpec, TypeVar

from core.monitoring.sdk import is_enabled

Level = Literal["debug", "info", "warning", "error", "critical", "fatal"]
P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("core.monitoring")

# The context of an event that holds what `capture_message` and `capture_exception` were given besides.
DETAILS = "details"
# An event names its user by id and name; how to reach a person stays here.
NEVER_OF_A_USER = ("email", "ip_address")
# What a helper takes of what it is given: parts of a list or mapping, levels, characters of a text.
MAX_PARTS, MAX_DEPTH, MAX_LENGTH = 100, 8, 10_000
# On Django's request: the id of each of its events of errors, with the exception if there is one.
EVENTS = "_sentry_events"


def _harmless(helper: Callable[P, T]) -> Callable[P, T | None]:
    """Make `helper` return None while monitoring is off, and log instead of raise."""

    @wraps(helper)
    def call(*args: P.args, **kwargs: P.kwargs) -> T | None:
        if not is_enabled():
            return None
        try:
            return helper(*args, **kwargs)
        except Exception as error:
            logger.warning("%s() did nothing: it failed with %s.", helper.__name__, type(error).__name__)
            return None

    return call


@_harmless
def set_user_context(user_id: Any, tenant_id: Any = None, username: str | None = None, **fields: Any) -> None:
    """Name the user and tenant of the current request, task or command, where the request itself names none.

    A user who is signed in to the request stays its user. `fields` are further ones, as in `is_staff=True`; an e-mail
    or IP address is not taken.
    """
    import sentry_sdk

    user = {"id": user_id, "username": username, **fields}
    scope = sentry_sdk.get_isolation_scope()
    scope.set_user(
        {
            name: value if isinstance(value, bool) else str(value)
            for name, value in user.items()
            if value is not None and name not in NEVER_OF_A_USER
        }
    )
    if tenant_id is None:
        scope.remove_tag("tenant_id")
    else:
        scope.set_tag("tenant_id", str(tenant_id))


@_harmless
def clear_user_context() -> None:
    """Forget what `set_user_context` named."""
    import sentry_sdk

    scope = sentry_sdk.get_isolation_scope()
    scope.set_user(None)
    scope.remove_tag("tenant_id")


@_harmless
def capture_message(
    message: str,
    level: Level = "info",
    *,
    tags: Mapping[str, Any] | None = None,
    fingerprint: Sequence[str] | None = None,
    **context: Any,
) -> str | None:
    """Send an event that is no exception; return its id, or None if none was sent. `context` becomes its details.

    Events of one `fingerprint` are one issue, whatever their message.
    """
    import sentry_sdk

    named = "fatal" if level == "critical" else level  # as the SDK calls it
    return sentry_sdk.capture_message(_bounded(message), named, **_of_this_event(tags, fingerprint, context))


@_harmless
def capture_exception(
    error: BaseException,
    *,
    tags: Mapping[str, Any] | None = None,
    fingerprint: Sequence[str] | None = None,
    **context: Any,
) -> str | None:
    """Send an event of an exception that the server handled itself; return its id, or None if none was sent.

    One that is ignored (SENTRY_IGNORE_ERRORS), or was sent just before, is not sent. The rest as for a message.
    """
    import sentry_sdk

    return sentry_sdk.capture_exception(error, **_of_this_event(tags, fingerprint, context))


def _of_this_event(
    tags: Mapping[str, Any] | None, fingerprint: Sequence[str] | None, context: Mapping[str, Any]
) -> dict[str, Any]:
    given = {"tags": tags, "fingerprint": fingerprint, "contexts": context and {DETAILS: context}}
    return {name: _bounded(value) for name, value in given.items() if value}


def _bounded(value: Any, depth: int = 0) -> Any:
    """Return `value` with the first of its parts, and of theirs. The SDK would walk a million to leave most out."""
    if isinstance(value, str | bytes):
        return value[:MAX_LENGTH]
    if not isinstance(value, Mapping | Sequence | Set):
        return value
    if depth == MAX_DEPTH:
        return f"<{type(value).__name__}>"
    if isinstance(value, Mapping):
        return {name: _bounded(part, depth + 1) for name, part in islice(value.items(), MAX_PARTS)}
    return [_bounded(part, depth + 1) for part in islice(value, MAX_PARTS)]


@_harmless
def add_breadcrumb(message: str, category: str = "app", level: Level = "info", **data: Any) -> None:
    """Remember a step; the next event of the current request, task or command tells it."""
    import sentry_sdk

    sentry_sdk.add_breadcrumb(message=_bounded(message), category=category, level=level, data=_bounded(data))


@_harmless
def set_tag(name: str, value: Any) -> None:
    """Mark further events of the current request, task or command; the tracker can search for it."""
    import sentry_sdk

    sentry_sdk.set_tag(name, _bounded(value))


@_harmless
def set_context(name: str, values: Mapping[str, Any]) -> None:
    """Describe further events of the current request, task or command with a block of values."""
    import sentry_sdk

    sentry_sdk.set_context(name, _bounded(dict(values)))


def trace_id() -> str:
    """Return the id that joins events and spans of the current request, task or command; "-" if there is none."""
    if not is_enabled():
        return "-"
    try:
        import sentry_sdk

        return (sentry_sdk.get_traceparent() or "").partition("-")[0] or "-"
    except Exception:  # nothing is logged: a line of the log may be what asks
        return "-"


@_harmless
def event_id(request: Any) -> str | None:
    """Return the id of the last error that was sent for Django's `request` (32 hexadecimal digits), or None."""
    events = getattr(request, EVENTS, None)
    return str(events[-1][0]) if events else None


class Span:
    """A stretch of work that the current transaction shows: `with` it, or decorate a function (also async) with it."""

    def __init__(self, start: str, op: str, name: str, queries: bool = True) -> None:
        self._start = start
        self._op = op
        self._name = name
        self._queries = queries
        self._span: Any = None
        self._watch: Any = None

    def __enter__(self) -> Span:
        self._span = _enter(self._start, self._op, self._name)
        if self._span is not None and not self._queries:
            self._watch = _without_queries(self._span)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._span is not None:
            _exit(self._span, kind, error, trace)
            if not self._queries:
                _look_again(self._watch)

    def set_data(self, name: str, value: Any) -> None:
        """Add a figure to the span, as in `span.set_data("bytes", 512)`."""
        if self._span is not None:
            _set_data(self._span, name, value)

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def run_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                with Span(self._start, self._op, self._name, self._queries):
                    return await function(*args, **kwargs)

            return run_async  # type: ignore[return-value]  # a coroutine function is one that returns a coroutine

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            with Span(self._start, self._op, self._name, self._queries):
                return function(*args, **kwargs)

        return run


def start_span(op: str, name: str = "", *, queries: bool = True) -> Span:
    """Time a stretch of work within the current transaction: `with start_span("storage.put", "local") as span:`.

    `queries=False` is for work on very many things: no query becomes a span of its own, of which the SDK would keep the
    first 1,000 a transaction, and none is a finding.
    """
    return Span("start_span", op, name, queries)


def start_transaction(op: str, name: str) -> Span:
    """Time work that is neither a request nor a task, such as a command's: `start_transaction("import", "nightly")`."""
    return Span("start_transaction", op, name)


@_harmless
def _enter(start: str, op: str, name: str) -> Any:
    import sentry_sdk

    return getattr(sentry_sdk, start)(op=op, name=name).__enter__()


@_harmless
def _without_queries(span: Any) -> Any:
    import sentry_sdk
    from sentry_sdk.tracing import Span as SdkSpan

    from core.monitoring.findings import look_away

    same = {"trace_id": span.trace_id, "parent_span_id": span.parent_span_id, "sampled": span.sampled}

    class WithoutQueries(SdkSpan):
        def start_child(self, *args: Any, **kwargs: Any) -> SdkSpan:
            if str(kwargs.get("op")).startswith("db"):
                return SdkSpan(trace_id=span.trace_id)  # of no transaction, so it is not kept
            child: SdkSpan = span.start_child(*args, **kwargs)
            return child

    stands_in = WithoutQueries(span_id=span.span_id, containing_transaction=span.containing_transaction, **same)
    sentry_sdk.get_current_scope().span = stands_in
    return look_away()


@_harmless
def _look_again(watch: Any) -> None:
    from core.monitoring.findings import look_again

    look_again(watch)


@_harmless
def _exit(span: Any, *error: Any) -> None:
    span.__exit__(*error)


@_harmless
def _set_data(span: Any, name: str, value: Any) -> None:
    span.set_data(name, value)


class Monitor:
    """A scheduled job: `with` it, and the tracker hears when it begins and how it ends, and so when it does neither."""

    def __init__(self, slug: str, schedule: str, timezone: str) -> None:
        self._slug = slug
        self._config = {"schedule": {"type": "crontab", "value": schedule}, "timezone": timezone}
        self._id: str | None = None
        self._began = 0.0

    def __enter__(self) -> Monitor:
        self._began = time.monotonic()
        self._id = _check_in(self._slug, "in_progress", self._config)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        done = kind is None or (isinstance(error, SystemExit) and error.code in (None, 0))
        status = "ok" if done else "error"
        _check_in(self._slug, status, self._config, self._id, time.monotonic() - self._began)


def monitor(slug: str, schedule: str, timezone: str = "UTC") -> Monitor:
    """Check in a job that the host's own cron starts by `schedule`: `with monitor("nightly-report", "0 4 * * *"):`.

    The tracker knows it as `slug`. For tasks of Celery's beat the SDK checks in by itself.
    """
    return Monitor(slug, schedule, timezone)


@_harmless
def _check_in(
    slug: str, status: str, config: Any, check_in_id: str | None = None, seconds: float | None = None
) -> str | None:
    from sentry_sdk.crons import capture_checkin

    return capture_checkin(slug, check_in_id, status, seconds, config)
