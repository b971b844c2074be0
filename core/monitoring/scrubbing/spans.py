"""What a rule finds in a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple


class Span(NamedTuple):
    """A part of a text, from `start` up to `end`, and what replaces it."""

    start: int
    end: int
    becomes: str
    rule: str


Finder = Callable[[str], Iterator[Span]]
