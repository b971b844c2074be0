"""`manage.py sentry_test` says what the tracker answered, and what to do when it did not take the event."""

import json
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
import trustme
from django.core.management import CommandError, call_command

from core.monitoring.management.commands.sentry_test import FAILURES, REFUSALS
from core.monitoring.testing import Receiver

Start = Callable[..., bool]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("sentry_test", *arguments, stdout=out)
    return out.getvalue()


def failure(*arguments: str) -> dict[str, object]:
    """Return what --json tells of a test that must fail."""
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("sentry_test", "--json", *arguments, stdout=out)
    said: dict[str, object] = json.loads(out.getvalue())
    assert said["delivered"] is False
    return said


def test_a_delivered_event_is_reported_with_its_id_and_arrives_scrubbed(start: Start, receiver: Receiver) -> None:
    start()
    said = run()
    (event,) = receiver.wait_for("event")
    assert event["event_id"] in said
    assert "answered 200" in said
    assert event["extra"]["password"] == "[Filtered]"
    assert b"made-up-password" not in receiver.bytes
    assert b"jane.doe@example.com" not in receiver.bytes


def test_a_script_gets_json(start: Start, receiver: Receiver) -> None:
    start()
    said = json.loads(run("--json"))
    assert said == {
        "delivered": True,
        "kind": "event",
        "event_id": receiver.items("event")[0]["event_id"],
        "host": "127.0.0.1",
        "status": 200,
        "cause": "",
        "reason": "",
    }


def test_a_message_of_ones_own_and_a_user_arrive_and_are_scrubbed(start: Start, receiver: Receiver) -> None:
    start()
    run("--message", "the new proxy, asks jane.doe@example.com", "--user", "4711")
    (event,) = receiver.wait_for("event")
    assert event["message"] == "the new proxy, asks ja***@example.com"
    assert event["user"] == {"id": "4711"}


def test_a_transaction_arrives_with_its_span_whatever_the_sample_rate(start: Start, receiver: Receiver) -> None:
    start(SENTRY_TRACES_SAMPLE_RATE="0")
    said = run("--transaction", "--user", "4711")
    (transaction,) = receiver.wait_for("transaction")
    assert transaction["event_id"] in said
    assert transaction["transaction"] == "sentry-test"
    assert [span["op"] for span in transaction["spans"]] == ["test"]
    assert transaction["user"] == {"id": "4711"}
    assert receiver.items("event") == []


def test_a_check_in_arrives_with_what_makes_its_monitor(start: Start, receiver: Receiver) -> None:
    start(SENTRY_ENVIRONMENT="staging")
    said = run("--check-in")
    (check_in,) = receiver.wait_for("check_in")
    assert check_in["check_in_id"] in said
    assert (check_in["monitor_slug"], check_in["status"]) == ("sentry-test", "ok")
    assert check_in["environment"] == "staging"
    assert check_in["monitor_config"]["schedule"]["unit"] == "year"


@pytest.mark.parametrize("kind", ["--transaction", "--check-in"])
def test_it_does_not_promise_that_a_tracker_keeps_what_is_no_error(start: Start, receiver: Receiver, kind: str) -> None:
    start()
    assert "some trackers keep errors only" in run(kind)
    assert "some trackers keep errors only" not in run()


def test_a_check_in_has_no_user(start: Start) -> None:
    start()
    with pytest.raises(CommandError, match="Leave out --user"):
        run("--check-in", "--user", "4711")


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        *((400, "scheme"), (401, "key"), (403, "key"), (404, "project"), (413, "large"), (429, "quota")),
        *((301, "https://"), (500, "log"), (503, "log")),
    ],
)
def test_a_refusal_is_explained_and_fails(start: Start, receiver: Receiver, status: int, advice: str) -> None:
    start()
    receiver.status = status
    said = failure()
    assert (said["status"], said["cause"]) == (status, "http")
    assert advice in str(said["reason"])


def test_every_status_with_advice_of_its_own_is_tested() -> None:
    assert set(REFUSALS) == {400, 401, 403, 404, 413, 429}


def test_a_refused_event_is_not_delivered_although_what_the_sdk_says_of_it_is(
    start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    keep = receiver._keep

    def keep_and_take_the_next(head: bytes, body: bytes) -> None:
        receiver.status = 200 if b"client_report" in body else 413
        keep(head, body)

    monkeypatch.setattr(receiver, "_keep", keep_and_take_the_next)
    assert failure()["status"] == 413
    assert len(receiver.items("client_report")) == 1


@pytest.mark.parametrize(
    ("dsn", "cause", "advice"),
    [
        ("http://key@127.0.0.1:9/1", "refused", "Nothing listens"),
        ("http://key@no-such-host.invalid/1", "dns", "can't be resolved"),
    ],
)
def test_an_unreachable_tracker_is_explained_and_fails(start: Start, dsn: str, cause: str, advice: str) -> None:
    start(SENTRY_DSN=dsn)
    said = failure()
    assert (said["cause"], said["status"]) == (cause, None)
    assert advice in str(said["reason"])


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_receiver(receiver: Receiver, authority: trustme.CA) -> Iterator[Receiver]:
    """A tracker behind TLS, with a certificate that only `authority` vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Receiver() as behind_tls:
        behind_tls._server.socket = context.wrap_socket(behind_tls._server.socket, server_side=True)
        # A client that hangs up on the certificate is what these tests are about.
        behind_tls._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        behind_tls.dsn = behind_tls.dsn.replace("http://", "https://")
        yield behind_tls


def test_a_certificate_that_nobody_trusts_is_named_as_the_reason(start: Start, tls_receiver: Receiver) -> None:
    start(SENTRY_DSN=tls_receiver.dsn)
    said = failure()
    assert said["cause"] == "tls"
    assert "SSL_CERT_FILE" in str(said["reason"])
    assert "unable to get local issuer certificate" in str(said["reason"])
    assert tls_receiver.items() == []


def test_a_certificate_for_another_name_is_named_as_the_reason(
    start: Start, tls_receiver: Receiver, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    start(SENTRY_DSN=tls_receiver.dsn.replace("127.0.0.1", "localhost"))
    said = failure()
    assert said["cause"] == "tls"
    assert "Hostname mismatch" in str(said["reason"])


def test_with_the_private_ca_that_the_advice_names_it_is_delivered(
    start: Start, tls_receiver: Receiver, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    start(SENTRY_DSN=tls_receiver.dsn)
    assert "Delivered" in run()
    assert len(tls_receiver.items("event")) == 1


def test_a_tracker_that_speaks_no_tls_is_explained(start: Start, receiver: Receiver) -> None:
    start(SENTRY_DSN=receiver.dsn.replace("http://", "https://"))
    said = failure()
    assert said["cause"] == "tls"
    assert "speaks no TLS" in str(said["reason"])


def test_a_proxy_that_is_not_there_is_explained(
    start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    start()
    said = failure()
    assert said["cause"] == "proxy"
    assert "HTTP_PROXY" in str(said["reason"])


def test_a_tracker_that_takes_the_connection_and_does_not_answer_is_given_up_on(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start(SENTRY_DSN=f"http://key@127.0.0.1:{silent.getsockname()[1]}/1")
        said = failure("--timeout", "0.5")
    assert said["cause"] == "timeout"
    assert "does not answer in time" in str(said["reason"])


def test_a_firewall_that_drops_the_connection_is_told_from_a_tracker_that_is_slow(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = []
        # Once its queue is full, the system drops attempts to connect, as a firewall does.
        for _ in range(20):
            waiting.append(client := socket.socket())
            client.settimeout(0.2)
            try:
                client.connect(server.getsockname())
            except TimeoutError:
                break
        else:
            pytest.skip("this system refuses connections when a server's queue is full, instead of dropping them")
        start(SENTRY_DSN=f"http://key@127.0.0.1:{server.getsockname()[1]}/1")
        said = failure("--timeout", "0.5")
        for client in waiting:
            client.close()
    assert said["cause"] == "firewall"
    assert "Allow outgoing connections" in str(said["reason"])


def test_a_tracker_that_hangs_up_is_explained(start: Start) -> None:
    import threading

    def hang_up(server: socket.socket) -> None:
        connection, _ = server.accept()
        connection.recv(65536)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=hang_up, args=(server,), daemon=True).start()
        start(SENTRY_DSN=f"http://key@127.0.0.1:{server.getsockname()[1]}/1")
        assert failure("--timeout", "1")["cause"] == "connection"


def test_the_causes_are_different_for_each_advice() -> None:
    causes = [cause for cause, _ in FAILURES.values()]
    assert len(set(causes)) == len(causes)


def test_a_timeout_that_is_none_is_refused_with_an_example(start: Start) -> None:
    for text in ("soon", "-1", "0", "nan"):
        with pytest.raises(CommandError, match="such as 15"):
            run("--timeout", text)


def test_the_test_is_in_the_ledger_and_in_the_counts_like_everything_that_leaves(
    start: Start, receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    (tmp_path / "logs").mkdir()
    start(SENTRY_LEDGER="on")
    run()
    (line,) = (tmp_path / "logs" / "sentry-outbound.log").read_text().splitlines()
    assert json.loads(line)["id"] == receiver.items("event")[0]["event_id"]
    (counts,) = (tmp_path / "logs").glob("sentry-process-*.json")
    assert json.loads(counts.read_text())["sent"] == {"event": 1}


def test_when_monitoring_is_off_it_says_how_to_turn_it_on() -> None:
    with pytest.raises(CommandError, match="SENTRY_DSN is not set"):
        run()
    assert failure()["cause"] == "off"


def test_when_the_dsn_is_malformed_it_says_so(start: Start) -> None:
    start(SENTRY_DSN="notaurl")
    with pytest.raises(CommandError, match="SENTRY_DSN is not a DSN"):
        run()
    assert failure()["cause"] == "dsn"
