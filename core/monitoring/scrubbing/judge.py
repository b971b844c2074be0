"""What becomes of texts and names, and the memory of those already judged."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from core.monitoring.scrubbing.convert import as_plain, bare, becomes_text, is_flag
from core.monitoring.scrubbing.gates import Gates
from core.monitoring.scrubbing.memory import Judged, Memory
from core.monitoring.scrubbing.names import PLAIN_NAME, Names, Verdict
from core.monitoring.scrubbing.parts import Parts
from core.monitoring.scrubbing.payload import COMMON_NAMES
from core.monitoring.scrubbing.text import LIMIT, Remark, TextRules

_NAMES_REMEMBERED = 10_000
_PAIR_NAME = re.compile(r"[\w.\[\]-]{1,64}")
_LOOKS = 4


class Judge:
    """The rules, ready to be applied, and what is known from earlier payloads."""

    def __init__(
        self,
        sensitive_keys: Iterable[str],
        keep_fields: Iterable[str],
        roots: tuple[str, ...],
        patterns: Mapping[str, re.Pattern[str]],
    ) -> None:
        """Take what a host adds to the rules: names, private roots without a slash at the end, compiled patterns."""
        self.names = Names(sensitive_keys, keep_fields)
        self.rules = TextRules(self.names, roots, patterns)
        self.gates = Gates(self.names, roots, tuple(patterns.values()))
        self.texts = Memory()
        self.lines = Memory()
        self.parts = Parts()
        # Hashes of names that neither are sensitive nor hold anything.
        self.plain_names: set[int] = set()
        for name in COMMON_NAMES:
            self.name(name)

    def judge(self, texts: Mapping[int, str], *, source: bool = False) -> dict[int, Judged]:
        """Return what becomes of each text that does not stay; both are by its hash. With `source`, texts are code."""
        memory = self.lines if source else self.texts
        clean, changed = memory.clean, memory.changed
        found = {key: changed[key] for key in texts if key in changed}
        fresh = [key for key in texts if key not in clean and key not in found]
        if fresh:
            for key, judged in self._redact({key: texts[key] for key in fresh}, source=source).items():
                found[key] = judged
                memory.remember_changed(key, judged)
            # A flag such as `--password` is looked at each time, because of what follows it.
            memory.remember_clean({key for key in fresh if key not in found and not is_flag(texts[key])})
        return found

    def _redact(self, texts: dict[int, str], *, source: bool) -> dict[int, Judged]:
        found: dict[int, Judged] = {}
        # A replacement can complete something that a rule then sees; further looks make scrubbing idempotent.
        for _ in range(_LOOKS):
            keys, changed = list(texts), dict[int, str]()
            for index, finders in self.gates.needs(list(texts.values())).items():
                key = keys[index]
                after, remarks = self.rules.redact(texts[key], source=source, only=finders)
                if not remarks or (key in found and after == texts[key]):
                    continue
                if key in found:  # where things stand in the text before is not where they stand now
                    remarks = [Remark(remark.rule, -1, -1) for remark in (*found[key].remarks, *remarks)]
                found[key] = Judged(after, remarks)
                changed[key] = after
            if not changed:
                break
            texts = changed
        return found

    def verdict(self, name: str) -> Verdict:
        """Return what `name` says about its value."""
        return self.names.verdict(name)

    def pair(self, name: object) -> Verdict:
        """Return what a name says about the value beside it, in a pair such as `["password", "x"]`."""
        text = bare(name) if isinstance(name, str) else ""
        return self.names.verdict(text) if _PAIR_NAME.fullmatch(text) else Verdict.HARMLESS

    def is_option(self, item: str, following: list[Any]) -> bool:
        """Say whether `item` is a flag such as `--password` that has its value in the first of `following`."""
        is_whole = "=" not in item and " " not in item and self.names.verdict(item) is Verdict.SENSITIVE
        return is_whole and bool(following) and becomes_text(following[0]) and not is_flag(str(as_plain(following[0])))

    def name(self, name: str) -> tuple[str, Verdict]:
        """Return a dictionary's key as it may leave, and what it says about its value."""
        if hash(name) in self.plain_names:
            return name, Verdict.HARMLESS
        key = name
        if not PLAIN_NAME.fullmatch(name):
            start = name[: LIMIT + 1]
            judged = self.judge({hash(start): start})
            key = judged[hash(start)].text if judged else name
        # Of `b"password"`, a rule leaves nothing to judge.
        verdict = max(self.names.verdict(key), self.names.verdict(name))
        if verdict is Verdict.HARMLESS and key == name:
            if len(self.plain_names) >= _NAMES_REMEMBERED:
                self.plain_names = set()
            self.plain_names.add(hash(name))
        return key, verdict
