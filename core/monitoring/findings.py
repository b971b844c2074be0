"""What small trackers can't compute, as events of their own: N+1 queries and slow ones. Only with SENTRY_FINDINGS.

Each connection gets an execute wrapper (https://docs.djangoproject.com/en/5.2/topics/db/instrumentation/), which
notes how often a request asks the same from the same line, and how long the database took. When the response is
closed, what crossed a limit is sent, once a process, kind and view. The fingerprint, kind and view, makes it one issue
for all processes.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

from django.db.backends.signals import connection_created
from django.http.response import HttpResponseBase

from core.monitoring.callers import definition, host_frames, serialized
from core.monitoring.context import request_route
from core.monitoring.sql import without_values

if TYPE_CHECKING:
    from django.http import HttpRequest

logger = logging.getLogger("core.monitoring")

N_PLUS_ONE, SLOW_QUERY = "n_plus_one", "slow_query"
TITLES = {N_PLUS_ONE: "N+1 query", SLOW_QUERY: "Slow query"}

# So often a request may ask the same from one line. Below, a loop costs little and may be meant.
REPEATS = 10
# Characters of a query that are looked at, queries a request that are told apart, views that are remembered.
MAX_SQL, MAX_QUERIES, MAX_VIEWS = 4000, 500, 2000

READS = re.compile(r"[\s(]*(?:SELECT|WITH)\b", re.IGNORECASE)
IN_LIST = re.compile(r"\(%s(?:, ?%s)+\)")
# A query that takes many rows at once is what an N+1 should have been: prefetch_related and in_bulk ask with IN, a walk
# through a table with a LIMIT. `get()` asks for 21 rows at most (django.db.models.query.MAX_GET_RESULTS).
IN_MANY = re.compile(r"\bIN ?\(%s, ?%s|\bANY ?\(", re.IGNORECASE)
LIMIT_MANY = re.compile(r"\bLIMIT (?:2[2-9]|[3-9]\d|\d{3,})\b", re.IGNORECASE)


@dataclass
class Asked:
    """One query from one line: how often, how long in all and at most (seconds), and who asked, innermost frame last.

    `repeats` says whether asking it again and again is a finding.
    """

    sql: str
    repeats: bool
    times: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    frames: list[dict[str, Any]] = field(default_factory=list)


class Watch:
    """What one request, or one task, has asked of the database so far."""

    def __init__(
        self, view: Callable[[], str], function: Callable[[], Any], slow: float, outer: Watch | None = None
    ) -> None:
        import sentry_sdk

        self.view = view
        self.function = function
        self.slow = slow or math.inf
        self.outer = outer
        self.queries: dict[tuple[Any, ...], Asked] = {}
        # The SDK has left them when the response is closed.
        self.scopes = sentry_sdk.get_isolation_scope(), sentry_sdk.get_current_scope()
        try:
            self.task = asyncio.current_task()
        except RuntimeError:
            self.task = None

    def note(self, sql: str, seconds: float) -> None:
        """Remember that a query took `seconds`."""
        shape, repeats = _judged(sql[:MAX_SQL])
        is_slow = seconds >= self.slow
        if not (is_slow or repeats):
            return
        asking = next(host_frames(self.task), None)
        line = (asking.f_code, asking.f_lineno) if asking else None
        asked = self.queries.get((shape, line))
        if asked is None:
            if len(self.queries) >= MAX_QUERIES:
                return
            asked = self.queries[shape, line] = Asked(shape, repeats)
        asked.times += 1
        asked.seconds += seconds
        asked.slowest = max(asked.slowest, seconds)
        if asking and not asked.frames and (is_slow or asked.times >= REPEATS):
            asked.frames = serialized(host_frames(self.task))

    def findings(self) -> Iterator[tuple[str, Asked]]:
        """Return the worst query of each kind that crossed its limit."""
        repeated = [asked for asked in self.queries.values() if asked.repeats and asked.times >= REPEATS]
        if repeated:
            yield N_PLUS_ONE, max(repeated, key=lambda asked: asked.times)
        slow = [asked for asked in self.queries.values() if asked.slowest >= self.slow]
        if slow:
            yield SLOW_QUERY, max(slow, key=lambda asked: asked.slowest)

    def finish(self) -> None:
        """Send what was found. Never raises."""
        if _watch.get() is self:
            _watch.set(None)
        try:
            for kind, asked in self.findings():
                if _is_first(kind, self.view()):
                    _tell(self, kind, asked)
        except Exception as error:
            logger.warning("A finding was not sent: it failed with %s.", type(error).__name__)


_watch: ContextVar[Watch | None] = ContextVar("findings", default=None)
_told: set[tuple[str, str]] = set()
_telling = threading.Lock()


def install() -> None:
    """Look at the queries of every connection that is opened from now on. Costs nothing where no request is watched."""
    connection_created.connect(look_at, dispatch_uid="monitoring.findings")


def look_at(connection: Any, **_signal: Any) -> None:
    """Look at the queries of one connection."""
    if _execute not in connection.execute_wrappers:
        # First: whoever wraps queries for a while takes the last one away again.
        connection.execute_wrappers.insert(0, _execute)


def watch_request(request: HttpRequest, slow_ms: int) -> None:
    """Watch the queries of `request`; `slow_ms` 0 means that none is slow."""
    _watch.set(Watch(lambda: request_route(request), lambda: _view(request), slow_ms / 1000))


def watch_until_closed(response: HttpResponseBase) -> None:
    """Send what was found once `response` is closed, when a stream has been read, too. Never raises."""
    if (watch := _watch.get()) is not None and isinstance(response, HttpResponseBase):
        # How Django's handler has the request closed with its response.
        response._resource_closers.append(watch.finish)  # type: ignore[attr-defined]


def watch_task(name: str, function: Callable[..., Any], slow_ms: int) -> None:
    """Watch the queries of a background task that runs `function`, until `end_task()`."""
    _watch.set(Watch(lambda: name, lambda: function, slow_ms / 1000, outer=_watch.get()))


def end_task() -> None:
    """Send what was found in the task that ends here, and go on with the request that ran it itself, if one did."""
    if (watch := _watch.get()) is not None:
        _watch.set(watch.outer)
        watch.finish()


def look_away() -> Watch | None:
    """Watch nothing for a while; returns what `look_again()` takes."""
    watch = _watch.get()
    _watch.set(None)
    return watch


def look_again(watch: Watch | None) -> None:
    """Go on watching."""
    _watch.set(watch)


def _execute(execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    # The SDK leaves such a frame out of an error's stack trace: its variables are the query's values.
    __traceback_hide__ = True
    watch = _watch.get()
    if watch is None:
        return execute(sql, params, many, context)
    begun = perf_counter()
    result = execute(sql, params, many, context)
    seconds = perf_counter() - begun
    try:
        watch.note(str(sql), seconds)
    except Exception as error:
        _watch.set(None)
        logger.warning("The queries of a request are not watched: it failed with %s.", type(error).__name__)
    return result


@lru_cache(maxsize=512)
def _judged(sql: str) -> tuple[str, bool]:
    """Return a query without values, lists of any length alike, and whether asking it again and again is a finding."""
    shape = without_values(sql)
    repeats = READS.match(shape) is not None and not IN_MANY.search(shape) and not LIMIT_MANY.search(sql)
    return IN_LIST.sub("(%s, ...)", shape), repeats


def _view(request: HttpRequest) -> Any:
    view = getattr(request.resolver_match, "func", None)
    return getattr(view, "view_class", None) or getattr(view, "cls", None) or view


def _is_first(kind: str, view: str) -> bool:
    with _telling:
        if (kind, view) in _told or len(_told) >= MAX_VIEWS:
            return False
        _told.add((kind, view))
        return True


def _tell(watch: Watch, kind: str, asked: Asked) -> None:
    from sentry_sdk import capture_event
    from sentry_sdk.scope import use_isolation_scope, use_scope

    frames = asked.frames
    if not frames:
        try:
            frames = definition(watch.function())
        except (OSError, TypeError, AttributeError):  # a view without source code
            frames = []
    line = f"{frames[-1]['filename']}:{frames[-1]['lineno']} in {frames[-1]['function']}" if frames else "unknown"
    view = watch.view()
    isolation_scope, current_scope = watch.scopes
    with use_isolation_scope(isolation_scope), use_scope(current_scope):
        capture_event(
            {
                "level": "warning",
                "logger": __name__,
                "message": f"{TITLES[kind]} in {view}, asked at {line}",
                # Not the query: which one is the worst may change from request to request.
                "fingerprint": [kind, view],
                "tags": {"finding": kind},
                "contexts": {
                    "finding": {
                        "view": view,
                        "line": line,
                        "sql": asked.sql,
                        "times": asked.times,
                        "milliseconds": round(asked.seconds * 1000, 1),
                        "slowest_milliseconds": round(asked.slowest * 1000, 1),
                    }
                },
                "threads": {"values": [{"current": True, "crashed": False, "stacktrace": {"frames": frames}}]},
            },
            # The connection is being given back; the user is told if it is already known.
            hint={"may_query": False},
        )
