"""`manage.py sentry_ledger`: what has left this server?"""

from __future__ import annotations

import json as json_format
import re
from argparse import ArgumentParser, ArgumentTypeError
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandError

from core.monitoring.ledger import FILE_NAME, Entry, Totals, read
from core.monitoring.scrubbing.payload import ITEM_KINDS
from core.monitoring.sdk import active
from core.monitoring.terminal import MonitoringCommand, printable

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
HEAD = "time (UTC)           answer  bytes  kind         id / issue / redactions"


def ago(text: str) -> str:
    """Return the moment that is `text` ("90s", "15m", "1h", "7d", "4w") before now, as in the ledger."""
    found = re.fullmatch(r"([0-9]{1,5})([smhdw])", text)
    if not found:
        raise ArgumentTypeError(f"{text!r} is no duration; write a number and s, m, h, d or w, such as 1h")
    return (datetime.now(UTC) - timedelta(**{UNITS[found[2]]: int(found[1])})).isoformat(timespec="milliseconds")


def amount(text: str) -> int:
    """Return a whole number from 0 up."""
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ArgumentTypeError(f"{text!r} is no number of lines, such as 20")
    return int(text)


class Command(MonitoringCommand):
    """Show the ledger: what left, when, how large, what was redacted, and what the tracker answered."""

    help = (
        "Shows what has left this server, one line a payload, from the ledger that SENTRY_LEDGER turns on, and totals. "
        "The exit code is 0, or 1 if there is no ledger."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        kinds = ", ".join(sorted(ITEM_KINDS))
        parser.add_argument("--since", type=ago, metavar="1h", help="only the last 90s, 15m, 1h, 7d, 4w")
        parser.add_argument("--kind", default="", choices=sorted(ITEM_KINDS), metavar="KIND", help=f"only {kinds}")
        parser.add_argument("--issue", default="", metavar="TEXT", help="only where the issue holds this text")
        parser.add_argument("--event", default="", metavar="ID", help="only the payload with this id")
        parser.add_argument(
            "--tail", type=amount, metavar="N", help="only the last N; the totals are of all that match"
        )
        parser.add_argument("--json", action="store_true", help='print {"entries": [...], "totals": {...}}')

    def handle(
        self,
        *args: Any,
        since: str | None,
        kind: str,
        issue: str,
        event: str,
        tail: int | None,
        json: bool,
        **options: Any,
    ) -> None:
        """Print the entries as they are read, then the totals."""
        config = active().config
        path = config.log_dir / FILE_NAME if config.log_dir else None
        if path is None or not any(path.parent.glob(f"{FILE_NAME}*")):
            where = f"{path} does not exist" if path else "the settings name no folder for it"
            raise CommandError(f"There is no ledger: {where}. It begins with SENTRY_LEDGER=on and a restart.")
        totals = Totals()
        id = event.replace("-", "").lower()
        entries: Iterable[Entry] = read(path, totals, since=since or "", kind=kind, issue=issue, id=id)
        try:
            if tail is not None:
                entries = deque(entries, maxlen=tail)
            (self._print_json if json else self._print)(entries, totals)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise CommandError(f"{error.filename} can't be read: {error.strerror}.") from None

    def _print(self, entries: Iterable[Entry], totals: Totals) -> None:
        self.stdout.write(self.style.MIGRATE_HEADING(HEAD))
        for entry in entries:
            redactions = ", ".join(f"{rule} {count}" for rule, count in entry.redactions.items())
            rest = "  ".join(text for text in (entry.id or "-", entry.issue, redactions) if text)
            line = f"{entry.time[:19]}  {entry.answer!s:>6} {entry.size:>6}  {entry.kind:11}  {rest}"
            self.stdout.write(printable(line))
        self.stdout.write("")
        payloads = ", ".join(f"{count} {kind}" for kind, count in totals.kinds.most_common()) or "none"
        self.stdout.write(f"Payloads: {payloads}; {totals.size} bytes before compression")
        answers = ", ".join(f"{answer} {count} times" for answer, count in totals.answers.most_common())
        self.stdout.write(f"Answers: {answers or 'none'}")
        redacted = ", ".join(f"{rule} {count}" for rule, count in totals.rules.most_common())
        self.stdout.write(f"Redactions by rule: {redacted or 'none'}")
        if totals.unreadable:
            self.stdout.write(self.style.WARNING(f"Lines that are no entries, or were cut off: {totals.unreadable}"))
        if totals.unread:
            names = printable(", ".join(totals.unread))
            self.stdout.write(self.style.WARNING(f"Not read, neither plain text nor .gz of a known name: {names}"))

    def _print_json(self, entries: Iterable[Entry], totals: Totals) -> None:
        self.stdout.write('{"entries": [', ending="")
        for number, entry in enumerate(entries):
            self.stdout.write(f"{', ' if number else ''}{json_format.dumps(asdict(entry))}", ending="")
        self.stdout.write(f'], "totals": {json_format.dumps(vars(totals))}}}')
