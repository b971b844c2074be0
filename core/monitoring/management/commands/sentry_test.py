"""`manage.py sentry_test`: does an event arrive?"""

from __future__ import annotations

import json as json_format
import uuid
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from django.core.management.base import CommandError

from core.monitoring.sdk import active, build_options, without_deprecations
from core.monitoring.terminal import MonitoringCommand, printable

if TYPE_CHECKING:
    from sentry_sdk.types import Event

NOT_CONFIGURED = "Monitoring is off: SENTRY_DSN is not set. Put the DSN of your project into .env and try again."
MESSAGE = "Test event from sentry_test"
# The name of the transaction and of the monitor.
NAME = "sentry-test"

# What to do about an answer, by HTTP status.
REFUSALS = {
    400: "It could not read the event. Is SENTRY_DSN the address of a Sentry-compatible tracker, its scheme right?",
    401: "It does not know the key in SENTRY_DSN. Copy the DSN from the project's settings again.",
    403: "It does not accept the key in SENTRY_DSN. Copy the DSN from the project's settings again.",
    404: "It has no such project. Copy SENTRY_DSN from the project's settings again.",
    413: "It finds the event too large. Raise the size limit of the tracker or of the proxy before it.",
    429: "It has reached its quota or rate limit. Try again later, or raise the limit in the tracker.",
}
REDIRECT = "It redirects, which is not followed. Does SENTRY_DSN begin with http:// where it should be https://?"
OUT_OF_ORDER = "It is out of order. Look at the tracker's own log."

# What to do about a failure before there was an answer, by the name of urllib3's exception: its cause, and advice.
FAILURES = {
    "NameResolutionError": ("dns", "Its name can't be resolved. Check the host in SENTRY_DSN and the server's DNS."),
    "SSLError": (
        "tls",
        "No trusted TLS connection came about. Check the tracker's certificate; SSL_CERT_FILE names a private CA.",
    ),
    "ProxyError": ("proxy", "The proxy could not be reached. Check HTTPS_PROXY and HTTP_PROXY."),
    "NewConnectionError": (
        "refused",
        "Nothing listens there, or a firewall refuses. Check host and port in SENTRY_DSN, and that the tracker is up.",
    ),
    "ConnectTimeoutError": (
        "firewall",
        "No connection came about in time: a firewall drops the packets, or the host is down. Allow outgoing "
        "connections to the host and port in SENTRY_DSN.",
    ),
    "ReadTimeoutError": (
        "timeout",
        "It takes connections, and does not answer in time. Check that the tracker is up, and that it is one.",
    ),
}
NO_TLS = "It speaks no TLS there. Does SENTRY_DSN begin with https:// where it should be http://, or is the port wrong?"
TIMED_OUT = ("timeout", "It does not answer in time. Check the server's DNS, the firewall, and that the tracker is up.")
BROKEN = ("connection", "The connection broke. Check host, port and scheme in SENTRY_DSN.")
NOT_KEPT = (
    "Taken is not kept: some trackers keep errors only, Bugsink among them, and drop the rest without a word. "
    "Look whether it is there."
)


@dataclass(frozen=True)
class Delivery:
    """How the test went. `status` is the tracker's HTTP status, None where there was no answer.

    `cause` is "" if it was delivered, else "off", "http", or one of those above; `reason` says it in words.
    """

    delivered: bool
    kind: str
    event_id: str | None
    host: str
    status: int | None
    cause: str
    reason: str


def seconds(text: str) -> float:
    """Return a positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 3600:
        raise ArgumentTypeError(f"{text!r} is no number of seconds between 0 and 3600, such as 15")
    return value


class Command(MonitoringCommand):
    """Send one payload the way errors and transactions go, and tell what the tracker answered."""

    help = "Sends a test event through the scrubber and transport that errors use, and says what the tracker answered."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--message", default=MESSAGE, metavar="TEXT", help="the event's message, scrubbed like any")
        what.add_argument("--transaction", action="store_true", help="send a transaction with a span instead")
        what.add_argument("--check-in", action="store_true", help=f"send a check-in of the cron monitor {NAME} instead")
        parser.add_argument("--user", metavar="ID", help="the id of the user that the event or transaction is of")
        parser.add_argument("--timeout", type=seconds, default=15.0, help="seconds to wait for an answer (15)")
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object")

    def handle(
        self,
        *args: Any,
        message: str,
        transaction: bool,
        check_in: bool,
        user: str | None,
        timeout: float,
        json: bool,
        **options: Any,
    ) -> None:
        """Exit 0 if the tracker took the payload, else 1 with the reason."""
        if check_in and user:
            raise CommandError("A check-in has no user. Leave out --user or --check-in.")
        payload = _transaction() if transaction else _check_in() if check_in else _event(message)
        if user:
            payload["user"] = {"id": user}
        delivery = deliver(payload, timeout)
        if json:
            self.stdout.write(json_format.dumps(asdict(delivery)))
        elif delivery.delivered:
            self.stdout.write(f"Delivered: {delivery.host} answered {delivery.status}. Id: {delivery.event_id}")
            self.stdout.write(_where_to_look(delivery.kind, message))
        if not delivery.delivered:
            raise CommandError(delivery.reason)


def deliver(payload: dict[str, Any], timeout: float) -> Delivery:
    """Send `payload` with the options in force, wait up to `timeout` seconds, and return what became of it."""
    monitoring = active()
    kind = payload.get("type", "event")
    if monitoring.scrubber is None:
        reason = " ".join(map(str, monitoring.problems)) or NOT_CONFIGURED
        return Delivery(False, kind, None, "", None, "dsn" if monitoring.problems else "off", reason)

    import sentry_sdk

    from core.monitoring.transport import SingleAttemptTransport, is_taken, scrubbing_transport

    options = build_options(monitoring.config, monitoring.scrubber) | {
        # No stack trace: that of this command tells nobody anything.
        "attach_stacktrace": False,
        "transport": scrubbing_transport(
            monitoring.scrubber, monitoring.counters, monitoring.ledger, SingleAttemptTransport, TIMEOUT=timeout
        ),
    }
    with without_deprecations():
        client = sentry_sdk.Client(**options)
    event_id = client.capture_event(cast("Event", payload), scope=sentry_sdk.Scope())
    event_id = payload.get("check_in_id", event_id)
    # A second for the answer's way through the SDK.
    client.flush(timeout=timeout + 1)
    assert isinstance(client.transport, SingleAttemptTransport)
    answer = client.transport.first_answer
    host = urlsplit(monitoring.config.dsn).hostname or ""
    if isinstance(answer, int):
        if is_taken(answer):
            return Delivery(True, kind, event_id, host, answer, "", "")
        known = REFUSALS.get(answer) or (REDIRECT if 300 <= answer < 400 else OUT_OF_ORDER)
        return Delivery(
            False, kind, event_id, host, answer, "http", f"Not delivered: {host} answered {answer}. {known}"
        )
    cause, advice = _failure(answer)
    return Delivery(False, kind, event_id, host, None, cause, f"Not delivered: {host} gave no answer. {advice}")


def _failure(error: Exception | None) -> tuple[str, str]:
    """Return the cause and what to do about it; None: nothing had happened when the time was up."""
    from core.monitoring.transport import cause_of

    if error is None:
        return TIMED_OUT
    found = cause_of(error)
    cause, advice = FAILURES.get(type(found).__name__, BROKEN)
    if cause == "tls":
        # Python's own error, behind urllib3's: only one about a certificate says what is wrong with it.
        why = getattr(found.args[0] if found.args else None, "verify_message", "")
        advice = f"{advice} It is refused because: {why}." if why else NO_TLS
    return cause, advice


def _event(message: str) -> dict[str, Any]:
    return {
        "level": "error",
        "message": message,
        "extra": {"password": "made-up-password", "contact": "jane.doe@example.com"},
    }


def _transaction() -> dict[str, Any]:
    end = datetime.now(UTC)
    start = end - timedelta(milliseconds=100)
    trace, root = uuid.uuid4().hex, uuid.uuid4().hex[:16]
    span = {"trace_id": trace, "span_id": uuid.uuid4().hex[:16], "parent_span_id": root, "op": "test"}
    return {
        "type": "transaction",
        "transaction": NAME,
        "transaction_info": {"source": "custom"},
        "contexts": {"trace": {"trace_id": trace, "span_id": root, "op": "test", "status": "ok"}},
        "start_timestamp": start,
        "timestamp": end,
        "spans": [{**span, "description": "a tenth of a second", "start_timestamp": start, "timestamp": end}],
    }


def _check_in() -> dict[str, Any]:
    config = active().config
    return {
        "type": "check_in",
        "check_in_id": uuid.uuid4().hex,
        "monitor_slug": NAME,
        "status": "ok",
        "environment": config.environment,
        "release": config.release,
        # Sentry drops a check-in of a monitor that does not exist. This makes one, next due in a year.
        "monitor_config": {"schedule": {"type": "interval", "value": 1, "unit": "year"}},
    }


def _where_to_look(kind: str, message: str) -> str:
    if kind == "transaction":
        return f"In the tracker it is the transaction {NAME}.\n{NOT_KEPT}"
    if kind == "check_in":
        return f"In Sentry it is the cron monitor {NAME}, made if need be; delete it there afterwards.\n{NOT_KEPT}"
    return (
        f'In the tracker it is called "{printable(message)}". It was made with a made-up password and e-mail\n'
        "address; what the tracker shows in their place is what leaves this server."
    )
