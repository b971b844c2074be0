"""Values that a request itself shows to be private: the file it names, the token in its path, its credentials.

Rules guess from names and shapes; a file name has neither. But the request says which strings are its user's own, so
they can be taken out wherever they turn up, in a local variable, a log line or an error message.
"""

from __future__ import annotations

import json
import marshal
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, cast
from urllib.parse import quote, quote_plus
from uuid import UUID

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict

from core.monitoring.context import captured_arguments
from core.monitoring.rules import FILTERED
from core.monitoring.scrubber import Scrubber
from core.monitoring.scrubbing.names import Verdict

# The rule's id in `_meta`.
RULE = "request"

# Shorter values would take ordinary words out of the report.
MIN_LENGTH = 3
# From this length on a value is replaced even inside a longer word.
MIN_LENGTH_INSIDE_WORDS = 8

# Fields that say where the code failed. A file called "views" must not hide the module of that name.
CODE = frozenset(
    "type module function filename abs_path package lineno context_line pre_context post_context platform sdk modules "
    "event_id trace_id span_id parent_span_id timestamp start_timestamp op origin level logger release environment "
    "server_name transaction transaction_info fingerprint _meta request_path request_method method".split()
)

# Strings among arguments that are looked for in an event, at most.
MAX_ARGUMENTS = 200

_CONTAINERS = (dict, list)

# A value that says more than a word or a number would: long enough, and of more than one kind of characters.
TELLING = re.compile(r"(?![A-Za-z_.]*$)(?![\d.:-]*$)[^\s\[<{(].{4,500}[^\s]")

CREDENTIALS = ("HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION", "HTTP_X_SHARE_PASSWORD", "HTTP_X_API_KEY")


def private_values(request: HttpRequest) -> dict[str, str]:
    """Return what is private in `request`, each value with what stands in its place: {"salary.pdf": "{path}"}."""
    found: dict[str, str] = {}
    for name, value in captured_arguments(request).items():
        if isinstance(value, str):
            found[value] = f"{{{name}}}"
            for part in value.split("/"):
                found.setdefault(part, f"{{{name}}}")
    if request.resolver_match is None:
        found[request.path_info.strip("/")] = "{unmatched}"
    parsed: MultiValueDict[str, Any] = getattr(request, "_files", None) or MultiValueDict()
    for _field, uploads in parsed.lists():
        found |= {str(upload.name): "{file}" for upload in uploads}
    for header in CREDENTIALS:
        credential = str(request.META.get(header, ""))
        found[credential.rpartition(" ")[2]] = FILTERED
    # A new session's key is in no cookie yet, but in the name under which a cache keeps it.
    for value in (*request.COOKIES.values(), getattr(getattr(request, "session", None), "session_key", None) or ""):
        if len(value) >= MIN_LENGTH_INSIDE_WORDS:
            found[value] = FILTERED
    return {value: mark for value, mark in found.items() if len(value) >= MIN_LENGTH}


def arguments(*given: Any) -> dict[str, str] | None:
    """Return each string among the arguments of a task or of a server's log line, and each name of a path in it.

    Each comes with what stands in its place. Nobody knows what they mean, so all of them are private, wherever they
    turn up; ids (numbers, UUIDs) are not. None if they are too many to be looked for.
    """
    found: dict[str, str] = {}
    for text in _strings(given):
        if len(found) >= MAX_ARGUMENTS:
            return None
        for value in (text, *re.split("[/?&=]", text)):
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


def named_values(event: Mapping[str, Any], scrubber: Scrubber) -> dict[str, str]:
    """Return the values under a sensitive name in the request, the local variables and the log line of `event`.

    The password of a login form is redacted there by its name; this finds the same password in an error message.
    """
    found: dict[str, str] = {}

    @cache
    def is_sensitive(name: str) -> bool:
        return scrubber.verdict(name) is Verdict.SENSITIVE

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
        elif is_secret and isinstance(node, str) and TELLING.fullmatch(value := node.strip("'\"")):
            found[value] = FILTERED

    collect(event.get("request"))
    collect(event.get("extra"))
    logentry = event.get("logentry") or {}
    params, message = logentry.get("params"), logentry.get("message")
    collect(params)
    if isinstance(params, list) and isinstance(message, str):
        hidden = scrubber.rules.secret_params(message)
        collect([item for index, item in enumerate(params) if index in hidden], is_secret=True)
    for exception in (event.get("exception") or {}).get("values") or ():
        for frame in (exception.get("stacktrace") or {}).get("frames") or ():
            collect(frame.get("vars"))
    return found


def hide_values(event: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Return a copy of the serialized `event` with each of `values` replaced by its mark, except in `CODE` fields.

    Each field that changed gets a remark of the rule "request" in the copy's `_meta`, so that the tracker shows why.
    """
    if not values:
        return event
    marks = {form: mark for value, mark in values.items() for form in _forms(value)}
    forms = sorted(_occurring(marks, event), key=len, reverse=True)
    if not forms:
        return event
    pattern = re.compile("|".join(map(_pattern, forms)))
    # Where none of these is, none of the others can be.
    shortest = [form for form in forms if not any(other in form for other in forms if other != form)]

    def hide_text(text: str) -> str:
        for form in shortest:
            if form in text:
                return pattern.sub(lambda found: marks[found[0]], text)
        return text

    def hide(node: dict[Any, Any] | list[Any], notes: dict[str, Any]) -> dict[Any, Any] | list[Any]:
        is_dict = isinstance(node, dict)
        changed: dict[Any, Any] = {}
        names: dict[Any, str] = {}
        for key, item in node.items() if isinstance(node, dict) else enumerate(node):
            if is_dict and (name := hide_text(str(key))) != key:
                names[key] = name
            if key in CODE:
                continue
            if isinstance(item, str):
                if (text := hide_text(item)) != item:
                    changed[key] = text
                    notes[names.get(key, str(key))] = {"": {"rem": [[RULE, "s"]], "len": len(item)}}
            elif isinstance(item, _CONTAINERS) and item:
                # Most long lists have none of them, which is seen at the speed of C.
                if type(item) is list and len(item) > 1 and not _occurring(shortest, item):
                    continue
                below: dict[str, Any] = {}
                if (hidden := hide(item, below)) is not item:
                    changed[key] = hidden
                if below:
                    notes[names.get(key, str(key))] = below
        if isinstance(node, list):
            return [changed.get(index, item) for index, item in enumerate(node)] if changed else node
        if names:
            return {names.get(key, key): changed.get(key, item) for key, item in node.items()}
        return {**node, **changed} if changed else node

    remarks: dict[str, Any] = {}
    hidden = cast("dict[str, Any]", hide(event, remarks))
    if remarks:
        hidden["_meta"] = _merged(hidden.get("_meta"), remarks)
    return hidden


def _occurring(forms: Iterable[str], node: Any) -> list[str]:
    """Return those of `forms` that may stand in some text of `node`: at the speed of C, so that most is not walked."""
    try:
        written = marshal.dumps(node)
    except ValueError:  # an object that the SDK did not turn into plain ones
        return list(forms)
    return [form for form in forms if form.encode("utf-8", "surrogatepass") in written]


def _merged(known: Any, remarks: dict[str, Any]) -> dict[str, Any]:
    """Return the `_meta` tree `known` with `remarks` in it, as a copy. The SDK's own lengths are the original ones."""
    if not known or not isinstance(known, dict):
        return remarks
    below = {key: note if key == "" else _merged(known.get(key), note) for key, note in remarks.items()}
    if "" in known and "" in below:
        below[""] = {**below[""], **known[""], "rem": [*known[""].get("rem", []), *below[""]["rem"]]}
    return {**known, **below}


def _forms(value: str) -> Iterator[str]:
    """Yield the ways in which `value` may be written: as it is, in a repr, in JSON, in a URL, in WSGI's latin-1."""
    yield value
    yield repr(value)[1:-1]
    yield json.dumps(value)[1:-1]
    yield ascii(value)[1:-1]  # as Django writes a path into its log
    try:
        raw = value.encode().decode("latin-1")
        yield from (raw, repr(raw)[1:-1])
        for safe in ("/", "", "!'()*"):  # the last as browsers do (encodeURIComponent)
            yield from (quote(value, safe), quote_plus(value, safe))
    except UnicodeEncodeError:
        return


def _pattern(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= MIN_LENGTH_INSIDE_WORDS else rf"(?<!\w){escaped}(?!\w)"
