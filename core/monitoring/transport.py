"""The last step before the network: what has no hook of its own is scrubbed here, and a hostile tracker is held off.

The SDK sends from a background thread, so a slow tracker delays no request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import urllib3
from sentry_sdk.envelope import Envelope, Item, PayloadRef
from sentry_sdk.transport import HttpTransport

from core.monitoring.counters import Counters
from core.monitoring.ledger import Ledger
from core.monitoring.scrubber import Scrubber
from core.monitoring.scrubbing.payload import BATCHED, ITEM_KINDS

# Bytes of an answer that are read. Trackers answer with an event id or a sentence.
MAX_ANSWER = 4096

# The SDK's reasons for what was sent and not taken; those are counted by the tracker's answer.
SENT_REASONS = frozenset({"network_error", "send_error"})
# What may stand in an envelope's `trace` header. Callers fill it through `baggage`, with whatever they like.
TRACE_HEADER = (
    *("trace_id", "public_key", "org_id", "release", "environment", "sampled", "sample_rate", "sample_rand"),
    *("parent_span_id", "replay_id"),
)


class ScrubbingTransport(HttpTransport):
    """The SDK's HTTP transport, behind the scrubber; follows no redirect and reads no endless answer.

    The plain one repeats an envelope to wherever a redirect points. `scrubber`, `counters` and `ledger` are set by the
    subclass that `scrubbing_transport()` returns.
    """

    scrubber: ClassVar[Scrubber]
    counters: ClassVar[Counters | None]
    ledger: ClassVar[Ledger | None]
    TIMEOUT = 10  # seconds for one attempt; the SDK's own 30 would let a dead tracker fill the queue
    ATTEMPTS = 4  # at connecting; what has been sent is never repeated

    # The tracker's HTTP status for the envelope in hand, or what failed before there was one.
    answer: int | Exception = 0

    def capture_envelope(self, envelope: Envelope) -> None:
        """Queue what may leave of `envelope`."""
        items = [self._scrubbed(item) for item in envelope.items if item.type in ITEM_KINDS]
        headers = dict(envelope.headers)
        if isinstance(trace := headers.get("trace"), Mapping):
            headers["trace"] = {name: self.scrubber.text(trace[name]) for name in TRACE_HEADER if name in trace}
        if items:
            super().capture_envelope(Envelope(headers=headers, items=items))

    def _scrubbed(self, item: Item) -> Item:
        kind = ITEM_KINDS[item.type or ""]
        if kind is None:
            return item
        payload = dict(item.payload.json or json.loads(item.payload.get_bytes()))
        batch = payload.pop("items", None) if kind in BATCHED else None
        payload = self.scrubber.scrub(payload, kind)
        if batch is not None:
            payload["items"] = [self.scrubber.scrub(entry, kind) for entry in batch]
        return Item(payload=PayloadRef(json=payload), headers=item.headers)

    def record_lost_event(
        self, reason: str, data_category: Any = None, item: Item | None = None, *, quantity: int = 1
    ) -> None:
        """Count what is dropped before it is sent; the SDK calls it with the item for what was ready to leave."""
        super().record_lost_event(reason, data_category, item, quantity=quantity)
        if item is not None and self.counters and reason not in SENT_REASONS:
            self.counters.count(item.type or "", reason)

    def _send_envelope(self, envelope: Envelope) -> None:
        try:
            super()._send_envelope(envelope)
        finally:
            if self.counters:
                self.counters.write()

    def _send_request(self, body: bytes, headers: dict[str, str], endpoint_type: Any, envelope: Any = None) -> None:
        try:
            super()._send_request(body, headers, endpoint_type, envelope)
        finally:
            self._note(envelope.items if envelope else ())

    def _note(self, items: Sequence[Item]) -> None:
        """Tell the counters and the ledger what became of `items`."""
        answer = self.answer if isinstance(self.answer, int) else error_name(self.answer)
        if self.counters:
            failure = f"HTTP {answer}" if isinstance(answer, int) else answer
            for item in items:
                self.counters.count(item.type or "", "" if is_taken(answer) else failure)
        if self.ledger:
            self.ledger.record(items, answer)

    def _request(
        self, method: str, endpoint_type: Any, body: Any, headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse:
        try:
            answer = self._pool.request(
                method,
                self._auth.get_api_url(endpoint_type),
                body=body,
                headers=headers,
                redirect=False,
                retries=self.ATTEMPTS - 1,
                preload_content=False,
            )
            try:
                text = answer.read(MAX_ANSWER)
            finally:
                answer.close()
        except Exception as error:
            self.answer = error
            raise
        self.answer = answer.status
        return urllib3.HTTPResponse(body=text, headers=answer.headers, status=answer.status)


class SingleAttemptTransport(ScrubbingTransport):
    """Tries once and remembers the answer to its first envelope, for `manage.py sentry_test`."""

    ATTEMPTS = 1
    first_answer: int | Exception | None = None

    def _note(self, items: Sequence[Item]) -> None:
        super()._note(items)
        if self.first_answer is None:
            self.first_answer = self.answer


def is_taken(answer: int | str) -> bool:
    """Say whether the tracker took a payload that it answered like this."""
    return isinstance(answer, int) and 200 <= answer < 300


def error_name(error: Exception) -> str:
    """Return the name of what failed, such as "NewConnectionError", without the repetitions around it."""
    return type(cause_of(error)).__name__


def cause_of(error: Exception) -> Exception:
    """Return what made urllib3 give up."""
    reason = getattr(error, "reason", None) if isinstance(error, urllib3.exceptions.MaxRetryError) else None
    return reason or error


def scrubbing_transport(
    scrubber: Scrubber,
    counters: Counters | None = None,
    ledger: Ledger | None = None,
    base: type[ScrubbingTransport] = ScrubbingTransport,
    **attributes: Any,
) -> type[ScrubbingTransport]:
    """Return `base` as a class of its own, with these and further class attributes; the SDK makes the instance."""
    own = {"scrubber": scrubber, "counters": counters, "ledger": ledger, **attributes}
    return type(base.__name__, (base,), own)
