"""Reads the end of security.log, whatever its size: in blocks, the latest line first."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = 64 * 1024
# Bytes that one call looks at, however few lines match: a fraction of a second.
MAX_BYTES = 16 * 1024 * 1024
# As accounts.signal_handlers writes a line.
LINE = re.compile(r"(?P<time>\S+ \S+) (?P<level>[A-Z]+) (?P<event>[A-Z_]+)(?: (?P<fields>.*))?")
FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)')
USER_FIELDS = ("user_id", "username", "email")


@dataclass(frozen=True)
class Line:
    """One line. `fields` are as written, but without quotes; what is not known is "-"."""

    time: str
    event: str
    fields: dict[str, str]


@dataclass(frozen=True)
class Tail:
    """The lines that were found, the latest first. `before` is where the next, older ones end; 0 if there are none."""

    lines: list[Line]
    before: int


class _Wanted:
    """What a line has to be."""

    def __init__(self, event: str, user: str, address: str) -> None:
        self._event, self._user, self._address = event, user.lower(), address
        # For each of them, what has to stand in the line. Looking for it is quicker than parsing.
        choices = [
            (event, [f" {event} "]),
            (user, [f" user_id={user} ", json.dumps(user)]),
            (address, [f" ip={address}", f' ip="{address}']),
        ]
        self._needles = [[text.lower().encode() for text in texts] for value, texts in choices if value]

    def may_be(self, raw: bytes) -> bool:
        """Whether it is worth parsing."""
        lower = raw.lower() + b" "
        return bool(raw) and all(any(needle in lower for needle in needles) for needles in self._needles)

    def matches(self, line: Line) -> bool:
        """Whether it is."""
        return (
            self._event in ("", line.event)
            and (not self._user or self._user in [line.fields.get(name, "").lower() for name in USER_FIELDS])
            and line.fields.get("ip", "").lower().startswith(self._address)
        )


def tail(
    path: Path, *, event: str = "", user: str = "", address: str = "", before: int | None = None, limit: int = 100
) -> Tail:
    """Return the last lines of the log at `path` that end at byte `before` or earlier, no more than `limit`.

    `event` is an event's whole name, `user` a whole id, user name or e-mail address, `address` the beginning of an IP
    address; the case of ASCII letters makes no difference. After MAX_BYTES it stops, and `Tail.before` says where to go
    on. No file: no lines. Raises OSError if it can't be read.
    """
    found: list[Line] = []
    wanted = _Wanted(event.strip().upper(), user.strip(), address.strip().lower())
    at = 0
    try:
        with path.open("rb") as file:
            end = os.fstat(file.fileno()).st_size
            end = end if before is None else max(0, min(before, end))
            lowest = max(0, end - MAX_BYTES)
            for at, raw in _backwards(file.fileno(), end, lowest):  # noqa: B007 - used when it ends
                if wanted.may_be(raw) and (line := _parsed(raw.decode("utf-8", "replace"))) and wanted.matches(line):
                    found.append(line)
                if len(found) == limit:
                    break
    except FileNotFoundError:
        return Tail([], 0)
    return Tail(found, at)


def _backwards(file: int, end: int, lowest: int) -> Iterator[tuple[int, bytes]]:
    """Yield where each line before byte `end` begins, and the line, the last one first.

    After each block an empty line says how far it is; at about byte `lowest` it is the last.
    """
    rest = b""  # the beginning of a line whose end has been read already
    while end > 0:
        start = max(0, end - BLOCK)
        first, *lines = (os.pread(file, end - start, start) + rest).split(b"\n")
        at = start + len(first) + sum(len(line) + 1 for line in lines) + 1
        for line in reversed(lines):
            at -= len(line) + 1
            yield at, line
        end, rest = start, first if len(first) <= BLOCK else b""  # no line of ours is as long
        yield start + len(rest), b""
        if start < lowest:
            return
    yield 0, rest


def _parsed(text: str) -> Line | None:
    match = LINE.fullmatch(text.rstrip("\r"))
    if match is None:
        return None
    fields = {name: _unquoted(value) for name, value in FIELD.findall(match["fields"] or "")}
    return Line(match["time"].partition(",")[0], match["event"], fields)


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value
