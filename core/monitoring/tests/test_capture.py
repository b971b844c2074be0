"""What the server's own code tells the tracker, asserted on what arrived; and that it is nothing while off."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import core.monitoring as monitoring
from core.monitoring.testing import Receiver

Start = Callable[..., bool]
PRIVATE = {"email": "jane.doe@example.com", "address": "203.0.113.7", "password": "hunter2", "key": "made-up-4711"}


class Hostile:
    """Can't be shown, hashed or compared."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __hash__ = __eq__ = __bool__ = __iter__ = __str__  # type: ignore[assignment]


def use_every_helper(value: Any, error: Any) -> None:
    monitoring.set_user_context(value, tenant_id=value, username=value, plan=value)
    monitoring.set_tag("tag", value)
    monitoring.set_tag(value, "tag")
    monitoring.set_context("context", {"value": value})
    monitoring.set_context("context", value)
    monitoring.add_breadcrumb(value, category=value, value=value)
    monitoring.capture_message(value, value=value)
    monitoring.capture_message("message", level=value)
    monitoring.capture_exception(error, value=value)
    with monitoring.start_transaction(value, value) as transaction:
        transaction.set_data("value", value)
        with monitoring.start_span(value, value) as span:
            span.set_data(value, value)
    assert monitoring.start_span(value, value)(lambda: 7)() == 7
    with monitoring.monitor(value, value, value):
        pass
    monitoring.clear_user_context()
    monitoring.clear_user_context("one argument too many")  # type: ignore[call-arg]
    monitoring.event_id(value)
    monitoring.trace_id()


def test_a_message_arrives_with_level_and_details_and_its_id_is_returned(start: Start, receiver: Receiver) -> None:
    start()
    sent = monitoring.capture_message("quota nearly used up", level="warning", used=95, folder={"depth": 3})
    (event,) = receiver.wait_for("event")
    assert event["event_id"] == sent
    assert (event["message"], event["level"]) == ("quota nearly used up", "warning")
    assert event["contexts"]["details"] == {"used": 95, "folder": {"depth": 3}}


def test_a_handled_exception_arrives_once_with_its_details(start: Start, receiver: Receiver) -> None:
    start()
    try:
        raise ValueError("cannot read index")
    except ValueError as error:
        sent = monitoring.capture_exception(error, attempt=2)
        again = monitoring.capture_exception(error)
    monitoring.capture_message("the end")
    first, last = receiver.wait_for("event", 2)
    assert again is None
    assert (first["event_id"], last["message"]) == (sent, "the end")
    assert first["exception"]["values"][0]["type"] == "ValueError"
    assert first["contexts"]["details"] == {"attempt": 2}
    assert "details" not in last["contexts"], "the details of one event are not those of the next"


def test_user_tenant_tags_contexts_and_breadcrumbs_are_on_the_next_event(start: Start, receiver: Receiver) -> None:
    start()
    monitoring.set_user_context(7, tenant_id=3, username="jane", is_staff=True)
    monitoring.set_tag("plan", "pro")
    monitoring.set_context("import", {"rows": 12})
    monitoring.add_breadcrumb("index read", category="index", rows=12)
    monitoring.capture_message("imported")
    monitoring.clear_user_context()
    monitoring.capture_message("anonymous")
    event, anonymous = receiver.wait_for("event", 2)
    assert event["user"] == {"id": "7", "username": "jane", "is_staff": True}
    assert (event["tags"]["tenant_id"], event["tags"]["plan"]) == ("3", "pro")
    assert event["contexts"]["import"] == {"rows": 12}
    crumb = event["breadcrumbs"]["values"][-1]
    assert (crumb["message"], crumb["category"], crumb["data"]) == ("index read", "index", {"rows": 12})
    assert "user" not in anonymous
    assert "tenant_id" not in anonymous["tags"]


def test_a_second_user_without_a_tenant_does_not_inherit_the_firsts(start: Start, receiver: Receiver) -> None:
    start()
    monitoring.set_user_context(7, tenant_id=3)
    monitoring.set_user_context(8)
    monitoring.capture_message("message")
    (event,) = receiver.wait_for("event")
    assert event["user"] == {"id": "8"}
    assert "tenant_id" not in event.get("tags", {})


def test_how_to_reach_a_person_is_never_part_of_the_user(start: Start, receiver: Receiver) -> None:
    start()
    monitoring.set_user_context(7, email=PRIVATE["email"], ip_address=PRIVATE["address"])
    monitoring.capture_message(f"password={PRIVATE['password']}", api_key=PRIVATE["key"])
    (event,) = receiver.wait_for("event")
    assert event["user"] == {"id": "7"}
    for private in PRIVATE.values():
        assert private.encode() not in receiver.bytes


def test_spans_of_with_and_of_decorated_functions_are_in_the_transaction(start: Start, receiver: Receiver) -> None:
    start(SENTRY_TRACES_SAMPLE_RATE="1")

    @monitoring.start_span("index.read", "sync")
    def read(rows: int) -> int:
        return rows

    @monitoring.start_span("index.read", "async")
    async def read_later(rows: int) -> int:
        await asyncio.sleep(0)
        return rows

    with monitoring.start_transaction("import", "nightly import") as transaction:
        transaction.set_data("rows", 12)
        with monitoring.start_span("index.write", "local") as span:
            span.set_data("bytes", 512)
        assert (read(5), read(6)) == (5, 6)
        assert asyncio.iscoroutinefunction(read_later)
        assert asyncio.run(read_later(7)) == 7
        trace = monitoring.trace_id()
    (event,) = receiver.wait_for("transaction")
    assert event["transaction"] == "nightly import"
    assert event["contexts"]["trace"]["trace_id"] == trace
    assert event["contexts"]["trace"]["data"]["rows"] == 12
    spans = [(span["op"], span["description"], span["data"].get("bytes")) for span in event["spans"]]
    assert spans == [
        ("index.write", "local", 512),
        ("index.read", "sync", None),
        ("index.read", "sync", None),
        ("index.read", "async", None),
    ]


def test_an_exception_passes_a_span_unchanged_and_marks_it(start: Start, receiver: Receiver) -> None:
    start(SENTRY_TRACES_SAMPLE_RATE="1")

    @monitoring.start_span("fails")
    def fail() -> None:
        raise KeyError("x")

    with monitoring.start_transaction("work", "work"), pytest.raises(KeyError):
        fail()
    (event,) = receiver.wait_for("transaction")
    assert event["spans"][0]["status"] == "internal_error"


def test_no_argument_makes_a_helper_raise(start: Start, receiver: Receiver) -> None:
    start(SENTRY_TRACES_SAMPLE_RATE="1")
    for value in (Hostile(), None, b"\xff", "\ud800", float("nan"), {"in": [Hostile()]}, object):
        use_every_helper(value, value)
    use_every_helper("value", RuntimeError(Hostile()))
    monitoring.clear_user_context()
    monitoring.set_tag("tag", "plain")
    monitoring.capture_message("the server goes on")
    assert any(event.get("message") == "the server goes on" for event in wait_until_sent(receiver))


def wait_until_sent(receiver: Receiver) -> list[dict[str, Any]]:
    import sentry_sdk

    sentry_sdk.flush(timeout=10)
    return receiver.items("event")


def test_a_helper_that_fails_says_so_in_the_local_log(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    start()
    with caplog.at_level(logging.WARNING, "core.monitoring"):
        monitoring.set_context("plan", 5)  # type: ignore[arg-type]
    assert "set_context() did nothing: it failed with TypeError." in caplog.text


class Endless(Sequence[int]):
    """Counts how many of its parts were looked at."""

    seen = 0

    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, index: Any) -> Any:
        self.seen += 1
        return index


def test_of_a_value_without_end_only_the_beginning_is_looked_at(start: Start, receiver: Receiver) -> None:
    start()
    value = Endless()
    monitoring.set_tag("tag", value)
    monitoring.set_context("context", {"value": value})
    monitoring.add_breadcrumb("step", value=value)
    monitoring.capture_message("message", value=value, nested=[[value]])
    assert receiver.wait_for("event")
    assert value.seen < 1000


def test_pythons_name_of_the_highest_level_is_understood(start: Start, receiver: Receiver) -> None:
    start()
    monitoring.capture_message("the disk is full", level="critical")
    assert receiver.wait_for("event")[0]["level"] == "fatal"


def test_a_job_that_ends_its_process_with_success_is_done(start: Start, receiver: Receiver) -> None:
    start()
    for code in (0, 1):
        with pytest.raises(SystemExit), monitoring.monitor("nightly", "0 4 * * *"):
            sys.exit(code)
    ended = [check_in["status"] for check_in in receiver.wait_for("check_in", 4)]
    assert ended == ["in_progress", "ok", "in_progress", "error"]


def test_while_off_every_helper_does_nothing() -> None:
    use_every_helper(Hostile(), Hostile())
    assert monitoring.capture_message("x") is None
    assert monitoring.capture_exception(ValueError()) is None
    assert monitoring.trace_id() == "-"

    @monitoring.start_span("op", "name")
    async def double(x: int) -> int:
        return 2 * x

    assert asyncio.run(double(4)) == 8
    with pytest.raises(KeyError), monitoring.start_span("op"):
        raise KeyError("passes")


PROGRAM = """\
import logging, sys
import core.monitoring as monitoring
from core.monitoring.tests.test_capture import Hostile, use_every_helper

assert monitoring.init_sentry() is False
use_every_helper(Hostile(), ValueError())
assert not [name for name in sys.modules if name.partition(".")[0] == "sentry_sdk"]
"""


@pytest.mark.parametrize("dsn", ["", "http://key@127.0.0.1:9/1"])
def test_while_off_or_without_the_sdk_nothing_of_it_is_imported(dsn: str, tmp_path: Path) -> None:
    (tmp_path / "sentry_sdk.py").write_text("raise ImportError('No module named sentry_sdk')")
    root = Path(monitoring.__file__).resolve().parents[2]
    env = os.environ | {"SENTRY_DSN": dsn, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(root)])}
    command = [sys.executable, "-c", PROGRAM]
    result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
