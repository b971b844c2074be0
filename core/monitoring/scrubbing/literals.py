"""Read a value from its first sign to its last: quotations, brackets, blocks of lines."""

from __future__ import annotations

import re

QUOTE = r"\\{0,8}[\"'`]|[\u201c-\u201f\u2018-\u201b\xab\xbb]|%2[27]|&quot;|&\#3[49];|\\u002[27]"
# What closes a quotation that is not closed by what opened it.
_CLOSING = {
    "\u201c": "\u201d",
    "\u201e": "\u201c\u201d",
    "\u2018": "\u2019",
    "\u201a": "\u2018\u2019",
    "\xab": "\xbb",
    "\xbb": "\xab",
}
_OPENING = re.compile(rf"[fFrRbBuU]{{0,2}}(?P<quote>{QUOTE})")
# A block of YAML: `|`, then lines that are further in than their name.
BLOCK_BEGINS = re.compile(r"[|>][+-]?\d?[ \t]{0,8}(?:\r?\n|\\n)(?P<indent>[ \t]{1,200})")
_BLOCK = re.compile(
    BLOCK_BEGINS.pattern + r"(?P<value>(?:[^\n\\]|\\(?!n))+(?:(?:\r?\n|\\n){1,200}(?P=indent)(?:[^\n\\]|\\(?!n))+)*)"
)
LONGEST_VALUE = 4096
_LONGEST_INDENT = 400


def block(text: str, at: int, indent: int) -> tuple[int, int] | None:
    """Return where the lines of a block of YAML are that begins at `at`, `indent` blanks further in."""
    line = re.split(r"\n|\\n", text[max(0, at - _LONGEST_INDENT) : at])[-1]
    is_deeper = indent > len(line) - len(line.lstrip())
    block = _BLOCK.match(text, at) if is_deeper else None
    return block.span("value") if block else None


def quotation(text: str, at: int) -> tuple[int, int] | None:
    """Return where the text of the quotation is that opens at `at`, up to its line's end if nothing closes it."""
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
                    if (found := text.find(each, at, first + LONGEST_VALUE)) >= 0
                ),
                default=-1,
            )
            if quote in _CLOSING
            else text.find(quote, at, first + LONGEST_VALUE)
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


def closing_bracket(text: str, at: int) -> int:
    """Return where what the bracket at `at` opens ends, which is its line's end if nothing closes it."""
    depth, quote = 0, ""
    for i in range(at, min(len(text), at + LONGEST_VALUE)):
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
