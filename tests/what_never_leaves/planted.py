"""Private values that the tests plant, and how to find one in what arrived, however it is written.

Most of them have no shape: a word is a password only because of where it stands. They are here, away from the code
that fails, so that the source lines of a report can't hold them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from core.monitoring.testing import Receiver

PASSWORD = "zwetschgenkuchen"
WRONG_PASSWORD = "Quittengelee mit Rosinen"
SHARE_PASSWORD = "mirabellengeist"
EMAIL = "rosalind.franklin@labor.example"
# Blocks that are reserved for documentation (RFC 5737, RFC 3849).
ADDRESS = "203.0.113.77"
ADDRESS_6 = "2001:db8:85a3::8a2e:370:7334"
FOLDER = "Kündigungen Weberei"
FILE = "Löhne und Gehälter März.ods"
PATH = f"{FOLDER}/{FILE}"
# What the file is called on the user's own disk, which a form tells besides the path.
UPLOADED_AS = "Ärztliches Attest Übertrag.ods"
MOVED_TO = "Altpapier/Vergütung Vorstand.ods"
CONTENT = "Diagnose: Heuschnupfen"
TOKEN = "9dKq-3vXyR0aTzLw_5mBnC7hJ1sEuPf2GiOoQk8WtYb"
# Ids by their shape, secrets by their name.
SECRET_36 = "3f1c9b7e-52d8-4a60-9c1e-7b84d20fa653"
SECRET_32 = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"

PLANTED = {
    "the password": PASSWORD,
    "the mistyped password": WRONG_PASSWORD,
    "the share's password": SHARE_PASSWORD,
    "the e-mail address": EMAIL,
    "the IPv4 address": ADDRESS,
    "the IPv6 address": ADDRESS_6,
    "the folder's name": FOLDER,
    "the file's name": FILE,
    "the uploaded file's own name": UPLOADED_AS,
    "the file's new name": MOVED_TO.rpartition("/")[2],
    "the file's content": CONTENT,
    "the verification token": TOKEN,
    "the secret of 36 characters": SECRET_36,
    "the secret of 32 characters": SECRET_32,
}


def leaks(received: Receiver, secrets: dict[str, str]) -> list[str]:
    """Return a line for each of `secrets` (name -> value) that arrived, which says where it stands."""
    texts = [*_texts(received.items(), ""), ("the bytes", received.bytes.decode("utf-8", "replace"))]
    everything = "\n".join(dict.fromkeys(text for _, text in texts))
    found = []
    for name, secret in secrets.items():
        form = next((form for form in forms(secret) if form in everything), None)
        if form:
            place, text = next((place, text) for place, text in texts if form in text)
            at = text.index(form)
            found.append(f"{name} in {place}: ...{text[max(0, at - 150) : at + 150]}...")
    return found


def forms(value: str) -> set[str]:
    """Return the ways in which `value` may be written."""
    written = {value, value.upper(), value.encode().decode("latin-1")}
    for text in tuple(written):
        written |= {ascii(text)[1:-1], json.dumps(text)[1:-1]}
    written |= {repr(value.encode())[2:-1], quote(value), quote(value, ""), quote_plus(value)}
    written |= {text.lower() for text in written if "%" in text}
    return written | set(_in_base64(value.encode()))


def _in_base64(value: bytes) -> Iterator[str]:
    """Yield what is the same wherever `value` stands in a longer text that is encoded."""
    for before in range(3):
        whole = slice(-(-before * 8 // 6), (before + len(value)) * 8 // 6)
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"-" * before + value).decode()[whole]


def _texts(node: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield each string of a payload, names too, with the place where it stands."""
    if isinstance(node, str):
        yield place, node
    elif isinstance(node, dict):
        place += f"({node['function']})" if "function" in node else ""
        for name, value in node.items():
            yield place, name
            yield from _texts(value, f"{place}.{name}")
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _texts(item, f"{place}[{index}]")
