"""A few views that fail, for the drop-in's own tests."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from http.client import HTTPConnection
from threading import Thread
from uuid import UUID

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from core.monitoring import start_span
from core.monitoring.tests.planting import plant
from core.monitoring.views import sentry_test


def fail(request: HttpRequest, **kwargs: object) -> HttpResponse:
    raise RuntimeError("failed on purpose")


def fine(request: HttpRequest, **kwargs: object) -> HttpResponse:
    return HttpResponse("fine")


# What `raise_next` and `raise_next_async` raise; a test puts it there.
next_error: list[BaseException] = []


def raise_next(request: HttpRequest) -> HttpResponse:
    raise next_error.pop()


async def raise_next_async(request: HttpRequest) -> HttpResponse:
    raise next_error.pop()


def hang_up(request: HttpRequest) -> HttpResponse:
    """Ask another server, which hangs up: the very exceptions of a client that does."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        Thread(target=lambda: other.accept()[0].close(), daemon=True).start()
        connection = HTTPConnection(*other.getsockname())
        connection.request("GET", "/")
        return HttpResponse(connection.getresponse())


def log(request: HttpRequest) -> HttpResponse:
    logging.getLogger("someone.security").error("login of jane.doe@example.com from 203.0.113.9")
    logging.getLogger("app").setLevel(logging.INFO)
    logging.getLogger("app").info("a harmless step")
    raise RuntimeError("failed after logging")


def handled(request: HttpRequest) -> HttpResponse:
    try:
        raise next_error.pop() if "next" in request.GET else RuntimeError("went wrong, and was answered")
    except (RuntimeError, OSError):
        logging.getLogger("app").exception("no reason to fail")
    return HttpResponse("fine")


def read_user(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.user))


async def fail_async(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("failed in the event loop")


def slow(request: HttpRequest, path: str) -> HttpResponse:
    end = time.monotonic() + 0.3  # long enough for the profiler's ten samples a second and more
    while time.monotonic() < end:
        pass
    return HttpResponse("done")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def chunks() -> Iterator[bytes]:
        yield from (b"one", b"two")
        if "fail" in request.GET:
            raise RuntimeError("failed while streaming")

    with start_span("test.view", "view"):
        response = StreamingHttpResponse(chunks(), headers={"Content-Length": "6"} if "length" in request.GET else {})
    span = start_span("test.stream", "stream").__enter__()
    response._resource_closers.append(lambda: span.__exit__(None, None, None))
    return response


async def stream_async(request: HttpRequest) -> StreamingHttpResponse:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(1000):
            await asyncio.sleep(0)
            yield b"%d" % number

    return StreamingHttpResponse(chunks())


def use_cache(request: HttpRequest) -> HttpResponse:
    for key in ("user:jane.doe@example.com", "throttle_203.0.113.77"):
        cache.get(key)
        cache.set(key, 1)
        cache.get(key)
    return HttpResponse("cached")


# Django's are random; this one has no shape that would give it away.
SESSION = "horsebatterystaplecorrecthorsebat"


def sign_in(request: HttpRequest) -> HttpResponse:
    request.session["user"] = 7
    request.session._session_key = SESSION
    request.session.save(must_create=True)
    return HttpResponse("welcome")


urlpatterns = [
    path("raise/", raise_next),
    path("raise-async/", raise_next_async),
    path("hang-up/", hang_up),
    path("stream/", stream),
    path("stream-async/", stream_async),
    path("cache/", use_cache),
    path("sign-in/", sign_in),
    path("plant/<path:path>/", plant),
    path("slow/<path:path>/", slow),
    path("fail/", fail),
    path("fine/", fine),
    path("log/", log),
    path("handled/", handled),
    path("user/", read_user),
    path("async/", fail_async),
    path("health/", fine),
    path("files/<path:path>/<int:number>/<uuid:key>/<slug:word>/", fail),
    path("content/<path:path>/", fail),
    path("debug/sentry-test/", sentry_test),
]

KEY = UUID("12345678-1234-5678-1234-567812345678")
