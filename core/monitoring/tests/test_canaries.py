"""Every kind of secret in every place of a real request, under WSGI and ASGI: none is in the bytes that arrive."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import sentry_sdk
from django.core.handlers.asgi import ASGIHandler
from django.test import override_settings

from core.monitoring.testing import Receiver
from core.monitoring.tests import planting

Start = Callable[..., bool]
Call = Callable[..., tuple[int, dict[str, str], bytes]]

# What gives itself away by its shape, planted bare. {} is filled with what makes a canary unique.
BY_SHAPE = {
    "API key": "Zk3_canary-Q7w" * 5,
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.dBjftJeZ4CVPmB92K27uhbUJU1p1r",
    "GitHub token": "ghp_" + "canary7XkQ2mZ9vT4bR8nLw1Hs5Jd3Yf6Gc",
    "AWS key": "AKIA" + "CANARYQ7W2E5R4T3",
    "e-mail": "canary.bird@example.org",
    "IPv4": "198.51.100.87",
    "IPv6": "2001:db8::ca:ca0:87",
    "card": "4539 1488 0343 6467",
    "US social security number": "078-05-1120",
    "IBAN": "DE89370400440532013000",
    "phone": "+44 20 7946 0958",
    "PEM": "-----BEGIN PRIVATE KEY-----\nMIIcanaryQ7w2E5r4T3y\n-----END PRIVATE KEY-----",
    "URL with password": "postgres://app:canary-Q7w2@db.internal/files",
    "bearer": "Bearer canary.Q7w2E5r4T3",
}
# What only its name gives away.
BY_NAME = {
    "password": "correct horse canary",
    "session_key": "canaryq7w2e5r4t3y6u8i9o0p1a2s3d4",
    "share_token": "c4a7b9d1-0000-4000-8000-canary000001",
    "pin": "90210477",
}


def spellings(canary: str) -> set[bytes]:
    """The ways in which a canary could stand in JSON."""
    forms = {canary, quote(canary), quote(canary, safe=""), quote_plus(canary), repr(canary)[1:-1]}
    return {json.dumps(form)[1:-1].encode() for form in forms}


def assert_gone(canary: str, receiver: Receiver) -> None:
    for form in spellings(canary):
        at = receiver.bytes.find(form)
        assert at < 0, receiver.bytes[max(0, at - 200) : at + 200]


def assert_worth_reading(receiver: Receiver) -> None:
    error = next(e for e in receiver.items("event") if "exception" in e)
    last = error["exception"]["values"][-1]
    assert last["type"] == "LookupError"
    assert last["stacktrace"]["frames"][-1]["function"] in ("plant", "plant_async", "fail_inside")
    assert last["stacktrace"]["frames"][-1]["lineno"]
    assert error["exception"]["values"][0]["type"] == "ValueError"
    assert error["transaction"] == "/plant/{path}/"
    assert error["tags"]["request_path"] == "/plant/{path}/"


@pytest.fixture
def wsgi(call: Call) -> Callable[..., None]:
    def visit(path: str, query: str, body: bytes, content_type: str, headers: dict[str, str]) -> None:
        environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        # WSGI hands strings on as latin-1 (PEP 3333).
        environ = {name: value.encode().decode("latin-1") for name, value in environ.items()}
        assert call(path, "POST", body, QUERY_STRING=query, CONTENT_TYPE=content_type, **environ)[0] == 500

    return visit


@pytest.fixture
def asgi() -> Callable[..., None]:
    def visit(path: str, query: str, body: bytes, content_type: str, headers: dict[str, str]) -> None:
        sent = []
        wire = [(b"host", b"testserver"), (b"content-type", content_type.encode())]
        wire += [(b"content-length", str(len(body)).encode())]
        wire += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": query.encode(),
            "headers": wire,
            "client": ("203.0.113.77", 1234),
            "server": ("testserver", 80),
            "scheme": "http",
            "http_version": "1.1",
        }
        received = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if received:
                return received.pop()
            await asyncio.sleep(3600)
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        with override_settings(
            ROOT_URLCONF="core.monitoring.tests.urls", MIDDLEWARE=["core.middleware.SentryContextMiddleware"]
        ):
            asyncio.run(ASGIHandler()(scope, receive, send))
        assert sent[0]["status"] == 500

    return visit


@pytest.mark.parametrize("protocol", ["wsgi", "asgi"])
@pytest.mark.parametrize("kind", BY_SHAPE)
def test_a_secret_with_a_shape_leaves_from_nowhere(
    kind: str, protocol: str, start: Start, receiver: Receiver, request: pytest.FixtureRequest
) -> None:
    canary = BY_SHAPE[kind]
    start(SENTRY_TRACES_SAMPLE_RATE="1")
    visit = request.getfixturevalue(protocol)
    with planting.planted(canary, named=False):
        in_header = canary.replace("\n", " ")
        visit(
            "/plant/tax return.pdf/",
            f"note={quote(canary)}",
            json.dumps({"note": [canary], canary: 1}).encode(),
            "application/json",
            {"X-Note": in_header, "User-Agent": f"curl {in_header}", "Cookie": f"note={quote(canary)}"},
        )
    sentry_sdk.flush()
    assert_worth_reading(receiver)
    receiver.wait_for("transaction")
    assert_gone(canary, receiver)
    assert_gone("tax return.pdf", receiver)


def test_folders_that_are_called_as_an_events_fields_are_leave_the_event_its_form(
    start: Start, receiver: Receiver, wsgi: Callable[..., None]
) -> None:
    start()
    with planting.planted("quiet", named=False):
        wsgi("/plant/user/values/request/data/tax return.pdf/", "", b"{}", "application/json", {})
    sentry_sdk.flush()
    assert_worth_reading(receiver)
    error = next(e for e in receiver.items("event") if "exception" in e)
    assert error["request"]["url"] == "http://testserver/plant/{path}/"
    assert error["request"]["method"] == "POST"
    assert error["breadcrumbs"]["values"]
    assert_gone("tax return.pdf", receiver)


@pytest.mark.parametrize("protocol", ["wsgi", "asgi"])
@pytest.mark.parametrize("name", BY_NAME)
def test_a_secret_that_only_its_name_gives_away_leaves_from_nowhere(
    name: str, protocol: str, start: Start, receiver: Receiver, request: pytest.FixtureRequest
) -> None:
    canary = BY_NAME[name]
    start(SENTRY_TRACES_SAMPLE_RATE="1")
    visit = request.getfixturevalue(protocol)
    with planting.planted(canary, named=True, name=name):
        header = "X-" + name.replace("_", "-")
        visit(
            "/plant/tax return.pdf/",
            f"{name}={quote(canary)}&page=2",
            f"{name}={quote_plus(canary)}&page=2".encode(),
            "application/x-www-form-urlencoded",
            {header: canary, "Cookie": f"{name}={quote(canary)}"},
        )
    sentry_sdk.flush()
    assert_worth_reading(receiver)
    receiver.wait_for("transaction")
    assert_gone(canary, receiver)


def test_the_canaries_would_be_found_if_the_scrubber_did_nothing(
    start: Start, receiver: Receiver, wsgi: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test of the tests: without the scrubber this canary arrives from every place that is planted."""
    monkeypatch.setattr("core.monitoring.scrubber.Scrubber.scrub", lambda self, payload, kind="event": payload)
    canary = BY_SHAPE["e-mail"]
    start(SENTRY_TRACES_SAMPLE_RATE="1")
    with planting.planted(canary, named=False):
        wsgi(
            "/plant/a/", f"note={canary}", json.dumps({"note": canary}).encode(), "application/json", {"X-Note": canary}
        )
    sentry_sdk.flush()
    everything = receiver.bytes.decode()
    for place in planting.PLACES:
        assert f"{place} {canary}" in everything or f"{place}-{canary}" in everything, place
