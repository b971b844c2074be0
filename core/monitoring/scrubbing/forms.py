"""Find values that stand apart from their names in a text: fields and elements of markup, cells of tables."""

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
# <password type="text">x</password>, <param name="password">x</param>, <key>password</key><string>x</string>
ELEMENT = re.compile(
    r"(?:(?P<named>['\"])|(?P<begun>[ ])|(?P<next></[\w:]{1,30}>\s{0,40}<[\w:]{1,30}))[^<>]{0,200}>"
    r"(?P<value>[^<>]{1,1000})</"
)
_BEFORE = {
    "named": re.compile(r"<[\w:.-]{1,60}\s[^<>]{0,200}(?:name|key|id)=['\"]$"),
    "begun": re.compile(r"<(?:[\w.-]{1,30}:)?$"),
    "next": re.compile(r"<[\w:]{1,30}>$"),
}
_LONGEST_BEFORE = 300
# What stands between the cells of a line.
_SEPARATORS = "\t|;,"
_CELLS = {sign: re.compile(rf'(?:^|[{sign}])(?P<cell>\s?"(?:[^"]|"")*"\s?|[^{sign}]*)') for sign in _SEPARATORS}
_HEAD = re.compile(r'\s*(?:"?(?P<name>\w[\w .-]{0,60})"?\s*)?')
_RULER = re.compile(r"[-+=|: ]+")
# Behind a name in a table: the end of its cell.
CELL_ENDS = re.compile(r"\t {0,8}| {0,8}\| {0,8}")
# Behind a name in a line of names: what comes before the next, or the end of the line.
COLUMN_ENDS = re.compile(r'"?(?:[;,]\S|\s{0,8}\|?\s{0,8}\n)')
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


def element(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Return where the value of the name from `start` to `end` is in XML or HTML: the text of an element."""
    found = ELEMENT.match(text, end)
    if found is None or found["value"].isspace() or found["value"].startswith(_STAY):
        return None
    kind = next(kind for kind in _BEFORE if found[kind])
    return found.span("value") if _BEFORE[kind].search(text[max(0, start - _LONGEST_BEFORE) : start]) else None


def column_values(text: str, names: Names) -> Iterator[Span]:
    """Yield the cells below each sensitive name in a line of names, as in a CSV file or a table."""
    sign, width, at = "", 0, 0
    secret: list[int] = []
    for line in text.splitlines(keepends=True) if "\n" in text else ():
        bare = line.rstrip("\r\n")
        cells = [found.span("cell") for found in _CELLS[sign].finditer(bare)] if secret else []
        if secret and len(cells) == width:
            for first, last in (cells[index] for index in secret):
                value = bare[first:last].strip(' "')
                if value and not value.startswith(_STAY) and not _RULER.fullmatch(value):
                    first = bare.index(value, first)
                    yield Span(at + first, at + first + len(value), rules.FILTERED, "name")
        elif not (secret and _RULER.fullmatch(bare)):
            sign = next((each for each in _SEPARATORS if each in bare), "")
            width, secret = _heads(bare, sign, names)
        at += len(line)


def _heads(line: str, sign: str, names: Names) -> tuple[int, list[int]]:
    """Return how many cells a line of names has and which of them are sensitive: none if it is no such line."""
    # Words and blanks between commas are a sentence.
    if not sign or (sign in ";," and f"{sign} " in line):
        return 0, []
    heads = [_HEAD.fullmatch(found["cell"]) for found in _CELLS[sign].finditer(line)]
    if not all(heads):
        return 0, []
    told = [names.verdict((head["name"] or "").strip()) for head in heads if head]
    return len(heads), [index for index, verdict in enumerate(told) if verdict is Verdict.SENSITIVE]


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
