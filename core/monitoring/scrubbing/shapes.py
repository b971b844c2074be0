"""A bounded memory of texts that no rule has to read, whatever their digits are: `stored part 34 of 50 in 4.857 s`.

Most texts of a running server differ from earlier ones in nothing but numbers. The gates look at most digits as at any
other, so that what they said of one text holds for all of its shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

DIGITS_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
# Behind these a digit is part of an escape, or of an address in memory.
_WHERE_DIGITS_MATTER = ("%", "\\", "&", "0x")
_LONGEST = 2_000  # characters
_LETTER = re.compile("[A-Za-z]")


class Shapes:
    """Which shapes are known to be quiet. Holds no text: a shape is a hash."""

    MOST = 20_000  # of about 100 bytes each

    def __init__(self, needles: Iterable[str]) -> None:
        """Take what the gates look for word for word; where it has a digit, that digit matters."""
        self.quiet: set[int] = set()
        with_digits = [each for each in needles if any(map(str.isdigit, each)) and "%" not in each and "\\" not in each]
        # `1000.` is in too many shapes, so each text is looked at; a shape such as `v0.0-` is not remembered at all.
        self._telling = (*_WHERE_DIGITS_MATTER, *(each for each in with_digits if not _LETTER.search(each)))
        self._telling_shapes = {_zeros(each) for each in with_digits if _LETTER.search(each)}

    def of(self, texts: list[str]) -> list[int | None]:
        """Return the shape of each text, None if it has no digits or they may matter."""
        joined = "\n".join(texts)
        telling = [each for each in self._telling if each in joined]
        shapes: list[int | None] = []
        for text in texts:
            bare = text.encode("ascii", "replace")
            zeros = bare.translate(DIGITS_AS_ZEROS)
            is_known = zeros != bare and len(bare) <= _LONGEST and text.isascii()
            shapes.append(hash(zeros) if is_known and not any(map(text.__contains__, telling)) else None)
        return shapes

    def remember_quiet(self, texts: Mapping[int, str]) -> None:
        """Keep that no rule has to read texts of these shapes, of which each comes with one of its texts."""
        joined = _zeros("\n".join(texts.values()))
        telling = [each for each in self._telling_shapes if each in joined]
        shapes = {shape for shape, text in texts.items() if not any(map(_zeros(text).__contains__, telling))}
        if len(self.quiet) + len(shapes) > self.MOST:
            # A new set, so that another thread that reads the old one is not disturbed.
            self.quiet = set()
        if len(shapes) <= self.MOST:
            self.quiet |= shapes


def _zeros(text: str) -> bytes:
    return text.encode("ascii", "replace").translate(DIGITS_AS_ZEROS)
