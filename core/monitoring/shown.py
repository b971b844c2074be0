"""A payload as a page shows it: its JSON with what was redacted marked, and where the tracker shows the event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

INDENT = "  "
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Where Spotlight listens, whose page has no address for an event.
SPOTLIGHT_PORT = 8969


class Piece(NamedTuple):
    """A stretch of JSON text. `rule` is the id of the rule that redacted it, "" for what left as it was.

    `anchor` is where a link to a rule leads: to the first stretch of each.
    """

    text: str
    rule: str = ""
    anchor: str = ""


def pieces(payload: str) -> Iterator[Piece]:
    """Yield `payload`, a JSON object, indented and in order. `_meta`, which holds the remarks, becomes the rules."""
    content = json.loads(payload)
    meta = content.pop("_meta", {})
    plain, seen = "", set()
    for piece in _written(content, meta, "\n"):
        if piece.rule:
            yield Piece(plain)
            yield piece._replace(anchor="" if piece.rule in seen else f"redacted-{piece.rule}")
            seen.add(piece.rule)
            plain = ""
        else:
            plain += piece.text
    yield Piece(plain)


def _written(value: Any, meta: Any, line: str) -> Iterator[Piece]:
    """Yield the JSON of `value`; `line` is a line break with the indentation of the line that it stands in."""
    meta = meta if isinstance(meta, dict) else {}
    remarks = [remark for remark in (meta.get("") or {}).get("rem") or () if remark]
    if isinstance(value, dict | list) and value:
        if remarks:
            yield Piece("…", _ids(remarks))
        fields = (
            [(str(name), f"{_quoted(name)}: ", item) for name, item in value.items()]
            if isinstance(value, dict)
            else [(str(index), "", item) for index, item in enumerate(value)]
        )
        before, after = "{}" if isinstance(value, dict) else "[]"
        for name, label, item in fields:
            yield Piece(f"{before}{line}{INDENT}{label}")
            yield from _written(item, meta.get(name), line + INDENT)
            before = ","
        yield Piece(f"{line}{after}")
    elif remarks and isinstance(value, str) and all(map(_is_placed, remarks)):
        yield from _marked(value, remarks)
    else:
        yield Piece(_quoted(value), _ids(remarks))


def _marked(text: str, remarks: list[Any]) -> Iterator[Piece]:
    """Yield a string whose remarks say which part of it each is about."""
    at = 0
    yield Piece('"')
    for remark in sorted(remarks, key=lambda remark: int(remark[2])):
        start, end = max(remark[2], at), max(remark[3], at)
        yield Piece(_quoted(text[at:start])[1:-1])
        yield Piece(_quoted(text[start:end])[1:-1], str(remark[0]))
        at = end
    yield Piece(_quoted(text[at:])[1:-1] + '"')


def _is_placed(remark: Any) -> bool:
    return len(remark) == 4 and all(type(place) is int and place >= 0 for place in remark[2:])


def _ids(remarks: list[Any]) -> str:
    return ", ".join(dict.fromkeys(str(remark[0]) for remark in remarks))


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def event_link(dsn: str, id: str) -> str:
    """Return where the tracker of `dsn` shows the event `id` (32 hexadecimal digits); "" where that can't be known.

    Sentry asks which organization (https://sentry.io/orgredirect/), which no DSN names. On this machine, Bugsink is
    what is expected to listen, as `/issues/event/` is its address.
    """
    parts = urlsplit(dsn)
    host, project = parts.hostname or "", parts.path.rpartition("/")[2]
    if host == "sentry.io" or host.endswith(".sentry.io"):
        return f"https://sentry.io/orgredirect/organizations/:orgslug/issues/?project={project}&query={id}"
    if (host in LOOPBACK and parts.port != SPOTLIGHT_PORT) or host.endswith(".bugsink.com"):
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/issues/event/{UUID(id)}/"
    return ""
