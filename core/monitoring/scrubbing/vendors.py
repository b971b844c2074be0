"""The shapes of vendors' keys, learned from public documentation. Data only; `tokens.py` finds them.

There are three kinds: keys with a beginning of their own (most, in `vendor_table.py`), keys with a literal inside,
and words that are keys as a whole. The tests make keys of each shape from the shape itself, and near misses, too.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from core.monitoring.scrubbing.vendor_table import TABLE

UUID: Final = "H{8}-H{4}-H{4}-H{4}-H{12}"
# Base64 may be percent-encoded, hexadecimal in either case.
ALPHABETS: Final = {
    "A": "[0-9A-Za-z]",
    "B": "(?:[A-Za-z0-9+/]|%2[BFbf])",
    "C": "[0-9A-Z]",
    "H": "[0-9A-Fa-f]",
    "U": "[0-9A-Za-z_-]",
}
_PADDING: Final = "(?:=|%3[Dd]){0,2}"


def _expand(rest: str) -> str:
    """Write out the abbreviations of a shape."""
    rest = re.sub(r"(?<![\[A-Za-z\\-])E(?![A-Za-z])", _PADDING, rest.replace("{UUID}", UUID))
    return re.sub(r"(?<![\[A-Za-z\\])([ABCHU])(?=[{*+])", lambda found: ALPHABETS[found[1]], rest)


class Beginning(NamedTuple):
    """A vendor, what its keys begin with, and a pattern of the rest."""

    vendor: str
    beginning: str
    rest: str


def _beginnings(line: str) -> list[Beginning]:
    vendor, *beginnings, rest = line.split()
    return [Beginning(vendor, each, _expand(rest)) for each in beginnings]


SHAPES: Final[tuple[Beginning, ...]] = tuple(
    shape for line in TABLE.strip().splitlines() for shape in _beginnings(line)
)


class Inside(NamedTuple):
    """A vendor, a literal of its keys that is rare in ordinary text, a pattern of a whole key, and an example."""

    vendor: str
    literal: str
    shape: str
    example: str


INSIDE: Final[tuple[Inside, ...]] = (
    Inside(
        "azure",
        "Q~",
        r"(?<![\w.~-])[\w.~-]{3}\dQ~[\w.~-]{31,34}",
        "aB38Q~Zk3Q7w9vT4bR8nLw1Hs5Jd3YZk3Q7w9v",
    ),
    Inside(  # the key of a session is at the end of its key in the cache
        "django",
        "contrib.sessions.cache",
        r"(?<=contrib\.sessions\.cache)(?:d_db)?[0-9a-z]{32}(?![0-9a-z])",
        "contrib.sessions.cache" + "zk3q7w9vt4br8nlw" * 2,
    ),
    Inside(
        "facebook",
        "|",
        r"(?<![\w|])\d{13,17}\|[\w-]{27}(?![\w-])",
        "123456789012345|Zk3Q7w9vT4bR8nLw1Hs5Jd3Y-k3",
    ),
    Inside("ldap", "SHA}", r"\{S?SHA\}[A-Za-z0-9+/]{27,}={0,2}", "{SSHA}Zk3Q7w9vT4bR8nLw1Hs5Jd3Y+k3Q7w9vT4bR8n="),
    Inside(
        "teams",
        ".webhook.office.com",
        r"(?<![\w.-])[\w-]{1,40}\.webhook\.office\.com[/%][A-Za-z0-9@/%-]{36,}",
        "acme.webhook.office.com/webhookb2/0ab12cd3-0000-4000-8000-0ab12cd30ab1@0ab12cd3/IncomingWebhook/9f8e7d6c",
    ),
    Inside(
        "telegram",
        ":A",
        r"(?<![\w-])\d{8,16}:A[\w-]{32,34}(?![\w-])",
        "123456789:AAZk3Q7w9vT4bR8nLw1Hs5Jd3Y-Zk3Q7w9",
    ),
    Inside(
        "telegram",
        "%3AA",
        r"(?<![A-Za-z0-9-])\d{8,16}%3AA[\w-]{32,34}(?![\w-])",
        "123456789%3AAAZk3Q7w9vT4bR8nLw1Hs5Jd3Y-Zk3Q7w9",
    ),
    Inside(
        "terraform",
        ".atlasv1.",
        r"(?<!\w)[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9=_-]{60,70}",
        "Zk3Q7w9vT4bR8n.atlasv1." + "Zk3Q7w9vT4" * 6,
    ),
    Inside(
        "tines",
        ".tines.com",
        r"\.tines\.com[/%](?:2F)?webhook[/%](?:2F)?[0-9a-f]{32}[/%](?:2F)?[0-9a-f]{32}",
        ".tines.com/webhook/9f8e7d6c5b4a39281706f5e4d3c2b1a0/0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    ),
)


class Word(NamedTuple):
    """A vendor, a pattern of a word that is a key as a whole, an example, and a word that only looks like it."""

    vendor: str
    shape: str
    example: str
    near_miss: str


WORDS: Final[tuple[Word, ...]] = (
    Word(  # the token of a password reset: seconds since 2001 in base 36, and half a SHA-256
        "django",
        r"(?=[a-z]*\d)[b-f][0-9a-z]{5}-[0-9a-f]{32}",
        "d5k2x9-9f8e7d6c5b4a39281706f5e4d3c2b1a0",
        "bundle-9f8e7d6c5b4a39281706f5e4d3c2b1a0",
    ),
    Word(
        "mailchimp",
        r"[0-9A-Fa-f]{32}-us\d{1,2}",
        "9f8e7d6c5b4a39281706f5e4d3c2b1a0-us12",
        "9f8e7d6c5b4a39281706f5e4d3c2b1a0-use",
    ),
    Word(
        "mailgun",
        r"[0-9A-Fa-f]{32}-[0-9A-Fa-f]{8}-[0-9A-Fa-f]{8}",
        "9f8e7d6c5b4a39281706f5e4d3c2b1a0-0a1b2c3d-4e5f6071",
        "9f8e7d6c5b4a39281706f5e4d3c2b1a0-0a1b2c3d4e5f6071-1",
    ),
    Word("newrelic", r"[0-9A-Fa-f]{32}FFFFNRAL", "9f8e7d6c5b4a39281706f5e4d3c2b1a0FFFFNRAL", "FFFFNRAL"),
    Word(
        "newrelic",
        r"AA[0-9A-Fa-f]{40}-NRMA",
        "AA9f8e7d6c5b4a39281706f5e4d3c2b1a00a1b2c3d-NRMA",
        "0a1b2c3d4e5f6071-NRMA",
    ),
)
