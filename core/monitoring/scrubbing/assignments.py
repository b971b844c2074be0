"""Find the values of sensitive names inside a text: `name=value`, `"name": "value"`, `--name value`, `Name: value`.

The name is found first, word by word; what stands behind it is then read once from left to right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from core.monitoring import rules
from core.monitoring.scrubbing.digits import is_written_card
from core.monitoring.scrubbing.forms import column_values, element, form_values, next_cell
from core.monitoring.scrubbing.harmless import MARKERS, stays
from core.monitoring.scrubbing.literals import BLOCK_BEGINS, LONGEST_VALUE, QUOTE, block, closing_bracket, quotation
from core.monitoring.scrubbing.names import Names, Verdict, is_description
from core.monitoring.scrubbing.said import looks_chosen, said_values
from core.monitoring.scrubbing.spans import Span

_WORD = re.compile(r"(?:[^\W\d]|-)[\w-]*|(?<=%)[0-9][\w-]+")
# Behind a name: its closing quote or bracket, then what separates it from its value.
BEHIND = re.compile(
    rf"(?:\[?\]|%5D){{0,4}}(?P<quote>{QUOTE})?(?:\]|%5D|\)){{0,4}}(?P<gap>\s{{0,8}})"
    rf"(?::\s?[A-Za-z_][\w.]{{0,30}}(?:\[[\w., |]{{0,40}}\])?(?=\s=\s|\s?=\s?[\"'])"
    rf"|:?\s?(?:string|str|String)\s?(?=\s?=))?\s?"
    rf"(?P<sep>=>|-{{1,2}}>|\u2192|::?:?=|[?!+|]?={{1,3}}|<>|[:\uff1a\uff1d]|%3D|%3A|&\#61;|><!\[CDATA\[|>(?=[^<>]{{1,400}}</)"
    rf"|(?<=\s)(?:is|was|I?LIKE|like|IN|BY|TO)\s|,(?=\s?(?:{QUOTE}))|(?<=\s)(?=['\"]))?(?P<after>\s{{0,8}}|\+|%20)",
)
_PAIR = re.compile(rf"(?:{QUOTE})?\s?,?\s?(?:{QUOTE})?value(?:{QUOTE})?\s?[:=]\s?", re.IGNORECASE)
_MULTIPART = re.compile(r"(?:\\r\\n|\r?\n){2}")
_MULTIPART_END = re.compile(r"(?:\\r\\n|\r?\n)--|$")
_FLAG_GAP = re.compile(r" {1,4}(?=[^\s-])")
_UNQUOTED = re.compile(
    r"(?:[^\s,;&\"'<\\`]|[,;&](?![\s\"'\\]|amp;|[\w.%\[\]-]{1,60}[=:]|$)|[\"'](?=\w)|<(?!/)|\\(?![nrtu\"'\\])|\\\\(?=\w))+"
)
_LINE = re.compile(r"\s?[:=]\s?(?P<value>[^\s\"'\[{(\\|>=][^\r\n\"'\\]*)")
_CODE = re.compile(
    r"(?:await |not )?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\([^\n]{0,200}?\)|\[[^\n]{0,200}?\])"
    r"|(?:self|cls|request|settings|form|user|config|kwargs|options|os|obj|instance|args)(?:\.[A-Za-z_]\w{0,60}){1,5}(?![\w.-])"
)
# password=SecretStr("x")
_WRAPPED = re.compile(r"(?:new )?[A-Za-z_][\w.]{0,60}\(\s?[bru]?(?P<quote>['\"])(?P<value>[^'\"\n]{1,400})(?P=quote)")
_ARGUMENT = re.compile(r".{0,2}[ (]key=[A-Za-z_][\w.]*[,)]")
_SHORTEST_QUOTED = 3
# The next line of a list in YAML: - name: DB_PASSWORD, value: x
NEXT_LINE = re.compile(r"[ \t]{0,8}(?:\r?\n|\\n)[ \t]{0,40}value:[ \t]{0,8}")
# A parser's token is none: unexpected token 'export'
_PARSER = re.compile(r"\b(?:unexpected|expected|near|at|before|after|unknown) $", re.IGNORECASE)
# What also stands between words of a sentence, or a name and its type.
_WORDY = frozenset({"is", "was", "TO", "BY", "->", "-->", "\u2192"})
_LONGEST_BEGUN = 64
# What stands before the telling word of a name: the `user[` of `user[password]`.
_NAME_BEGUN = re.compile(r"[\w.\[\]-]{1,60}$")
_LITERAL_EDGE = re.compile(r"(?<!\\)[\"']")
_BRACKETS = {"[": "]", "{": "}", "(": ")"}


def assignments(text: str, names: Names, source: bool = False) -> Iterator[Span]:
    """Yield the value of each sensitive name in `text`. With `source`, the text is a line of Python."""
    done = 0
    yield from form_values(text, names)
    yield from column_values(text, names)
    for found in _WORD.finditer(text):
        start, end = found.span()
        if start < done:
            continue
        word = found[0]
        before = text[start - 1 : start]
        if before == "%" and start:
            word = word[2:]
        elif before == "\\" and word[0] in "nrt":
            word = word[1:]
        elif before == "\\" and word.startswith("u00"):
            word = word[5:]
        elif word == "IP" and text.startswith(rules.IPV6, start - 10):
            continue
        verdict = names.verdict(word)
        if (begins := names.begins(text, start, end)) < start:
            start, word, verdict = begins, text[begins:end], Verdict.SENSITIVE
        if verdict is Verdict.HARMLESS:
            continue
        value = _value(text, word, start, end, source and not _in_literal(text, start, end))
        if value is None:
            for first, last in said_values(text, end) if word.lower() != "key" else ():
                if verdict is Verdict.SENSITIVE or not is_description(text[first:last]):
                    yield Span(first, last, rules.FILTERED, "name")
            continue
        first, last = value
        shown = text[first:last]
        if stays(shown, word) or (verdict is Verdict.DESCRIBES and is_description(shown)):
            continue
        # key="password" value="x" names a secret and is none.
        if word.lower() == "key" and names.verdict(shown) is not Verdict.HARMLESS:
            continue
        done = last
        yield Span(first, last, rules.CARD if is_written_card(shown) else rules.FILTERED, "name")


def _in_literal(line: str, start: int, end: int) -> bool:
    """Say whether a name in a line of Python is a part of a string literal: conn = "host=db password=..."."""
    quote = ""
    for found in _LITERAL_EDGE.finditer(line, 0, start):
        if not quote:
            quote = found[0]
        elif found[0] == quote:
            quote = ""
    return bool(quote) and not line.startswith(quote, end)


def _value(text: str, name: str, start: int, end: int, source: bool) -> tuple[int, int] | None:
    if name.lower() in rules.WHOLE_LINE_NAMES and (line := _LINE.match(text, end)):
        return None if _CODE.fullmatch(line["value"]) else line.span("value")
    if inner := element(text, start, end):
        return inner
    behind = BEHIND.match(text, end)
    assert behind is not None  # every part of it is optional
    at, sep, quoted = behind.end(), behind["sep"], behind["quote"]
    if name.startswith("-") and not sep and (flag := _FLAG_GAP.match(text, end)):
        sep, at = "flag", flag.end()
    if quoted and (sep in (None, ",")):
        pair = _PAIR.match(text, end)
        if pair and text[max(0, start - 12) : start].rstrip("\\\"' ").endswith((":", "=")):
            sep, at = "pair", pair.end()
        elif blank := _MULTIPART.match(text, end + len(quoted)):
            closing = _MULTIPART_END.search(text, blank.end())
            return (blank.end(), closing.start()) if closing else None
        elif (sep == "," and not name.startswith("-") and not _in_pair(text, start, at)) or sep is None:
            return None
    if (below := NEXT_LINE.match(text, end)) and text[max(0, start - 12) : start].rstrip(" \"'")[-1:] == ":":
        return _read(text, name, below.end(), ":", True, source)
    if sep is None and not quoted:
        return next_cell(text, start, end)
    if sep is None or (sep == "," and not quoted):
        return None
    if sep == "><![CDATA[":
        closing_cdata = text.find("]]>", at)
        return (at, closing_cdata if closing_cdata >= 0 else len(text)) if text[start - 1 : start] == "<" else None
    if sep == ">" and (text[start - 1 : start] != "<" or name == "key"):
        return None
    found = _read(text, name, at, sep.strip(), bool(quoted), source)
    # Unexpected token '<' at position 0; pass 'x' to ignore it
    is_parser = not sep.strip() and (
        name.lower() == "pass" or _PARSER.search(text[max(0, start - _LONGEST_BEGUN) : start])
    )
    return None if found and (is_parser or (not sep.strip() and found[1] - found[0] < _SHORTEST_QUOTED)) else found


def _in_pair(text: str, start: int, at: int) -> bool:
    """Say whether the name at `start` opens a pair such as `('Authorization', 'x')`."""
    opening = _NAME_BEGUN.sub("", text[max(0, start - _LONGEST_BEGUN) : start]).rstrip("\\\"'b")
    if not opening.endswith(("(", "[")):
        return False
    value = quotation(text, at)
    return (
        value is not None
        and re.match(r"\\{0,4}[\"'],?\s?[\])]", text[value[1] : value[1] + 12]) is not None
        and not (text[value[0] : value[1]].replace("_", "").isalpha() and text[value[0] : value[1]].islower())
    )


def _read(text: str, name: str, at: int, sep: str, quoted: bool, source: bool) -> tuple[int, int] | None:
    if at >= len(text):
        return None
    if literal := quotation(text, at):
        if sep == "is" or sep == "," or name.lower() != "key" or quoted or "=" in sep:
            return literal
        return None
    if (wrapped := _WRAPPED.match(text, at)) and looks_chosen(wrapped["value"]):
        return wrapped.span("value")
    if source:
        if text[at] in "[(" and re.match(r"[\[(]\s?['\"]", text[at : at + 4]):
            return at, closing_bracket(text, at)
        number = re.compile(r"\d{4,}").match(text, at)
        return number.span() if number else None
    if sep == ":" and (begins := BLOCK_BEGINS.match(text, at)):
        return block(text, at, len(begins["indent"]))
    if sep in (":", "=", "=>", ":=") and text[at] in _BRACKETS and not text.startswith(MARKERS, at):
        return at, closing_bracket(text, at)
    if _CODE.match(text, at) or (name.lower() == "key" and _ARGUMENT.match(text, at - 6 if at > 6 else 0)):
        return None
    if sep == ">":
        return at, text.index("</", at)
    word = _UNQUOTED.match(text, at)
    if word is None:
        return None
    first, last = word.span()
    value = word[0]
    if value[0] == "<" and (closing := text.find(">", at, at + LONGEST_VALUE)) > 0:
        last = closing + 1
    elif not value.startswith(MARKERS):
        if not any(bracket in value for bracket in "([{"):
            last = first + len(value.rstrip(")]}>,"))
    else:
        marker = next(marker for marker in MARKERS if value.startswith(marker))
        if value[len(marker) :][:1] in ("", *")]}>,.;:'\""):
            return None
    value = text[first:last].strip(".,;:")
    if sep in _WORDY and value.isalpha() and (value.islower() or value.istitle()):
        return None
    # sorted by key=name, key=str.lower
    if name.lower() == "key" and not quoted and value.replace(".", "").replace("_", "").isalpha():
        return None
    return (first, last) if last > first else None
