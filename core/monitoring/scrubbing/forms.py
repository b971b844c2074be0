"""Find values that stand apart from their names in a text: fields of forms, cells of tables."""

from __future__ import annotations

import re
from collections.abc import Iterator

from core.monitoring import rules
from core.monitoring.scrubbing.names import Names, Verdict
from core.monitoring.scrubbing.spans import Span

# The name may stand behind the value: <input value="x" name="password">
_TAG = re.compile(r"<(?:input|add|param|property|setting|meta)\b(?P<fields>[^<>]{1,1000})")
_FIELD = re.compile(r"(?P<name>[\w-]{1,60})\s?=\s?(?P<quote>[\"'])(?P<value>[^\"'<>]{1,1000})(?P=quote)")
_NAMING_FIELDS = frozenset({"name", "key", "id", "type", "property"})
_STAY = (rules.FILTERED, "{{", "{%")
# Behind a name in a table: the end of its cell.
CELL_ENDS = re.compile(r"\t {0,8}| {0,8}\| {0,8}")
_CELL = re.compile(r"[^\s|](?:[^\t\n|]{0,500}[^\s|])?")
_BEFORE_CELL = 12  # characters in which the beginning of a cell is looked for


def form_values(text: str, names: Names) -> Iterator[Span]:
    """Yield the value of each field whose name or type is sensitive."""
    for tag in _TAG.finditer(text) if "<" in text else ():
        fields = {field["name"].lower(): field for field in _FIELD.finditer(text, *tag.span("fields"))}
        value = fields.get("value")
        told = [names.verdict(fields[name]["value"]) for name in _NAMING_FIELDS & fields.keys()]
        if value and Verdict.SENSITIVE in told and not value["value"].startswith(_STAY):
            yield Span(*value.span("value"), rules.FILTERED, "name")


def next_cell(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Return where the value of the name from `start` to `end` is: in the next cell, as in `| password | x |`."""
    behind = CELL_ENDS.match(text, end)
    if behind is None:
        return None
    before = text[max(0, start - _BEFORE_CELL) : start].rstrip(" *`")
    cell = _CELL.match(text, behind.end())
    if cell is None or ("|" in behind[0] and before[-1:] != "|"):
        return None
    # The next name in a row of names is none.
    return None if cell[0].replace("_", "").replace(" ", "").isalpha() else cell.span()
