"""The ledger says what left: line by line what arrived at the tracker, also from several processes at once."""

import gzip
import json
import logging
import os
import stat
from collections import Counter
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sentry_sdk
from django.core.management import CommandError, call_command
from django.test import override_settings

from core.monitoring import ledger
from core.monitoring.config import SentryConfig
from core.monitoring.ledger import FILE_NAME, Totals, ledger_problems, read
from core.monitoring.sdk import active
from core.monitoring.status import recent
from core.monitoring.testing import Receiver
from core.monitoring.tests.processes import finished, reporting

Start = Callable[..., bool]
Call = Callable[..., tuple[int, dict[str, str], bytes]]
ADDRESS = "jane.doe@example.com"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def capture() -> Callable[[str], None]:
    """Send a message and wait until it and its line are written."""

    def capture(message: str) -> None:
        sentry_sdk.capture_message(message)
        sentry_sdk.flush()

    return capture


def lines(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of every file of the ledger, but for empty ones."""
    files = sorted(folder.glob(f"{FILE_NAME}*"), reverse=True)
    return [json.loads(line) for file in files for line in file.read_text().split("\n") if line]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("sentry_ledger", *arguments, stdout=out)
    return out.getvalue()


def test_each_payload_that_arrived_has_its_line_with_id_size_and_answer(
    start: Start, call: Call, receiver: Receiver, logs: Path
) -> None:
    start(SENTRY_LEDGER="on", SENTRY_TRACES_SAMPLE_RATE="1", SENTRY_RELEASE="1.0")
    call("/fail/")
    call("/fine/")
    sentry_sdk.crons.capture_checkin("nightly", status="ok")
    sentry_sdk.flush()
    found = lines(logs)
    arrived = [(kind, len(payload)) for kind, payload in receiver.payloads()]
    assert {"event", "transaction", "check_in", "sessions"} <= {kind for kind, _ in arrived}
    assert [(line["kind"], line["size"]) for line in found] == arrived
    ids = [item.get("event_id") or item.get("check_in_id") for item in receiver.items()]
    assert [line["id"] for line in found] == ids
    assert {line["answer"] for line in found} == {200}
    assert {line["pid"] for line in found} == {os.getpid()}
    by_kind = {line["kind"]: line["issue"] for line in found}
    assert by_kind["event"].startswith("RuntimeError in core.monitoring.tests.urls.fail:")
    assert by_kind["check_in"] == "nightly"
    assert "payload" not in found[0]


def test_full_keeps_each_payload_byte_for_byte(start: Start, call: Call, receiver: Receiver, logs: Path) -> None:
    start(SENTRY_LEDGER="full", SENTRY_TRACES_SAMPLE_RATE="1")
    call("/files/größe.pdf/42/12345678-1234-5678-1234-567812345678/word/")
    sentry_sdk.flush()
    found = lines(logs)
    assert len(found) >= 2
    assert [line["payload"].encode() for line in found] == [payload for _, payload in receiver.payloads()]


def test_redactions_are_counted_by_the_rule_that_made_them(start: Start, logs: Path) -> None:
    start(SENTRY_LEDGER="on")
    extra = {"note": f"{ADDRESS} and john.doe@example.com from 203.0.113.77", "password": "hunter"}
    sentry_sdk.capture_event({"type": "transaction", "transaction": "buy", "extra": extra})
    sentry_sdk.flush()
    (line,) = lines(logs)
    assert line["redactions"] == {"email": 2, "ipv4": 1, "name": 1}


def test_the_file_is_the_servers_alone_and_holds_nothing_that_did_not_leave(
    start: Start, logs: Path, capture: Callable[[str], None]
) -> None:
    start(SENTRY_LEDGER="full")
    capture(ADDRESS)
    assert stat.S_IMODE((logs / FILE_NAME).stat().st_mode) == 0o600
    assert ADDRESS not in (logs / FILE_NAME).read_text()


def test_what_was_refused_or_found_no_tracker_has_its_line_too(
    start: Start, receiver: Receiver, logs: Path, capture: Callable[[str], None]
) -> None:
    start(SENTRY_LEDGER="on")
    receiver.status = 403
    capture("refused")
    sentry_sdk.get_client().close()
    start(SENTRY_LEDGER="on", SENTRY_DSN="http://key@127.0.0.1:9/1")
    capture("nobody there")
    answers = [line["answer"] for line in lines(logs) if line["kind"] == "event"]
    assert answers == [403, "NewConnectionError"]


def test_without_the_variable_there_is_no_ledger(
    start: Start, receiver: Receiver, logs: Path, capture: Callable[[str], None]
) -> None:
    start()
    capture("hello")
    assert len(receiver.items("event")) == 1
    assert list(logs.glob(f"{FILE_NAME}*")) == []
    with pytest.raises(CommandError, match="SENTRY_LEDGER=on"):
        run()


def test_several_processes_share_one_ledger_and_every_line_is_whole(receiver: Receiver, logs: Path) -> None:
    names = ("one", "two")
    for process in [reporting(logs, receiver, 20, name, SENTRY_LEDGER="full") for name in names]:
        finished(process)
    found = lines(logs)
    assert len({line["pid"] for line in found}) == 2
    assert sum(line["kind"] == "event" for line in found) == 40
    arrived = Counter(payload for _, payload in receiver.payloads())
    assert Counter(line["payload"].encode() for line in found) == arrived


def test_a_full_file_is_moved_aside_and_no_process_loses_a_line(receiver: Receiver, logs: Path) -> None:
    environment = {"SENTRY_LEDGER": "on", "TEST_MAX_BYTES": "4000"}
    for process in [reporting(logs, receiver, 25, name, **environment) for name in ("one", "two")]:
        finished(process)
    files = list(logs.glob(f"{FILE_NAME}*"))
    assert 2 < len(files) <= ledger.MAX_FILES
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    events = [line for line in lines(logs) if line["kind"] == "event"]
    assert Counter(line["id"] for line in events) == Counter(e["event_id"] for e in receiver.items("event"))


def test_a_file_that_another_process_has_just_moved_aside_is_not_moved_again(logs: Path) -> None:
    path = logs / FILE_NAME
    path.write_text("full")
    with path.open("rb") as opened:
        path.rename(logs / f"{FILE_NAME}.1")
        path.write_text("new")
        assert ledger._moved_aside(path, opened.fileno())
    assert (path.read_text(), (logs / f"{FILE_NAME}.1").read_text()) == ("new", "full")


def test_while_another_process_moves_the_file_aside_lines_go_where_they_went(
    logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    monkeypatch.setattr(ledger, "MAX_BYTES", 10)
    path = logs / FILE_NAME
    path.write_text("full\n")
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        ledger._append(path, b"the next\n")
    assert path.read_text() == "full\nthe next\n"


def test_the_disk_it_takes_is_bounded(
    start: Start, logs: Path, capture: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "MAX_BYTES", 400)
    start(SENTRY_LEDGER="on", SENTRY_MAX_EVENTS_PER_MINUTE="0")
    for _ in range(20):
        capture("again")
    files = list(logs.glob(f"{FILE_NAME}*"))
    assert len(files) == ledger.MAX_FILES
    assert max(file.stat().st_size for file in files) <= 400
    newest = json.loads((logs / FILE_NAME).read_text().splitlines()[-1])
    assert newest["kind"] == "event"


def test_a_rename_by_logrotate_is_followed(start: Start, logs: Path, capture: Callable[[str], None]) -> None:
    start(SENTRY_LEDGER="on")
    capture("before")
    (logs / FILE_NAME).rename(logs / f"{FILE_NAME}.1")
    capture("after")
    assert len((logs / FILE_NAME).read_text().splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full, a disk that is always full")
def test_a_full_disk_is_one_line_in_the_log_and_what_leaves_still_leaves(
    start: Start, receiver: Receiver, logs: Path, capture: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    start(SENTRY_LEDGER="on")
    (logs / FILE_NAME).symlink_to("/dev/full")
    for _ in range(3):
        capture("hello")
    assert len(receiver.items("event")) == 3
    (complaint,) = [record for record in caplog.records if "ledger" in record.getMessage()]
    assert complaint.levelno == logging.WARNING
    (logs / FILE_NAME).unlink()
    capture("hello")
    assert "3 payloads were not recorded" in caplog.text


@pytest.mark.parametrize("name", ["nowhere", "a name that no system takes" * 100])
def test_a_folder_that_cannot_be_written_is_a_problem_with_its_fix_and_events_still_leave(
    start: Start, receiver: Receiver, logs: Path, capture: Callable[[str], None], name: str
) -> None:
    assert start({"log_dir": logs / name}, SENTRY_LEDGER="on")
    capture("hello")
    assert len(receiver.items("event")) == 1
    (problem,) = active().problems
    assert problem.id == "monitoring.W008"
    assert "unset SENTRY_LEDGER" in problem.hint


def test_a_folder_that_cannot_be_searched_is_the_same_problem(logs: Path) -> None:
    config = SentryConfig(ledger="on", log_dir=logs)
    logs.chmod(0)
    if is_root := not os.getuid():  # permission bits don't hold root
        os.setresuid(65534, 65534, 0)
    try:
        problems = ledger_problems(config)
    finally:
        if is_root:
            os.setresuid(0, 0, 0)
        logs.chmod(0o700)
    assert [problem.id for problem in problems] == ["monitoring.W008"]


def test_a_server_without_a_folder_for_logs_is_told_so(start: Start) -> None:
    assert start(SENTRY_LEDGER="on")
    assert [problem.id for problem in active().problems] == ["monitoring.W008"]


def test_torn_and_foreign_lines_are_counted_and_the_next_line_is_whole(
    start: Start, logs: Path, capture: Callable[[str], None]
) -> None:
    start(SENTRY_LEDGER="on")
    capture("first")
    with (logs / FILE_NAME).open("a") as file:
        file.write('\nhello\n{"time": "x", "kind": 3}\n{"time": "2026-01-01T00:00:00.000+00:00", "kind": "ev')
    capture("second")
    totals = Totals()
    assert len([entry for entry in read(logs / FILE_NAME, totals) if entry.kind == "event"]) == 2
    assert totals.unreadable == 3


def entry(number: int, **values: Any) -> bytes:
    line = {
        "time": f"2026-01-{number:02}T00:00:00.000+00:00",
        "pid": 7,
        "kind": "event",
        "id": f"{number:032x}",
        "issue": "RuntimeError in shop.views.buy:12",
        "size": 100,
        "redactions": {"email": 1},
        "answer": 200,
    }
    return json.dumps(line | values).encode() + b"\n"


def numbers(text: str) -> list[int]:
    return [int(line["id"], 16) for line in json.loads(text)["entries"]]


@pytest.fixture
def written(start: Start, logs: Path) -> Path:
    """A ledger of four payloads in three files, one of them compressed by logrotate."""
    start()
    with gzip.open(logs / f"{FILE_NAME}.2.gz", "wb") as oldest:
        oldest.write(entry(1))
    (logs / f"{FILE_NAME}.1").write_bytes(entry(2, kind="transaction", issue="/files/{path}/"))
    (logs / FILE_NAME).write_bytes(entry(3, redactions={"email": 2, "ipv4": 1}) + entry(4, answer=403) + b"torn")
    return logs / FILE_NAME


def test_the_command_shows_all_files_in_order_with_totals(written: Path) -> None:
    said = run()
    assert [line.split()[0][:10] for line in said.splitlines() if line.startswith("2026")] == [
        f"2026-01-0{number}" for number in (1, 2, 3, 4)
    ]
    assert "3 event, 1 transaction; 400 bytes" in said
    assert "200 3 times, 403 1 times" in said
    assert "Redactions by rule: email 5, ipv4 1" in said
    assert "cut off: 1" in said


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--kind", "transaction"], [2]),
        (["--issue", "SHOP.views"], [1, 3, 4]),
        (["--event", f"{3:032x}"], [3]),
        (["--tail", "2"], [3, 4]),
        (["--since", "1s"], []),
        (["--since", "9999d"], [1, 2, 3, 4]),
        (["--kind", "session"], []),
    ],
)
def test_the_command_filters(written: Path, options: list[str], expected: list[int]) -> None:
    assert numbers(run("--json", *options)) == expected


def test_files_that_logrotate_names_by_date_come_first_and_what_cannot_be_read_is_named(written: Path) -> None:
    written.with_name(f"{FILE_NAME}-20251231").write_bytes(entry(6))
    with gzip.open(written.with_name(f"{FILE_NAME}-20251230.gz"), "wb") as older:
        older.write(entry(5))
    written.with_name(f"{FILE_NAME}.5.xz").write_bytes(b"")
    assert numbers(run("--json")) == [5, 6, 1, 2, 3, 4]
    assert f"Not read, neither plain text nor .gz of a known name: {FILE_NAME}.5.xz" in run()


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(entry(1) * 50)[:-20], b"\x1f\x8b\x08\0\0\0\0\0\0\3" + b"\xff" * 50],
    ids=["something else", "cut off", "corrupt"],
)
@pytest.mark.parametrize("options", [(), ("--tail", "1")])
def test_a_damaged_file_is_named(written: Path, content: bytes, options: tuple[str, ...]) -> None:
    damaged = written.with_name(f"{FILE_NAME}.3.gz")
    damaged.write_bytes(content)
    with pytest.raises(CommandError, match=f"{damaged} can't be read: it is damaged, or no gzip file"):
        run(*options)


def test_an_id_is_found_in_the_form_that_a_tracker_shows(written: Path) -> None:
    assert numbers(run("--json", "--event", str(UUID(int=3)).upper())) == [3]
    written.write_bytes(entry(10))
    assert numbers(run("--json", "--event", f"{10:032X}")) == [10]


@pytest.mark.parametrize("tail", ["-1", "some"])
def test_a_tail_that_is_none_is_refused(written: Path, tail: str) -> None:
    with pytest.raises(CommandError, match="such as 20"):
        run("--tail", tail)


def test_the_totals_of_a_tail_are_of_all_that_match(written: Path) -> None:
    totals = json.loads(run("--json", "--tail", "1"))["totals"]
    assert totals["kinds"] == {"event": 3, "transaction": 1}
    assert totals["unreadable"] == 1


def test_a_kind_that_is_none_is_refused_with_those_that_there_are(written: Path) -> None:
    with pytest.raises(CommandError, match=r"'nonsense'.*check_in.*transaction"):
        run("--kind", "nonsense")


def test_a_duration_that_is_none_is_refused_with_an_example(written: Path) -> None:
    with pytest.raises(CommandError, match="such as 1h"):
        run("--since", "yesterday")


def test_what_a_line_holds_cannot_command_the_terminal(written: Path) -> None:
    written.write_bytes(entry(5, issue="\x1b[2J"))
    assert "\x1b" not in run()


def test_the_last_payloads_are_remembered_only_under_debug(
    start: Start, receiver: Receiver, logs: Path, capture: Callable[[str], None]
) -> None:
    start(SENTRY_MAX_EVENTS_PER_MINUTE="0", SENTRY_LEDGER="on")
    capture("in production")
    assert recent() == ()
    with override_settings(DEBUG=True):
        for number in range(ledger.MAX_RECENT + 1):
            capture(f"number {number}")
    found = recent()
    assert len(found) == ledger.MAX_RECENT
    assert found[0].payload is not None
    assert found[0].payload.encode() == receiver.payloads()[-1][1]
