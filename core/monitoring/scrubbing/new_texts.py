"""The texts of one payload that were not seen before: collected on the way, judged all at once at its end."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from core.monitoring import rules
from core.monitoring.scrubbing.edits import Edits, Path
from core.monitoring.scrubbing.judge import Judge
from core.monitoring.scrubbing.payload import VERSION_NAMES

# Of all texts together. Trackers take no event that is as large.
MAX_CHARACTERS = 2_000_000
_VERSION = re.compile(r"v?\d{1,6}(?:\.\d{1,6}){1,4}")
# By a text's hash: the path of its container, the key there, the text.
Places = defaultdict[int, list[tuple[Path, Any, str]]]


class NewTexts:
    """Where the texts stand; `lines` are those of source code."""

    def __init__(self) -> None:
        """Begin with none."""
        self.texts: Places = defaultdict(list)
        self.lines: Places = defaultdict(list)
        self._characters = 0

    def redact(self, judge: Judge, edits: Edits) -> None:
        """Judge the texts and note what is to change."""
        for places, source in ((self.texts, False), (self.lines, True)):
            if places:
                self._judge(places, judge, edits, source=source)

    def _judge(self, places: Places, judge: Judge, edits: Edits, *, source: bool) -> None:
        texts = {number: same[0][2] for number, same in places.items()}
        for number in self._beyond_limit(texts):
            del texts[number]
            for path, key, _ in places[number]:
                edits.hide(path, key, "!limit", rules.CUT)
        for number, result in judge.judge(texts, source=source).items():
            for path, key, text in places[number]:
                # The four parts of a version are no address.
                if not (key in VERSION_NAMES and _VERSION.fullmatch(text)):
                    edits.hide_parts(path, key, result.text, result.remarks, len(text))

    def _beyond_limit(self, texts: dict[int, str]) -> list[int]:
        """Return those of many new texts that are too many to be read in time."""
        self._characters += sum(map(len, texts.values()))
        beyond = []
        for number in reversed(texts):
            if self._characters <= MAX_CHARACTERS:
                break
            beyond.append(number)
            self._characters -= len(texts[number])
        return beyond
