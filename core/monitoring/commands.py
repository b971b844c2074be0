"""What an event says of the command line that started its process, and of the management command that failed."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from django.core.management import BaseCommand

from core.monitoring.context import add_private, raised

# Programs whose first argument is the name of a management command.
MANAGERS = ("manage.py", "django-admin", "django/__main__.py")
ARGUMENT = "{argument}"

# Shorter arguments would take ordinary words out of the report.
MIN_LENGTH = 3


def describe_command(event: dict[str, Any], hint: dict[str, Any]) -> None:
    """Add the tag `command` to an `event` of an exception that left a command, in place.

    What any event's command line says besides the command's name, the names of options and numbers is private: file
    names, people. Of a management command it is looked for in the whole event.
    """
    extra = event.get("extra")
    is_management = f"/{Path(sys.argv[0]).as_posix()}".endswith(tuple(f"/{name}" for name in MANAGERS))
    known = 2 if is_management else 1
    if isinstance(extra, dict) and "sys.argv" in extra:
        extra["sys.argv"] = [*sys.argv[:known], *map(_shown, sys.argv[known:])]
    if is_management:
        add_private(hint, dict.fromkeys(_arguments(sys.argv[2:]), ARGUMENT))
    error = raised(hint)
    command = _running(error.__traceback__ if error else None)
    if command is not None:
        event.setdefault("tags", {})["command"] = type(command).__module__.rpartition(".")[2]


def _running(trace: TracebackType | None) -> BaseCommand | None:
    """Return the outermost command that `trace` passes."""
    while trace is not None:
        frame: FrameType = trace.tb_frame
        if frame.f_code is BaseCommand.execute.__code__:
            return frame.f_locals.get("self")
        trace = trace.tb_next
    return None


def _shown(word: str) -> str:
    """Return a word of a command line without what it says: "--how={argument}"."""
    name, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
    if name.startswith("--") or re.fullmatch("-[A-Za-z]", name):
        return name + equals + (_shown(value) if equals else "")
    return word if not word or word.isdigit() else ARGUMENT


def _arguments(line: list[str]) -> set[str]:
    """Return the values of a command line, numbers aside, and the last parts of those that are paths."""
    values = {word.partition("=")[2] if word.startswith("-") else word for word in line}
    values |= {Path(value).name for value in values}
    return {value for value in values if len(value) >= MIN_LENGTH and not value.isdigit()}
