"""Is this name sensitive? Names are compared by segments, so every spelling of `api_key` is one name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from enum import IntEnum
from itertools import compress
from operator import itemgetter

from core.monitoring import rules


class Verdict(IntEnum):
    """What a name says about its value."""

    HARMLESS = 0
    DESCRIBES = 1  # of a secret, like `max_tokens`: a number or a word stays, anything else goes
    SENSITIVE = 2


_SEGMENT = re.compile(r"[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
# A number, a date, an address or a path without a query, a list of such, or a few plain words: what a describing name
# may hold.
_DESCRIPTION = re.compile(
    r"https?://[\w.:-]{1,100}(?:/[\w./-]{0,200})?|(?:/[\w.-]{1,60}){1,8}|\.?(?:[\w-]{1,40}\.){1,5}[a-z]{2,10}"
    r"|\[(?:['\"][\w.:/-]{1,100}['\"],? ?){1,20}\]?|"
    r"[-+]?\d{1,15}(?:\.\d{1,6})?|\d{4}-\d\d-\d\d[T ]?[\d:.+Z-]{0,32}|[A-Za-z]{1,24}(?:[ _./:-][A-Za-z]{1,24}){0,8}|"
)
_MARKER = re.compile(r"\[(?:Filtered|REDACTED)[^\]]{0,12}\]")
_CLASS_PATH = re.compile(r"(?:[a-z_]\w*\.)+[A-Z][a-z]+[A-Z]\w+|[A-Z][A-Za-z]{47,}")
_NAME = re.compile(r"b?['\"]?[\w .:$@%\[\]-]*['\"]?")
_LONGEST_NAME = 200
# Such a short name holds nothing that a value rule looks for.
PLAIN_NAME = re.compile(r"[A-Za-z_.-]{1,32}|[A-Za-z_][A-Za-z0-9_]{0,14}|[a-z]{1,20}(?:[._-][a-z]{1,20}){1,7}")
_LAST_OF_A_NAME = rules.SENSITIVE_WORDS | {"key", "number", "code", "address", "phrase"}
_ENDING = re.compile(rf"(?:{'|'.join(rules.SENSITIVE_ENDINGS)})$")
_ENDS = frozenset(ending[-2:] for ending in rules.SENSITIVE_ENDINGS)
_LAST_TWO = itemgetter(slice(-2, None))
_WORDS_BEFORE = re.compile(r"(?<![\w-])(?:(?P<first>[A-Za-z]{2,20}) )?(?P<second>[A-Za-z]{2,20}) $")
_REMEMBERED = 20_000
_LETTERS = re.compile(r"[a-z]+")


def _by_longest_word(phrases: Iterable[tuple[str, ...]]) -> dict[str, list[frozenset[str]]]:
    """Return for the longest word of each phrase the others, of which all have to be there, too."""
    found: dict[str, list[frozenset[str]]] = {}
    for phrase in phrases:
        words = {word for word in phrase if word.isascii()}
        longest = max(sorted(words), key=len, default=None)
        if longest is not None:
            found.setdefault(longest, []).append(frozenset(words - {longest}))
    return found


def segments(name: str) -> tuple[str, ...]:
    """Split a name in any spelling into lower-case segments without digits: `X-API-Key2` is `("x", "api", "key")`."""
    if "%" in name:
        name = _ESCAPE.sub("_", name)
    return tuple(part.lower() for part in _SEGMENT.findall(name[:_LONGEST_NAME]))


class Names:
    """The sensitive names of `rules.py` and those that a host adds."""

    def __init__(self, extra: Iterable[str] = (), keep: Iterable[str] = ()) -> None:
        """Take further sensitive names and names that stay, both in any spelling."""
        self._phrases: dict[str, list[tuple[str, ...]]] = {}
        added = {segments(name) for name in extra} - {()}
        for phrase in rules.SENSITIVE_PHRASES | added:
            self._phrases.setdefault(phrase[0], []).append(phrase)
        self.added = added
        self._last_words = {phrase[-1] for phrase in rules.SENSITIVE_PHRASES | added if len(phrase) > 1}
        alone = {tuple(name.split("_")) for name in rules.SENSITIVE_ALONE}
        self._others = _by_longest_word(rules.SENSITIVE_PHRASES | added | alone)
        # Are in no word of ASCII letters, as which texts are looked through.
        self.foreign = {
            word for word in rules.SENSITIVE_WORDS.union(*rules.SENSITIVE_PHRASES, *added) if not word.isascii()
        }
        # By hash: what is remembered holds no text.
        self._known: dict[int, Verdict] = {}
        self._keep = {segments(name) for name in keep} - {()}

    def verdict(self, name: str) -> Verdict:
        """Say what `name` (a dictionary key, a parameter, a header, a column) says about its value."""
        key = hash(name)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known = {}
            known = self._known[key] = self._judge(name)
        return known

    def telling(self, words: set[str]) -> set[str]:
        """Return what some lower-case `words` have without which no name is sensitive: few words and endings."""
        endings = filter(None, map(_ENDING.search, compress(words, map(_ENDS.__contains__, map(_LAST_TWO, words)))))
        whole = (word for word in words & self._others.keys() if any(map(words.issuperset, self._others[word])))
        return (words & rules.SENSITIVE_WORDS).union(whole, (ending[0] for ending in endings))

    def begins(self, text: str, start: int, end: int) -> int:
        """Say where the name whose last word is `text[start:end]` begins: at `one` in `your one time code: 7`."""
        if text[start:end].lower() in self._last_words and (
            words := _WORDS_BEFORE.search(text, max(0, start - 60), start)
        ):
            for begin in (words.start("first"), words.start("second")):
                if begin >= 0 and self.has_phrase(segments(text[begin:end]), last=True):
                    return begin
        return start

    def _judge(self, name: str) -> Verdict:
        # Most names have none of these words, which takes a tenth of the time to see.
        is_plain = (
            name.isascii()
            and "%" not in name
            and "[" not in name
            and (name.islower() or name.isupper() or name.istitle())
        )
        if is_plain and not self.telling(set(_LETTERS.findall(name.lower()))):
            return Verdict.HARMLESS
        if "[" in name:
            name = _MARKER.sub("", name)
        if ": " in name or not _NAME.fullmatch(name, 0, _LONGEST_NAME):
            return Verdict.HARMLESS
        parts = segments(name)
        if not parts or (("." in name or len(name) > 47) and _CLASS_PATH.fullmatch(name)) or parts in self._keep:
            return Verdict.HARMLESS
        if parts in self.added:
            return Verdict.SENSITIVE
        if (spaces := name.count(" ")) > 2 or (spaces == 2 and parts[-1] not in _LAST_OF_A_NAME):
            # "Token refresh failed" is a sentence, "social security number" is a name.
            return Verdict.HARMLESS
        is_near_miss = parts in rules.NEAR_MISSES or parts[-2:] in rules.NEAR_MISSES or parts[-1] in rules.PUBLIC_ENDS
        if is_near_miss and parts[-3:] not in rules.SENSITIVE_PHRASES:
            return Verdict.HARMLESS
        if not (self._has_word(parts) or self.has_phrase(parts) or "_".join(parts) in rules.SENSITIVE_ALONE):
            return Verdict.HARMLESS
        describes = parts[-1] in rules.DESCRIBING_ENDS or parts[0] in rules.DESCRIBING_STARTS or "max" in parts
        if len(parts) > 1 and describes:
            return Verdict.DESCRIBES
        return Verdict.SENSITIVE

    @staticmethod
    def _has_word(parts: tuple[str, ...]) -> bool:
        return any(part in rules.SENSITIVE_WORDS or part.endswith(rules.SENSITIVE_ENDINGS) for part in parts)

    def has_phrase(self, parts: tuple[str, ...], *, last: bool = False) -> bool:
        """Say whether some segments have a sensitive phrase in them, with `last` at their end."""
        return any(
            parts[i : i + len(phrase)] == phrase and (not last or i + len(phrase) == len(parts))
            for i, part in enumerate(parts)
            for phrase in self._phrases.get(part, ())
        )


def is_description(value: object) -> bool:
    """Say whether the value of a describing name may stay: numbers, words, dates and paths of modules do.

    What is in a container is judged by itself.
    """
    if isinstance(value, float):
        return math.isfinite(value)
    if not isinstance(value, str):
        return isinstance(value, int | Mapping | list)
    return len(value) < 100 and _DESCRIPTION.fullmatch(value.strip("'\"")) is not None
