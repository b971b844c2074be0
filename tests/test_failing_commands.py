"""A management command that fails: one event with its name, sent before the process ends, and nothing else changes."""

import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.monitoring.testing import Receiver
from tests.conftest import environment, manage

COMMAND = """\
import logging
from threading import Thread

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from core.monitoring import capture_exception, capture_message, start_transaction


class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("letter")
        parser.add_argument("--how")
        parser.add_argument("--reader-password")

    def handle(self, *args, letter, how, **options):
        if how == "error":
            raise RuntimeError(f"cannot read {letter}")
        if how == "told":
            capture_message("a letter came")
            logging.getLogger("app").error("it is torn")
            try:
                raise ValueError("not a stamp")
            except ValueError as error:
                capture_exception(error)
            thread = Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
            with start_transaction("letters", "import"):
                pass
        if how == "inner":
            call_command("check", database=["no-such-database"])
        if how == "usage":
            raise CommandError("no such letter")
        if how == "exit":
            raise SystemExit(3)
        if how == "interrupt":
            raise KeyboardInterrupt
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command through the server's own manage.py."""
    commands = tmp_path / "letters" / "management" / "commands"
    commands.mkdir(parents=True)
    for folder in (commands, commands.parent, commands.parent.parent):
        (folder / "__init__.py").touch()
    (commands / "import_letter.py").write_text(COMMAND)
    (tmp_path / "with_letters.py").write_text("from _core.settings.dev import *\nINSTALLED_APPS += ['letters']\n")

    def run(how: str, *arguments: str, dsn: str = "", traced: bool = False) -> subprocess.CompletedProcess[str]:
        variables = {
            "SENTRY_DSN": dsn,
            "SENTRY_TRACES_SAMPLE_RATE": str(int(traced)),
            "PYTHONPATH": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "with_letters",
        }
        return manage(environment(tmp_path, **variables), "import_letter", "to charles.txt", f"--how={how}", *arguments)

    return run


def test_an_unhandled_exception_is_an_event_with_the_commands_name(run: Run, receiver: Receiver) -> None:
    result = run("error", "--reader-password", "hunter2", "--verbosity", "2", dsn=receiver.dsn)
    (event,) = receiver.items("event")
    assert result.returncode == 1
    assert event["tags"]["command"] == "import_letter"
    error = event["exception"]["values"][-1]
    assert (error["type"], error["value"]) == ("RuntimeError", "cannot read {argument}")
    assert error["mechanism"]["handled"] is False
    line = event["extra"]["sys.argv"]
    assert line[1:4] == ["import_letter", "{argument}", "--how={argument}"]
    assert line[-2:] == ["--verbosity", "2"]
    for private in (b"charles", b"hunter2"):
        assert private not in receiver.bytes


def test_the_command_line_leaves_with_no_event_whatever_it_is_of(run: Run, receiver: Receiver) -> None:
    result = run("told", "--reader-password", "hunter2", "--verbosity=2", dsn=receiver.dsn, traced=True)
    assert result.returncode == 0
    assert len(receiver.items("event")) == 4
    for item in (*receiver.items("event"), *receiver.items("transaction")):
        assert item["extra"]["sys.argv"][1:4] == ["import_letter", "{argument}", "--how={argument}"]
        assert item["extra"]["sys.argv"][-1] == "--verbosity=2"
    for private in (b"charles", b"hunter2"):
        assert private not in receiver.bytes


def test_exit_code_and_what_the_terminal_shows_are_as_without_monitoring(run: Run, receiver: Receiver) -> None:
    for how in ("error", "usage", "exit", "interrupt"):
        with ThreadPoolExecutor(2) as both:
            plain, monitored = both.map(lambda dsn: run(how, dsn=dsn), ("", receiver.dsn))  # noqa: B023
        assert monitored.returncode == plain.returncode, how
        assert monitored.stdout == plain.stdout, how
        assert monitored.stderr == plain.stderr, how
    assert [event["exception"]["values"][-1]["type"] for event in receiver.items("event")] == ["RuntimeError"]


def test_wrong_usage_is_no_error_even_with_a_traceback(run: Run, receiver: Receiver) -> None:
    result = run("usage", "--traceback", dsn=receiver.dsn)
    assert "CommandError: no such letter" in result.stderr
    assert receiver.items("event") == []


def test_the_command_that_was_started_is_named_not_the_one_that_it_calls(run: Run, receiver: Receiver) -> None:
    run("inner", dsn=receiver.dsn)
    (event,) = receiver.items("event")
    assert event["tags"]["command"] == "import_letter"
    assert "ConnectionDoesNotExist" in repr(event)


def test_a_tracker_that_is_gone_is_not_mentioned_on_the_terminal(run: Run) -> None:
    result = run("error", dsn="http://key@127.0.0.1:9/1")
    assert result.returncode == 1
    assert not re.search("sentry", result.stderr, re.IGNORECASE)
