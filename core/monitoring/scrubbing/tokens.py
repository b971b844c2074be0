"""Find tokens by their shape: long random words, vendors' keys, password hashes, what follows Bearer, PEM blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from core.monitoring import rules
from core.monitoring.scrubbing import vendors
from core.monitoring.scrubbing.spans import Span

# A digest such as that of a style sheet's `integrity` is public.
_TOKEN = re.compile(r"(?<![\w-])(?<!(?i:sha256):)(?:(?!sha\d{3}-)[\w-]{22,}|[\w-]{64,})", re.ASCII)
SHORTEST_TOKEN = 22
_LONG_TOKEN = 64
_HUMP = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_RUN = re.compile(r"[A-Za-z0-9]{16,}")
_HEX = re.compile(r"[0-9A-Fa-f]+")
_SHORTEST_FLAT = 20
_PIECES = re.compile(r"[-_+/=]+")
_MIXED = re.compile(r"(?=.*\d)(?=.*[a-z]).*[A-Z]")
# What names and paths are made of.
_ORDERLY = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+|[0-9a-f]+|[a-z]+\d+|[A-Z]?[a-z]{3,}\d*|[A-Z]+\d+|(?:[A-Z][a-z]{2,})+")
# Base64 with all its signs; most such words are paths, in small letters.
WIDE_WORD = re.compile(r"(?<![\w+/=-])[\w+/-]{22,200}={0,2}(?![\w+/=-])", re.ASCII)
# What belongs to the same base64, before it (read backwards) and behind it; a word or a number in a path does not.
_BEFORE_TOKEN = re.compile(r"(?:[+/]{1,2}(?!(?:[a-z]*[A-Z]?|\d*)(?![A-Za-z0-9]))[A-Za-z0-9]{1,64}){1,8}")
_BEHIND_TOKEN = re.compile(
    r"(?:[+/]{1,2}(?!(?:[A-Z]?[a-z]*|\d*)(?![A-Za-z0-9]))[A-Za-z0-9]{1,64}){0,8}(?:[+/]?={1,2})?"
)
_LONGEST_BEFORE = 200
_HASH = re.compile(
    r"(?<![\w$])(?:(?:pbkdf2_\w{1,12}|argon2\w{0,2}|bcrypt(?:_sha256)?|scrypt|md5|sha1|unsalted_\w{1,8})(?:\$|%24)"
    r"|(?:\$|%24)(?:2[abxy]|argon2\w{1,2}|[156]|apr1|g?y|7)(?:\$|%24))(?:[^\s'\",]|,(?=[a-z]=)){16,}"
)
# The n of an escaped line break and the digits of a percent-encoded sign are no part of the word behind them.
_ESCAPED = re.compile(r"\\[nrt](?=[A-Za-z0-9])|\\u00[0-9A-Fa-f]{2}|%[0-9A-Fa-f]{2}")
_SCHEME = re.compile(
    r"(?<![\w-])(?P<scheme>bearer|basic|token)(?P<gap> {1,4}|%20|\+)"
    r"(?!(?:realm|charset|scope|error)=)(?P<value>[\w.~+/-]+=*)"
    r"|(?<![\w-])digest (?P<digest>\w{1,20}=[^\r\n]{1,2000})",
    re.IGNORECASE | re.ASCII,
)
_PEM = re.compile(r"-----BEGIN [A-Za-z0-9 ]{3,60}-----")
_PEM_END = re.compile(r"-----END [A-Za-z0-9 ]{3,60}-----")


def blank_escapes(text: str) -> str:
    """Return a text as long, with signs that separate words instead of escape sequences."""
    return _ESCAPED.sub(_blank, text) if "\\" in text or "%" in text else text


def _blank(found: re.Match[str]) -> str:
    return "+++" if found[0] in ("%2B", "%2b", "%2F", "%2f") else " " * len(found[0])


def looks_random(word: str) -> bool:
    """Say whether a word is a token, and not the name of a function or a class, an id or a hash.

    From 22 characters on it has a run of 16 with small and capital letters and digits in disorder, or one of 28 with
    digits and one case of letters beyond hexadecimal, or is a vendor's. From 64 characters on it is not made of words.
    """
    if len(word) < _LONG_TOKEN:
        if len(word) < SHORTEST_TOKEN:
            return False
        runs = _RUN.findall(word)
        if runs and (_is_disorder(max(runs, key=len)) or _WORD_SHAPE.fullmatch(word) is not None):
            return True
        return is_disorder_in_pieces(word)
    humps = _HUMP.findall(word)
    letters = sum(map(len, humps))
    if not letters:
        return False
    figures = sum(map(len, filter(str.isdigit, humps)))
    return len(humps) == 1 or figures / letters > 0.15 or letters / len(humps) < 3.2 or max(map(len, humps)) > 24


def is_disorder_in_pieces(word: str) -> bool:
    """Say whether a word is base64 that `-`, `_`, `+` and `/` cut into pieces, none of which is a word or a number."""
    pieces = [piece for piece in _PIECES.split(word) if piece]
    flat = "".join(pieces)
    if len(flat) < _SHORTEST_FLAT or flat.islower() or flat.isupper() or flat.isalpha() or _HEX.fullmatch(flat):
        return False
    if sum(map(str.isdigit, flat)) < 2 or any(len(piece) >= 4 and _ORDERLY.fullmatch(piece) for piece in pieces):
        return False
    if not any(len(piece) >= 7 and _MIXED.match(piece) for piece in pieces):
        return False
    return _is_uneven([hump for piece in pieces for hump in _HUMP.findall(piece)], len(flat))


def _is_disorder(run: str) -> bool:
    if run.isalpha() or run.isdigit() or _HEX.fullmatch(run):
        return False
    humps = _HUMP.findall(run)
    if run.islower() or run.isupper():
        return len(run) >= 28 and len(run) / len(humps) < 7 and max(map(len, humps)) <= 24
    return _is_uneven(humps, len(run))


def _is_uneven(humps: list[str], length: int) -> bool:
    """Say whether small letters, capital letters and digits take turns too often for a name."""
    mean, longest = length / len(humps), max(map(len, humps))
    return (mean < 2.6 and longest <= 7) or (mean < 2.2 and longest <= 12)


_BY_BEGINNING: dict[str, list[re.Pattern[str]]] = {}
for _, _beginning, _rest in vendors.SHAPES:
    # `sk_live_settings` is a name and no key.
    _cut_off = "|(?=[A-Za-z_-]{0,40}\\d)[A-Za-z0-9_-]{8,200}(?=\\.{3}|…)" if len(_beginning) > 3 else ""
    _key = re.compile(
        rf"{re.escape(_beginning)}(?![a-z_.-]{{1,200}}(?![\w.$/%*&!@#^+-]))(?:{_rest}(?![A-Za-z0-9]){_cut_off})",
        re.ASCII,
    )
    _BY_BEGINNING.setdefault(_beginning[:2], []).append(_key)
_WORD = re.compile(r"[A-Za-z0-9_-]+")
_WORD_SHAPE = re.compile("|".join(word.shape for word in vendors.WORDS))
_INSIDE = tuple((inside.literal, re.compile(inside.shape, re.ASCII)) for inside in vendors.INSIDE)


def token(text: str) -> Iterator[Span]:
    """Yield random words, vendors' keys and password hashes."""
    spaced = blank_escapes(text)
    done = 0
    for found in _WORD.finditer(spaced):
        start = found.start()
        if start < done:
            continue
        for shape in _BY_BEGINNING.get(text[start : start + 2], ()):
            if hit := shape.match(text, start):
                done = hit.end()
                yield Span(hit.start(), done, rules.TOKEN, "token")
    for literal, shape in _INSIDE:
        if literal in text:
            for hit in shape.finditer(text):
                yield Span(hit.start(), hit.end(), rules.TOKEN, "token")
    for found in _TOKEN.finditer(spaced):
        if looks_random(found[0]):
            before = _BEFORE_TOKEN.match(spaced[max(0, found.start() - _LONGEST_BEFORE) : found.start()][::-1])
            behind = _BEHIND_TOKEN.match(spaced, found.end())
            start = found.start() - (before.end() if before else 0)
            yield Span(start, behind.end() if behind else found.end(), rules.TOKEN, "token")
    for found in wide_tokens(spaced):
        yield Span(found.start(), found.end(), rules.TOKEN, "token")
    if "$" in text or "%24" in text:
        for found in _HASH.finditer(text):
            yield Span(found.start(), found.end(), rules.TOKEN, "token")


def wide_tokens(text: str) -> Iterator[re.Match[str]]:
    """Yield the words of base64 that `+` and `/` cut into pieces."""
    for found in WIDE_WORD.finditer(text) if "+" in text or "/" in text else ():
        word = found[0]
        if not word.islower() and ("+" in word or "/" in word) and is_disorder_in_pieces(word):
            yield found


def scheme(text: str) -> Iterator[Span]:
    for found in _SCHEME.finditer(text):
        if found["digest"]:
            yield Span(*found.span("digest"), rules.FILTERED, "scheme")
            continue
        value, kind = found["value"], found["scheme"].lower()
        plain = value.isalpha() and (value.lower() in rules.PLAIN_VALUES or (kind != "bearer" and value.islower()))
        if not plain and (kind == "bearer" or (len(value) >= 8 and re.search(r"\d|=|[a-z][A-Z]", value))):
            yield Span(found.start("value"), found.end(), rules.FILTERED, "scheme")


def pem(text: str) -> Iterator[Span]:
    for found in _PEM.finditer(text):
        end = _PEM_END.search(text, found.end())
        yield Span(found.start(), end.end() if end else len(text), rules.PEM, "pem")
        if not end:
            return
