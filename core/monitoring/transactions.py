"""What the SDK's transaction of a request lacks: the wait before it, the streaming after it, and who went away.

The SDK ends a transaction when the view has returned (WSGI), although a download only begins then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.core.handlers.wsgi import WSGIRequest
from django.http import FileResponse, HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from core.monitoring.queue_time import queue_time

if TYPE_CHECKING:
    from sentry_sdk.tracing import Transaction

# The name in Sentry's conventions (https://getsentry.github.io/sentry-conventions/), in milliseconds.
QUEUE_TIME = "http.server.request.time_in_queue"
# A tag of transactions whose client did not wait for the answer, or did not send the whole request.
CLIENT_DISCONNECTED = "client_disconnected"


def describe_transaction(event: dict[str, Any], request: HttpRequest) -> None:
    """Add how long `request` waited for a worker to its transaction `event` (not yet serialized), in place.

    The tags of middleware spans go: they repeat the description, and are a tenth of what a traced request costs.
    """
    for span in event.get("spans") or ():
        if span["op"] == "middleware.django":
            span.pop("tags", None)
    started = event.get("start_timestamp")
    if isinstance(started, datetime):
        waited = queue_time(request.META, started.timestamp())
        if waited is not None:
            event["contexts"]["trace"].setdefault("data", {})[QUEUE_TIME] = waited


def tell_disconnect(event: dict[str, Any]) -> None:
    """Give the transaction `event` of a client that went away the status `cancelled` and the tag, in place.

    Under ASGI, Django drops such a request without an answer, so its transaction has no status of its own.
    """
    trace = (event.get("contexts") or {}).get("trace") or {}
    unanswered = trace.get("op") == "http.server" and "status" not in trace
    if unanswered or CLIENT_DISCONNECTED in (event.get("tags") or {}):
        trace["status"] = "cancelled"
        event["tags"] = {**(event.get("tags") or {}), CLIENT_DISCONNECTED: "true"}


def follow_response(request: HttpRequest, response: HttpResponseBase) -> None:
    """Let the transaction of a streamed `response` last until it is closed, and see whether it was read to its end.

    Only for a request that is traced. A `FileResponse` is left alone: the server may send it without reading it.
    """
    if isinstance(response, StreamingHttpResponse) and not isinstance(response, FileResponse):
        with suppress(Exception):  # an SDK that works differently one day must not cost the answer
            _follow(request, response)


def _follow(request: HttpRequest, response: StreamingHttpResponse) -> None:
    import sentry_sdk

    scope = sentry_sdk.get_current_scope()
    transaction = scope.transaction
    if transaction is None or not transaction.sampled:
        return

    def finish() -> None:
        transaction.timestamp = None
        with sentry_sdk.scope.use_scope(scope):
            transaction.finish(scope)

    stream = (_AsyncStream if response.is_async else _Stream)(response.streaming_content, transaction)
    length = response.headers.get("Content-Length", "")
    stream.missing = int(length) if length.isdecimal() else None
    response.streaming_content = stream
    if isinstance(request, WSGIRequest):
        # The SDK leaves a transaction alone that has an end.
        transaction.timestamp = transaction.start_timestamp
        stream.finish = finish


class _Closing:
    """Sees the end of an answer. If it is closed after its first chunk and before its last, the client has left.

    A client that has as many bytes as it was promised may go; `missing` says how many those are, if it is known.
    """

    missing: int | None = None

    def __init__(self, chunks: Any, transaction: Transaction) -> None:
        self._chunks = chunks
        self._transaction = transaction
        self._started = self._ended = False
        self.finish: Callable[[], object] = lambda: None

    def _passed(self, chunk: bytes) -> bytes:
        if self.missing is not None:
            self.missing -= len(chunk)
            self._ended = self.missing <= 0
        return chunk

    def close(self) -> None:
        """Called by the response, however it ends, after the content itself was closed."""
        if self._started and not self._ended:
            self._transaction.set_tag(CLIENT_DISCONNECTED, "true")
        self.finish()


class _Stream(_Closing, Iterator[bytes]):
    def __next__(self) -> bytes:
        self._started = True
        try:
            return self._passed(next(self._chunks))
        except StopIteration:
            self._ended = True
            raise
        except Exception:
            self._ended = True
            self._transaction.set_status("internal_error")
            raise


class _AsyncStream(_Closing, AsyncIterator[bytes]):
    async def __anext__(self) -> bytes:
        self._started = True
        try:
            return self._passed(await anext(self._chunks))
        except Exception:  # not CancelledError: that is how Django tells that the client has left
            self._ended = True
            raise
