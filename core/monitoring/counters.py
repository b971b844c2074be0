"""What became of each process's payloads: a small file a process, so that a command can tell of the server's processes.

The SDK's background thread writes it after each sending, so no request waits for it. Writing never raises: while the
disk is full or read-only, the numbers in the file are old.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from core.monitoring.sampling import StormGuard
from core.monitoring.scrubber import Scrubber

logger = logging.getLogger("core.monitoring")

PREFIX = "sentry-process-"
# Seconds after its last write that a process is still shown once it no longer runs here; then the next process to start
# removes its file.
SHOWN_FOR = 24 * 3600.0
# Bytes of a file, filled up with spaces: one page, which a reader sees as it was before a write or after.
LENGTH = 4096


@dataclass(frozen=True)
class ProcessCounts:
    """What one process sent, held back and lost since it started. Times are ISO 8601 in UTC.

    `sent` counts payloads by kind ("event", "transaction", ...), `lost` by reason: "HTTP 403", the name of a network
    error, or the SDK's own word, such as "queue_overflow" and "ratelimit_backoff". `born` tells it from a later process
    with the same id.
    """

    host: str
    pid: int
    born: str
    program: str
    started: str
    written: str = ""
    sent: Mapping[str, int] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)
    held_back: int = 0
    failed_scrubs: int = 0

    @property
    def state(self) -> str:
        """Return "running", "ended", or "elsewhere": on another machine or in another container."""
        if self.host != socket.gethostname():
            return "elsewhere"
        return "running" if _born(self.pid) in ("", self.born) else "ended"


class Counters:
    """Counts for this process; `folder` is where its file is, None for no file."""

    def __init__(self, folder: Path | None, guard: StormGuard, scrubber: Scrubber) -> None:
        self._folder = folder
        self._guard = guard
        self._scrubber = scrubber
        self._failing = False
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._own = ProcessCounts(
            host=socket.gethostname(),
            pid=self._pid,
            born=_born(self._pid) or "",
            program=_program(),
            started=now(),
        )
        self._sent: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._is_first = True

    def _begin_after_fork(self) -> None:
        if self._pid != os.getpid():  # the parent's numbers are in the parent's file
            self._begin()

    def count(self, kind: str, answer: str) -> None:
        """Count a payload of `kind` that the tracker took (`answer` is ""), or else why it did not."""
        self._begin_after_fork()
        if kind == "client_report":  # what the SDK tells of losses is neither news nor a loss itself
            return
        if answer:
            self._lost[answer] += 1
        else:
            self._sent[kind] += 1

    @property
    def current(self) -> ProcessCounts:
        """The numbers of this process as they are now."""
        return replace(
            self._own,
            written=now(),
            sent=dict(self._sent),
            lost=dict(self._lost),
            held_back=self._guard.held_back,
            failed_scrubs=self._scrubber.failures,
        )

    def write(self) -> None:
        """Write this process's file. Never raises; the first of several failures is one line in the log."""
        if self._folder is None:
            return
        self._begin_after_fork()
        file = self._folder / _file_name(self._pid)
        try:
            _overwrite(file, json.dumps(vars(self.current)).encode())
            if self._is_first:
                _remove_old(self._folder)
            self._is_first = self._failing = False
        except Exception as error:
            if not self._failing:
                self._failing = True
                logger.warning("sentry_status will show old numbers: %s can't be written (%s).", file, error)


def read_processes(folder: Path) -> list[ProcessCounts]:
    """Return the numbers of processes that run or were written within SHOWN_FOR, the latest first.

    What can't be read, or is something else, is left out.
    """
    found = filter(None, map(_read, folder.glob(f"{PREFIX}*.json")))
    return sorted(found, key=lambda counts: counts.written, reverse=True)


def _read(file: Path) -> ProcessCounts | None:
    try:
        counts = ProcessCounts(**json.loads(file.read_bytes()))
        numbers = (counts.pid, counts.held_back, counts.failed_scrubs, *counts.sent.values(), *counts.lost.values())
        texts = (counts.host, counts.born, counts.program, counts.started, counts.written)
        if not all(type(number) is int for number in numbers) or not all(isinstance(text, str) for text in texts):
            return None
        return counts if counts.state == "running" or not _is_old(file) else None
    except (OSError, ValueError, TypeError, AttributeError, OverflowError):
        return None


def _is_old(file: Path) -> bool:
    return time.time() - file.stat().st_mtime > SHOWN_FOR


def now() -> str:
    """Return the time in UTC as ISO 8601, always of the same length, so that texts compare as times do."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _file_name(pid: int) -> str:
    return f"{PREFIX}{re.sub('[^A-Za-z0-9.-]', '_', socket.gethostname())}-{pid}.json"


def _overwrite(file: Path, text: bytes) -> None:
    """Write in place and at once: it costs a hundredth of a new file, and goes on while the disk is full."""
    opened = os.open(file, os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
    try:
        os.write(opened, text.ljust(LENGTH))
    finally:
        os.close(opened)


def _remove_old(folder: Path) -> None:
    for file in folder.glob(f"{PREFIX}*.json"):
        # A process that has had nothing to send for a day still has its numbers.
        if _is_old(file) and _read(file) is None:
            file.unlink(missing_ok=True)


def _program() -> str:
    """Return what runs, such as "gunicorn": only the name, because arguments may hold anything."""
    script = Path(sys.argv[0] if sys.argv else "")
    return script.parent.name if script.name == "__main__.py" else script.name


def _born(pid: int) -> str | None:
    """Return what tells a process from a later one with its id, "" if the system does not say, None if it is gone."""
    if os.name != "posix":  # os.kill would end it
        return ""
    try:
        # Its start in clock ticks since the machine's: field 22 of proc_pid_stat(5), the second may hold anything.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError, ValueError):
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass  # another user's
    return ""
