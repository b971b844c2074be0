"""`manage.py sentry_status`: is monitoring on, what does it do, and what became of what it sent?"""

from __future__ import annotations

import json as json_format
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError

from core.monitoring.counters import ProcessCounts
from core.monitoring.status import Status, status
from core.monitoring.terminal import MonitoringCommand, printable

# Processes that are listed; the totals are of all.
LISTED = 20


class Command(MonitoringCommand):
    """Show how monitoring is doing in all of this server's processes."""

    help = (
        "Shows whether monitoring is on and why, its settings and rules, what the server's processes sent, held back "
        "and lost, and every problem with its fix. The exit code is 0, or 1 if there is a problem."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="print everything as one JSON object")

    def handle(self, *args: Any, json: bool, **options: Any) -> None:
        """Print the status; exit 1 if something is configured wrongly."""
        found = status()
        if json:
            self.stdout.write(json_format.dumps(_as_json(found)))
        else:
            self._print(found)
        if found.problems:
            raise CommandError(f"Problems: {len(found.problems)}. Each is shown above with its fix.")

    def _print(self, found: Status) -> None:
        target = f" Events go to {found.host}, project {found.project}." if found.host else ""
        self.stdout.write(f"Monitoring is {'on' if found.enabled else 'off'}: {found.reason}{target}")
        self._section("Settings", ((s.name, f"{s.shown}  ({s.source})") for s in found.settings))
        ignored = {**found.ignored, "errors": [name.rpartition(".")[2] for name in found.ignored["errors"]]}
        self._section("Ignored", ((what, ", ".join(names) or "-") for what, names in ignored.items()))
        scrubbing = found.scrubbing.items()
        self._section(
            "Scrubbing", ((what, (", ".join(of) or "-") if isinstance(of, tuple) else of) for what, of in scrubbing)
        )
        traffic = found.traffic
        self._section(
            "Since each process started; one that has ended counts for a day more",
            (
                ("sent", _counts(traffic.sent)),
                ("held back", f"{traffic.held_back} further copies of one error within a minute"),
                ("lost", _counts(traffic.lost)),
                ("failed scrubs", f"{traffic.failed_scrubs} events of which only a skeleton left"),
            ),
        )
        self._section("Processes", map(_process, found.processes[:LISTED]))
        if not found.processes:
            self.stdout.write("  None has sent anything yet.")
        if len(found.processes) > LISTED:
            self.stdout.write(f"  and {len(found.processes) - LISTED} more")
        about = (
            ("sentry-sdk", found.sdk_version or "not installed"),
            ("integrations", ", ".join(found.integrations) or "-"),
            ("ledger", found.ledger or "off"),
        )
        self._section("Also", about)
        self._section("Problems", ((p.id, f"{p.message}\n    {p.hint}") for p in found.problems))
        if not found.problems:
            self.stdout.write("  None.")

    def _section(self, title: str, rows: Iterable[tuple[str, Any]]) -> None:
        self.stdout.write(f"\n{self.style.MIGRATE_HEADING(title)}")
        rows = list(rows)
        width = max((len(name) for name, _ in rows), default=0)
        for name, value in rows:
            self.stdout.write(printable(f"  {name:{width}}  {value}".rstrip(), keep="\n"))


def _as_json(found: Status) -> dict[str, Any]:
    processes = [{**asdict(process), "state": process.state} for process in found.processes]
    return {**asdict(found), "processes": processes}


def _process(process: ProcessCounts) -> tuple[str, str]:
    what = f"sent {_counts(process.sent)}; held back {process.held_back}; lost {_counts(process.lost)}"
    when = f"{process.state}, since {process.started[:19]}, last sending {process.written[:19]} UTC"
    return f"{process.program} {process.pid}", f"{what}\n    {when} on {process.host}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{what}: {count}" for what, count in counts.items()) or "nothing"
