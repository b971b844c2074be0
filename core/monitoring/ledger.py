"""The ledger of what left: one JSON line a payload, written by the SDK's background thread, and how to read it again.

Several processes append to one file. Each line is written at once (O_APPEND), so that lines never mix, and the file is
opened for each, so that a rename by logrotate is followed. At MAX_BYTES it is renamed to `.1`, `.1` to `.2` and so on.
"""

from __future__ import annotations

import errno
import gzip
import json
import logging
import os
import re
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings

from core.monitoring.config import Problem, SentryConfig
from core.monitoring.counters import now

if TYPE_CHECKING:
    from sentry_sdk.envelope import Item

logger = logging.getLogger("core.monitoring")

FILE_NAME = "sentry-outbound.log"
# Bytes of one file, and how many files there are at most: 100 MiB altogether.
MAX_BYTES = 20 * 1024 * 1024
MAX_FILES = 5
# Payloads that are remembered in memory while DEBUG is on.
MAX_RECENT = 20
# How every line begins, with the time behind it.
_LINE_HEAD = b'{"time": "'


@dataclass(frozen=True)
class Entry:
    """A payload that left, or was about to. `time` is ISO 8601 in UTC, `size` the payload's bytes before compression.

    `id` is the id of the event, transaction or check-in, None for kinds without one. `issue` is what failed and where,
    or the route of a transaction, the name of a monitor. `redactions` counts the remarks that the scrubber left, by
    rule. `answer` is the tracker's HTTP status, or the name of the network error. `payload` is the JSON text that left,
    None where only its traces are kept.
    """

    time: str
    pid: int
    kind: str
    id: str | None
    issue: str
    size: int
    redactions: Mapping[str, int]
    answer: int | str
    payload: str | None = None


def ledger_file(config: SentryConfig) -> Path | None:
    """Return where the ledger is written; None if it is off, or if the host has no folder for it."""
    return config.log_dir / FILE_NAME if config.log_dir and config.ledger != "off" else None


def ledger_problems(config: SentryConfig) -> tuple[Problem, ...]:
    """Return what keeps a ledger that was asked for from being written."""
    file = ledger_file(config)
    if file is None:
        found = config.ledger != "off" and "the settings name no folder for it."
        hint = "Give init_sentry() a log_dir, or unset SENTRY_LEDGER."
    else:
        # Not Path.exists(), which raises where the folder can't be searched.
        place, mode = (file, os.W_OK) if os.access(file, os.F_OK) else (file.parent, os.W_OK | os.X_OK)
        found = not os.access(place, mode) and f"{file} can't be written."
        hint = "Let the user that runs the server own the file and its folder, or unset SENTRY_LEDGER."
    return (Problem("monitoring.W008", f"What leaves is not recorded: {found}", hint),) if found else ()


class Ledger:
    """Writes the ledger at `path`; None: none is kept. With `full`, each line holds the whole scrubbed payload."""

    def __init__(self, path: Path | None, *, full: bool = False) -> None:
        self._path = path
        self._full = full
        self._missed = 0
        self._recent: deque[Entry] = deque(maxlen=MAX_RECENT)

    @property
    def recent(self) -> tuple[Entry, ...]:
        """The last payloads of this process with their texts, the latest first; none unless DEBUG is on."""
        return tuple(reversed(self._recent))

    def record(self, items: Iterable[Item], answer: int | str) -> None:
        """Note what became of the items of one envelope. Never raises: a failure to write is one line in the log."""
        is_debug = settings.configured and settings.DEBUG
        if self._path is None and not is_debug:
            return
        entries = []
        try:
            entries = [_entry(item, answer) for item in items]
            if is_debug:
                self._recent.extend(entries)
            if self._path is not None:
                _append(self._path, b"".join(map(self._line, entries)))
        except Exception as error:
            if not self._missed:
                logger.warning("What leaves is not recorded: the ledger %s can't be written (%s).", self._path, error)
            self._missed += len(entries) or 1
        else:
            if self._missed:
                logger.warning("The ledger can be written again; %d payloads were not recorded.", self._missed)
            self._missed = 0

    def _line(self, entry: Entry) -> bytes:
        values = asdict(entry)
        if not self._full:
            del values["payload"]
        return json.dumps(values).encode() + b"\n"


def _entry(item: Item, answer: int | str) -> Entry:
    raw = item.get_bytes()
    payload = item.payload.json or json.loads(raw)
    rules: Counter[str] = Counter(_remarks(payload.get("_meta")))
    return Entry(
        time=now(),
        pid=os.getpid(),
        kind=item.type or "",
        id=payload.get("event_id") or payload.get("check_in_id"),
        issue=_issue(payload),
        size=len(raw),
        redactions=dict(rules.most_common()),
        answer=answer,
        payload=raw.decode(),
    )


def _remarks(meta: Any) -> Iterator[str]:
    """Yield the rule of each remark at and below `meta`."""
    if not isinstance(meta, dict):
        return
    for name, below in meta.items():
        if name == "" and isinstance(below, dict):
            yield from (str(remark[0]) for remark in below.get("rem") or () if remark)
        else:
            yield from _remarks(below)


def _issue(payload: Mapping[str, Any]) -> str:
    """Return the exceptions and where they rose, without their messages; else the route, the monitor or the logger."""
    exceptions = (payload.get("exception") or {}).get("values") or []
    if not exceptions:
        return str(payload.get("transaction") or payload.get("monitor_slug") or payload.get("logger") or "")
    types = " from ".join(str(exception.get("type")) for exception in reversed(exceptions))
    frames = (exceptions[-1].get("stacktrace") or {}).get("frames") or []
    if not frames:
        return types
    return f"{types} in {frames[-1].get('module')}.{frames[-1].get('function')}:{frames[-1].get('lineno')}"


def _append(path: Path, lines: bytes) -> None:
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(file).st_size
        if not size or size + len(lines) <= MAX_BYTES or not _moved_aside(path, file):
            # After a line that a full disk or a crash has cut off, begin a new one. If another process is only not
            # done with it, that leaves an empty line.
            is_torn = size and os.pread(file, 1, size - 1) != b"\n"
            lines = b"\n" + lines if is_torn else lines
            if os.write(file, lines) < len(lines):
                raise OSError("no space left")
            return
    finally:
        os.close(file)
    _append(path, lines)


def _moved_aside(path: Path, file: int) -> bool:
    """Rename the file that is full, unless another process is at it; say whether `path` is to be opened anew."""
    import fcntl  # where there is none, the ledger ends when its first file is full

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(file), path.stat()):
            return True
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    for number in range(MAX_FILES - 2, -1, -1):
        older = _numbered(path, number)
        if older.exists():
            older.replace(_numbered(path, number + 1))
    return True


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}") if number else path


@dataclass
class Totals:
    """What `read` has met: matching entries by kind and answer, redactions by rule, bytes, and lines that are none.

    `unread` names the files beside the ledger that are called like it and that `read` can't open, such as `.xz`.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    size: int = 0
    unreadable: int = 0
    unread: list[str] = field(default_factory=list)


def read(
    path: Path, totals: Totals, *, since: str = "", kind: str = "", issue: str = "", id: str = ""
) -> Iterator[Entry]:
    """Yield the entries of the ledger at `path` and its older files, the oldest first, and count them in `totals`.

    `since` is a time as in `Entry.time`, `issue` any part of an issue's text in any case. Reads line by line, and
    parses only lines that can match. Raises OSError, with the file's name, if one can't be read or is damaged.
    """
    files, totals.unread = _files(path)
    for line in (line for file in files for line in _lines(file)):
        # A torn line is recognized by its ends, without parsing what is not asked for.
        if not line.startswith(_LINE_HEAD) or not line.endswith(b"}\n"):
            totals.unreadable += bool(line.strip())
            continue
        if line[len(_LINE_HEAD) : len(_LINE_HEAD) + len(since)] < since.encode() or id.encode() not in line:
            continue
        try:
            entry = Entry(**{name: value for name, value in json.loads(line).items() if name in _FIELDS})
            matches = kind in ("", entry.kind) and issue.lower() in entry.issue.lower()
            if not matches or id not in ("", entry.id):
                continue
            totals.kinds[entry.kind] += 1
            totals.rules.update(entry.redactions)
            totals.answers[str(entry.answer)] += 1
            totals.size += entry.size
        except (ValueError, TypeError, AttributeError):
            totals.unreadable += 1
            continue
        yield entry


_FIELDS = frozenset(declared.name for declared in fields(Entry))
# How a file that was moved aside goes on: a number, or with logrotate's `dateext` a date.
_NUMBERED = re.compile(r"\.(\d{1,9})(?:\.gz)?", re.ASCII)
_DATED = re.compile(r"-[\d-]{8,20}(?:\.gz)?", re.ASCII)


def _files(path: Path) -> tuple[list[Path], list[str]]:
    """Return the ledger's files that exist, the oldest first, and the names of those that can't be read here."""
    numbered, dated, unread = [], [], []
    for file in path.parent.glob(f"{path.name}?*"):
        ending = file.name.removeprefix(path.name)
        if found := _NUMBERED.fullmatch(ending):
            numbered.append((int(found[1]), file))
        elif _DATED.fullmatch(ending):
            dated.append(file)
        else:
            unread.append(file.name)
    ordered = [*sorted(dated), *(file for _, file in sorted(numbered, reverse=True))]
    return ordered + [path] * path.exists(), sorted(unread)


def _lines(file: Path) -> Iterator[bytes]:
    """Yield the lines of one file. Raises OSError with its name, also where what is compressed is damaged."""
    opened: IO[bytes]
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as opened:  # type: ignore[assignment]
            yield from opened
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise OSError(errno.EIO, "it is damaged, or no gzip file", str(file)) from None
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from None
