"""Find values behind sensitive names in sentences, calls and paths: `token a1b2 expired`, `setPassword("a1b2")`.

No sign says that a value follows, so only what looks like one goes: a word in which letters and digits take turns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# What stands between: an opening sign, dots to the next column, or a few words.
_WORDS = (
    "is|was|are|has|been|be|being|changed|set|reset|updated|rotated|now|from|to|as|equals|given|provided|used|entered"
    "|sent|called|named|with|value|string|of|for|SET|TO|FROM|AS"
)
_BETWEEN = re.compile(
    r"(?:\.\w{1,30})?\(\s?|\s?[\[{|]\s?|\s?\(|\s?\.{3,60}[ :]{0,2}"
    r"|(?:\s(?:for|of|FOR|OF) (?:(?:user|account|client|database|the) )?['\"]?[\w.@%'-]{1,64}['\"]?(?=[ :]))?"
    rf"(?:\s(?:{_WORDS})\b){{0,4}}\s?[:=]?\s{{1,4}}"
)
_WORD = re.compile(r"['\"`]?(?P<value>[^\s'\"`()\[\]{}<>|,;/\\]{1,200})(?![/\\])")
_SEGMENT = re.compile(r"/(?P<value>[\w.~+-]{6,200})(?![\w.~+-])")
_THEN = re.compile(r"['\"`]?\s(?:to|with|by)\s")
_DIGITS = re.compile(r"\d+")
_SIGN = re.compile(r"[!@#$%^&*?+~=](?=.)")
# Pieces of names, versions, numbers and times; a UUID is an id.
_PIECE = re.compile(r"[A-Za-z]*|\d{1,4}|[A-Za-z]+\d{1,4}|v?\d{1,4}(?:[a-z]{1,5}\d{0,3})?|(?:\d{1,4}(?:d|h|m|s|ms))+")
_PIECES = re.compile(r"[-_.:]")
_STAYS = re.compile(
    r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|\d{4}-\d\d-\d\d.*|0x[0-9A-Fa-f]+|[\w-]+(?:\.[\w-]+)+|\W.*"
)


def said_values(text: str, end: int) -> Iterator[tuple[int, int]]:
    """Yield where values of the sensitive name that ends at `end` are, as in `password changed from x to y`."""
    if segment := _SEGMENT.match(text, end):
        if looks_chosen(segment["value"]):
            yield segment.span("value")
        return
    between = _BETWEEN.match(text, end)
    while between and (word := _WORD.match(text, between.end())):
        value = word["value"].rstrip(".:!?=")
        if looks_chosen(value):
            yield word.start("value"), word.start("value") + len(value)
        between = _THEN.match(text, word.end())


def looks_chosen(word: str) -> bool:
    """Say whether a word looks like a password or a token, and not like a name, a number, a date or an id."""
    if len(word) < 6 or _STAYS.fullmatch(word) or all(map(_PIECE.fullmatch, _PIECES.split(word))):
        return False
    digits = len(_DIGITS.findall(word))
    return digits > 0 and any(map(str.isalpha, word)) and (digits > 1 or _SIGN.search(word) is not None)
