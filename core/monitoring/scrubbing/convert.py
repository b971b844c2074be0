"""What values come as, and what they are: reprs, other mappings, subclasses, objects."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import islice
from typing import Any


def as_text(name: Any) -> str:
    """Return a dictionary's key as a string; `str()` of a subclass may be anything."""
    return str.__str__(name) if isinstance(name, str) else repr(name)


def bare(text: str) -> str:
    """Return a text without the quotes of a repr, as which the SDK sends local variables."""
    return text.strip("'\"")


def is_flag(text: str) -> bool:
    """Say whether a text looks like an option of a command line: `--password`, also as a repr."""
    return text.lstrip("'\"")[:1] == "-"


def as_plain(item: Any) -> str | int | float:
    """Return an instance of a subclass as one of the class itself, anything unknown as its repr."""
    if isinstance(item, int):
        return int(item)
    return float(item) if isinstance(item, float) else as_text(item)


def becomes_text(value: Any) -> bool:
    """Say whether a value leaves as a text: a string does, and what can't be sent as it is."""
    if isinstance(value, float):
        return not math.isfinite(value)
    return not isinstance(value, Mapping | list | tuple | set | frozenset | int | None)


def as_container(value: Any, most: int) -> tuple[dict[Any, Any] | list[Any], int]:
    """Return the first items of any container as a new dict or list, and how many there are besides."""
    kept = dict(islice(value.items(), most)) if isinstance(value, Mapping) else list(value)[:most]
    return kept, len(value) - len(kept)
