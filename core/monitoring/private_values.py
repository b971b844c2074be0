"""Values that a request itself shows to be private: the file it names, the token in its path, its credentials.

Rules guess from names and shapes; a file name has neither. But the request says which strings are its user's own, so
`hiding` can take them out wherever they turn up, in a local variable, a log line or an error message.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict

from core.monitoring.context import captured_arguments, stacks
from core.monitoring.hiding import MIN_LENGTH_INSIDE_WORDS
from core.monitoring.rules import FILTERED
from core.monitoring.scrubber import Scrubber
from core.monitoring.scrubbing.names import Verdict

# Shorter values would take ordinary words out of the report.
MIN_LENGTH = 3

# Strings among arguments, and names of paths in them, that are looked for in an event, at most.
MAX_ARGUMENTS = 500

# A value that says more than a word or a number would: long enough, and of more than one kind of characters.
TELLING = re.compile(r"(?![A-Za-z_.]*$)(?![\d.:-]*$)[^\s\[<{(].{4,500}[^\s]")

CREDENTIALS = ("HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION", "HTTP_X_SHARE_PASSWORD", "HTTP_X_API_KEY")


def private_values(request: HttpRequest) -> dict[str, str]:
    """Return what is private in `request`, each value with what stands in its place: {"salary.pdf": "{path}"}."""
    found: dict[str, str] = {}
    for name, value in captured_arguments(request).items():
        if isinstance(value, str):
            for each in _names_in(value):
                found.setdefault(each, f"{{{name}}}")
    if request.resolver_match is None:
        found[request.path_info.strip("/")] = found[request.META.get("QUERY_STRING", "")] = "{unmatched}"
    parsed: MultiValueDict[str, Any] = getattr(request, "_files", None) or MultiValueDict()
    for _field, uploads in parsed.lists():
        found |= {each: "{file}" for upload in uploads for each in _names_in(str(upload.name))}
    for header in CREDENTIALS:
        found |= dict.fromkeys(_secrets_in(str(request.META.get(header, ""))), FILTERED)
    # A new session's key is in no cookie yet, but in the name under which a cache keeps it.
    for value in (*request.COOKIES.values(), getattr(getattr(request, "session", None), "session_key", None) or ""):
        if len(value) >= MIN_LENGTH_INSIDE_WORDS:
            found[value] = FILTERED
    return {value: mark for value, mark in found.items() if len(value) >= MIN_LENGTH}


def _names_in(path: str) -> Iterator[str]:
    yield path
    for part in path.split("/"):
        yield part
        # Of report.pdf not the word, which would take too much out of the report.
        if TELLING.fullmatch(stem := part.rpartition(".")[0]):
            yield stem


def _secrets_in(credential: str) -> Iterator[str]:
    scheme, _, value = credential.rpartition(" ")
    yield value
    if scheme.strip().lower() == "basic":
        try:
            yield b64decode(value).decode().partition(":")[2]  # RFC 7617
        except ValueError:
            return


def arguments(*given: Any) -> dict[str, str] | None:
    """Return each string among the arguments of a task or of a server's log line, and each name of a path in it.

    Each comes with what stands in its place. Nobody knows what they mean, so all of them are private, wherever they
    turn up; ids (numbers, UUIDs) are not. None if they are too many to be looked for.
    """
    found: dict[str, str] = {}
    for text in _strings(given):
        for value in (text, *re.split("[/?&=]", text)):
            if len(found) >= MAX_ARGUMENTS:
                return None
            if len(value) >= MIN_LENGTH and not _is_id(value):
                found[value] = FILTERED
    return found


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for value in node.values():
            yield from _strings(value)
    elif isinstance(node, list | tuple | set | frozenset):
        for item in node:
            yield from _strings(item)


def _is_id(text: str) -> bool:
    if text.isdecimal():
        return True
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def named_values(event: Mapping[str, Any], scrubber: Scrubber) -> Counter[str]:
    """Return the values under a sensitive name in the request, the local variables and the log line of `event`.

    The password of a login form is redacted there by its name; this finds the same password in an error message. Each
    value comes with how often it stands where the scrubber redacts it anyway.
    """
    found: Counter[str] = Counter()

    @cache
    def is_sensitive(name: Any) -> bool:
        return scrubber.verdict(str(name)) is Verdict.SENSITIVE

    def collect(node: Any, is_secret: bool = False) -> None:
        if isinstance(node, dict):
            for name, value in node.items():
                if is_secret or is_sensitive(name):
                    collect(value, True)
                elif type(value) is not str:
                    collect(value)
        elif isinstance(node, list):
            for item in node:
                if is_secret or type(item) is not str:
                    collect(item, is_secret)
        elif is_secret and isinstance(node, str):
            value = node.strip("'\"")
            # Of a path that a host calls private, each name is.
            found.update(filter(TELLING.fullmatch, {value, *value.split("/")}))

    request = event.get("request")
    collect(request)
    collect(event.get("extra"))
    logentry = event.get("logentry") or {}
    params, message = logentry.get("params"), logentry.get("message")
    collect(params)
    for frames in stacks(event):
        for frame in frames:
            collect(frame.get("vars"))
    # Here a text has the names, and what the scrubber finds in it may be less.
    in_texts: dict[str, Any] = {}
    if isinstance(params, list) and isinstance(message, str):
        hidden = scrubber.rules.secret_params(message)
        in_texts["password"] = [item for index, item in enumerate(params) if index in hidden]
    if isinstance(request, dict) and isinstance(query := request.get("query_string"), str):
        in_texts["query"] = dict(parse_qsl(query))
    if in_texts:
        for value in named_values({"extra": in_texts}, scrubber):
            found.setdefault(value, 0)
    return found
