"""What reaches the tracker from Django's real WSGI application, asserted on the bytes that arrived."""

import builtins
import logging
from collections.abc import Callable
from typing import Any

import pytest
import sentry_sdk
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

from core.middleware import SentryContextMiddleware
from core.monitoring import is_enabled, sdk
from core.monitoring.sdk import active, init_sentry
from core.monitoring.testing import Receiver

Start = Callable[..., bool]
Call = Callable[..., tuple[int, dict[str, str], bytes]]


def test_a_view_error_arrives_with_its_context_release_and_environment(
    start: Start, call: Call, receiver: Receiver
) -> None:
    assert start(SENTRY_RELEASE="1.2.3", SENTRY_ENVIRONMENT="staging")
    assert call("/files/salary.pdf/42/12345678-1234-5678-1234-567812345678/word/?page=2")[0] == 500
    (event,) = receiver.wait_for("event")
    assert event["exception"]["values"][0]["type"] == "RuntimeError"
    assert event["release"] == "1.2.3"
    assert event["environment"] == "staging"
    assert event["transaction"] == "/files/{path}/{number}/{key}/{word}/"
    assert event["tags"]["request_path"] == "/files/{path}/42/12345678-1234-5678-1234-567812345678/{word}/"
    assert event["tags"]["request_method"] == "GET"
    assert event["request"]["url"].endswith(event["tags"]["request_path"])


def test_without_a_release_none_is_sent_and_git_is_not_run(
    start: Start, call: Call, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.Popen", lambda *a, **k: pytest.fail("a process was started"))
    start()
    call("/fail/")
    assert "release" not in receiver.wait_for("event")[0]


def test_the_client_address_never_leaves(start: Start, call: Call, receiver: Receiver) -> None:
    start(SENTRY_TRACES_SAMPLE_RATE="1")
    call("/fail/", HTTP_X_FORWARDED_FOR="198.51.100.7", HTTP_FORWARDED="for=198.51.100.8")
    receiver.wait_for("event")
    receiver.wait_for("transaction")
    for address in (b"203.0.113.77", b"198.51.100.7", b"198.51.100.8"):
        assert address not in receiver.bytes


def test_a_logger_that_the_host_ignores_makes_no_event_and_no_breadcrumb(
    start: Start, call: Call, receiver: Receiver
) -> None:
    start({"ignore_loggers": ["someone.security"]})
    call("/log/")
    (event,) = receiver.wait_for("event")
    sentry_sdk.flush()
    assert len(receiver.items("event")) == 1
    assert [b["message"] for b in event["breadcrumbs"]["values"] if b.get("category") == "app"] == ["a harmless step"]
    assert b"jane.doe" not in receiver.bytes
    assert b"203.0.113.9" not in receiver.bytes


def broken_session(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware of a host whose session can't be read."""

    class Session:
        @property
        def session_key(self) -> str:
            raise ConnectionError("the store of sessions is gone")

    def with_session(request: HttpRequest) -> HttpResponse:
        request.session = Session()  # type: ignore[assignment]
        return get_response(request)

    return with_session


def test_when_what_is_private_in_a_request_cannot_be_told_only_a_skeleton_leaves(
    start: Start, call: Call, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    start()
    middleware = ["core.middleware.SentryContextMiddleware", f"{__name__}.broken_session"]
    assert call("/content/salary.pdf/", middleware=middleware)[0] == 500
    sentry_sdk.flush()
    (event,) = (event for event in receiver.wait_for("event") if "exception" in event)
    assert event["exception"]["values"][0]["type"] == "RuntimeError"
    assert b"salary" not in receiver.bytes
    assert "Scrubbing failed (ConnectionError)" in caplog.text


def test_a_bad_host_header_is_no_event(start: Start, call: Call, receiver: Receiver) -> None:
    start()
    middleware = ["core.middleware.SentryContextMiddleware", "django.middleware.common.CommonMiddleware"]
    assert call("/fine/", HTTP_HOST="evil.example", middleware=middleware)[0] == 400
    call("/fail/")
    sentry_sdk.flush()
    assert [e["exception"]["values"][0]["type"] for e in receiver.items("event")] == ["RuntimeError"]


@pytest.mark.parametrize(
    "body",
    [
        b'["hunter2-secret"]',
        b'"my token is hunter2-secret"',
        b"5",
        b"null",
        b'{"password": ["hunter2-secret"]}',
        b"{broken",
    ],
)
def test_a_json_body_of_any_shape_does_not_lose_the_event(
    start: Start, call: Call, receiver: Receiver, body: bytes
) -> None:
    start()
    assert call("/fail/", "POST", body, CONTENT_TYPE="application/json")[0] == 500
    (event,) = receiver.wait_for("event")
    assert event["exception"]["values"][0]["type"] == "RuntimeError"
    if b"password" in body:
        assert b"hunter2" not in receiver.bytes


def test_a_file_that_is_json_does_not_leave_as_a_request_body(start: Start, call: Call, receiver: Receiver) -> None:
    start()
    call("/content/diary.json/", "PUT", b'{"dear": "diary"}', CONTENT_TYPE="application/json")
    receiver.wait_for("event")
    assert b"diary" not in receiver.bytes


def test_the_test_endpoint_key_is_in_no_byte_that_arrives(
    start: Start, call: Call, receiver: Receiver, settings: Any
) -> None:
    from core.monitoring.failures import _api_key

    key = next(c for c in _api_key.__code__.co_consts if isinstance(c, str) and c.startswith("not-a-real-key"))
    settings.DEBUG = True
    start(SENTRY_TRACES_SAMPLE_RATE="1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["manage.py", "--api-key", key])
        call("/debug/sentry-test/?type=api_key", HTTP_AUTHORIZATION=f"Bearer {key}", HTTP_X_API_KEY=key)
    receiver.wait_for("event")
    receiver.wait_for("transaction")
    assert key.encode() not in receiver.bytes
    assert key[20:44].encode() not in receiver.bytes


def test_attachments_do_not_leave(start: Start, receiver: Receiver) -> None:
    start()
    with sentry_sdk.new_scope() as scope:
        scope.add_attachment(bytes=b"somebody's file", filename="diary.txt")
        sentry_sdk.capture_message("with an attachment")
    receiver.wait_for("event")
    assert receiver.items("attachment") == []


def test_ignored_paths_are_not_traced(start: Start, call: Call, receiver: Receiver) -> None:
    start({"ignore_paths": ["/health/"]}, SENTRY_TRACES_SAMPLE_RATE="1")
    call("/health/")
    call("/fine/")
    sentry_sdk.flush()
    assert [t["transaction"] for t in receiver.wait_for("transaction")] == ["/fine/"]


def test_copies_of_one_error_beyond_the_limit_are_held_back(start: Start, call: Call, receiver: Receiver) -> None:
    start(SENTRY_MAX_EVENTS_PER_MINUTE="3")
    for _ in range(5):
        call("/fail/")
    sentry_sdk.flush()
    assert len(receiver.items("event")) == 3
    assert active().guard.held_back == 2


def test_the_environment_cannot_switch_on_spotlight(start: Start, receiver: Receiver) -> None:
    with Receiver() as sidecar:
        start(SENTRY_SPOTLIGHT=f"http://127.0.0.1:{sidecar.port}/stream")
        sentry_sdk.capture_message("hello")
        sentry_sdk.flush()
        receiver.wait_for("event")
        assert sidecar.items() == []


def test_a_failure_in_our_own_step_sends_the_skeleton(
    start: Start, call: Call, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()

    def broken(event: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("core.monitoring.context.drop_content", broken)
    call("/content/diary.txt/", "POST", b"password=hunter2", CONTENT_TYPE="application/x-www-form-urlencoded")
    # The failure is an event of its own.
    (event,) = (event for event in receiver.wait_for("event", 2) if "exception" in event)
    assert event["exception"]["values"][0]["type"] == "RuntimeError"
    assert "request" not in event
    assert b"diary" not in receiver.bytes
    assert active().scrubber.failures == 2


@pytest.mark.parametrize("dsn", ["", "   ", "notaurl", "https://host/1"])
def test_without_a_usable_dsn_monitoring_is_off_and_the_middleware_takes_itself_out(
    dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("SENTRY_DSN", dsn)
    assert init_sentry(base_dir=tmp_path) is False
    assert not is_enabled()
    with pytest.raises(MiddlewareNotUsed):
        SentryContextMiddleware(lambda request: None)
    sdk._active = sdk.Monitoring()


def test_a_missing_sdk_is_one_log_line_and_the_server_goes_on(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = builtins.__import__

    def without_sdk(name: str, *rest: Any) -> Any:
        if name.split(".")[0] == "sentry_sdk":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_sdk)
    with caplog.at_level(logging.WARNING, "core.monitoring"):
        assert start() is False
    assert len(caplog.records) == 1
    assert "pip install sentry-sdk" in caplog.text


def test_whatever_goes_wrong_in_the_sdk_stays_a_warning(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(**options: Any) -> None:
        raise TypeError("an option of yesterday")

    monkeypatch.setattr(sentry_sdk, "init", explode)
    with caplog.at_level(logging.WARNING, "core.monitoring"):
        assert start() is False
    assert [p.id for p in active().problems] == ["monitoring.W006"]
    assert len(caplog.records) == 1


def test_a_dsn_that_points_nowhere_costs_the_request_nothing(start: Start, call: Call, receiver: Receiver) -> None:
    start(SENTRY_DSN="http://key@127.0.0.1:9/1")
    assert call("/fail/")[0] == 500
    assert call("/fine/")[0] == 200
