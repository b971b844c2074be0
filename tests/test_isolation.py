"""No event says anything of another request, however many are under way: each knows its own user, tags and steps."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import sentry_sdk
from django.conf import settings as django_settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpRequest
from django.test import RequestFactory, override_settings
from django.urls import path

from core import request_id
from core.monitoring import add_breadcrumb, sdk, set_context, set_tag, set_user_context
from core.monitoring.testing import Receiver
from core.monitoring.tests.conftest import start  # noqa: F401 (a fixture)

THREADS = 16
REQUESTS_EACH = 3
CONCURRENT = 200


class Person(SimpleNamespace):
    is_authenticated = True

    def get_username(self) -> str:
        return f"user{self.pk}"


def begin(request: HttpRequest, number: int) -> None:
    """Leave marks in all the places that belong to a request. Every third has nobody signed in."""
    set_tag("marker", number)
    set_context("marked", {"number": number})
    add_breadcrumb(f"step of {number}")
    if number % 3 == 0:
        set_user_context("stranger", tenant_id="elsewhere", username="stranger")  # who is signed in wins
        request.user = Person(pk=number, organization_id=number)
    elif number % 3 == 1:
        set_user_context(number, tenant_id=number, username=f"user{number}")


class Meeting:
    """Where all requests of a test wait for each other, so that all are under way at once."""

    threads = threading.Barrier(THREADS)
    coroutines: asyncio.Barrier


def fail(request: HttpRequest, number: int) -> None:
    begin(request, number)
    Meeting.threads.wait(timeout=60)
    raise RuntimeError(f"failed for {number} as {request_id.current.get()}")


async def fail_async(request: HttpRequest, number: int) -> None:
    begin(request, number)
    async with Meeting.coroutines:
        await asyncio.sleep(0)
    raise RuntimeError(f"failed for {number} as {request_id.current.get()}")


urlpatterns = [path("fail/<int:number>/", fail), path("fail-async/<int:number>/", fail_async)]


@pytest.fixture
def monitored(
    start: Callable[..., bool],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """As production is, but that nothing is held back; the requests need no database."""
    build = sdk.build_options
    monkeypatch.setattr(sdk, "build_options", lambda *args: {**build(*args), "transport_queue_size": 1000})
    rates = {"SENTRY_TRACES_SAMPLE_RATE": "1", "SENTRY_PROFILES_SAMPLE_RATE": "0"}
    start({"tenant": "user.organization_id"}, SENTRY_MAX_EVENTS_PER_MINUTE="0", **rates)
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    middleware = [name for name in django_settings.MIDDLEWARE if "whitenoise" not in name]
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=middleware):
        yield
    for signal in signals:
        signal.connect(close_old_connections)


def name_of(number: int) -> str:
    return f"request-{number:04}"


def assert_each_knows_its_own_and_only_its_own(receiver: Receiver, numbers: range) -> None:
    sentry_sdk.flush(timeout=30)
    for kind in ("event", "transaction"):
        found = {int(item["tags"]["marker"]): item for item in receiver.wait_for(kind, len(numbers))}
        assert sorted(found) == list(numbers)
        for number, item in found.items():
            user = {"id": str(number), "username": f"user{number}"}
            signed_in = user | {"is_staff": False} if number % 3 == 0 else user
            assert item.get("user") == (None if number % 3 == 2 else signed_in)
            assert item["tags"].get("tenant_id") == (None if number % 3 == 2 else str(number))
            assert item["tags"]["request_id"] == name_of(number)
            assert item["contexts"]["marked"] == {"number": number}
            if kind == "event":
                assert item["exception"]["values"][0]["value"] == f"failed for {number} as {name_of(number)}"
                steps = [crumb["message"] for crumb in item["breadcrumbs"]["values"] if crumb.get("category") == "app"]
                assert steps == [f"step of {number}"]
    traces = {item["contexts"]["trace"]["trace_id"] for item in receiver.items("transaction")}
    assert len(traces) == len(numbers)


def test_sixteen_threads_that_serve_one_request_after_another(monitored: None, receiver: Receiver) -> None:
    application = WSGIHandler()

    def serve(thread: int) -> list[str]:
        answers: list[str] = []
        for turn in range(REQUESTS_EACH):
            number = turn * THREADS + thread
            environ = RequestFactory().get(f"/fail/{number}/", headers={"x-request-id": name_of(number)}).environ
            headers: dict[str, str] = {}
            response = application(environ, lambda status, pairs, *_: headers.update(pairs))  # noqa: B023
            b"".join(response)
            response.close()
            assert request_id.current.get() == "-", "the thread's next line would carry a request's id"
            answers.append(headers["X-Request-ID"])
        return answers

    with ThreadPoolExecutor(THREADS) as threads:
        answered = list(itertools.chain(*threads.map(serve, range(THREADS))))
    numbers = range(THREADS * REQUESTS_EACH)
    assert sorted(answered) == [name_of(number) for number in numbers]
    assert_each_knows_its_own_and_only_its_own(receiver, numbers)


def test_two_hundred_requests_at_once_in_one_event_loop(monitored: None, receiver: Receiver) -> None:
    application = ASGIHandler()

    async def request(number: int) -> None:
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": f"/fail-async/{number}/",
            "query_string": b"",
            "headers": [(b"host", b"testserver"), (b"x-request-id", name_of(number).encode())],
            "asgi": {"version": "3.0"},
        }
        body: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if not body:
                await asyncio.Event().wait()  # the client stays until it has its answer
            return body.pop()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await application(scope, receive, send)
        assert (b"X-Request-ID", name_of(number).encode()) in sent[0]["headers"]

    async def all_at_once() -> None:
        Meeting.coroutines = asyncio.Barrier(CONCURRENT)
        await asyncio.gather(*map(request, range(CONCURRENT)))

    asyncio.run(all_at_once())
    assert_each_knows_its_own_and_only_its_own(receiver, range(CONCURRENT))
