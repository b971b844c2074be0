"""What a traced request shows: its wait, its streaming, its caller's trace, its cache, and a client that went away."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest
import sentry_sdk
from django.core.handlers.asgi import ASGIHandler
from django.test import override_settings

from core.monitoring.testing import Receiver
from core.monitoring.tests.urls import SESSION
from core.monitoring.transactions import CLIENT_DISCONNECTED, QUEUE_TIME

Start = Callable[..., bool]
Call = Callable[..., tuple[int, dict[str, str], bytes]]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
SESSIONS = ["core.middleware.SentryContextMiddleware", "django.contrib.sessions.middleware.SessionMiddleware"]


@pytest.fixture
def traced(start: Start) -> None:
    start(SENTRY_TRACES_SAMPLE_RATE="1")


def call_async(path: str, chunks: int | None = None, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    """Send a request through Django's real ASGI application; the client leaves after so many chunks of the answer."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": f"/{path}",
        "query_string": query.encode(),
        "headers": [(b"host", b"testserver"), *headers],
        "asgi": {"version": "3.0"},
    }

    async def request() -> None:
        left = asyncio.Event()
        asked, received = False, 0

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            nonlocal received
            received += bool(message.get("body"))
            if chunks is not None and received >= chunks:
                left.set()
                await asyncio.sleep(0)

        await ASGIHandler()(scope, receive, send)

    with override_settings(
        ROOT_URLCONF="core.monitoring.tests.urls", MIDDLEWARE=["core.middleware.SentryContextMiddleware"]
    ):
        asyncio.run(request())


def transaction(receiver: Receiver) -> dict[str, Any]:
    sentry_sdk.flush()
    (found,) = receiver.wait_for("transaction")
    return found


def seconds(span: dict[str, Any], field: str) -> float:
    value = span[field]
    return value if isinstance(value, float) else datetime.fromisoformat(value).timestamp()


def test_the_transaction_of_a_streamed_answer_lasts_until_its_end(traced: None, call: Call, receiver: Receiver) -> None:
    assert call("/stream/")[2] == b"onetwo"
    found = transaction(receiver)
    spans = {span["op"]: span for span in found["spans"]}
    assert spans["test.stream"]["trace_id"] == found["contexts"]["trace"]["trace_id"]
    assert seconds(found, "timestamp") >= seconds(spans["test.stream"], "timestamp")
    assert found["contexts"]["trace"]["status"] == "ok"
    assert CLIENT_DISCONNECTED not in found["tags"]
    assert found["tags"]["request_path"] == "/stream/"


def test_a_client_that_leaves_a_download_is_told_and_is_no_error(traced: None, call: Call, receiver: Receiver) -> None:
    call("/stream/", chunks=1)
    found = transaction(receiver)
    assert found["contexts"]["trace"]["status"] == "cancelled"
    assert found["tags"][CLIENT_DISCONNECTED] == "true"
    assert not receiver.items("event")


def test_a_client_that_leaves_with_all_that_it_was_promised_has_not_left_early(
    traced: None, call: Call, receiver: Receiver
) -> None:
    call("/stream/?length", chunks=2)  # and not the end behind them
    assert transaction(receiver)["contexts"]["trace"]["status"] == "ok"


def test_an_answer_that_nobody_reads_is_not_taken_for_one(traced: None, call: Call, receiver: Receiver) -> None:
    call("/stream/", chunks=0)
    assert transaction(receiver)["contexts"]["trace"]["status"] == "ok"


def test_an_error_while_streaming_is_an_error_and_no_client_that_left(
    traced: None, call: Call, receiver: Receiver
) -> None:
    with suppress(RuntimeError):
        call("/stream/?fail")
    sentry_sdk.flush()
    (event,) = receiver.wait_for("event")
    assert event["exception"]["values"][-1]["value"] == "failed while streaming"
    assert transaction(receiver)["contexts"]["trace"]["status"] == "internal_error"
    assert CLIENT_DISCONNECTED not in (event.get("tags") or {})


def test_under_asgi_too_a_client_that_leaves_is_told(traced: None, receiver: Receiver) -> None:
    call_async("stream-async/", chunks=3)
    found = transaction(receiver)
    assert found["contexts"]["trace"]["status"] == "cancelled"
    assert found["tags"][CLIENT_DISCONNECTED] == "true"
    assert not receiver.items("event")


def test_under_asgi_a_stream_that_is_read_to_its_end_is_ok(traced: None, receiver: Receiver) -> None:
    call_async("stream-async/")
    found = transaction(receiver)
    assert found["contexts"]["trace"]["status"] == "ok"
    assert CLIENT_DISCONNECTED not in found["tags"]


@pytest.mark.parametrize("protocol", ["wsgi", "asgi"])
def test_the_wait_in_front_of_the_workers_is_on_the_transaction(
    traced: None, call: Call, receiver: Receiver, protocol: str
) -> None:
    since = int(datetime.now().timestamp()) - 100
    if protocol == "wsgi":
        call("/fine/", HTTP_X_REQUEST_START=f"t={since}")
    else:
        call_async("fine/", headers=((b"x-request-start", f"t={since}".encode()),))
    assert 100_000 <= transaction(receiver)["contexts"]["trace"]["data"][QUEUE_TIME] < 3_600_000


def test_a_wait_that_nobody_can_have_had_is_not(traced: None, call: Call, receiver: Receiver) -> None:
    call("/fine/", HTTP_X_REQUEST_START="t=9999999999.0")
    assert QUEUE_TIME not in transaction(receiver)["contexts"]["trace"]["data"]


@pytest.mark.parametrize("protocol", ["wsgi", "asgi"])
def test_a_callers_trace_goes_on_here(start: Start, call: Call, receiver: Receiver, protocol: str) -> None:
    start(SENTRY_TRACES_SAMPLE_RATE="0.000001")
    if protocol == "wsgi":
        call("/fine/", HTTP_SENTRY_TRACE=f"{TRACE}-{CALLER}-1")
    else:
        call_async("fine/", headers=((b"sentry-trace", f"{TRACE}-{CALLER}-1".encode()),))
    trace = transaction(receiver)["contexts"]["trace"]
    assert (trace["trace_id"], trace["parent_span_id"]) == (TRACE, CALLER)


def test_what_a_caller_does_not_trace_is_not_traced_here_but_its_error_joins(
    traced: None, call: Call, receiver: Receiver
) -> None:
    call("/fail/", HTTP_SENTRY_TRACE=f"{TRACE}-{CALLER}-0")
    sentry_sdk.flush()
    (event,) = receiver.wait_for("event")
    assert event["contexts"]["trace"]["trace_id"] == TRACE
    assert not receiver.items("transaction")


@pytest.mark.parametrize("baggage", ["", f"sentry-trace_id={TRACE},sentry-sample_rand=0.000001,sentry-sample_rate=1"])
@pytest.mark.parametrize("flag", ["-1", ""])
def test_a_stranger_cannot_have_every_request_traced(
    start: Start, call: Call, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, flag: str, baggage: str
) -> None:
    monkeypatch.setattr("core.monitoring.sampling.MAX_CALLERS_TRACES", 3)
    start(SENTRY_TRACES_SAMPLE_RATE="0.000002")
    for _ in range(10):
        call("/fine/", HTTP_SENTRY_TRACE=f"{TRACE}-{CALLER}{flag}", HTTP_BAGGAGE=baggage)
    sentry_sdk.flush()
    assert len(receiver.items("transaction")) <= 3


def test_at_rate_zero_nothing_is_traced_whoever_asks(start: Start, call: Call, receiver: Receiver) -> None:
    start(SENTRY_TRACES_SAMPLE_RATE="0")
    call("/fine/", HTTP_SENTRY_TRACE=f"{TRACE}-{CALLER}-1")
    call("/fail/", HTTP_SENTRY_TRACE=f"{TRACE}-{CALLER}-1")
    sentry_sdk.flush()
    (event,) = receiver.wait_for("event")
    assert event["contexts"]["trace"]["trace_id"] == TRACE
    assert not receiver.items("transaction")


@pytest.mark.parametrize("rate", ["1", "0.000001", "0"])
def test_only_a_traced_request_pays_for_the_spans_of_its_middleware(
    start: Start, call: Call, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, rate: str
) -> None:
    from sentry_sdk.tracing import Span

    made = []
    start_child = Span.start_child
    monkeypatch.setattr(Span, "start_child", lambda self, **k: made.append(k["op"]) or start_child(self, **k))
    start(SENTRY_TRACES_SAMPLE_RATE=rate)
    call("/fine/", middleware=["core.middleware.SentryContextMiddleware"] * 3)
    assert made == (["middleware.django"] * 3 + ["view.render"] if rate == "1" else [])


def test_hits_and_misses_are_marked_and_no_key_tells_a_person(traced: None, call: Call, receiver: Receiver) -> None:
    with override_settings(CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}):
        call("/cache/")
    spans = [span for span in transaction(receiver)["spans"] if span["op"].startswith("cache.")]
    assert [(span["op"], span["data"].get("cache.hit")) for span in spans] == [
        ("cache.get", False),
        ("cache.put", None),
        ("cache.get", True),
    ] * 2
    for private in (b"jane.doe", b"203.0.113.77"):
        assert private not in receiver.bytes


def test_the_key_of_a_session_in_the_cache_does_not_leave(traced: None, call: Call, receiver: Receiver) -> None:
    with override_settings(
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "sessions"}},
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
    ):
        assert call("/sign-in/", middleware=SESSIONS)[0] == 200
    assert "cache.put" in {span["op"] for span in transaction(receiver)["spans"]}
    assert SESSION.encode() not in receiver.bytes
