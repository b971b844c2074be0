"""Find the values of sensitive names inside a text: `name=value`, `"name": "value"`, `--name value`, `Name: value`.

The name is found first, word by word; what stands behind it is then read once from left to right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from core.monitoring import rules
from core.monitoring.scrubbing.digits import is_card
from core.monitoring.scrubbing.forms import form_values, next_cell
from core.monitoring.scrubbing.names import Names, Verdict, is_description
from core.monitoring.scrubbing.spans import Span

_WORD = re.compile(r"[A-Za-z_-][A-Za-z0-9_-]+|(?<=%)[0-9][A-Za-z0-9_-]+")
_QUOTE = r"\\{0,8}[\"'`]|[\u201c-\u201f\u2018-\u201b\xab\xbb]|%2[27]|&quot;|&\#3[49];|\\u002[27]"
# What closes a quotation that is not closed by what opened it.
_CLOSING = {
    "\u201c": "\u201d",
    "\u201e": "\u201c\u201d",
    "\u2018": "\u2019",
    "\u201a": "\u2018\u2019",
    "\xab": "\xbb",
    "\xbb": "\xab",
}
# Behind a name: its closing quote or bracket, then what separates it from its value.
BEHIND = re.compile(
    rf"(?:\[?\]|%5D){{0,4}}(?P<quote>{_QUOTE})?(?:\]|%5D|\)){{0,4}}(?P<gap>\s{{0,8}})"
    rf"(?::\s?[A-Za-z_][\w.]{{0,30}}(?:\[[\w., |]{{0,40}}\])?(?=\s=\s|\s?=\s?[\"'])"
    rf"|:?\s?(?:string|str|String)\s?(?=\s?=))?\s?"
    rf"(?P<sep>=>|-{{1,2}}>|\u2192|::?:?=|[?!+|]?={{1,3}}|<>|[:\uff1a\uff1d]|%3D|%3A|&\#61;|><!\[CDATA\[|>(?=[^<>]{{1,400}}</)"
    rf"|(?<=\s)(?:is|was|I?LIKE|like|IN|BY|TO)\s|,(?=\s?(?:{_QUOTE}))|(?<=\s)(?=['\"]))?(?P<after>\s{{0,8}}|\+|%20)",
)
_PAIR = re.compile(rf"(?:{_QUOTE})?\s?,?\s?(?:{_QUOTE})?value(?:{_QUOTE})?\s?[:=]\s?", re.IGNORECASE)
_MULTIPART = re.compile(r"(?:\\r\\n|\r?\n){2}")
_MULTIPART_END = re.compile(r"(?:\\r\\n|\r?\n)--|$")
_FLAG_GAP = re.compile(r" {1,4}(?=[^\s-])")
_OPENING = re.compile(rf"[fFrRbBuU]{{0,2}}(?P<quote>{_QUOTE})")
_UNQUOTED = re.compile(
    r"(?:[^\s,;&\"'<\\`]|[,;&](?![\s\"'\\]|amp;|[\w.%\[\]-]{1,60}[=:]|$)|[\"'](?=\w)|<(?!/)|\\(?![nrtu\"'\\])|\\\\(?=\w))+"
)
# A block of YAML: `|`, then lines that are further in than their name.
_BLOCK_BEGINS = re.compile(r"[|>][+-]?\d?[ \t]{0,8}(?:\r?\n|\\n)(?P<indent>[ \t]{1,200})")
_BLOCK = re.compile(
    _BLOCK_BEGINS.pattern + r"(?P<value>(?:[^\n\\]|\\(?!n))+(?:(?:\r?\n|\\n){1,200}(?P=indent)(?:[^\n\\]|\\(?!n))+)*)"
)
_LINE = re.compile(r"\s?[:=]\s?(?P<value>[^\s\"'\[{(\\|>=][^\r\n\"'\\]*)")
_CODE = re.compile(
    r"(?:await |not )?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\([^\n]{0,200}?\)|\[[^\n]{0,200}?\])"
    r"|(?:self|cls|request|settings|form|user|config|kwargs|options|os|obj|instance|args)(?:\.[A-Za-z_]\w{0,60}){1,5}(?![\w.-])"
)
_ARGUMENT = re.compile(r".{0,2}[ (]key=[A-Za-z_][\w.]*[,)]")
_PLACEHOLDER = re.compile(
    r"(?:(?:Bearer|Basic|Token|\{[\w.:!\[\]'\"]{0,60}\})[ :/_.-]?){2,6}"
    r"|%s|%\(\w{1,60}\)[sdr]|\?|\$\d{1,3}|:[a-z_]\w{0,60}|\$?\{[\w.:!<>^+*-]{0,60}\}|\{\{.{0,60}\}\}|%\}.*|<\w{1,40}>"
    r"|\*+|\.{2,}|…|lambda.*|[xX]{3,}|\[\]|\{\}|\(\)"
)
# What a form or serializer says of a field: {"password": ["This field is required."]}
_COMPLAINT = re.compile(
    r"\[?(?:ErrorDetail\(string=)?['\"]?"
    r"(?:This|The|Your|Enter|Ensure|Please|Invalid|Not a|A valid|Unable|Incorrect|Must|May not|Either)\b"
    r"(?: [A-Za-z][a-z']{0,20},?| \d{1,4}){2,20}\.['\"]?(?:, ?code='\w{1,40}'\))?"
    r"(?:, ?['\"][A-Z][^'\"]{0,200}['\"])?\]?"
)
_MARKERS = (rules.FILTERED, rules.TOKEN, rules.CARD, rules.BYTES, rules.PEM, rules.IPV4, rules.IPV6)
_LONGEST_VALUE = 4096
_SHORTEST_QUOTED = 3
_SHORTEST_NUMBER = 3
_KEY_FILE = re.compile(r"(?:/[\w.-]{1,60}){1,8}\.(?:pem|key|crt|p12)")
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
_LONGEST_INDENT = 400
_BRACKETS = {"[": "]", "{": "}", "(": ")"}


def assignments(text: str, names: Names, source: bool = False) -> Iterator[Span]:
    """Yield the value of each sensitive name in `text`. With `source`, the text is a line of Python."""
    done = 0
    yield from form_values(text, names)
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
        if verdict is Verdict.HARMLESS:
            continue
        value = _value(text, word, start, end, source and not _in_literal(text, start, end))
        if value is None:
            continue
        first, last = value
        shown = text[first:last]
        if _stays(shown, word) or (verdict is Verdict.DESCRIBES and is_description(shown)):
            continue
        # key="password" value="x" names a secret and is none.
        if word.lower() == "key" and names.verdict(shown) is not Verdict.HARMLESS:
            continue
        done = last
        yield Span(first, last, rules.CARD if _is_written_card(shown) else rules.FILTERED, "name")


def _in_literal(line: str, start: int, end: int) -> bool:
    """Say whether a name in a line of Python is a part of a string literal: conn = "host=db password=..."."""
    quote = ""
    for found in _LITERAL_EDGE.finditer(line, 0, start):
        if not quote:
            quote = found[0]
        elif found[0] == quote:
            quote = ""
    return bool(quote) and not line.startswith(quote, end)


def _is_written_card(value: str) -> bool:
    digits = re.sub(r"[ -]", "", value)
    return (
        digits.isdigit()
        and digits.isascii()
        and (is_card(digits) or re.fullmatch(r"\d{4}(?:-\d{4}){3}", value) is not None)
    )


def _stays(value: str, name: str) -> bool:
    bare = value.strip(" '\"\\.,:!?)]}>[{(").lower()
    return (
        (not bare and not value.strip(" \\'\""))
        or bare in rules.PLAIN_VALUES
        or (bare.replace("_", "").isalpha() and name.lower().endswith(bare))  # client(access_key_id=key_id)
        or (bare.isdigit() and len(bare) < _SHORTEST_NUMBER)  # tokens: 3
        or _KEY_FILE.fullmatch(value) is not None
        or value in _MARKERS
        or (value.startswith(rules.FILTERED) and len(value) == len(rules.FILTERED))
        or _PLACEHOLDER.fullmatch(value) is not None
        or _COMPLAINT.fullmatch(value) is not None
    )


def _value(text: str, name: str, start: int, end: int, source: bool) -> tuple[int, int] | None:
    if name.lower() in rules.WHOLE_LINE_NAMES and (line := _LINE.match(text, end)):
        return None if _CODE.fullmatch(line["value"]) else line.span("value")
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
    if sep == ">" and text[start - 1 : start] != "<":
        return None
    found = _read(text, name, at, sep.strip(), bool(quoted), source)
    # Unexpected token '<' at position 0
    is_parser = not sep.strip() and _PARSER.search(text[max(0, start - _LONGEST_BEGUN) : start])
    return None if found and (is_parser or (not sep.strip() and found[1] - found[0] < _SHORTEST_QUOTED)) else found


def _in_pair(text: str, start: int, at: int) -> bool:
    """Say whether the name at `start` opens a pair such as `('Authorization', 'x')`."""
    opening = _NAME_BEGUN.sub("", text[max(0, start - _LONGEST_BEGUN) : start]).rstrip("\\\"'b")
    if not opening.endswith(("(", "[")):
        return False
    value = _quoted(text, at)
    return (
        value is not None
        and re.match(r"\\{0,4}[\"'],?\s?[\])]", text[value[1] : value[1] + 12]) is not None
        and not (text[value[0] : value[1]].replace("_", "").isalpha() and text[value[0] : value[1]].islower())
    )


def _read(text: str, name: str, at: int, sep: str, quoted: bool, source: bool) -> tuple[int, int] | None:
    if at >= len(text):
        return None
    if literal := _quoted(text, at):
        if sep == "is" or sep == "," or name.lower() != "key" or quoted or "=" in sep:
            return literal
        return None
    if source:
        if text[at] in "[(" and re.match(r"[\[(]\s?['\"]", text[at : at + 4]):
            return at, _closing_bracket(text, at)
        number = re.compile(r"\d{4,}").match(text, at)
        return number.span() if number else None
    if sep == ":" and (begins := _BLOCK_BEGINS.match(text, at)):
        return _block(text, at, len(begins["indent"]))
    if sep in (":", "=", "=>", ":=") and text[at] in _BRACKETS and not text.startswith(_MARKERS, at):
        return at, _closing_bracket(text, at)
    if _CODE.match(text, at) or (name.lower() == "key" and _ARGUMENT.match(text, at - 6 if at > 6 else 0)):
        return None
    if sep == ">":
        return at, text.index("</", at)
    word = _UNQUOTED.match(text, at)
    if word is None:
        return None
    first, last = word.span()
    value = word[0]
    if value[0] == "<" and (closing := text.find(">", at, at + _LONGEST_VALUE)) > 0:
        last = closing + 1
    elif not value.startswith(_MARKERS):
        if not any(bracket in value for bracket in "([{"):
            last = first + len(value.rstrip(")]}>,"))
    else:
        marker = next(marker for marker in _MARKERS if value.startswith(marker))
        if value[len(marker) :][:1] in ("", *")]}>,.;:'\""):
            return None
    value = text[first:last].strip(".,;:")
    if sep in _WORDY and value.isalpha() and (value.islower() or value.istitle()):
        return None
    # sorted by key=name, key=str.lower
    if name.lower() == "key" and not quoted and value.replace(".", "").replace("_", "").isalpha():
        return None
    return (first, last) if last > first else None


def _block(text: str, at: int, indent: int) -> tuple[int, int] | None:
    line = re.split(r"\n|\\n", text[max(0, at - _LONGEST_INDENT) : at])[-1]
    is_deeper = indent > len(line) - len(line.lstrip())
    block = _BLOCK.match(text, at) if is_deeper else None
    return block.span("value") if block else None


def _quoted(text: str, at: int) -> tuple[int, int] | None:
    opening = _OPENING.match(text, at)
    if opening is None:
        return None
    quote, first = opening["quote"], opening.end()
    if text.startswith(quote * 2, first):
        quote, first = quote * 3, first + 2 * len(quote)
    at = first
    while True:
        closing = (
            min(
                (
                    found
                    for each in _CLOSING.get(quote, ())
                    if (found := text.find(each, at, first + _LONGEST_VALUE)) >= 0
                ),
                default=-1,
            )
            if quote in _CLOSING
            else text.find(quote, at, first + _LONGEST_VALUE)
        )
        if closing < 0:
            line = text.find("\n", first)
            return first, line if line >= 0 else len(text)
        if text[closing - 1] != "\\" or closing == first or (quote[0] != "\\" and _even_backslashes(text, closing)):
            return first, closing
        at = closing + 1


def _even_backslashes(text: str, at: int) -> bool:
    count = 0
    while at > count and text[at - 1 - count] == "\\" and count < 64:
        count += 1
    return count % 2 == 0


def _closing_bracket(text: str, at: int) -> int:
    depth, quote = 0, ""
    for i in range(at, min(len(text), at + _LONGEST_VALUE)):
        char = text[i]
        if quote:
            if char == quote and text[i - 1] != "\\":
                quote = ""
        elif char in "'\"":
            quote = char
        elif char in "[{(":
            depth += 1
        elif char in "]})":
            depth -= 1
            if depth == 0:
                return i + 1
    line = text.find("\n", at)
    return line if line >= 0 else len(text)
