"""Scrub one string: ask every finder for spans, merge them, replace them.

Every pattern begins at a rare character or at a word found before, and every repetition is bounded or
cannot overlap with its neighbour, so that the time is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from core.monitoring import rules
from core.monitoring.scrubbing import addresses, content, digits, tokens
from core.monitoring.scrubbing.assignments import assignments
from core.monitoring.scrubbing.decoded import decoded
from core.monitoring.scrubbing.names import Names, Verdict
from core.monitoring.scrubbing.spans import Finder, Span

LIMIT = 32_768  # characters of one string that leave at most
_OVERLAP = 512  # characters behind the limit that are still read, so that a secret across it is seen whole


_PARAMETER = re.compile(r"%(?:\((?P<key>\w{1,60})\))?[-+ #0-9.]{0,8}[sdrifgxa]")
# Looks like a value, and like nothing that stands in a message.
_MARK = "Zq9Kx7"
_NAMED_MARK = re.compile(rf"\b(?P<name>[A-Za-z][\w-]{{1,60}})(?: (?:is|was|value))? ['\"]?(?P<mark>{_MARK}\d+)")


class Remark(NamedTuple):
    """A replaced part of the *new* text, as Sentry's `_meta` wants it; -1 where it isn't known."""

    rule: str
    start: int
    end: int


_FINDERS: dict[str, Finder] = {
    "url": addresses.url,
    "mail": addresses.mail,
    "ip": addresses.ip,
    "card": digits.card,
    "iban": digits.iban,
    "numbers": digits.numbers,
    "token": tokens.token,
    "scheme": tokens.scheme,
    "pem": tokens.pem,
    "database": content.database,
    "upload": content.upload,
    "command": content.command,
}


def _patterns_finder(patterns: Mapping[str, re.Pattern[str]]) -> Finder:
    """Return a finder for a host's own patterns."""

    def find(text: str) -> Iterator[Span]:
        for name, pattern in patterns.items():
            for found in pattern.finditer(text):
                if found.end() > found.start():
                    yield Span(found.start(), found.end(), rules.FILTERED, name)

    return find


class TextRules:
    """All value rules, ready to be applied to a string."""

    def __init__(
        self, names: Names, roots: tuple[str, ...] = (), patterns: Mapping[str, re.Pattern[str]] | None = None
    ) -> None:
        """Take the names, the private roots and the host's own compiled patterns."""
        self._names = names
        self._code: dict[str, Finder] = {
            **_FINDERS,
            **({"path": content.private_path_finder(roots)} if roots else {}),
            **({"patterns": _patterns_finder(patterns)} if patterns else {}),
            "name": partial(assignments, names=names, source=True),
        }
        self.finders: dict[str, Finder] = {
            **self._code,
            "name": partial(assignments, names=names),
            "bytes": content.bytes_literals,
        }

    def secret_params(self, message: str) -> set[int | str]:
        """Return which of a log message's parameters stand behind a sensitive name, by their numbers or names.

        `password=%s for %s` is {0}, `password=%(new)s` is {"new"}.
        """
        keys: list[int | str] = []

        def mark(parameter: re.Match[str]) -> str:
            keys.append(parameter["key"] or len(keys))
            return f"{_MARK}{len(keys) - 1}"

        marked = _PARAMETER.sub(mark, message)
        values = [marked[span.start : span.end] for span in assignments(marked, self._names)]
        for found in _NAMED_MARK.finditer(marked):  # password %s refused
            if self._names.verdict(found["name"]) is Verdict.SENSITIVE:
                values.append(found["mark"])
        return {keys[int(number)] for number in re.findall(rf"{_MARK}(\d+)", " ".join(values))}

    def redact(
        self, text: str, *, source: bool = False, only: Collection[str] | None = None
    ) -> tuple[str, list[Remark]]:
        """Return `text` without what must not leave, and a remark for each part that was replaced.

        With `source` the text is a line of Python: bytes literals and expressions stay, string literals under a
        sensitive name do not. `only` names the finders that have to read it. A text longer than `LIMIT` is cut behind
        its last whole word.
        """
        all_finders = self._code if source else self.finders
        finders = [find for name, find in all_finders.items() if only is None or name in only]
        window = text[: LIMIT + _OVERLAP]
        spans = [span for find in finders for span in find(window)]
        if view := decoded(window):
            read, offsets = view
            spans += [
                span._replace(start=offsets[span.start], end=offsets[span.end])
                for find in finders
                for span in find(read)
            ]
        return _replace(text, window, spans)


def _replace(text: str, window: str, spans: list[Span]) -> tuple[str, list[Remark]]:
    if not spans and len(text) <= LIMIT:
        return text, []
    spans.sort(key=lambda span: (span.start, -span.end))
    merged: list[Span] = []
    for span in spans:
        if merged and span.start < merged[-1].end:
            if span.end > merged[-1].end:
                merged[-1] = merged[-1]._replace(end=span.end)
        else:
            merged.append(span)
    out: list[str] = []
    remarks: list[Remark] = []
    at = size = 0
    for start, end, becomes, rule in merged:
        if window[start:end] == becomes:
            continue
        if start >= LIMIT:
            break
        out += (window[at:start], becomes)
        size += start - at
        remarks.append(Remark(rule, size, size + len(becomes)))
        size += len(becomes)
        at = end
    cut = len(text) > LIMIT
    out.append(window[at:LIMIT] if cut else window[at:])
    result = "".join(out)
    if cut or len(result) > LIMIT:
        result = _without_last_word(result[: LIMIT - len(rules.CUT)])
        remarks = [remark for remark in remarks if remark.end <= len(result)]
        remarks.append(Remark("!limit", len(result), len(result) + len(rules.CUT)))
        result += rules.CUT
    return result, remarks


def _without_last_word(text: str) -> str:
    end = max(text.rfind(c) for c in " \n\t,;&\"'")
    return text[: end + 1]
