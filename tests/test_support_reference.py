"""Whoever complains about a failure has a reference in hand that finds it: at the tracker, or in the local log."""

import asyncio
import json
import logging
import logging.config
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sentry_sdk
from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.views import APIView
from storm_cloud import StormCloud

from api.errors import Unavailable
from core import request_id
from core.monitoring.rest_framework import watch_rest_framework
from core.monitoring.testing import Receiver
from core.monitoring.tests.conftest import start  # noqa: F401 (a fixture)
from tests.what_never_leaves.server import Answer, Server

Start = Callable[..., bool]


def fail(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("nobody expected this")


async def fail_async(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(0)
    raise RuntimeError("nobody expected this")


@api_view(["GET"])
@permission_classes([AllowAny])
def expected(request: Any) -> Any:
    raise Unavailable


@api_view(["GET"])
@permission_classes([AllowAny])
def unexpected(request: Any) -> Any:
    raise RuntimeError("nobody expected this")


def fine(request: HttpRequest) -> HttpResponse:
    return HttpResponse("fine")


def answered(request: HttpRequest) -> HttpResponse:
    return HttpResponse("later", status=503)


def failing_middleware(get_response: Any) -> Any:
    def middleware(request: HttpRequest) -> Any:
        response = get_response(request)
        if request.path.endswith("/middleware/"):
            raise RuntimeError("nobody expected this of a middleware")
        return response

    return middleware


urlpatterns = [
    path("page/", fail),
    path("page/async/", fail_async),
    path("page/middleware/", fine),
    path("page/answered/", answered),
    path("page/fine/", fine),
    path("api/django/", fail),
    path("api/async/", fail_async),
    path("api/unexpected/", unexpected),
    path("api/expected/", expected),
    path("api/middleware/", fine),
]
handler500 = "api.errors.server_error"

FAILING = ["page/", "page/async/", "page/middleware/"]
FAILING += ["api/django/", "api/async/", "api/unexpected/", "api/expected/", "api/middleware/"]


@pytest.fixture(params=["wsgi", "asgi"])
def server(request: pytest.FixtureRequest, receiver: Receiver) -> Iterator[Callable[[], Server]]:
    """The server's own middleware, with one that fails in the place of the last to be called on the way out."""
    middleware = list(django_settings.MIDDLEWARE)
    middleware.insert(2, f"{__name__}.failing_middleware")
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=middleware):
        yield lambda: Server(request.param, receiver)


def reference(answer: Answer) -> str:
    """The one in the body, which is the one in the header."""
    told = dict(answer.headers)["X-Support-Reference"]
    if dict(answer.headers)["Content-Type"].startswith("application/json"):
        assert answer.json["error"]["reference"] == told
    else:
        assert f"<code>{told}</code>" in answer.content.decode()
    return told


@pytest.mark.parametrize("address", FAILING)
def test_without_monitoring_it_is_the_requests_id(address: str, server: Callable[[], Server]) -> None:
    answer = server().request("GET", f"/{address}")
    assert answer.status in (500, 503)
    assert reference(answer) == dict(answer.headers)["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{32}", reference(answer))


@pytest.mark.parametrize("address", FAILING)
def test_with_monitoring_it_is_the_events_id(
    address: str,
    start: Start,  # noqa: F811
    server: Callable[[], Server],
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    start()
    monkeypatch.setattr(APIView, "handle_exception", APIView.handle_exception)  # puts it back afterwards
    watch_rest_framework()
    with caplog.at_level(logging.INFO, "core.request_id"):
        answer = server().request("GET", f"/{address}")
    sentry_sdk.flush(timeout=10)
    (event,) = receiver.items("event")
    assert reference(answer) == event["event_id"]
    # Where the tracker lost the event, the log still leads from the reference to the request.
    line = f"Reference {event['event_id']} is request {dict(answer.headers)['X-Request-ID']}"
    assert [record.getMessage() for record in caplog.records if record.name == "core.request_id"] == [line]
    assert event["tags"]["request_id"] == dict(answer.headers)["X-Request-ID"]


@pytest.mark.django_db
def test_a_mail_server_that_is_down_is_one_event_although_it_is_logged_and_answered(
    start: Start,  # noqa: F811
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    start()
    monkeypatch.setattr(APIView, "handle_exception", APIView.handle_exception)  # puts it back afterwards
    watch_rest_framework()
    account = {"username": "ada", "email": "ada@example.org", "password": "correct horse battery staple"}
    answer = Server("wsgi", receiver).request("POST", "auth/register/", account)
    sentry_sdk.flush(timeout=10)
    assert (answer.status, answer.json["error"]["code"]) == (503, "unavailable")
    (event,) = receiver.items("event")
    assert event["exception"]["values"][-1]["type"] == "ConnectionRefusedError"
    assert event["logger"] == "stormcloud.accounts"
    assert reference(answer) == event["event_id"]


def test_an_error_of_which_no_further_copy_is_sent_is_found_in_the_local_log(
    start: Start,  # noqa: F811
    server: Callable[[], Server],
) -> None:
    start(SENTRY_MAX_EVENTS_PER_MINUTE="1")
    one = server()
    first, second = one.request("GET", "/page/"), one.request("GET", "/page/")
    assert reference(first) != dict(first.headers)["X-Request-ID"]
    assert reference(second) == dict(second.headers)["X-Request-ID"]


def test_a_5xx_that_a_view_answers_itself_has_the_header(server: Callable[[], Server]) -> None:
    answer = server().request("GET", "/page/answered/")
    assert (answer.status, answer.content) == (503, b"later")
    assert dict(answer.headers)["X-Support-Reference"] == dict(answer.headers)["X-Request-ID"]


def test_an_answer_that_is_no_failure_has_none(server: Callable[[], Server]) -> None:
    for address in ("/page/fine/", "/page/no-such/"):
        headers = dict(server().request("GET", address).headers)
        assert "X-Support-Reference" not in headers
        assert "X-Request-ID" in headers


def test_the_page_needs_nothing_from_anywhere(server: Callable[[], Server]) -> None:
    page = server().request("GET", "/page/").content.decode()
    assert "not your fault" in page
    assert not re.search(r"src=|href=|@import|url\(|https?://", page)


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_developers_page_has_it_too(accept: str, server: Callable[[], Server], settings: Any) -> None:
    settings.DEBUG = True
    answer = server().request("GET", "/api/django/", headers={"Accept": accept})
    assert "nobody expected this" in answer.content.decode()
    assert f"Reference: {dict(answer.headers)['X-Support-Reference']}" in answer.content.decode()


@pytest.mark.parametrize("given", ["abcd1234", "0af7651916cd43dd8448eb211c80319c", "A-Z-0-9-", "x" * 64])
def test_a_harmless_request_id_of_a_proxy_is_kept(given: str, server: Callable[[], Server]) -> None:
    answer = server().request("GET", "/page/", headers={"X-Request-ID": given})
    assert dict(answer.headers)["X-Request-ID"] == given


@pytest.mark.parametrize(
    "given",
    ["", "short", "x" * 65, "with space", "line\nbreak", "abcd1234\n", "a_b_c_d_e", "<script>alert(1)", "ééééééééé"],
)
def test_any_other_is_replaced(given: str, server: Callable[[], Server]) -> None:
    answer = server().request("GET", "/page/", headers={"X-Request-ID": given})
    assert re.fullmatch("[0-9a-f]{32}", dict(answer.headers)["X-Request-ID"])


def formatted(handler: str) -> str:
    """What a handler of the settings writes of a line, time aside."""
    settings = django_settings.LOGGING["handlers"][handler]
    record = logging.LogRecord("stormcloud.tests", logging.INFO, __file__, 1, "a line", (), None)
    known = dict(vars(record))
    line = (
        logging.config.DictConfigurator(django_settings.LOGGING)
        .configure_formatter(dict(django_settings.LOGGING["formatters"][settings["formatter"]]))
        .format(record)
    )
    assert vars(record).keys() - known.keys() <= {"message", "asctime"}, "a breadcrumb would hold it"
    return re.sub(r"^\S+ \S+ ", "", line)


def test_a_line_of_the_servers_log_names_request_and_trace(start: Start) -> None:  # noqa: F811
    assert formatted("console") == "INFO stormcloud.tests [- -] a line"
    token = request_id.current.set("request-7")
    try:
        assert formatted("console") == "INFO stormcloud.tests [request-7 -] a line"
        start()
        trace = request_id.trace_id()
        assert re.fullmatch("[0-9a-f]{32}", trace)
        assert formatted("console") == f"INFO stormcloud.tests [request-7 {trace}] a line"
    finally:
        request_id.current.reset(token)


def test_a_line_of_security_log_has_the_form_it_always_had() -> None:
    assert django_settings.LOGGING["formatters"]["security"] == {
        "format": "{asctime} {levelname} {message}",
        "style": "{",
    }
    assert formatted("security") == "INFO a line"


@pytest.mark.django_db
def test_the_id_is_known_while_a_file_is_streamed_and_forgotten_after_it() -> None:
    middleware = request_id.RequestIdMiddleware(lambda request: HttpResponse("streamed"))
    response = middleware(RequestFactory().get("/"))
    assert request_id.current.get() == response["X-Request-ID"]
    response.close()
    assert request_id.current.get() == "-"


@pytest.mark.parametrize("kind", ["gunicorn", "uvicorn"])
def test_the_reference_of_a_real_servers_answer_is_in_its_log(
    kind: str, storm_cloud: Callable[..., StormCloud]
) -> None:
    import urllib.error
    import urllib.request

    server = storm_cloud(kind)
    occupied = server.state / "media"
    if occupied.exists():
        occupied.rename(server.state / "elsewhere")
    occupied.write_text("a file where the storage's folder should be")
    with pytest.raises(urllib.error.HTTPError) as failed:
        urllib.request.urlopen(f"{server.base_url}/api/v1/health/status/", timeout=30)
    told = json.loads(failed.value.read())["reference"]
    assert failed.value.code == 503
    assert failed.value.headers["X-Support-Reference"] == told
    log = server.log.read_text()
    assert f"ERROR stormcloud.health [{told} -] The storage cannot be written" in log
    assert f"ERROR django.request [{told} -] Service Unavailable: /api/v1/health/status/" in log
    assert log.count("Service Unavailable") == 1
