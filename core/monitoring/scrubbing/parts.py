"""A bounded memory of parts of payloads: the frames, breadcrumb data and headers that an earlier event had, too."""

from __future__ import annotations

import marshal
from typing import Any

from core.monitoring.scrubbing.edits import Change, Edits, Path, remarks_of


class Parts:
    """What becomes of parts, by their number. Holds what has left, nothing that came in."""

    CLEAN = 40_000  # numbers of about 100 bytes each
    CHANGED_BYTES = 4_000_000
    MOST_SEEN = 20_000

    def __init__(self) -> None:
        """Know nothing yet."""
        self.clean: set[int] = set()
        self.changed: dict[int, Change] = {}
        self._bytes = 0
        self._seen_once: set[int] = set()

    def remember(self, found: dict[int, Path], edits: Edits, out: dict[str, Any]) -> None:
        """Keep what became, in the payload `out`, of the parts with these numbers at these paths, if seen before.

        Most that is new is never seen again: it has the time or the id of one request in it.
        """
        again = found.keys() & self._seen_once
        if len(self._seen_once) > self.MOST_SEEN:
            self._seen_once = set()
        self._seen_once.update(found)
        for number in again:
            change = edits.found(found[number])
            if change is None:
                self.remember_clean(number)
            else:
                self._remember_changed(number, found[number], change, out)

    def remember_clean(self, number: int) -> None:
        """Keep that the part with this number stays as it is."""
        if len(self.clean) >= self.CLEAN:
            # A clear() would change it under another thread's eyes.
            self.clean = set()
        self.clean.add(number)

    def _remember_changed(self, number: int, path: Path, change: Change, out: dict[str, Any]) -> None:
        try:
            written = marshal.dumps((_at(out, path), remarks_of(change)))
        except (LookupError, ValueError):  # it stands below a name that was changed
            return
        # What is read has about three times that size.
        size = 1_000 + 3 * len(written)
        if size > self.CHANGED_BYTES // 100:
            return
        if self._bytes + size > self.CHANGED_BYTES:
            self.changed, self._bytes = {}, 0
        self._bytes += size
        # A copy, which nobody else holds.
        value, remarks = marshal.loads(written)  # noqa: S302  # written above
        self.changed[number] = Change(value, remarks=remarks)


def _at(out: Any, path: Path) -> Any:
    return out if path is None else _at(out, path[0])[path[1]]
