"""A bounded memory of texts that no rule has to read, whatever their digits are: `stored part 34 of 50 in 4.857 s`.

Most texts of a running server differ from earlier ones in nothing but numbers. The gates look at most digits as at any
other, so that what they said of one text holds for all of its shape.
"""

from __future__ import annotations

from collections.abc import Iterable

DIGITS_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
# Behind these a digit is part of an escape, or of an address in memory.
_WHERE_DIGITS_MATTER = ("%", "\\", "&", "0x")
_LONGEST = 2_000  # characters


class Shapes:
    """Which shapes are known to be quiet. Holds no text: a shape is a hash."""

    MOST = 20_000  # of about 100 bytes each

    def __init__(self, needles: Iterable[str]) -> None:
        """Take what the gates look for word for word; where it has a digit, that digit matters."""
        self.quiet: set[int] = set()
        with_digits = {each for each in needles if any(map(str.isdigit, each)) and "%" not in each and "\\" not in each}
        self._telling = (*_WHERE_DIGITS_MATTER, *with_digits)

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

    def remember_quiet(self, shapes: set[int]) -> None:
        """Keep that no rule has to read texts of these shapes."""
        if len(self.quiet) + len(shapes) > self.MOST:
            # A new set, so that another thread that reads the old one is not disturbed.
            self.quiet = set()
        if len(shapes) <= self.MOST:
            self.quiet |= shapes
