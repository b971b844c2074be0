"""`manage.py sentry_status` says what is in force and what became of each process's events, whatever is wrong."""

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
from django.core.management import CommandError, call_command
from django.test import override_settings

from core.monitoring import counters
from core.monitoring.counters import PREFIX, SHOWN_FOR, ProcessCounts, read_processes
from core.monitoring.sdk import active, init_sentry
from core.monitoring.status import Status, status
from core.monitoring.testing import Receiver
from core.monitoring.tests.processes import finished, reporting

Start = Callable[..., bool]
Call = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def with_the_middleware() -> Any:
    with override_settings(MIDDLEWARE=["core.middleware.SentryContextMiddleware"]):
        yield


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("sentry_status", *arguments, stdout=out)
    return out.getvalue()


def source(found: Status, name: str) -> tuple[Any, str]:
    return next((setting.value, setting.source) for setting in found.settings if setting.name == name)


def test_without_a_dsn_it_says_that_it_is_off_and_that_is_no_problem(tmp_path: Path) -> None:
    init_sentry(base_dir=tmp_path)
    said = run()
    assert "Monitoring is off: SENTRY_DSN is not set." in said
    assert json.loads(run("--json"))["enabled"] is False


def test_a_malformed_dsn_is_a_problem_with_its_fix_and_exit_code_1(start: Start) -> None:
    start(SENTRY_DSN="notaurl")
    out = StringIO()
    with pytest.raises(CommandError) as raised:
        call_command("sentry_status", stdout=out)
    assert raised.value.returncode == 1
    assert "Monitoring is off: SENTRY_DSN is not a DSN" in out.getvalue()
    assert "Set SENTRY_DSN to the DSN" in out.getvalue()


def test_a_missing_sdk_is_said(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sentry_sdk", None)
    assert not start()
    found = status()
    assert not found.enabled
    assert "sentry-sdk can't be imported" in found.reason


def test_when_on_it_names_host_and_project_and_never_the_key(start: Start, receiver: Receiver) -> None:
    start()
    assert f"Events go to 127.0.0.1:{receiver.port}, project 1." in run()
    for said in (run(), run("--json")):
        assert "publickey" not in said
    found = status()
    assert found.reason == "SENTRY_DSN is set."
    assert source(found, "SENTRY_DSN") == (f"http://127.0.0.1:{receiver.port}/1", "SENTRY_DSN")
    assert "django" in found.integrations
    assert found.sdk_version == sentry_sdk.VERSION


@pytest.mark.parametrize("variable", ["SENTRY_RELEASE", "GIT_COMMIT"])
def test_it_says_which_variable_the_release_came_from(start: Start, variable: str) -> None:
    start(**{variable: "1.2.3"})
    assert source(status(), "SENTRY_RELEASE") == ("1.2.3", variable)


def test_it_says_when_the_release_is_the_checkouts_head(start: Start, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("a" * 40)
    start()
    assert source(status(), "SENTRY_RELEASE") == ("a" * 40, "HEAD of the checkout")


def test_it_tells_the_hosts_choices_from_defaults_and_variables(start: Start) -> None:
    host = {
        "environment": "staging",
        "ignore_paths": ["/health/"],
        "ignore_loggers": ["shop.security"],
        "private_paths": ["/srv/files"],
        "sensitive_keys": ["badge"],
        "patterns": {"badge": r"BADGE-\d{4}", "bad": "("},
    }
    start(host, SENTRY_TRACES_SAMPLE_RATE="0.5", SENTRY_SENSITIVE_KEYS="locker")
    found = status()
    assert source(found, "SENTRY_ENVIRONMENT") == ("staging", "settings")
    assert source(found, "SENTRY_TRACES_SAMPLE_RATE") == (0.5, "SENTRY_TRACES_SAMPLE_RATE")
    assert source(found, "SENTRY_MAX_EVENTS_PER_MINUTE") == (20, "default")
    assert source(found, "SENTRY_IGNORE_PATHS") == (("/health/",), "settings")
    assert source(found, "SENTRY_SENSITIVE_KEYS") == (("badge", "locker"), "settings, SENTRY_SENSITIVE_KEYS")
    assert source(found, "SENTRY_PRIVATE_PATHS") == (("/srv/files",), "settings")
    assert "shop.security" in found.ignored["loggers"]
    assert any("SuspiciousOperation" in name for name in found.ignored["errors"])
    assert found.scrubbing["patterns of this server"] == ("badge",)
    assert [problem.id for problem in found.problems] == ["monitoring.W007"]


def test_sent_held_back_and_lost_are_counted_with_their_reasons(
    start: Start, call: Call, receiver: Receiver, logs: Path
) -> None:
    start(SENTRY_MAX_EVENTS_PER_MINUTE="3", SENTRY_TRACES_SAMPLE_RATE="0")
    for _ in range(5):
        call("/fail/")
    sentry_sdk.flush()
    receiver.status = 403
    sentry_sdk.capture_message("refused")
    sentry_sdk.flush()
    receiver.status, receiver.headers = 200, {"X-Sentry-Rate-Limits": "60:error:key"}
    sentry_sdk.capture_message("taken, and the last for a minute")
    sentry_sdk.flush()
    sentry_sdk.capture_message("too many")
    sentry_sdk.flush()
    traffic = status().traffic
    assert traffic.sent["event"] == 4
    assert traffic.held_back == 2
    assert "client_report" not in traffic.sent, "that tells of losses only"
    assert traffic.lost == {"HTTP 403": 1, "ratelimit_backoff": 1}


def test_a_tracker_that_is_gone_is_named_as_the_reason(start: Start) -> None:
    start(SENTRY_DSN="http://key@127.0.0.1:9/1")
    sentry_sdk.capture_message("nobody listens")
    sentry_sdk.flush()
    assert status().traffic.lost == {"NewConnectionError": 1}


def test_what_the_queue_had_no_room_for_is_counted(start: Start) -> None:
    start(SENTRY_MAX_EVENTS_PER_MINUTE="0")
    transport = sentry_sdk.get_client().transport
    busy, go_on = threading.Event(), threading.Event()
    transport._worker.submit(lambda: busy.set() or go_on.wait(60))
    assert busy.wait(60), "the sending thread has something else to do"
    for _ in range(transport.options["transport_queue_size"] + 10):
        sentry_sdk.capture_message("hello")
    assert status().traffic.lost["queue_overflow"] == 10
    go_on.set()


def test_events_of_which_only_a_skeleton_left_are_counted(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    start()
    monkeypatch.setattr("core.monitoring.scrubber.Walk", None)
    sentry_sdk.capture_message("hello")
    sentry_sdk.flush()
    monkeypatch.undo()
    traffic = status().traffic
    # The failure was reported, too.
    assert traffic.failed_scrubs == traffic.sent["event"] == 2


def test_the_servers_other_processes_are_seen_while_they_run_and_afterwards(
    start: Start, receiver: Receiver, logs: Path
) -> None:
    start()
    running, other = reporting(logs, receiver, 3, "one"), reporting(logs, receiver, 2, "two")
    finished(other)
    assert running.stdout is not None
    assert running.stdout.readline() == "sent\n"
    found = {process.pid: process for process in status().processes}
    assert (found[running.pid].state, found[running.pid].sent["event"]) == ("running", 3)
    assert (found[other.pid].state, found[other.pid].sent["event"]) == ("ended", 2)
    assert status().traffic.sent["event"] == 5
    assert "event: 5" in run()
    assert f"{running.pid}" in run()
    running.communicate(timeout=60)
    assert {process.state for process in status().processes} == {"ended"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_does_not_count_its_parents_events_again(receiver: Receiver, logs: Path) -> None:
    finished(reporting(logs, receiver, 2, "parent", "fork"))
    assert len(receiver.wait_for("event", 4)) == 4
    assert [process.sent["event"] for process in read_processes(logs)] == [2, 2]


def counts(**values: Any) -> ProcessCounts:
    import socket

    own = {"host": socket.gethostname(), "pid": os.getpid(), "born": "", "program": "gunicorn"}
    return ProcessCounts(**own | {"started": counters.now(), "written": counters.now()} | values)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system does not tell when a process began")
def test_another_process_that_got_the_same_id_is_not_mistaken_for_it() -> None:
    assert counts(born=counters._born(os.getpid())).state == "running"
    assert counts(born="1").state == "ended"


def test_a_process_of_another_container_is_neither_running_nor_ended() -> None:
    assert counts(host="elsewhere.example.com").state == "elsewhere"


def aged(file: Path, **values: Any) -> Path:
    """Write a process's file as it was left more than a day ago."""
    file.write_text(json.dumps(asdict(counts(**values))))
    day_ago = time.time() - SHOWN_FOR - 60
    os.utime(file, (day_ago, day_ago))
    return file


def test_the_totals_have_running_processes_however_silent_and_ended_ones_for_a_day(start: Start, logs: Path) -> None:
    silent = aged(logs / f"{PREFIX}silent.json", sent={"event": 5}, born=counters._born(os.getppid()), pid=os.getppid())
    aged(logs / f"{PREFIX}ended.json", sent={"event": 7}, born="1", pid=1)
    start()
    assert status().traffic.sent == {"event": 5}
    sentry_sdk.capture_message("the first of this process, which clears up")
    sentry_sdk.flush()
    assert silent.exists()
    assert status().traffic.sent == {"event": 6}


@pytest.mark.parametrize("odd", [{"written": 5}, {"sent": ["event"]}, {"sent": {"event": "many"}}, {"pid": 10**30}])
def test_an_odd_file_is_left_out_and_a_name_in_one_cannot_steer_the_terminal(
    start: Start, logs: Path, odd: dict[str, Any]
) -> None:
    (logs / f"{PREFIX}odd.json").write_text(json.dumps(asdict(counts()) | {"program": "strange"} | odd))
    (logs / f"{PREFIX}sly.json").write_text(json.dumps(asdict(counts(program="sly\x1b[2J", sent={"\x1b]0;x": 1}))))
    start()
    said = run()
    assert "sly\\x1b[2J" in said
    assert "\x1b" not in said
    assert "strange" not in said


def test_numbers_are_removed_a_day_after_their_last_change_and_foreign_files_are_left_out(
    start: Start, logs: Path
) -> None:
    files = {name: logs / f"{PREFIX}{name}.json" for name in ("fresh", "old", "foreign")}
    for file in files.values():
        file.write_text(json.dumps(asdict(counts(sent={"event": 1}))))
    files["foreign"].write_text('{"pid": "hello"}')
    aged(files["old"], born="1", sent={"event": 1})
    start()
    sentry_sdk.capture_message("hello")
    sentry_sdk.flush()
    assert not files["old"].exists()
    assert files["fresh"].exists()
    assert len(read_processes(logs)) == 2


def test_a_folder_that_cannot_be_written_is_one_log_line_and_events_still_leave(
    start: Start, receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start({"log_dir": tmp_path / "nowhere"})
    for _ in range(3):
        sentry_sdk.capture_message("hello")
    sentry_sdk.flush()
    assert len(receiver.wait_for("event", 3)) == 3
    assert caplog.text.count("sentry_status will show old numbers") == 1
    assert status().traffic.sent["event"] == 3


def test_nothing_is_written_without_a_folder_for_logs(start: Start, tmp_path: Path) -> None:
    start()
    sentry_sdk.capture_message("hello")
    sentry_sdk.flush()
    assert active().config.log_dir is None
    assert list(tmp_path.rglob(f"{PREFIX}*")) == []
