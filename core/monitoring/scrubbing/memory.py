"""A bounded memory of texts already judged: hashes of clean ones, and the clean results of changed ones."""

from __future__ import annotations

from typing import NamedTuple

from core.monitoring.scrubbing.text import Remark


class Judged(NamedTuple):
    """A text that was changed: what leaves, and why."""

    text: str
    remarks: list[Remark]


class Memory:
    """What is known of texts, by hash. Holds no text that came in.

    Python's string hash has 64 bits and is seeded per process, so neither can a text be read from it nor can two
    texts be made to share it on purpose. When one half is full it starts anew, which costs one event that is judged
    as the first one was, every thousand or so: at most about 4 MB for each half.
    """

    CLEAN = 40_000  # hashes of about 100 bytes each: an int and its place in the set
    CHANGED_BYTES = 4_000_000
    LONGEST = 1_000  # characters of a changed text that is kept

    def __init__(self) -> None:
        """Know nothing yet."""
        self.clean: set[int] = set()
        self.changed: dict[int, Judged] = {}
        self._bytes = 0

    def remember_clean(self, keys: set[int]) -> None:
        """Keep that the texts with these hashes may stay as they are."""
        if len(self.clean) + len(keys) > self.CLEAN:
            # A new set, so that another thread that reads the old one is not disturbed.
            self.clean = set()
        if len(keys) <= self.CLEAN:
            self.clean |= keys

    def remember_changed(self, key: int, judged: Judged) -> None:
        """Keep what becomes of the text with this hash."""
        if len(judged.text) > self.LONGEST:
            return
        # A character takes up to four bytes, a remark about 200 with its numbers.
        size = 300 + 4 * len(judged.text) + 200 * len(judged.remarks)
        if self._bytes + size > self.CHANGED_BYTES:
            self.changed, self._bytes = {}, 0
        self._bytes += size
        self.changed[key] = judged
