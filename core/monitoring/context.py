"""What an event says of its request: who, which tenant, which route. Looked up only when an event is made.

Called from the SDK's event processors, that is while an error is being reported: nothing here may raise, wait for a
broken database, or touch what the response will be.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

from django.db import Error as DatabaseError
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.dispatch import Signal
from django.http import HttpRequest
from django.utils.functional import LazyObject, empty

logger = logging.getLogger("core.monitoring")

UNMATCHED = "/{unmatched}"
ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")


class QueryRefused(DatabaseError):
    """What is wanted is not loaded, and no error is worth a query."""


class ContextSignal(Signal):
    """A signal whose failing receivers are left out, with a line in the local log."""

    def _log_robust_failure(self, receiver: Any, err: Exception) -> None:
        # Django's own line would be of level ERROR, and so make a further event.
        if not isinstance(err, QueryRefused):
            name = getattr(receiver, "__qualname__", type(receiver).__name__)
            logger.warning("The receiver %s of sentry_context is left out: %s.", name, type(err).__name__)


# Set while the host describes an event: what it reports meanwhile would be described in turn, without end.
describing: ContextVar[bool] = ContextVar("describing", default=False)

# Sent with `request` for each event of a request. A receiver returns what it knows of it:
# {"tags": {"plan": "pro"}, "contexts": {"storage": {"backend": "local"}}}. One that raises is left out. For a
# transaction, queries are refused.
sentry_context = ContextSignal()


def describe_request(event: dict[str, Any], hint: Mapping[str, Any], request: HttpRequest, tenant: str) -> None:
    """Add user, tags and contexts of `request` to `event` (not yet serialized), in place.

    `tenant` is the dotted way to the tenant's id, as in "user.organization_id" or "request.tenant.id". Only for an
    error is the database asked, unless its `hint` says `may_query=False`.
    """
    is_error = event.get("type") is None and hint.get("may_query", True)
    may_query = is_error and not any(isinstance(error, DatabaseError) for error in causes(raised(hint)))
    with _connections_left_as_they_were():
        _describe(event, request, tenant, may_query)


def _describe(event: dict[str, Any], request: HttpRequest, tenant: str, may_query: bool) -> None:
    user = current_user(request, may_query=may_query)
    tags = event.setdefault("tags", {})
    tags["request_method"] = request.method
    tags["request_path"] = request_path(request)
    if not event.get("transaction"):  # while an answer is streamed
        event["transaction"], event["transaction_info"] = request_route(request), {"source": "route"}
    if user is not None:
        event["user"] = {
            "id": str(getattr(user, "pk", None)),
            "username": getattr(user, "get_username", lambda: None)(),
            "is_staff": bool(getattr(user, "is_staff", False)),
        }
        tags["auth_method"] = "api_key" if getattr(request, "auth", None) else "session"
    with ExitStack() as stack:
        if not may_query:
            stack.enter_context(no_queries())
        tenant_id = tenant_of(request, user, tenant)
        token = describing.set(True)
        try:
            answers = sentry_context.send_robust(sender=None, request=request)
        finally:
            describing.reset(token)
    if tenant_id is not None:
        tags["tenant_id"] = str(tenant_id)
    for _receiver, answer in answers:
        for field in ("tags", "contexts"):
            if isinstance(answer, Mapping) and isinstance(answer.get(field), Mapping):
                event.setdefault(field, {}).update(answer[field])


def request_path(request: HttpRequest) -> str:
    """Return the path that was asked for, each captured `str` or `path` argument replaced by its `{name}`.

    Those arguments are what users choose: file names and tokens. Numbers and UUIDs are ids and stay. A path that no
    route matched may hold anything, so nothing of it is told.
    """
    match = request.resolver_match
    if match is None:
        return UNMATCHED
    captured = captured_arguments(request)

    def shown(argument: re.Match[str]) -> str:
        value = captured.get(argument[1])
        return f"{{{argument[1]}}}" if value is None or isinstance(value, str) else str(value)

    return "/" + ARGUMENT.sub(shown, match.route)


def request_route(request: HttpRequest) -> str:
    """Return the route of the path that was asked for, with the `{name}` of every argument."""
    match = request.resolver_match
    return UNMATCHED if match is None else "/" + ARGUMENT.sub(r"{\1}", match.route)


def captured_arguments(request: HttpRequest) -> dict[str, Any]:
    """Return what the route captured from the path, by argument name."""
    return getattr(request.resolver_match, "captured_kwargs", None) or {}


def hide_addresses(event: dict[str, Any]) -> None:
    """Replace the path of `event`'s request URL by its route, and an unmatched transaction's name, in place.

    Of the page that linked here (`Referer`) only the origin stays. What callers pass along in `Baggage` is theirs.
    """
    if (event.get("transaction_info") or {}).get("source") == "url":
        event["transaction"] = UNMATCHED
    request = event.get("request")
    if not isinstance(request, dict):
        return
    if isinstance(request.get("url"), str):
        tags = event.get("tags")
        known = tags.get("request_path") if isinstance(tags, dict) else None
        request["url"] = _origin(request["url"]) + (known or event.get("transaction") or UNMATCHED)
    # The SDK writes a dict; the protocol also allows pairs, and a downloaded event has them.
    headers = request.get("headers")
    if isinstance(headers, dict):
        request["headers"] = dict(_without_addresses(headers.items()))
    elif isinstance(headers, list):
        request["headers"] = list(_without_addresses(headers))


def _without_addresses(headers: Iterable[Any]) -> Iterator[Any]:
    for header in headers:
        name, value = header if isinstance(header, list | tuple) and len(header) == 2 else ("", None)
        if str(name).lower() == "referer":
            yield name, _origin(str(value)) + "/"
        elif str(name).lower() != "baggage":
            yield header


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def drop_content(event: dict[str, Any]) -> None:
    """Remove the body of a PUT, in place: it is the resource itself (RFC 9110, section 9.3.4), so a user's file."""
    request = event.get("request")
    if isinstance(request, dict) and request.get("method") == "PUT":
        request.pop("data", None)


def drop_variables(event: dict[str, Any], modules: tuple[str, ...]) -> bool:
    """Remove the local variables of each frame of `modules`, and of what such a frame called, in place.

    What stays is the SQL of a query that failed, which leaves without values anyway. Says whether there were any.
    """
    if not modules:
        return False
    dropped = False
    within = tuple(f"{module}." for module in modules)
    for frames in stacks(event):
        private = False
        for frame in frames:
            private = private or f"{frame.get('module') or ''}.".startswith(within)
            if private and "vars" in frame:
                dropped = True
                frame["vars"] = {name: value for name, value in frame["vars"].items() if name == "sql"}
                for field in ("exception", "threads", "stacktrace"):
                    (event.get("_meta") or {}).pop(field, None)  # remarks on variables name what was in them
    return dropped


def stacks(event: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """Yield the frames of each stack of `event`: of its exceptions, its threads, and of a message."""
    holders: list[Any] = [event]
    for field in ("exception", "threads"):
        values = event.get(field) or {}
        holders += (values.get("values") or []) if isinstance(values, dict) else values
    for holder in holders:
        yield [frame for frame in (holder.get("stacktrace") or {}).get("frames") or [] if frame]


def current_user(request: HttpRequest, *, may_query: bool) -> Any | None:
    """Return the authenticated user of `request`, or None.

    DRF sets the user on Django's request once the view has authenticated. Django's own is lazy: it is resolved here
    only if `may_query`, and never inside an event loop, where a query raises SynchronousOnlyOperation. That the
    session was read is taken back, so that the response gets no `Vary: Cookie` for it.
    """
    user = getattr(request, "user", None)
    if isinstance(user, LazyObject) and user._wrapped is empty:
        if not may_query or _in_event_loop():
            return None
        session = getattr(request, "session", None)
        accessed = getattr(session, "accessed", False)
        try:
            authenticated = user.is_authenticated
        except Exception:
            return None
        finally:
            if session is not None:
                session.accessed = accessed
    else:
        authenticated = getattr(user, "is_authenticated", False)
    return user if authenticated is True else None


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def add_private(hint: dict[str, Any], values: Mapping[str, str] | None) -> None:
    """Note in the SDK's `hint` what is private in its event. None: that is not known, and only a skeleton may leave."""
    known = hint.get("private_values", {})
    hint["private_values"] = None if known is None or values is None else {**known, **values}


def raised(hint: Mapping[str, Any]) -> BaseException | None:
    """Return the exception that an event is of, from the SDK's `hint`."""
    error: BaseException | None = (hint.get("exc_info") or (None, None))[1]
    return error


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield `error` and what it was raised from, at most 20 of them."""
    seen = 0
    while error is not None and seen < 20:
        yield error
        error, seen = error.__cause__ or error.__context__, seen + 1


@contextmanager
def _connections_left_as_they_were() -> Iterator[None]:
    """Close what is opened meanwhile. The thread that reports an error need not be one whose connections Django closes.

    Left open, each such error would keep one from the pool, until there is none left for requests.
    """
    before = {connection.alias for connection in _open_connections()}
    try:
        yield
    finally:
        for connection in _open_connections():
            if connection.alias not in before:
                connection.close()


def _open_connections() -> list[BaseDatabaseWrapper]:
    return [one for one in connections.all(initialized_only=True) if one.connection is not None]


@contextmanager
def no_queries() -> Iterator[None]:
    """Make every query of this thread fail: a lazy value would otherwise be looked up just to be told."""

    def refuse(*_: Any) -> Any:
        raise QueryRefused

    with ExitStack() as stack:
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(refuse))
            if connection.connection is None:
                # Without one, it would be opened before its first query is refused.
                vars(connection)["connect"] = refuse
                stack.callback(vars(connection).pop, "connect", None)
        yield


def tenant_of(request: HttpRequest, user: Any | None, way: str) -> Any | None:
    """Return the tenant's id, by the dotted way to it ("user.organization_id"), or None."""
    first, _, rest = way.removeprefix("request.").partition(".")
    try:
        found = user if first == "user" else getattr(request, first, None)
        for name in rest.split(".") if rest else ():
            found = getattr(found, name, None)
    except Exception:
        return None
    return found
