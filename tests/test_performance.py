"""Where the time of a real request went: what arrives of it from real servers and databases, and what never does."""

import contextlib
import http.client
import json
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from storm_cloud import StormCloud
from visitor import Visitor

from core.monitoring.testing import Receiver
from core.monitoring.transactions import CLIENT_DISCONNECTED
from tests.conftest import environment, manage
from tests.services import new_database

Start = Callable[..., StormCloud]
NAME = "quarterly-ottilie.bin"
# More than the kernel buffers for a client that does not read.
SIZE = 8_000_000


@dataclass
class Client:
    """Sends requests that are traced, each under a trace of its own, and finds what arrived of them."""

    server: StormCloud
    tracker: Receiver
    api_key: str

    def head(self, method: str, path: str, **headers: str) -> tuple[str, dict[str, str]]:
        trace = secrets.token_hex(16)
        known = {"Authorization": f"Bearer {self.api_key}", "sentry-trace": f"{trace}-{secrets.token_hex(8)}-1"}
        return trace, {**known, **{name.replace("_", "-"): value for name, value in headers.items()}}

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[str, int, bytes]:
        """Return the request's trace id, and status and body of the answer."""
        trace, fields = self.head(method, path, **headers)
        with contextlib.closing(http.client.HTTPConnection(self.server.base_url.removeprefix("http://"))) as connection:
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            return trace, answer.status, answer.read()

    def leave(self, method: str, path: str, body: bytes = b"", wait_for: int = 0, **headers: str) -> str:
        """Send a request and hang up after so many bytes of the answer; return the trace id."""
        trace, fields = self.head(method, path, **headers)
        host, _, port = self.server.base_url.removeprefix("http://").partition(":")
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((host, int(port)))
            lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {v}" for name, v in fields.items())]
            connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            while wait_for > 0:
                wait_for -= len(connection.recv(4096)) or pytest.fail("the server hung up first")
        return trace

    def transaction(self, trace: str) -> dict[str, Any]:
        return self._found("transaction", trace)

    def event(self, trace: str) -> dict[str, Any]:
        return self._found("event", trace)

    def _found(self, kind: str, trace: str) -> dict[str, Any]:
        while True:
            items = self.tracker.items(kind)
            for item in reversed(items):
                if item["contexts"]["trace"]["trace_id"] == trace:
                    return item
            self.tracker.wait_for(kind, len(items) + 1)


@pytest.fixture(scope="module", params=["gunicorn", "gunicorn sync", "uvicorn"])
def client(request: pytest.FixtureRequest, storm_cloud: Start, tracker: Receiver) -> Client:
    """A visitor of a server that traces by the caller's word only: nothing but the tests' own requests."""
    server = storm_cloud(
        request.param,
        SENTRY_DSN=tracker.dsn,
        SENTRY_TRACES_SAMPLE_RATE="0.000001",
        SENTRY_PROFILES_SAMPLE_RATE="1",
    )
    visitor = Visitor(server.base_url, server.log)
    visitor.register()
    visitor.sign_in()
    client = Client(server, tracker, visitor.api_key)
    assert client.send("PUT", f"/api/v1/files/{NAME}/upload/", b"x" * SIZE)[1] == 201
    return client


def spans(transaction: dict[str, Any], op: str) -> list[dict[str, Any]]:
    return [span for span in transaction["spans"] if span["op"] == op]


def test_an_upload_is_one_transaction_with_everything_that_took_time(client: Client) -> None:
    trace, status, _ = client.send("PUT", f"/api/v1/files/new-{NAME}/upload/", b"x" * 70_000)
    assert status == 201
    transaction = client.transaction(trace)
    assert transaction["transaction"] == "/api/v1/files/{path}/upload/"
    assert {"middleware.django", "view.render", "view.authenticate", "db", "storage.put", "storage.commit"} <= {
        span["op"] for span in transaction["spans"]
    }
    (put,) = spans(transaction, "storage.put")
    assert put["data"]["bytes"] == 70_000
    assert transaction["tags"]["tenant_id"].isdigit()
    assert client.send("DELETE", f"/api/v1/files/new-{NAME}/delete/")[1] == 204


def test_a_download_shows_its_streaming_which_the_view_has_not_waited_for(client: Client) -> None:
    trace, status, content = client.send("GET", f"/api/v1/files/{NAME}/download/")
    assert (status, len(content)) == (200, SIZE)
    transaction = client.transaction(trace)
    (get,) = spans(transaction, "storage.get")
    assert get["data"]["bytes"] == SIZE
    (view,) = spans(transaction, "view.render")
    assert view["timestamp"] < get["timestamp"] <= transaction["timestamp"]
    assert transaction["contexts"]["trace"]["status"] == "ok"


def test_a_part_of_a_file_counts_its_own_bytes(client: Client) -> None:
    trace, status, _ = client.send("GET", f"/api/v1/files/{NAME}/download/", Range="bytes=5-104")
    assert status == 206
    (get,) = spans(client.transaction(trace), "storage.get")
    assert get["data"]["bytes"] == 100


def test_a_client_that_leaves_a_download_is_told_and_is_no_error(client: Client) -> None:
    events = len(client.tracker.items("event"))
    trace = client.leave("GET", f"/api/v1/files/{NAME}/download/", wait_for=5000)
    transaction = client.transaction(trace)
    assert transaction["contexts"]["trace"]["status"] == "cancelled"
    assert transaction["tags"][CLIENT_DISCONNECTED] == "true"
    (get,) = spans(transaction, "storage.get")
    assert 0 < get["data"]["bytes"] < SIZE
    assert len(client.tracker.items("event")) == events


def test_a_client_that_leaves_an_upload_is_told_and_is_no_error(client: Client) -> None:
    events = len(client.tracker.items("event"))
    half = b"x" * 50_000
    trace = client.leave("PUT", f"/api/v1/files/half-{NAME}/upload/", half, Content_Length="100000")
    transaction = client.transaction(trace)
    assert transaction["contexts"]["trace"]["status"] == "cancelled"
    assert transaction["tags"][CLIENT_DISCONNECTED] == "true"
    assert len(client.tracker.items("event")) == events
    assert client.send("GET", f"/api/v1/files/half-{NAME}/")[1] == 404


def test_every_other_operation_of_the_storage_has_a_span(client: Client) -> None:
    move = json.dumps({"destination": f"moved-{NAME}"}).encode()
    back = json.dumps({"destination": NAME}).encode()
    copy = json.dumps({"destination": f"copy-{NAME}"}).encode()
    as_json = {"Content_Type": "application/json"}
    for op, method, path, body in (
        ("storage.move", "POST", f"/api/v1/files/{NAME}/move/", move),
        ("storage.move", "POST", f"/api/v1/files/moved-{NAME}/move/", back),
        ("storage.get", "POST", f"/api/v1/files/{NAME}/copy/", copy),
        ("storage.delete", "DELETE", f"/api/v1/files/copy-{NAME}/delete/", None),
        ("storage.list", "GET", "/api/v1/dirs/", None),
        ("storage.stat", "GET", f"/api/v1/files/{NAME}/", None),
        ("storage.make_directory", "POST", f"/api/v1/dirs/{NAME}-folder/create/", None),
    ):
        trace, status, _ = client.send(method, path, body, **as_json)
        assert status < 300, path
        assert spans(client.transaction(trace), op), path


def test_what_the_storage_did_stands_in_the_report_of_a_later_error(client: Client) -> None:
    scratch = client.server.state / "media" / ".stormcloud-tmp"
    scratch.rename(scratch.with_suffix(".away"))
    scratch.touch()
    try:
        # Without a body: gunicorn's sync worker resets the connection if some of it has not been read.
        trace, status, _ = client.send("PUT", f"/api/v1/files/{NAME}/upload/", b"")
    finally:
        scratch.unlink()
        scratch.with_suffix(".away").rename(scratch)
    assert status == 500
    crumbs = [c for c in client.event(trace)["breadcrumbs"]["values"] if c.get("category") == "storage"]
    assert [crumb["message"] for crumb in crumbs] == ["stat", "put"]
    assert crumbs[0]["data"].keys() == {"duration_ms"}
    assert crumbs[1]["data"]["error"] == "NotADirectoryError"
    assert crumbs[1]["data"]["duration_ms"] >= 0
    (put,) = spans(client.transaction(trace), "storage.put")
    assert put["status"] == "internal_error"


def test_health_and_static_files_are_not_traced_even_if_the_caller_is(client: Client) -> None:
    untraced = [client.send("GET", path)[0] for path in ("/api/v1/health/", "/api/v1/health/status/", "/static/x.css")]
    client.transaction(client.send("GET", "/api/v1/auth/me/")[0])
    arrived = {t["contexts"]["trace"]["trace_id"] for t in client.tracker.items("transaction")}
    assert not arrived & set(untraced)


@pytest.mark.parametrize("rate", ["inf", "-inf", "1e400", "nan"])
def test_no_header_of_a_stranger_breaks_an_answer(client: Client, rate: str) -> None:
    for field in ("sample_rate", "sample_rand"):
        assert client.send("GET", "/api/v1/auth/me/", baggage=f"sentry-{field}={rate}")[1] == 200


def test_a_profile_rides_on_a_traced_request(client: Client) -> None:
    trace = client.send("GET", f"/api/v1/files/{NAME}/download/")[0]
    client.transaction(trace)
    profiles = client.tracker.wait_for("profile")
    transactions = {t["event_id"]: t for t in client.tracker.items("transaction")}
    for profile in profiles:
        (of,) = profile["transactions"]
        assert of["trace_id"] == transactions[of["id"]]["contexts"]["trace"]["trace_id"]
        assert profile["profile"]["samples"]


def test_a_login_marks_the_hits_and_misses_of_the_cache(client: Client) -> None:
    body = json.dumps({"username": f"nobody-{secrets.token_hex(4)}", "password": "wrong"}).encode()
    hits = []
    for _ in range(2):
        trace, status, _ = client.send("POST", "/api/v1/auth/login/", body, Content_Type="application/json")
        assert status == 401
        hits.append({span["data"]["cache.hit"] for span in spans(client.transaction(trace), "cache.get")})
    assert False in hits[0]
    assert hits[1] == {True}


def test_no_file_name_and_no_key_is_in_any_byte_received(client: Client) -> None:
    for private in (NAME, "ottilie", client.api_key):
        assert private.encode() not in client.tracker.bytes


@pytest.mark.parametrize("kind", ["gunicorn", "uvicorn"])
def test_a_server_that_starts_and_ends_reports_its_sessions_and_no_error(
    kind: str, storm_cloud: Start, receiver: Receiver
) -> None:
    server = storm_cloud(kind, SENTRY_DSN=receiver.dsn, SENTRY_RELEASE="1.0", SENTRY_TRACES_SAMPLE_RATE="0")
    visitor = Visitor(server.base_url, server.log)
    visitor.register()
    visitor.provoke("value")
    before = len(receiver.wait_for("event"))
    server.stop()
    counted = [minute for sessions in receiver.wait_for("sessions") for minute in sessions["aggregates"]]
    assert sum(minute.get("crashed", 0) for minute in counted) == 1
    assert sum(minute.get("exited", 0) for minute in counted) >= 2
    assert len(receiver.items("event")) == before == 1


@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_a_query_arrives_without_its_values(database: str, tmp_path: Path, receiver: Receiver) -> None:
    program = (
        "name, one = 'eilitto'[::-1], 1  # not in the program's own text, which is in sys.argv\n"
        "from django.db import connection\n"
        "from core.monitoring import capture_message, start_transaction\n"
        "with start_transaction('test', 'test'), connection.cursor() as cursor:\n"
        "    cursor.execute('SELECT %s AS par, %s AS num', ['parameter-' + name, 4711471147 + one])\n"
        "    cursor.execute(f\"SELECT 'literal-{name}' AS lit, {4711471147 + one} AS num\")\n"
        "    capture_message('done')\n"
    )
    with new_database() if database == "PostgreSQL" else contextlib.nullcontext("") as url:
        variables = {"DATABASE_URL": url} if url else {}
        env = environment(tmp_path, SENTRY_DSN=receiver.dsn, SENTRY_TRACES_SAMPLE_RATE="1", **variables)
        result = manage(env, "shell", "-v", "0", "-c", program)
        assert result.returncode == 0, result.stderr
    (event,) = receiver.wait_for("event")
    described = [span["description"] for span in spans(receiver.wait_for("transaction")[0], "db")]
    remembered = [c["message"] for c in event["breadcrumbs"]["values"] if c.get("category") == "query"]
    for queries in (described, remembered):
        assert "SELECT %s AS par, %s AS num" in queries
        assert "SELECT %s AS lit, %s AS num" in queries
    for value in (b"ottilie", b"4711471148"):
        assert value not in receiver.bytes
