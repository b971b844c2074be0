"""One payload on its way through the rules: names decide about values, texts are collected for the value rules.

The walk changes nothing and copies nothing: it finds what has to change. The loops decide about known texts in place
instead of calling a method for each, which alone halves the time for an event whose texts were seen before.
"""

from __future__ import annotations

import marshal
import math
from collections.abc import Iterable, Mapping
from itertools import count, islice, repeat
from typing import Any

from core.monitoring import rules
from core.monitoring.scrubbing import payload as schemas
from core.monitoring.scrubbing.content import secret_arguments
from core.monitoring.scrubbing.convert import as_container, as_plain, as_text, bare, becomes_text, is_flag
from core.monitoring.scrubbing.digits import is_card, is_written_card
from core.monitoring.scrubbing.edits import Change, Edits, Path
from core.monitoring.scrubbing.judge import Judge
from core.monitoring.scrubbing.meta import clean_meta, merged
from core.monitoring.scrubbing.names import PLAIN_NAME, Verdict, is_description
from core.monitoring.scrubbing.new_texts import NewTexts
from core.monitoring.scrubbing.payload import FRAME, GONE, KEEP, LOGENTRY, SOURCE, TEXT, TREE, VALUES, Schema

MAX_DEPTH = 40
MAX_ITEMS = 2_000  # of one container
MAX_NODES = 60_000  # containers of one payload

_LONGEST_STRUCTURE = 2_000
_LONGEST_PAIR = 6
_NAMING = frozenset({"name", "key", "field", "id", "type", "Name", "Key"})
_VALUE_NAMES = frozenset({"value", "Value", "val", "default", "old", "new"})
_LONGEST_INTEGER = 128  # bits
_HARMLESS = 10**12  # shorter than any card number
_SCALARS = frozenset({str, int, float, bool, type(None)})
_ONLY_DICT = frozenset({dict})
_NOTHING = frozenset[int]()
_NO_FIELDS: dict[str, Schema] = {}


class Walk:
    """The state of scrubbing one payload."""

    def __init__(self, judge: Judge, kind: str) -> None:
        """Take the rules with what they remember, and the kind of the payload."""
        self._judge = judge
        self._schema = schemas.SCHEMAS.get(kind, _NO_FIELDS)
        self._with_meta = kind in ("event", "transaction")
        self._edits = Edits()
        self._new = NewTexts()
        self._texts, self._lines = self._new.texts, self._new.lines
        self._new_parts: dict[int, Path] = {}
        self._repeats: list[tuple[Path, tuple[Any, Any]]] = []
        self._new_names: set[tuple[int, str]] = set()
        self._nodes = 0
        self._depth = 0
        self._clean = judge.texts.clean
        self._clean_lines = judge.lines.clean
        self._plain = judge.plain_names
        self._clean_parts = judge.parts.clean
        self._changed_parts = judge.parts.changed

    def run(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Return the scrubbed copy of `payload`."""
        out = dict(islice(payload.items(), MAX_ITEMS))
        known = out.pop("_meta", None)
        if len(payload) > MAX_ITEMS:
            self._edits.hide(None, rules.CUT, "!limit", f"{len(payload) - MAX_ITEMS} more")
        for name in schemas.LAST:
            if name in out:
                out[name] = out.pop(name)
        self._structured(((None, out),), self._schema)
        self._new.redact(self._judge, self._edits)
        for first, path in self._repeats:
            if (change := self._edits.found(first)) is not None:
                self._edits.graft(path[0], {path[1]: change})
        out, remarks = self._edits.apply(out)
        if (remarks and self._with_meta) or known is not None:
            out["_meta"] = merged(clean_meta(known, self._judge, MAX_DEPTH, MAX_ITEMS), remarks)
        if self._new_parts and self._nodes <= MAX_NODES:
            self._judge.parts.remember(self._new_parts, self._edits, out)
        return out

    def _structured(self, rows: Iterable[tuple[Path, Mapping[Any, Any]]], fields: dict[str, Schema]) -> None:
        """Go through mappings at their paths, all with the same known `fields`; any other field is text."""
        plain, clean, lines = self._plain, self._clean, self._clean_lines
        field_of, texts = fields.get, self._texts
        # Of the last mapping that was known to be clean: the next row often has an equal one.
        last: Any = None
        for path, row in rows:
            for name, item in row.items():
                field = field_of(name)
                kind = type(item)
                if field is KEEP:
                    if kind is str:
                        if len(item) <= _LONGEST_STRUCTURE:
                            continue
                    elif kind in _SCALARS:
                        continue
                elif field is None or field is TEXT:
                    if field is None and (hash(name) not in plain or type(name) is not str):
                        self._under(name, item, path, row)
                        continue
                    if kind is str:
                        if (number := hash(item)) not in clean:
                            texts[number].append((path, name, item))
                        continue
                    if kind is dict or kind is list:
                        if item and item != last and self._parts(((name, item),), TEXT, path):
                            last = item
                        continue
                    field = TEXT
                elif kind is dict:
                    if field is TREE or name in schemas.STATIC:
                        self._parts(((name, item),), field, path)
                        continue
                    if type(field) is dict and len(item) <= MAX_ITEMS:
                        self._structured((((path, name), item),), field)
                        continue
                elif field is SOURCE and kind is str:
                    if (number := hash(item)) not in lines:
                        self._lines[number].append((path, name, item))
                    continue
                elif field is SOURCE and kind is list and len(item) <= MAX_ITEMS and {str} >= set(map(type, item)):
                    if not lines.issuperset(map(hash, item)):
                        below = path, name
                        for index, line in enumerate(item):
                            if (number := hash(line)) not in lines:
                                self._lines[number].append((below, index, line))
                    continue
                self._value(name, item, field, path)

    def _free(self, value: Mapping[Any, Any], path: Path) -> None:
        """Go through a mapping of which nothing is known: every name and every value is judged."""
        plain, clean, texts = self._plain, self._clean, self._texts
        hidden = Verdict.HARMLESS
        if len(value) <= _LONGEST_PAIR and not _VALUE_NAMES.isdisjoint(value):
            # {"name": "password", "value": "x"}, {"field": "password", "old": "x", "new": "y"}
            hidden = max((self._judge.pair(value[name]) for name in _NAMING & value.keys()), default=hidden)
        for name, item in value.items():
            kind = type(item)
            if hidden and name in _VALUE_NAMES:
                self._named(name, item, hidden, path)
            elif hash(name) not in plain or type(name) is not str:
                self._under(name, item, path, value)
            elif kind is str:
                if (number := hash(item)) not in clean:
                    texts[number].append((path, name, item))
            elif kind is dict or kind is list:
                self._container(item, TEXT, (path, name))
            elif item is not None and kind is not bool:
                self._value(name, item, TEXT, path)

    def _uniform(self, value: Mapping[Any, Any], schema: Schema, path: Path) -> None:
        """Go through a mapping whose values are all structure (`TREE`) or all go (`VALUES`), whatever their names."""
        plain = self._plain
        for name, item in value.items():
            is_plain = type(name) is str and (hash(name) in plain or PLAIN_NAME.fullmatch(name))
            if schema is TREE and is_plain and type(item) in _SCALARS:
                continue
            key, _ = self._name(name, path, value)
            self._value(key, item, schema, path)

    def _items(self, items: list[Any], schema: Schema, path: Path) -> None:
        """Go through a list whose items are all of one schema."""
        each: Schema = schema[0] if type(schema) is list else schema
        clean = self._clean if each is TEXT else _NOTHING
        if each is TEXT and len(items) == 2 and self._header(items[0], items[1], path):
            return
        if each is FRAME and _ONLY_DICT.issuperset(map(type, items)):
            self._parts(enumerate(items), FRAME, path)
            return
        if (
            type(each) is dict
            and _ONLY_DICT.issuperset(map(type, items))
            and max(map(len, items), default=0) <= MAX_ITEMS
        ):
            paths = zip(repeat(path), count(), strict=False)  # never ends
            self._structured(zip(paths, items, strict=False), each)
            return
        hidden = secret_arguments(items) if each is TEXT and items else set()
        for index, item in enumerate(items):
            kind = type(item)
            if index in hidden:
                self._edits.hide(path, index, "name", rules.FILTERED)
                continue
            if kind is str:
                if hash(item) in clean:
                    continue
                # A flag is never remembered as clean, so every flag comes by here. What follows it is its value.
                if is_flag(item) and each is not SOURCE and self._judge.is_option(item, items[index + 1 : index + 2]):
                    hidden.add(index + 1)
            self._value(index, item, each, path)

    def _parts(self, parts: Iterable[tuple[Any, Any]], schema: Schema, path: Path) -> bool:
        """Go through dicts and lists of which a schema says nothing more; say whether all are known to be clean.

        To `marshal` a part and look up its hash takes a fifth of the time of going through it. What is there many
        times is written only once, so that a knot of lists stays small. It is never read back.
        """
        write, clean, changed, salt = marshal.dumps, self._clean_parts, self._changed_parts, id(schema)
        grafts: dict[Any, Change] = {}
        is_clean = True
        for key, value in parts:
            try:
                number = hash(write(value)) ^ salt
            except ValueError:  # what can't be written is not known again
                self._container(value, schema, (path, key))
                is_clean = False
                continue
            if number in clean:
                continue
            is_clean = False
            if number in changed:
                grafts[key] = changed[number]
            elif number in self._new_parts and self._nodes <= MAX_NODES:
                self._repeats.append((self._new_parts[number], (path, key)))
            else:
                at = path, key
                if len(value) <= MAX_ITEMS:
                    self._new_parts[number] = at
                self._container(value, schema, at)
        if grafts:
            self._edits.graft(path, grafts)
        return is_clean

    def _container(self, value: Any, schema: Schema, path: tuple[Any, Any]) -> None:
        """Go through a mapping or a list at `path`."""
        self._nodes += 1
        # A cycle ends here, too.
        if self._depth >= MAX_DEPTH or self._nodes > MAX_NODES:
            self._edits.hide(*path, "!limit", rules.CUT)
            return
        is_list = type(value) is list or (type(value) is not dict and not isinstance(value, Mapping))
        if is_list and type(schema) is dict:  # tags as a list of pairs, an exception without `values`
            schema = TEXT
        if type(value) not in (dict, list) or len(value) > MAX_ITEMS:
            value, more = as_container(value, MAX_ITEMS)
            self._edits.convert(*path, [*value, rules.CUT] if is_list and more else value)
            if more:
                at, mark = (MAX_ITEMS, rules.CUT) if is_list else (rules.CUT, f"{more} more")
                self._edits.hide(path, at, "!limit", mark)
        self._depth += 1
        if is_list:
            self._items(value, schema, path)
        elif type(schema) is dict:
            self._structured(((path, value),), schema)
        elif schema is FRAME:
            self._structured(((path, value),), schemas.frame_fields(value))
        elif schema is LOGENTRY and type(value) is dict:
            self._logentry(value, path)
        elif schema is TREE or schema is VALUES:
            self._uniform(value, schema, path)
        else:
            self._free(value, path)
        self._depth -= 1

    def _value(self, key: Any, item: Any, schema: Schema, path: Path) -> None:
        """Say what becomes of `item`, which stands at `key`; texts are collected and judged at the end."""
        kind = type(item)
        if schema is GONE:
            self._edits.drop(path, key)
        elif kind is dict or kind is list:
            self._container(item, TEXT if schema is KEEP else schema, (path, key))
        elif kind in _SCALARS and (
            schema is TREE or (schema is KEEP and (kind is not str or len(item) <= _LONGEST_STRUCTURE))
        ):
            return
        elif schema is VALUES and not isinstance(item, Mapping | list | tuple | bool | None):
            self._edits.hide(path, key, "name", rules.FILTERED)
        elif kind is str:
            (self._lines if schema is SOURCE else self._texts)[hash(item)].append((path, key, item))
        elif item is None or kind is bool:
            return
        elif kind is int:
            if item.bit_length() > _LONGEST_INTEGER:
                self._edits.hide(path, key, "!limit", rules.CUT)
            elif not -_HARMLESS < item < _HARMLESS and is_card(str(item)):
                self._edits.hide(path, key, "card", rules.CARD)
        elif kind is float:
            if not math.isfinite(item):
                self._edits.convert(path, key, str(item))
            # Is equal to the card number, and so is the row that it stands in.
            elif abs(item) >= _HARMLESS and item.is_integer() and is_card(str(int(item))):
                self._edits.hide(path, key, "card", rules.CARD)
        elif isinstance(item, bytes | bytearray | memoryview):
            self._edits.hide(path, key, "bytes", rules.BYTES)
        elif isinstance(item, Mapping | tuple | set | frozenset | list):
            self._container(item, TEXT if schema is KEEP else schema, (path, key))
        else:
            plain = as_plain(item)
            self._edits.convert(path, key, plain)
            self._value(key, plain, schema if type(plain) is str and isinstance(item, str) else TEXT, path)

    def _under(self, name: Any, item: Any, path: Path, names: Mapping[Any, Any]) -> None:
        """Say what becomes of `item` under a name that isn't known to be harmless."""
        key, verdict = self._name(name, path, names)
        if verdict is Verdict.HARMLESS:
            self._value(key, item, TEXT, path)
        else:
            self._named(key, item, verdict, path)

    def _named(self, key: Any, item: Any, verdict: Verdict, path: Path) -> None:
        """Say what becomes of the value of a sensitive (or describing) name."""
        if item is None or type(item) is bool or (isinstance(item, str | list | dict) and not item):
            return
        if verdict is Verdict.DESCRIBES and is_description(item):
            self._value(key, item, TEXT, path)
        elif type(item) is str and item in (rules.FILTERED, rules.CARD, "None"):
            return
        elif type(item) is dict and item.keys() == {"value", "type"}:
            # An attribute of a log or span: its shape has to stay.
            self._edits.convert(path, key, {"value": rules.FILTERED, "type": "string"})
            self._edits.hide((path, key), "value", "name", rules.FILTERED)
        elif isinstance(item, Mapping) and str(key).lower() == "cookies":
            self._container(item, VALUES, (path, key))
        else:
            self._edits.hide(path, key, "name", rules.CARD if is_written_card(item) else rules.FILTERED)

    def _header(self, name: Any, value: Any, path: Path) -> bool:
        """Hide the value of `[name, value]`, as in lists of headers; not of ["token", "name"], a list of names."""
        verdict = self._judge.pair(name) if becomes_text(value) else Verdict.HARMLESS
        if verdict is Verdict.HARMLESS or (isinstance(value, str) and bare(value).isalpha() and value.islower()):
            return False
        self._value(0, name, TEXT, path)
        self._named(1, value, verdict, path)
        return True

    def _name(self, name: Any, path: Path, names: Mapping[Any, Any]) -> tuple[str, Verdict]:
        """Return a name as it may leave, and what it says about its value; a changed one moves to the end."""
        key, verdict = self._judge.name(name if type(name) is str else as_text(name))
        if key is not name:
            while key in names or (id(path), key) in self._new_names:
                key += "'"
            self._new_names.add((id(path), key))
            self._edits.rename(path, name, key)
        return key, verdict

    def _logentry(self, value: dict[Any, Any], path: Path) -> None:
        """Go through a message and its parameters, of which each has the name that stands before its placeholder."""
        params: Any = value.get("params")
        message = value.get("message")
        if type(params) in (dict, list) and type(message) is str:
            given = params.items() if type(params) is dict else enumerate(params)
            hidden = self._judge.rules.secret_params(message[:_LONGEST_STRUCTURE])
            hidden &= {key for key, item in given if item is not None}
            params = params.copy()
            for key in hidden:
                self._edits.hide((path, "params"), key, "name", rules.FILTERED)
                params[key] = None  # is not read any more
            value = {**value, "params": params}
        self._free(value, path)
