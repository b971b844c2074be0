"""`manage.py sentry_preview`: what would leave?"""

from __future__ import annotations

import json as json_format
import math
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from core.monitoring.failures import ERRORS
from core.monitoring.preview import Preview, Redaction, about, preview, withheld
from core.monitoring.scrubber import Scrubber
from core.monitoring.scrubbing.payload import BATCHED, ITEM_KINDS
from core.monitoring.sdk import active, build_scrubber, is_enabled
from core.monitoring.terminal import MonitoringCommand, printable

# Exit codes besides 0.
SCRUBBER_FAILED, NOTHING_TO_SHOW = 1, 2
# Characters of a value that are printed, and of those what stands on each side of the part that changed.
WIDTH, AROUND = 300, 60

NO_SDK = "The package sentry-sdk can't be imported. Run `pip install sentry-sdk`."
ONLY_A_SKELETON = "The scrubber failed: only exception type, module, function and line would leave."
WORDS = (
    "'Before' shows real values. They are printed here and written nowhere else. "
    f"The exit code is 0, or {SCRUBBER_FAILED} if the scrubber failed on an event, "
    f"or {NOTHING_TO_SHOW} if there was nothing that could be shown."
)


class Command(MonitoringCommand):
    """Show what would leave of an error: before, after, and the rule that made the difference. Sends nothing."""

    help = "Shows what would leave this server when an error is reported, before and after scrubbing. Sends nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.epilog = WORDS
        errors = "; ".join(f"{name}: {error.about}" for name, error in ERRORS.items())
        source = parser.add_mutually_exclusive_group()
        source.add_argument(
            "--type", choices=ERRORS, default="api_key", help=f"the error of a made-up request ({errors})"
        )
        source.add_argument("--file", help="JSON of an event or a list of events, or an envelope; - is standard input")
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--all", action="store_true", help="print the whole event as it would leave, too")
        form.add_argument("--json", action="store_true", help="print an object for the event; for several, a list")

    def handle(self, *args: Any, type: str, file: str | None, all: bool, json: bool, **options: Any) -> None:
        """Print what would leave."""
        scrubber = active().scrubber or build_scrubber(active().config)
        if file is None:
            found: Preview | list[Preview] = _of_request(type, scrubber)
        else:
            try:
                found = _of_file(file, scrubber)
            except RecursionError:
                raise CommandError(f"{file} is nested too deeply.", returncode=NOTHING_TO_SHOW) from None
        previews = found if isinstance(found, list) else [found]
        if json:
            shown = [_as_json(one) for one in previews]
            self.stdout.write(json_format.dumps(shown if isinstance(found, list) else shown[0]))
        else:
            self._print(previews, "a made-up request" if file is None else file, all)
        if any(one.failed for one in previews):
            raise CommandError(ONLY_A_SKELETON, returncode=SCRUBBER_FAILED)

    def _print(self, previews: list[Preview], source: str, all: bool) -> None:
        style = self.style
        condition = "" if is_enabled() else "Monitoring is off. If it were on, "
        self.stdout.write(f"Nothing is sent. {condition}{'this' if condition else 'This'} would leave of {source}.")
        for number, one in enumerate(previews, 1):
            if len(previews) > 1:
                self.stdout.write(style.MIGRATE_HEADING(f"\nEvent {number} of {len(previews)}"))
            for redaction in one.redactions:
                before, after = _shown(redaction)
                path = style.MIGRATE_LABEL(printable(redaction.path) or "the whole item")
                self.stdout.write(f"\n{path}  ({printable(redaction.rule)})")
                self.stdout.write(style.ERROR(f"  - {before}"))
                self.stdout.write(style.SUCCESS(f"  + {after}"))
            if all:
                whole = json_format.dumps(one.after, indent=2, ensure_ascii=False)
                self.stdout.write(f"\n{printable(whole, keep=chr(10))}")
            self.stdout.write("")
            for rule, count in one.by_rule.items():
                self.stdout.write(f"{count:6}  {style.WARNING(printable(rule))}: {about(rule)}")
            self.stdout.write(f"{one.stay:6}  fields stay as they are")
            if one.failed:
                self.stdout.write(style.ERROR(ONLY_A_SKELETON))


def _of_request(error: str, scrubber: Scrubber) -> Preview:
    try:
        from core.monitoring.preview_request import preview_request
    except ImportError:
        raise CommandError(f"{NO_SDK} An event in a --file needs none.", returncode=NOTHING_TO_SHOW) from None
    try:
        return preview_request(error, active().config, scrubber)
    except RuntimeError as problem:
        raise CommandError(str(problem), returncode=NOTHING_TO_SHOW) from None


def _of_file(file: str, scrubber: Scrubber) -> Preview | list[Preview]:
    if file == "-" and sys.stdin is None:
        raise CommandError("Standard input is closed. Pipe an event into it.", returncode=NOTHING_TO_SHOW)
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as problem:
        raise CommandError(f"{file} can't be read: {problem.strerror}.", returncode=NOTHING_TO_SHOW) from None
    source = "Standard input" if file == "-" else file
    try:
        content = _parsed(raw)
    except ValueError as problem:
        if raw.lstrip()[:1] == b"{" and b"\n" in raw.strip():
            return _of_envelope(raw, source, problem, scrubber)
        raise _unreadable(source, problem) from None
    events = content if isinstance(content, list) else [content]
    for number, event in enumerate(events, 1):
        if not isinstance(event, dict):
            which = f"item {number} of the list in it" if isinstance(content, list) else "what is in it"
            message = f"{source} holds no event: {which} is no JSON object. Give the event as {{...}}."
            raise CommandError(message, returncode=NOTHING_TO_SHOW)
    if not events:
        raise CommandError(f"{source} holds an empty list. Give an event.", returncode=NOTHING_TO_SHOW)
    found = [preview(event, scrubber, _kind(event.get("type"))) for event in events]
    return found if isinstance(content, list) else found[0]


def _of_envelope(raw: bytes, source: str, problem: ValueError, scrubber: Scrubber) -> list[Preview]:
    try:
        from sentry_sdk.envelope import Envelope
    except ImportError:
        message = f"{source} is no JSON. If it is an envelope: {NO_SDK}"
        raise CommandError(message, returncode=NOTHING_TO_SHOW) from None
    left: list[tuple[str | None, dict[str, Any]]] = []
    try:
        for item in Envelope.deserialize(raw).items:
            content = item.payload.get_bytes()
            if item.type in ITEM_KINDS:
                kind = ITEM_KINDS[item.type] or _kind(item.type)
                payload = _parsed(content)
                left += [(kind, dict(entry)) for entry in (payload["items"] if kind in BATCHED else [payload])]
            else:
                left.append((None, {**item.headers, "length": len(content)}))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _unreadable(source, problem) from None
    return [preview(payload, scrubber, kind) if kind else withheld(payload) for kind, payload in left]


def _unreadable(source: str, problem: ValueError) -> CommandError:
    message = f"{source} is neither JSON nor an envelope ({problem}). Download the event as JSON and try again."
    return CommandError(message, returncode=NOTHING_TO_SHOW)


def _parsed(raw: bytes) -> Any:
    # NaN and Infinity are no JSON, but Python writes them, and makes one of 1e999.
    return json_format.loads(raw, parse_constant=str, parse_float=_number)


def _number(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _kind(type: Any) -> str:
    return "transaction" if type == "transaction" else "event"


def _as_json(one: Preview) -> dict[str, Any]:
    redactions = [redaction._asdict() for redaction in one.redactions]
    return {"before": one.before, "after": one.after, "redactions": redactions, "by_rule": one.by_rule}


def _shown(redaction: Redaction) -> Iterator[str]:
    """Yield both values as one line each, without most of what they share."""
    before, after = (
        value if isinstance(value, str) else json_format.dumps(value, ensure_ascii=False)
        for value in (redaction.before, redaction.after)
    )
    if redaction.after is None:
        after = "(does not leave)"
    start = max(_shared(before, after) - AROUND, 0)
    tail = max(_shared(before[start:][::-1], after[start:][::-1]) - AROUND, 0)
    for text in (before, after):
        part = text[start : min(len(text) - tail, start + WIDTH)]
        yield f"{'...' if start else ''}{printable(part)}{'...' if start + len(part) < len(text) else ''}"


def _shared(one: str, other: str) -> int:
    """Return how many characters both begin with."""
    both = min(len(one), len(other))
    return next((at for at in range(both) if one[at] != other[at]), both)
