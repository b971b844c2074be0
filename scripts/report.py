"""The demo's report: what reached the tracker, in a few lines, or as JSON."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

# The marks that stand where something was redacted.
MARK = re.compile(
    r"\[Filtered[^\]]*\]|\[REDACTED_TOKEN\]|\[bytes\]|XXX\.XXX\.XXX\.XXX|XXXX-XXXX-XXXX-XXXX|\w{0,2}\*\*\*@"
)


def build(
    issue: dict[str, Any],
    event: dict[str, Any],
    *,
    page: str,
    everything: list[dict[str, Any]],
    secrets: dict[str, str],
    security_log: list[str],
) -> dict[str, Any]:
    """Return the report on one event of `issue` as plain data.

    `issue` and `event` are the tracker's answers, `page` its address of the issue, `everything` all events
    that arrived. `secrets` (name -> value) must not occur in them; those that do are named under `leaked`.
    """
    payload = event["data"]
    arrived = json.dumps(everything, ensure_ascii=False)
    redacted = {path: text for path, text in _strings(payload) if MARK.search(text)}
    return {
        "issue": f"{issue['calculated_type']}: {issue['calculated_value']}",
        "event_id": event["event_id"].replace("-", ""),
        "count": issue["digested_event_count"],
        "user": payload.get("user"),
        "tags": dict(sorted(_pairs(payload.get("tags")))),
        "release": payload.get("release"),
        "environment": payload.get("environment"),
        "redacted": redacted,
        "leaked": [name for name, secret in secrets.items() if secret and secret in arrived],
        "looked_for": list(secrets),
        "url": page,
        "security_log": security_log,
    }


def print_text(report: dict[str, Any], account: dict[str, Any], *, stays: bool) -> None:
    """Print the report for people; coloured on a terminal. `stays` is whether the tracker is still there to look at."""
    print(f"\n{_bold('A real error of a real request has reached the tracker.')}\n")
    _line("issue", _cut(report["issue"], 100))
    _line("user", _short(report["user"]) or "none")
    _line("tags", _short(report["tags"]) or "none")
    _line("release", report["release"] or "none: this is not a git checkout, and SENTRY_RELEASE is not set")
    _line("environment", report["environment"])
    _line("redacted", f"{len(report['redacted'])} values, such as")
    for path, text in _examples(report["redacted"]):
        _line("", f"  {path} = {_colour_marks(_around_mark(text, 48))}")
    if report["leaked"]:
        _line("LEAKED", ", ".join(report["leaked"]))
    else:
        _line("not in it", ", ".join(report["looked_for"]))
    print()
    _line("look at it", _bold(report["url"]))
    if stays:
        _line("", f"user {account['username']}, password {account['password']}")
    else:
        _line("", "while scripts/demo runs without --once; now the tracker ends")
    print("\nsecurity.log was written as always:\n")
    for line in report["security_log"]:
        print(f"  {line}")
    print(flush=True)


def _line(name: str, text: str) -> None:
    print(f"  {name:<12} {text}")


def _strings(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every string of a payload with the path to it; the lists that hold stack frames count from 0."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name != "_meta":
                yield from _strings(value, f"{path}.{name}" if path else str(name))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _strings(value, f"{path}[{index}]")
    elif isinstance(node, str):
        yield path, node


def _pairs(tags: Any) -> list[tuple[str, str]]:
    # The protocol allows a dict and a list of pairs: https://develop.sentry.dev/sdk/data-model/event-payloads/
    return [(str(name), str(value)) for name, value in (tags.items() if isinstance(tags, dict) else tags or [])]


def _examples(redacted: dict[str, str]) -> list[tuple[str, str]]:
    """Choose a few that differ: one for each place's last name, short paths first."""
    chosen: dict[str, tuple[str, str]] = {}
    for path, text in sorted(redacted.items(), key=lambda item: len(item[0])):
        chosen.setdefault(path.rpartition(".")[2], (path.replace("exception.values", "exception"), text))
    return list(chosen.values())[:6]


def _short(pairs: dict[str, Any] | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in (pairs or {}).items())


def _cut(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _around_mark(text: str, length: int) -> str:
    """Cut a long text so that its first mark is in what stays."""
    text = " ".join(text.split())
    mark = MARK.search(text)
    if mark and mark.end() > length:
        text = "..." + text[mark.start() - 20 :]
    return _cut(text, length)


def _colours() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def _bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if _colours() else text


def _colour_marks(text: str) -> str:
    return MARK.sub(lambda mark: f"\033[33m{mark[0]}\033[0m", text) if _colours() else text
