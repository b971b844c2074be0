"""Read a text through its escapes: what `%40`, `\\u0040`, `&#64;`, `\\n` or a terminal's colour stand for.

A secret in a query string, in JSON within JSON or in a coloured log line looks like any other once that is read.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import NamedTuple

# None of the escapes does without one of these.
ESCAPE_SIGNS = "%\\&+\x1b"
_SIGNS = re.compile(f"[{re.escape(ESCAPE_SIGNS)}]")
_ESCAPE = re.compile(
    r"%(?P<url>[0-9A-Fa-f]{2})|\\{1,8}(?:x(?P<x>[0-9A-Fa-f]{2})|u(?P<u>[0-9A-Fa-f]{4})|(?P<sign>[nrt\"'`/]))"
    r"|&(?:#(?P<number>\d{1,6})|#[xX](?P<hex>[0-9A-Fa-f]{1,5})|(?P<name>amp|lt|gt|quot|apos));|\x1b\[[0-9;]{0,12}[A-Za-z]"
)
# A form has `+` for blanks, and so no blanks.
_FORM = re.compile(r"[^\s=]{1,200}=\S*")
_SIGN = {"n": "\n", "r": "\r", "t": "\t", "amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
# Stands for a byte of a letter beyond ASCII, of which only matters that it is one.
_LETTER = "\u00e9"
_LAYERS = 3


class Decoded(NamedTuple):
    """A text without its escapes, and for each of its characters and its end where it stands in the original."""

    text: str
    offsets: list[int]


def decoded(text: str) -> Decoded | None:
    """Return `text` with its escapes read, three layers deep; None if it has none."""
    if _SIGNS.search(text) is None:
        return None
    offsets, read = list(range(len(text) + 1)), text
    for _ in range(_LAYERS):
        layer = _layer(read)
        if layer is None:
            break
        read, places = layer
        offsets = [offsets[place] for place in places]
    if "+" in text and _FORM.fullmatch(text):
        # An escaped one is no blank.
        read = "".join(" " if sign == "+" == text[at] else sign for sign, at in zip(read, offsets, strict=False))
    return Decoded(read, offsets) if read != text else None


def _layer(text: str) -> tuple[str, list[int]] | None:
    parts: list[str] = []
    places: list[range | tuple[int]] = []
    at = 0
    for found in _ESCAPE.finditer(text):
        start, end = found.span()
        parts += (text[at:start], _meaning(found))
        places += (range(at, start), (start,))
        at = end
    if not at:
        return None
    parts.append(text[at:])
    places.append(range(at, len(text) + 1))
    return "".join(parts), list(chain.from_iterable(places))


def _meaning(escape: re.Match[str]) -> str:
    kind = escape.lastgroup
    if kind is None:  # a colour
        return " "
    value = escape[kind]
    if kind in ("sign", "name"):
        return _SIGN.get(value, value)
    code = int(value, 10 if kind == "number" else 16)
    return chr(code) if code < 128 else _LETTER
