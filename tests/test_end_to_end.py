"""A real server, a real receiver: what arrives for the errors of real requests, and what never does."""

import re
from collections.abc import Callable

import pytest
from storm_cloud import StormCloud
from visitor import Visitor

from core.monitoring.failures import _api_key
from core.monitoring.release import checkout_head
from core.monitoring.testing import Receiver
from tests.conftest import ROOT, environment, manage

Start = Callable[..., StormCloud]
TEST_KEY = next(c for c in _api_key.__code__.co_consts if isinstance(c, str) and c.startswith("not-a-real-key"))
# From a block that is reserved for documentation (RFC 5737); the visitor sends it as X-Forwarded-For.
ADDRESS = "203.0.113.7"


@pytest.fixture(scope="module", params=["gunicorn", "uvicorn"])
def monitored(request: pytest.FixtureRequest, storm_cloud: Start, tracker: Receiver) -> StormCloud:
    return storm_cloud(
        request.param, SENTRY_DSN=tracker.dsn, SENTRY_TRACES_SAMPLE_RATE="1", SENTRY_ENVIRONMENT="proving"
    )


@pytest.fixture(scope="module")
def session(monitored: StormCloud, tracker: Receiver) -> dict:
    """Errors of one user, by API key and by session, and of nobody; the events by the way they were provoked."""
    visitor = Visitor(monitored.base_url, monitored.log)
    before = len(tracker.items("event"))
    visitor.provoke("value")
    visitor.register()
    visitor.sign_in()
    key, visitor.api_key = visitor.api_key, ""
    visitor.provoke("division")
    visitor.api_key = key
    visitor.store_and_share()
    visitor.provoke("api_key")
    events = tracker.wait_for("event", before + 3)[before:]
    assert len(events) == 3
    return {"visitor": visitor, "nobody": events[0], "session": events[1], "api_key": events[2]}


def test_an_error_of_an_api_key_user_knows_who_and_which_tenant(session: dict) -> None:
    event = session["api_key"]
    assert event["exception"]["values"][-1]["type"] == "ValueError"
    assert event["user"] == {"id": event["user"]["id"], "username": "ada", "is_staff": False}
    assert event["user"]["id"].isdigit()
    assert event["tags"]["auth_method"] == "api_key"
    assert event["tags"]["tenant_id"].isdigit()
    assert event["tags"]["request_path"] == "/api/v1/debug/sentry-test/"
    assert event["tags"]["request_method"] == "GET"
    assert event["tags"]["storage_backend"] == "local"
    assert event["contexts"]["storage"] == {"backend": "local"}


def test_an_error_of_a_session_user_knows_the_same(session: dict) -> None:
    event = session["session"]
    assert event["exception"]["values"][-1]["type"] == "ZeroDivisionError"
    assert event["user"] == session["api_key"]["user"]
    assert event["tags"]["auth_method"] == "session"
    assert event["tags"]["tenant_id"] == session["api_key"]["tags"]["tenant_id"]


def test_an_error_of_nobody_has_no_user(session: dict) -> None:
    assert "user" not in session["nobody"]
    assert "tenant_id" not in session["nobody"]["tags"]


def test_release_and_environment_are_there(session: dict) -> None:
    for kind in ("nobody", "session", "api_key"):
        assert session[kind]["environment"] == "proving"
        assert session[kind].get("release", "") == checkout_head(ROOT)


def test_a_report_is_worth_reading(session: dict) -> None:
    frames = session["session"]["exception"]["values"][-1]["stacktrace"]["frames"]
    assert frames[-1]["function"] == "_division"
    assert frames[-1]["module"] == "core.monitoring.failures"
    assert frames[-1]["context_line"] == "    return files / users"
    assert frames[-1]["vars"] | {"request": ""} == {"files": "7", "users": "0", "request": ""}
    assert session["session"]["transaction"] == "/api/v1/debug/sentry-test/"
    assert session["session"]["breadcrumbs"]["values"]


def test_the_key_of_the_test_endpoint_is_in_no_byte_received(session: dict, tracker: Receiver) -> None:
    assert TEST_KEY.encode() not in tracker.bytes
    assert TEST_KEY[16:].encode() not in tracker.bytes


def test_no_secret_of_the_visitor_is_in_any_byte_received(session: dict, tracker: Receiver) -> None:
    secrets = session["visitor"].secrets()
    assert all(secrets.values())
    for name, secret in secrets.items():
        assert secret.encode() not in tracker.bytes, name
    for name in (b"to-charles", b"letters/", b"algebraical"):
        assert name not in tracker.bytes


def test_no_address_that_security_log_holds_is_in_any_byte_received(
    session: dict, monitored: StormCloud, tracker: Receiver
) -> None:
    log = monitored.security_log.read_text()
    private = {*re.findall(r"[\w.+-]+@[\w.-]+\w", log), *re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", log)}
    assert {"ada.lovelace@example.org", ADDRESS} <= private
    # The tracker itself is on loopback, and its address is in each request line.
    for text in private - {"127.0.0.1"}:
        assert text.encode() not in tracker.bytes


def test_a_traced_upload_and_download_do_not_tell_the_file(session: dict, tracker: Receiver) -> None:
    routes = {t["transaction"] for t in tracker.wait_for("transaction")}
    assert "/api/v1/files/{path}/upload/" in routes
    upload = next(t for t in tracker.items("transaction") if t["transaction"].endswith("/upload/"))
    assert upload["user"]["username"] == "ada"
    assert upload["tags"]["tenant_id"] == session["api_key"]["tags"]["tenant_id"]
    assert not any("/health/" in route for route in routes)


def test_a_bad_host_header_is_no_event(monitored: StormCloud, session: dict, tracker: Receiver) -> None:
    import http.client

    connection = http.client.HTTPConnection(monitored.base_url.removeprefix("http://"))
    connection.request("GET", "/api/v1/auth/me/", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 400
    before = len(tracker.items("event"))
    session["visitor"].provoke("value")
    tracker.wait_for("event", before + 1)
    assert "DisallowedHost" not in repr(tracker.items("event"))


def test_without_a_dsn_the_sdk_is_never_imported_and_the_middleware_is_not_in_the_chain(tmp_path) -> None:
    program = (
        "import sys, _core.wsgi\n"
        "from django.test import Client\n"
        "chain, layer = [], _core.wsgi.application._middleware_chain\n"
        "while layer:\n"
        "    layer = getattr(layer, '__wrapped__', layer)\n"
        "    chain.append(type(layer).__name__)\n"
        "    layer = getattr(layer, 'get_response', None)\n"
        "client = Client(raise_request_exception=False)\n"
        "assert client.get('/api/v1/debug/sentry-test/?type=division', HTTP_HOST='localhost').status_code == 500\n"
        "assert 'CorsMiddleware' in chain and 'SessionMiddleware' in chain, chain\n"
        "assert 'SentryContextMiddleware' not in chain, chain\n"
        "loaded = [name for name in sys.modules if name.split('.')[0] == 'sentry_sdk']\n"
        "assert not loaded, loaded\n"
    )
    for dsn in ("", "   ", "notaurl"):
        result = manage(environment(tmp_path, SENTRY_DSN=dsn), "shell", "-v", "0", "-c", program)
        assert result.returncode == 0, result.stderr
        assert ("SENTRY_DSN is not a DSN" in result.stderr) == (dsn == "notaurl")


def test_with_a_dsn_the_middleware_is_in_the_chain(tmp_path) -> None:
    program = (
        "import _core.wsgi\n"
        "from core.middleware import SentryContextMiddleware\n"
        "import gc\n"
        "assert any(isinstance(o, SentryContextMiddleware) for o in gc.get_objects())\n"
    )
    result = manage(environment(tmp_path, SENTRY_DSN="http://key@127.0.0.1:9/1"), "shell", "-v", "0", "-c", program)
    assert result.returncode == 0, result.stderr


def test_without_the_sdk_the_server_starts_and_the_check_names_the_fix(tmp_path) -> None:
    (tmp_path / "sentry_sdk.py").write_text("raise ImportError('No module named sentry_sdk')")
    env = environment(tmp_path, SENTRY_DSN="http://key@127.0.0.1:9/1", PYTHONPATH=str(tmp_path))
    result = manage(env, "check")
    assert result.returncode == 0, result.stderr
    assert "monitoring.W003" in result.stderr
    assert "pip install sentry-sdk" in result.stderr
    program = (
        "from django.test import Client\n"
        "assert Client().get('/api/v1/health/', HTTP_HOST='localhost').status_code == 200\n"
    )
    assert manage(env, "shell", "-v", "0", "-c", program).returncode == 0


def test_a_directory_that_can_not_be_rendered_does_not_tell_its_files(tmp_path, receiver: Receiver) -> None:
    program = (
        "from unittest import mock\n"
        "from django.core.wsgi import get_wsgi_application\n"
        "from django.test import RequestFactory\n"
        "import sentry_sdk\n"
        "from accounts import api_keys\n"
        "from accounts.models import User\n"
        "from core import files\n"
        "ada = User.objects.create_superuser('ada', 'ada@example.org', 'correct horse')\n"
        "files.save(ada, 'letters/salary.txt', [b'0123456789'])\n"
        "key = api_keys.create(ada, 'test')[1]\n"
        "environ = RequestFactory().get('/api/v1/dirs/letters/', headers={'authorization': f'Bearer {key}'}).environ\n"
        "with mock.patch('rest_framework.renderers.json.dumps', side_effect=TypeError('no JSON')):\n"
        "    list(get_wsgi_application()({**environ, 'HTTP_HOST': 'localhost'}, lambda status, headers, *_: None))\n"
        "sentry_sdk.flush()\n"
    )
    env = environment(tmp_path, "dev", SENTRY_DSN=receiver.dsn)
    assert manage(env, "migrate").returncode == 0
    result = manage(env, "shell", "-v", "0", "-c", program)
    assert result.returncode == 0, result.stderr
    frames = receiver.wait_for("event")[0]["exception"]["values"][-1]["stacktrace"]["frames"]
    assert "rest_framework.renderers" in {frame["module"] for frame in frames}
    assert b"salary" not in receiver.bytes


def test_with_debug_off_the_test_endpoint_is_a_plain_404(tmp_path) -> None:
    program = (
        "from django.test import Client\n"
        "client = Client(headers={'host': 'localhost'})\n"
        "found = client.get('/api/v1/debug/sentry-test/?type=division', secure=True)\n"
        "other = client.get('/api/v1/debug/nothing-here/', secure=True)\n"
        "assert found.status_code == other.status_code == 404\n"
        "assert found.content == other.content, found.content\n"
    )
    production = environment(
        tmp_path, "production", SECRET_KEY="x" * 60, ALLOWED_HOSTS="localhost", SENTRY_DSN="http://k@127.0.0.1:9/1"
    )
    result = manage(production, "shell", "-v", "0", "-c", program)
    assert result.returncode == 0, result.stderr


def test_the_security_log_is_the_same_with_and_without_monitoring(storm_cloud: Start, receiver: Receiver) -> None:
    logs = []
    for dsn in ("", receiver.dsn):
        server = storm_cloud(SENTRY_DSN=dsn)
        visitor = Visitor(server.base_url, server.log)
        visitor.register()
        visitor.sign_in()
        visitor.store_and_share()
        visitor.provoke("division")
        logs.append(without_times_and_random_ids(server.security_log.read_bytes()))
    receiver.wait_for("event")
    assert logs[0].count(b"\n") >= 5
    assert logs[0] == logs[1]


def without_times_and_random_ids(log: bytes) -> bytes:
    log = re.sub(rb"^\S+ \S+ ", b"", log, flags=re.MULTILINE)
    log = re.sub(rb"[0-9a-f]{8}-[0-9a-f-]{27}", b"<uuid>", log)
    return re.sub(rb"prefix=\S+", b"prefix=<random>", log)
