"""Tell at once which of many texts can hold something to redact, and which finders have to read each of them.

All texts are joined and looked through in bulk, with searches that run at the speed of C. A gate may be wrong in
one direction only: what a finder would redact must pass to it. Tests hold the gates against every rule's examples.
"""

from __future__ import annotations

import re
import string
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate, compress, filterfalse
from operator import itemgetter
from typing import Final

from core.monitoring.scrubbing import vendors
from core.monitoring.scrubbing.assignments import BEHIND, NEXT_LINE
from core.monitoring.scrubbing.decoded import ESCAPE_SIGNS, decoded
from core.monitoring.scrubbing.forms import CELL_ENDS, COLUMN_ENDS, ELEMENT
from core.monitoring.scrubbing.names import Names, Verdict, segments
from core.monitoring.scrubbing.needles import COMMANDS, IN_LOWER_CASE, NEEDLES, NEEDLES_OF_WORDS, WITH_DIGITS_AS_ZEROS
from core.monitoring.scrubbing.said import said_values
from core.monitoring.scrubbing.shapes import DIGITS_AS_ZEROS, Shapes
from core.monitoring.scrubbing.text import LIMIT
from core.monitoring.scrubbing.tokens import SHORTEST_TOKEN, blank_escapes, looks_random, wide_tokens

# Hits by the index of a text: the finders that have to read it. None stands for all of them.
Needs = dict[int, set[str] | None]

_BETWEEN = "\n\x00\n"
_FOUR_PARTS = re.compile(r"\.0{1,3}\.0{1,3}\.0")
_SHORTEST_CARD, _LONGEST_CARD = 13, 19
_RUN_OF_ZEROS = re.compile("0+")
_HEX_GROUPS = re.compile(r":[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:")
_DIGIT = re.compile(r"\d")
_WORD_SIGNS = string.ascii_letters + string.digits + "_-"


def _only(signs: str) -> bytes:
    """Return a table for `bytes.translate`, ten times as fast as that of `str`, in which only `signs` are no blanks."""
    return bytes(code if chr(code) in signs else ord(" ") for code in range(256))


_LETTERS, _WORDS, _WIDE_WORDS = _only(string.ascii_letters), _only(_WORD_SIGNS), _only(_WORD_SIGNS + "+/=")
_REST = re.compile(r"[\w-]{0,200}")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_AFTER_SCHEME = re.compile(r" {1,4}[\w.~+/-]|%20|\+")
_LONGEST_BEGUN = 200
_WORDS_BEFORE = re.compile(r"(?:[A-Za-z]{2,20} ){1,2}$")
_WORDS_AFTER = re.compile(r"(?: [A-Za-z]{2,20}){1,2}")
_LONGEST_PHRASE = 60
# What stands between a name and a value that is apart from it.
_APART = (CELL_ENDS, COLUMN_ENDS, ELEMENT, NEXT_LINE)
# Each word found is a search of the whole batch. With more of them, to read every text is cheaper.
_MOST_SEARCHED = 100
_MANY = 100
_SCHEMES = frozenset({"bearer", "basic", "token", "digest"})
_SHORTEST_IBAN = 15
# What keys begin with, up to the first sign that ends a word: the whole beginning, or a word of its own.
_HEAD_OF = {beginning: re.split(r"[^0-9A-Za-z_-]", beginning)[0] for _, beginning, _ in vendors.SHAPES}
_WHOLE_WORDS: Final[dict[str, list[str]]] = {}
for _beginning, _head in _HEAD_OF.items():
    if _head != _beginning:
        _WHOLE_WORDS.setdefault(_head, []).append(_beginning)
_BEGINNINGS = tuple(beginning for beginning, head in _HEAD_OF.items() if head == beginning)
# These also begin ordinary words (`AC`, `pat`), so the word has to be of some length.
_SHORT_BEGINNINGS = tuple(beginning for beginning in _BEGINNINGS if len(beginning) <= 3)
_SHORTEST_KEY = 8
# A word can only have one of the beginnings if its first signs are here: one lookup instead of five hundred.
_HEADS = frozenset(beginning[:3] for beginning in _BEGINNINGS)
_BY_HEAD = {head: tuple(each for each in _BEGINNINGS if each.startswith(head)) for head in _HEADS}
_FIRST_THREE = itemgetter(slice(3))
# What `looks_random` may say of a word, of many words at once.
_MAY_BE_RANDOM = re.compile(
    r"^(?![0-9a-f]{1,63}$)(?:.*[A-Za-z0-9]{16}.*|.{64,}|(?=.{22})(?=.*[A-Z])(?=.*[a-z])(?=.*\d.*\d).+)$", re.MULTILINE
)


class _Batch:
    """Texts joined to one, and what was found in them."""

    def __init__(self, texts: list[str]) -> None:
        self.joined = _BETWEEN.join(texts)
        self.needs: dict[int, set[str]] = {}
        self._starts = list(accumulate((len(text) + len(_BETWEEN) for text in texts), initial=0))

    def mark(self, at: int, finders: Iterable[str]) -> int:
        """Note that the text around `at` needs these finders, and return where the next text starts."""
        index = bisect_right(self._starts, at) - 1
        self.needs.setdefault(index, set()).update(finders)
        return self._starts[index + 1]

    def search(self, needle: str, finders: Iterable[str], where: str) -> None:
        """Note each text that has the needle; `where` is `joined` in another spelling of the same length."""
        # To look for one character alone is much faster, and most of them are rare.
        at = where.find(needle) if needle[0] in where else -1
        while at >= 0:
            at = where.find(needle, self.mark(at, finders))

    def search_each(self, words: set[str], finders: Iterable[str], where: str) -> None:
        """Note each text that has one of the words, or all texts if there are many words."""
        if len(words) > _MOST_SEARCHED:
            for start in self._starts[:-1]:
                self.mark(start, finders)
        else:
            for word in words:
                self.search(word, finders, where)


class Gates:
    """Bulk searches for what the finders look for."""

    def __init__(self, names: Names, roots: Iterable[str] = (), patterns: tuple[re.Pattern[str], ...] = ()) -> None:
        """Take the sensitive names, the private roots and a host's own patterns."""
        self._names = names
        self._patterns = patterns
        # Any spelling of a root's separators contains its longest part.
        longest = (max(re.split(r"[/\\]", root), key=len) for root in roots)
        self._needles = {**NEEDLES, **dict.fromkeys(longest, ("path",))}
        words = (needle for needle, _ in NEEDLES_OF_WORDS.values())
        self._shapes = Shapes([*self._needles, *words, *_HEAD_OF])

    def needs(self, texts: list[str]) -> Needs:
        """Return for the index of each text that a finder may change the names of these finders."""
        # A host's own patterns may look for any digit, and so many new texts are a process's first.
        if self._patterns or len(texts) > _MANY:
            return self._search(texts)
        quiet, first = self._shapes.quiet, dict[int, int]()
        read, like = [], dict[int, int]()
        for index, shape in enumerate(self._shapes.of(texts)):
            if shape is None:
                read.append(index)
            elif shape not in quiet:
                if first.setdefault(shape, index) == index:
                    read.append(index)
                else:
                    like[index] = first[shape]
        needs = self._search_some(texts, read) if read else {}
        if fresh := {shape: texts[index] for shape, index in first.items() if index not in needs}:
            self._shapes.remember_quiet(fresh)
        again = [index for index, other in like.items() if other in needs]
        return {**needs, **self._search_some(texts, again)} if again else needs

    def _search_some(self, texts: list[str], indexes: list[int]) -> Needs:
        found = self._search([texts[index] for index in indexes])
        return {indexes[at]: finders for at, finders in found.items()}

    def _search(self, texts: list[str]) -> Needs:
        long = [index for index, text in enumerate(texts) if len(text) > LIMIT]
        short = ["" if len(text) > LIMIT else text for text in texts] if long else texts
        read = dict(_read(short))
        batch = _Batch([*short, *read.values()])
        text = batch.joined
        for needle, finders in self._needles.items():
            batch.search(needle, finders, text)
        if text.isascii():
            zeros = text.encode("ascii").translate(DIGITS_AS_ZEROS).decode("ascii")
        else:
            zeros = _DIGIT.sub("0", text)
            for word in self._names.foreign:
                batch.search(word, ("name",), text.lower())
            text = text.encode("ascii", "replace").decode("ascii")
        lower = text.lower()
        for needle, finders in IN_LOWER_CASE.items():
            batch.search(needle, finders, lower)
        for needle, finders in WITH_DIGITS_AS_ZEROS.items():
            batch.search(needle, finders, zeros)
        for pattern, where in ((_FOUR_PARTS, zeros), (_HEX_GROUPS, text)):
            for found in pattern.finditer(where):
                batch.mark(found.start(), ("ip",))
        _find_long_numbers(batch, zeros)
        spaced = blank_escapes(text)
        wide = _split(spaced, _WIDE_WORDS)
        words = _split(" ".join(wide), _WORDS)
        _find_tokens(batch, words, text)
        tokens = {word for word in wide if len(word) >= SHORTEST_TOKEN and any(wide_tokens(word))}
        batch.search_each(tokens, ("token",), spaced)
        names = _in_lower_case(words)
        for word in names & NEEDLES_OF_WORDS.keys():
            needle, finder = NEEDLES_OF_WORDS[word]
            batch.search(needle, (finder,), text)
        for word in names & COMMANDS:
            batch.search(word, ("command",), text)
        self._find_names(batch, names, lower if spaced is text else spaced.lower())
        for own in self._patterns:
            long += [index for index, each in enumerate(texts) if own.search(each) or own.search(read.get(index, ""))]
        for at, index in enumerate(read, len(texts)):
            if finders_of_view := batch.needs.pop(at, None):
                batch.needs.setdefault(index, set()).update(finders_of_view)
        return {**batch.needs, **dict.fromkeys(long)}

    def _find_names(self, batch: _Batch, words: set[str], lower: str) -> None:
        """Find the words that sensitive names are made of, where something that may be a value follows."""
        text = batch.joined
        for word in self._names.telling(words) | (words & _SCHEMES):
            at = lower.find(word)
            while at >= 0:
                end = _REST.match(text, at + len(word)).end()  # type: ignore[union-attr]  # may be empty, so it matches
                if self._may_have_value(text, at, end):
                    batch.mark(at, ("name",))
                if word in _SCHEMES and _AFTER_SCHEME.match(text, at + len(word)):
                    batch.mark(at, ("scheme",))
                at = lower.find(word, at + len(word))

    def _may_have_value(self, text: str, at: int, end: int) -> bool:
        """Say whether what has a word of a sensitive name at `at`, and ends at `end`, is one with a value behind it."""
        begun = _begun_word(text, at)
        name = begun.lstrip(string.digits) + text[at:end]
        before = text[at - len(begun) - 1 : at - len(begun)]
        # The letter of an escape belongs to no name, and of a longer or a foreign one this is only a part.
        is_whole = before not in ("\\", "%") and not before.isalnum() and len(name) < _LONGEST_BEGUN
        if is_whole and self._names.verdict(name) is Verdict.HARMLESS:
            return self._is_in_phrase(text, at - len(begun), end)
        behind = BEHIND.match(text, end)
        if "-" in begun or any(pattern.match(text, end) for pattern in _APART) or any(said_values(text, end)):
            return True
        return behind is not None and (behind["sep"] is not None or bool(behind["quote"]))

    def _is_in_phrase(self, text: str, start: int, end: int) -> bool:
        """Say whether a word is in a name of several, such as `one time code`."""
        if text[start - 1 : start] != " " and text[end : end + 1] != " ":
            return False
        before = _WORDS_BEFORE.search(text, max(0, start - _LONGEST_PHRASE), start)
        after = _WORDS_AFTER.match(text, end)
        words = (before[0] if before else "") + text[start:end] + (after[0] if after else "")
        return self._names.has_phrase(segments(words))


def _read(texts: list[str]) -> Iterator[tuple[int, str]]:
    """Yield those of many texts that have escapes without them, by their index."""
    joined = "".join(texts)
    signs = [sign for sign in ESCAPE_SIGNS if sign in joined]
    for index, text in enumerate(texts) if signs else ():
        for sign in signs:
            if sign in text:
                if view := decoded(text):
                    yield index, view.text
                break


def _split(text: str, table: bytes) -> set[str]:
    return set(text.encode("ascii").translate(table).decode("ascii").split())


def _in_lower_case(words: set[str]) -> set[str]:
    """Return the words of letters that some words are made of: `user` and `name` of `userName2`."""
    pieces = _split(" ".join(words), _LETTERS)
    mixed = list(filterfalse(str.islower, pieces))
    return {*pieces.difference(mixed), *map(str.lower, mixed), *map(str.lower, _HUMP.findall(" ".join(mixed)))}


def _find_long_numbers(batch: _Batch, zeros: str) -> None:
    shortest = "0" * _SHORTEST_CARD
    at = zeros.find(shortest)
    while at >= 0:
        end = _RUN_OF_ZEROS.match(zeros, at).end()  # type: ignore[union-attr]  # there are some at least
        at = zeros.find(shortest, batch.mark(at, ("card",)) if end - at <= _LONGEST_CARD else end)


def _find_tokens(batch: _Batch, words: set[str], text: str) -> None:
    for word in words & _WHOLE_WORDS.keys():
        for beginning in _WHOLE_WORDS[word]:
            batch.search(beginning, ("token",), text)
    found = {
        word
        for word in compress(words, map(_HEADS.__contains__, map(_FIRST_THREE, words)))
        if word.startswith(_BY_HEAD[word[:3]])
        and (len(word) >= _SHORTEST_KEY or not word.startswith(_SHORT_BEGINNINGS))
    }
    long = list(compress(words, map(_SHORTEST_IBAN.__le__, map(len, words))))
    found.update(word for word in long if word[:2] in _HEADS or (word[:2].isupper() and word[2:4].isdigit()))
    found.update(filter(looks_random, _MAY_BE_RANDOM.findall("\n".join(long))))
    batch.search_each(found, ("iban", "token"), text)


def _begun_word(text: str, at: int) -> str:
    """Return what stands before `at` in the same word: `--user_` in `--user_password`."""
    before = text[max(0, at - _LONGEST_BEGUN) : at]
    return before[len(before.rstrip(_WORD_SIGNS)) :]
