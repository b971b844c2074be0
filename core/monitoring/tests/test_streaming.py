"""An answer that fails while it is streamed, long after its view: the event knows the request as any other does."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace

import pytest
import sentry_sdk
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from core.monitoring.testing import Receiver
from core.monitoring.tests import urls
from core.monitoring.tests.test_transactions import call_async

Start = Callable[..., bool]
Call = Callable[..., tuple[int, dict[str, str], bytes]]
logger = logging.getLogger("app.streaming")
NAME = "ottilies-diagnosis"
PERSON = SimpleNamespace(pk=7, is_authenticated=True, organization_id=3, get_username=lambda: "jane")


def stream(request: HttpRequest, file: str) -> StreamingHttpResponse:
    request.user = PERSON

    def chunks() -> Iterator[bytes]:
        logger.warning("opening %s", file)
        yield b"one"
        raise OSError(5, "Input/output error", file)

    return StreamingHttpResponse(chunks())


async def stream_async(request: HttpRequest, file: str) -> StreamingHttpResponse:
    request.user = PERSON

    async def chunks() -> AsyncIterator[bytes]:
        logger.warning("opening %s", file)
        yield b"one"
        raise OSError(5, "Input/output error", file)

    return StreamingHttpResponse(chunks())


def fail(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("of a request without a user")


urlpatterns = [path("stream/<path:file>/", stream), path("async/<path:file>/", stream_async), path("next/", fail)]


@pytest.mark.parametrize("protocol", ["wsgi", "asgi"])
def test_it_knows_user_and_route_and_neither_tells_what_is_private_nor_the_next_request(
    start: Start, call: Call, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    start({"tenant": "user.organization_id"})
    sentry_sdk.get_current_scope().clear()  # an earlier test's transaction
    with suppress(OSError):
        if protocol == "wsgi":
            call(f"/stream/{NAME}/", urls=__name__)
        else:
            monkeypatch.setattr(urls, "urlpatterns", urlpatterns)
            call_async(f"async/{NAME}/")
    call("/next/", urls=__name__)
    sentry_sdk.flush(timeout=10)
    failed, following = receiver.wait_for("event", 2)
    route = "/stream/{file}/" if protocol == "wsgi" else "/async/{file}/"
    assert failed["exception"]["values"][-1]["value"] == "[Errno 5] Input/output error: '{file}'"
    assert failed["user"] == {"id": "7", "username": "jane", "is_staff": False}
    assert failed["tags"]["tenant_id"] == "3"
    assert failed["transaction"] == failed["tags"]["request_path"] == route
    assert NAME.encode() not in receiver.bytes
    assert "user" not in following
    assert following["transaction"] == "/next/"
