"""What no hook of the SDK covers is scrubbed at the last step, and a hostile tracker can do no harm."""

import logging
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope, Item, PayloadRef

from core.monitoring.scrubbing.payload import ITEM_KINDS
from core.monitoring.testing import Receiver

Start = Callable[..., bool]
Call = Callable[..., tuple[int, dict[str, str], bytes]]
SECRET = "jane.doe@example.com"


@pytest.mark.parametrize("kind", [kind for kind, how in ITEM_KINDS.items() if how])
def test_an_item_without_a_hook_is_scrubbed(start: Start, receiver: Receiver, kind: str) -> None:
    start()
    payload = {
        "attrs": {"note": SECRET},
        "name": SECRET,
        "items": [{"body": SECRET, "attributes": {"password": "hunter2x"}}],
    }
    for ref in (PayloadRef(json=payload), PayloadRef(bytes=b'{"name": "%s"}' % SECRET.encode())):
        sentry_sdk.get_client().transport.capture_envelope(Envelope(items=[Item(payload=ref, type=kind)]))
    receiver.wait_for(kind, 2)
    assert SECRET.encode() not in receiver.bytes
    assert b"hunter2x" not in receiver.bytes


def test_an_item_of_an_unknown_type_does_not_leave(start: Start, receiver: Receiver) -> None:
    start()
    items = [Item(payload=b"{}", type=kind) for kind in ("attachment", "replay_recording", "feedback", None)]
    items.append(Item(payload=PayloadRef(json={"message": "known"}), type="event"))
    sentry_sdk.get_client().transport.capture_envelope(Envelope(items=items))
    sentry_sdk.flush()
    assert receiver.items() == [{"message": "known"}]


def test_what_a_caller_writes_into_the_baggage_does_not_travel_on(start: Start, call: Call, receiver: Receiver) -> None:
    start(SENTRY_TRACES_SAMPLE_RATE="1")
    trace = "0af7651916cd43dd8448eb211c80319c"
    call(
        "/fine/",
        HTTP_SENTRY_TRACE=f"{trace}-b7ad6b7169203331-1",
        HTTP_BAGGAGE=f"sentry-trace_id={trace},sentry-user_segment={SECRET},sentry-transaction=/files/diary.txt,"
        f"sentry-release={SECRET}",
    )
    (transaction,) = receiver.wait_for("transaction")
    assert transaction["contexts"]["trace"]["trace_id"] == trace
    for private in (SECRET.encode(), b"diary"):
        assert private not in receiver.bytes


def test_logs_and_metrics_are_scrubbed_by_default(start: Start, receiver: Receiver) -> None:
    start()
    sentry_sdk.metrics.count("logins", 1, attributes={"user.email": SECRET, "shop": "berlin"})
    sentry_sdk.flush()
    (batch,) = receiver.wait_for("trace_metric")
    assert SECRET.encode() not in receiver.bytes
    assert batch["items"][0]["attributes"]["shop"]["value"] == "berlin"


def test_sessions_carry_numbers_and_no_person(start: Start, call: Call, receiver: Receiver) -> None:
    start(SENTRY_RELEASE="1.0")
    for path in ("/fine/", "/fine/", "/fail/", "/handled/"):
        call(path)
    sentry_sdk.flush()
    (sessions,) = receiver.wait_for("sessions")
    assert sessions["attrs"] == {"release": "1.0", "environment": "production"}
    counted: Counter[str] = Counter()
    for minute in sessions["aggregates"]:
        counted.update({how: number for how, number in minute.items() if how != "started"})
    assert counted == {"exited": 2, "crashed": 1, "errored": 1}


def test_profiles_do_not_tell_paths_or_addresses(start: Start, call: Call, receiver: Receiver) -> None:
    start(SENTRY_TRACES_SAMPLE_RATE="1", SENTRY_PROFILES_SAMPLE_RATE="1")
    call("/slow/diary.txt/")
    (profile,) = receiver.wait_for("profile")
    assert profile["profile"]["samples"]
    assert profile["profile"]["frames"]
    assert b"diary" not in receiver.bytes


def test_a_redirect_is_not_followed(start: Start, receiver: Receiver) -> None:
    with Receiver() as elsewhere:
        receiver.status, receiver.headers = 307, {"Location": f"http://127.0.0.1:{elsewhere.port}/api/1/envelope/"}
        start()
        sentry_sdk.capture_message("hello")
        sentry_sdk.flush()
        receiver.wait_for("event")
        assert elsewhere.bytes == b""


def test_an_endless_answer_is_not_read_to_its_end(start: Start) -> None:
    import socket
    import threading

    sent = SimpleNamespace(bytes=0)

    def answer_forever(server: socket.socket) -> None:
        connection, _ = server.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 500 no\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while sent.bytes < 100_000_000:
                sent.bytes += connection.send(b"x" * 65536)
        except OSError:
            pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer_forever, args=(server,), daemon=True)
        thread.start()
        start(SENTRY_DSN=f"http://key@127.0.0.1:{server.getsockname()[1]}/1")
        sentry_sdk.capture_message("hello")
        thread.join(timeout=20)
    assert not thread.is_alive()
    assert sent.bytes < 100_000_000


def test_a_tracker_that_never_answers_costs_a_request_nothing_and_drops_what_is_too_much(
    start: Start, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    import socket

    caplog.set_level(logging.CRITICAL)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start(SENTRY_DSN=f"http://key@127.0.0.1:{silent.getsockname()[1]}/1", SENTRY_MAX_EVENTS_PER_MINUTE="0")
        transport = sentry_sdk.get_client().transport
        for _ in range(150):
            assert call("/fine/")[0] == 200
            sentry_sdk.capture_message("hello")
        assert transport._worker.full()
        assert call("/fail/")[0] == 500
        transport.kill()
