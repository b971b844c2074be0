"""`manage.py audit_storage`: find what was changed behind the server's back."""

import json
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.audit.errors import AuditError
from core.audit.figures import Figures
from core.audit.run import audit
from core.locks import AlreadyRunning
from core.models import AuditRun, StorageViolation
from core.monitoring import monitor

FOUND = 3  # exit code
# Violations that are printed; --json and the staff's pages have all of them.
_LISTED = 50
_BAR = 30  # characters


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ArgumentTypeError("write it as 2026-12-31 or 2026-12-31T23:59") from None
    if moment > datetime.now(UTC):
        raise ArgumentTypeError("that is in the future; nothing was stored since then")
    return moment


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 10**9):
        raise ArgumentTypeError("write a whole number from 1 up")
    return int(text)


class Command(BaseCommand):
    help = (
        "Compares the database with the storage, file by file: what is missing, unknown, changed, readable for others "
        "or half-written, and quotas. Changes no file and works while the server does. What it finds is kept for the "
        "staff's pages, written to security.log, and reported to Sentry if that is on. An audit that was killed goes "
        "on where it was. Exit code 0: nothing differs; 3: something does; 1: it could not be done, stderr says why."
    )
    # A storage that is configured wrongly has to be reported, and not only be printed.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", type=_count, metavar="ID", help="only the files of this organization")
        parser.add_argument(
            "--since", type=_moment, metavar="DATE", help="compare only files that were stored since then (UTC)"
        )
        parser.add_argument(
            "--sample", type=_count, metavar="N", help="compare only N files, chosen at random, and nothing else"
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="print the result as one JSON object, with the keys of the files (not for the tracker)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        extent = options["organization"], options["since"], options["sample"]
        if options["organization"] and not self._exists(options["organization"]):
            raise CommandError("There is no such organization. The admin site lists them with their ids.")
        try:
            with self._monitor(complete=not any(extent)):
                run = audit(*extent, tick=self._progress())
        except AlreadyRunning:
            raise CommandError(
                "Another audit or a rebuild of the index is at work. Try again when it is done."
            ) from None
        except AuditError as error:
            raise CommandError(str(error)) from None
        finally:
            if self.stderr.isatty():
                self.stderr.write("\r\033[K", style_func=str, ending="")
        self._print(run, options["json"])
        if run.violations.exists():
            sys.exit(FOUND)

    def _exists(self, organization_id: int) -> bool:
        return get_user_model().objects.filter(organization_id=organization_id).exists()

    def _monitor(self, complete: bool) -> AbstractContextManager[Any]:
        # A look at a part of the files is not what was scheduled.
        schedule = settings.STORMCLOUD_AUDIT_SCHEDULE
        return monitor("audit-storage", schedule, settings.TIME_ZONE) if complete else nullcontext()

    def _print(self, run: AuditRun, as_json: bool) -> None:
        figures = Figures.of(run.figures)
        new, seen = run.new_violations.count(), run.violations.count()
        listed = run.violations.order_by("-first_seen_at", "kind", "subject")
        if as_json:
            # Piece by piece: there may be one for each file.
            answer = json.dumps({"audit": run.pk, "new": new, "seen": seen, "figures": run.figures})
            self.stdout.write(f'{answer[:-1]}, "violations": [', ending="")
            for number, violation in enumerate(listed.iterator(chunk_size=1000)):
                self.stdout.write(", " * (number > 0) + json.dumps(_as_dict(violation, run)), ending="")
            self.stdout.write("]}")
            return
        for violation in listed[:_LISTED]:
            self.stdout.write(_as_line(violation, run))
        if seen > _LISTED:
            self.stdout.write(f"... and {seen - _LISTED:,} more: the admin site has all of them.")
        self.stdout.write(
            f"{figures.files:,} files compared, {figures.hashed_bytes / 1e6:,.0f} MB read in {figures.seconds:,.1f} s "
            f"({figures.files_per_second:,.0f} files/s). "
            f"Violations: {new:,} new, {seen - new:,} known, {figures.resolved:,} resolved."
        )
        if figures.busy:
            self.stdout.write(f"{figures.busy:,} files changed all the time; the next audit looks at them.")

    def _progress(self) -> Callable[[Figures], None]:
        shown = 0.0

        def show(figures: Figures) -> None:
            nonlocal shown
            if self.stderr.isatty() and time.monotonic() - shown > 0.2:
                shown = time.monotonic()
                self.stderr.write(f"\r\033[K{progress_line(figures)}", style_func=str, ending="")
                self.stderr.flush()

        return show


def progress_line(figures: Figures) -> str:
    """The bar that a terminal shows, with what is done and how long the rest takes."""
    share = figures.share_done
    bar = "#" * int(share * _BAR)
    left = figures.seconds / share * (1 - share) if share else 0.0
    time_left = f", {left // 3600:.0f}:{left // 60 % 60:02.0f}:{left % 60:02.0f} left" if share else ""
    if figures.stored:
        return f"[{bar:.<{_BAR}}] {figures.stored:,} stored files looked up"
    return (
        f"[{bar:.<{_BAR}}] {share:4.0%}  {figures.files:,} of {figures.total_files:,} files, "
        f"{figures.files_per_second:,.0f}/s{time_left}"
    )


def _as_line(violation: StorageViolation, run: AuditRun) -> str:
    state = "NEW  " if violation.first_run_id == run.pk else "known"
    # As JSON, because whoever may write to the disk may write what a terminal obeys into a name.
    line = f"{state} {violation.kind:<11} {json.dumps(violation.key)}: {violation.difference}"
    if violation.recorded or violation.actual:
        line += f" (recorded {violation.recorded or '-'}, actual {violation.actual or '-'})"
    return f"{line}, last right {violation.last_right_at:%Y-%m-%d %H:%M}" if violation.last_right_at else line


def _as_dict(violation: StorageViolation, run: AuditRun) -> dict[str, Any]:
    names = "kind attribute user_id organization_id key recorded actual difference".split()
    return {
        **{name: getattr(violation, name) for name in names},
        "file_id": str(violation.file_id) if violation.file_id else None,
        "new": violation.first_run_id == run.pk,
        "first_seen_at": violation.first_seen_at.isoformat(),
        "last_right_at": violation.last_right_at.isoformat() if violation.last_right_at else None,
    }
