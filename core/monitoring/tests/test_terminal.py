"""What all commands share: a reader that leaves, an encoding that knows few letters, and no colours in a file."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command, load_command_class
from django.test import override_settings

from core.monitoring.ledger import FILE_NAME
from core.monitoring.tests.test_ledger import entry

Start = Callable[..., bool]
COMMANDS = {
    "sentry_status": [],
    "sentry_test": [],
    "sentry_preview": ["--all"],
    "sentry_ledger": [],
}


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder with a ledger that is larger than what is printed at once."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(entry(1) * 1000)
    return folder


def closed_pipe() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_has_seen_enough_is_no_error(start: Start, logs: Path, command: str) -> None:
    start()
    with (
        override_settings(MIDDLEWARE=["core.middleware.SentryContextMiddleware"]),
        os.fdopen(closed_pipe(), "w") as out,
    ):
        call_command(command, *COMMANDS[command], stdout=out)


def test_a_reader_that_has_gone_hides_no_failure(start: Start, logs: Path) -> None:
    start(SENTRY_DSN="notaurl")
    with os.fdopen(closed_pipe(), "w") as out, pytest.raises(CommandError, match="Problems"):
        call_command("sentry_status", stdout=out)


def test_the_interpreter_has_nothing_to_complain_about_at_its_end() -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    writing = closed_pipe()
    command = [sys.executable, "-m", "django", "sentry_preview", "--all"]
    result = subprocess.run(command, env=env, stdout=writing, stderr=subprocess.PIPE, timeout=60)
    os.close(writing)
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_can_be_read_in_every_encoding(command: str) -> None:
    help = load_command_class("core.monitoring", command).create_parser("manage.py", command).format_help()
    assert help.isascii()


def test_what_the_encoding_does_not_know_is_printed_as_its_escape(start: Start, logs: Path, tmp_path: Path) -> None:
    start()
    (tmp_path / "event.json").write_text(json.dumps({"message": "größe → ja***@example.com"}))
    printed = io.BytesIO()
    out = io.TextIOWrapper(printed, encoding="latin-1")
    call_command("sentry_preview", "--all", "--file", str(tmp_path / "event.json"), stdout=out)
    assert "größe \\u2192".encode("latin-1") in printed.getvalue()
    call_command("sentry_test", stdout=out)
    assert b'called "Test event from sentry_test"' in printed.getvalue()


@pytest.mark.parametrize("command", ["sentry_status", "sentry_ledger"])
def test_no_color_is_heard_by_every_command(
    start: Start, logs: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    out = io.StringIO()
    out.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    with override_settings(MIDDLEWARE=["core.middleware.SentryContextMiddleware"]):
        call_command(command, stdout=out)
    assert "\x1b[" not in out.getvalue()


def test_without_standard_input_the_preview_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as Python has it after `<&-`
    with pytest.raises(CommandError, match="Standard input is closed"):
        call_command("sentry_preview", "--file", "-")
