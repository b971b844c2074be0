"""Take the private values of a request out of what is about to leave, wherever they turn up and however written."""

from __future__ import annotations

import json
import marshal
import re
from collections.abc import Iterator, Mapping
from html import escape
from types import MappingProxyType
from typing import Any
from unicodedata import normalize
from urllib.parse import quote, quote_plus

from core.monitoring.scrubbing.meta import merged
from core.monitoring.scrubbing.payload import (
    COMMON_NAMES,
    FRAME,
    FRAME_FIELDS,
    KEEP,
    SCHEMAS,
    SOURCE,
    TEXT,
    TREE,
    Field,
    Schema,
    field_names,
)

# The rule's id in `_meta`.
RULE = "request"

# Forms of private values that are looked for in one event.
MOST = 500
# The version of marshal that writes a text as often as it is there.
_WITHOUT_REFERENCES = 2
# From this length on a value is replaced even inside a longer word.
MIN_LENGTH_INSIDE_WORDS = 8

# Fields that say where the code failed, beside those that are structure. A file called "views" must not hide the module
# of that name.
_FIELDS: dict[str, Schema] = {
    **SCHEMAS["event"],
    **dict.fromkeys(("transaction", "server_name", "logger", "_meta"), TREE),
    "tags": dict.fromkeys(("request_path", "request_method"), KEEP),
}
# Names that say nothing about anybody's files. A folder called "data" leaves the `data` of a request in its place.
_FIELD_NAMES = field_names(_FIELDS) | set(COMMON_NAMES)

# What every way of writing keeps as it is (RFC 3986 calls it unreserved).
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")
_ESCAPE = re.compile(r"%[0-9A-F]{2}")


def hide_values(
    event: dict[str, Any], values: Mapping[str, str], redacted: Mapping[str, int] = MappingProxyType({})
) -> dict[str, Any]:
    """Return a copy of the serialized `event` with each of `values` replaced by its mark, except where code is named.

    Each field that changed gets a remark of the rule "request" in the copy's `_meta`, so that the tracker shows why.
    `redacted` tells how often a value stands where the scrubber redacts it anyway: most stand nowhere else. Raises
    ValueError if more than `MOST` of them do, which would take too long.
    """
    marks = _marks(values, event, redacted) if values else {}
    if not marks:
        return event
    if len(marks) > MOST:
        raise ValueError(f"{len(marks)} ways of writing private values are too many to be looked for")
    remarks: dict[str, Any] = {}
    hidden: dict[str, Any] = _Hiding(marks).hide(event, _FIELDS, remarks)
    if remarks:
        hidden["_meta"] = merged(hidden.get("_meta"), remarks)
    return hidden


class _Hiding:
    """Takes out of one event the values that are written in any of the forms of `marks`."""

    def __init__(self, marks: dict[str, str]) -> None:
        self._marks = marks
        self._pattern = re.compile("|".join(map(_pattern, sorted(marks, key=len, reverse=True))))
        # Where none of these is, none of the others can be.
        self._shortest = [form for form in marks if not any(other in form for other in marks if other != form)]
        self._needles = [form.encode("utf-8", "surrogatepass") for form in self._shortest]
        # The same request is in one frame after the other: what became of the parts of an event, by what they are.
        self._known: dict[bytes, tuple[Any, dict[str, Any]]] = {}

    def hide(self, node: Any, schema: Schema, notes: dict[str, Any]) -> Any:
        """Return a dict or list without the values, itself if it has none, and add to `notes` what was taken out."""
        is_dict = isinstance(node, dict)
        fields = schema if type(schema) is dict else {}
        field: Schema = schema[0] if type(schema) is list else TEXT
        changed: dict[Any, Any] = {}
        names: dict[Any, str] = {}
        for key, item in node.items() if is_dict else enumerate(node):
            if is_dict:
                name = key if type(key) is str else str(key)
                field = fields.get(name, TEXT)
                if key not in _FIELD_NAMES and (name := self._text(name)) != key:
                    names[key] = name
            if field is TREE or field is SOURCE:
                continue
            if isinstance(item, str):
                if field is not KEEP and (text := self._text(item)) != item:
                    changed[key] = text
                    notes[names.get(key, str(key))] = {"": {"rem": [[RULE, "s"]], "len": len(item)}}
            elif isinstance(item, (dict, list)) and item:
                hidden, below = self._part(item, FRAME_FIELDS if field is FRAME else field)
                if hidden is not item:
                    changed[key] = hidden
                if below:
                    notes[names.get(key, str(key))] = below
        if not is_dict:
            return [changed.get(index, item) for index, item in enumerate(node)] if changed else node
        if names:
            return {names.get(key, key): changed.get(key, item) for key, item in node.items()}
        return {**node, **changed} if changed else node

    def _text(self, text: str) -> str:
        for form in self._shortest:
            if form in text:
                return self._pattern.sub(lambda found: self._marks[found[0]], text)
        return text

    def _part(self, part: Any, schema: Schema) -> tuple[Any, dict[str, Any]]:
        notes: dict[str, Any] = {}
        # What has a schema holds most of an event, so that it is asked of what is in it whether it has one of them.
        written = _written(part) if isinstance(schema, Field) else None
        if written is None:
            return self.hide(part, schema, notes), notes
        if not any(map(written.__contains__, self._needles)):
            return part, notes
        if written not in self._known:
            self._known[written] = self.hide(part, TEXT, notes), notes
        return self._known[written]


def _marks(values: Mapping[str, str], event: Mapping[str, Any], redacted: Mapping[str, int]) -> dict[str, str]:
    """Return the forms of `values` that may stand in some text of `event`, each with its mark."""
    # Only what was serialized has no knots, in which one list is there a million times.
    written = _written(event, version=_WITHOUT_REFERENCES if redacted else marshal.version)
    marks = {}
    for value, mark in values.items():
        # Is in all the forms, and most values are not there at all.
        plainest = max(_PLAIN.findall(normalize("NFC", value)), key=len, default="")
        if written is None or written.count(plainest.encode()) > redacted.get(value, 0):
            for form in set(_forms(value)):
                if written is None or form.encode("utf-8", "surrogatepass") in written:
                    marks[form] = mark
    return marks


def _written(node: Any, version: int = marshal.version) -> bytes | None:
    """Return all texts of `node` in one, at the speed of C, so that most is not walked."""
    try:
        return marshal.dumps(node, version)
    except ValueError:  # an object that the SDK did not turn into plain ones
        return None


def _forms(value: str) -> Iterator[str]:
    """Yield the ways in which `value` may be written: as it is, in a repr, JSON, HTML, a URL, or WSGI's latin-1.

    Letters with accents come composed and decomposed: file systems and browsers prefer one or the other.
    """
    for text in {value, normalize("NFC", value), normalize("NFD", value)}:
        yield text
        yield repr(text)[1:-1]
        yield json.dumps(text)[1:-1]
        yield ascii(text)[1:-1]  # as Django writes a path into its log
        yield escape(text)
        try:
            raw = text.encode().decode("latin-1")
        except UnicodeEncodeError:
            continue
        yield from (raw, repr(raw)[1:-1])
        for safe in ("/", "", "!'()*"):  # the last as browsers do (encodeURIComponent)
            for quoted in (quote(text, safe), quote_plus(text, safe)):
                yield from (quoted, _ESCAPE.sub(_in_lower_case, quoted), quote(quoted))


def _in_lower_case(found: re.Match[str]) -> str:
    return found[0].lower()


def _pattern(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= MIN_LENGTH_INSIDE_WORDS else rf"(?<!\w){escaped}(?!\w)"
