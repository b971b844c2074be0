"""What a tracker hears of an audit that `manage.py audit_storage` runs, as the bytes that arrive."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bugsink import Bugsink

from core.monitoring.testing import Receiver
from tests.audited_server import FILES, Server, copy_of, new_server
from tests.bugsink_service import require_bugsink
from tests.conftest import manage


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Server:
    return new_server(tmp_path_factory.mktemp("template"))


@pytest.fixture
def server(template: Server, tmp_path: Path) -> Server:
    return copy_of(template, tmp_path / "server")


@dataclass
class Audited:
    """An audit that found a changed content and a changed size: what it printed, and what arrived of it."""

    known: dict[str, dict[str, Any]]
    receiver: Receiver


@pytest.fixture(scope="module")
def audited(template: Server, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    server = copy_of(template, tmp_path_factory.mktemp("audited") / "server")
    first, second = sorted(server.home.iterdir())[:2]
    first.write_bytes(b"0123456788")
    second.write_bytes(b"12345")
    with Receiver() as receiver:
        ended = server.audit(receiver.dsn, "--json", STORMCLOUD_AUDIT_SCHEDULE="15 2 * * *")
    assert ended.returncode == 3, ended.stderr
    return Audited({violation["kind"]: violation for violation in json.loads(ended.stdout)["violations"]}, receiver)


def arrived(receiver: Receiver, kind: str) -> list[dict[str, Any]]:
    # The process has ended, and with it whatever it had to send.
    return receiver.items(kind)


def test_an_audit_is_one_event_whose_level_is_by_the_number_of_new_violations(
    server: Server, receiver: Receiver
) -> None:
    server.audit_after_deleting(receiver.dsn, [0, 1, 4, 5, 50])
    told = [(event["contexts"]["details"]["new"], event["level"]) for event in arrived(receiver, "event")]
    assert told == [(1, "warning"), (4, "warning"), (5, "error"), (50, "error")]
    for event in arrived(receiver, "event"):
        details = event["contexts"]["details"]
        assert details["new_by_kind"] == {"missing": details["new"]}
        assert len(details["first"]) == min(details["new"], 10)
    assert b"salary" not in receiver.bytes


def test_the_event_is_marked_and_grouped_as_the_audits(audited: Audited) -> None:
    (event,) = arrived(audited.receiver, "event")
    assert event["tags"]["component"] == "storage_audit"
    assert event["fingerprint"] == ["storage-audit", "violations"]
    assert event["release"] == "4711abc"


def test_the_event_tells_ids_and_values_but_no_names_and_no_checksums(audited: Audited) -> None:
    (event,) = arrived(audited.receiver, "event")
    changed, resized = audited.known["content"], audited.known["size"]
    content, size = event["contexts"]["details"]["first"]
    assert content.startswith(f"content: file {changed['file_id']} of user {changed['user_id']}, checksum recorded ")
    assert "(another content of the same size), last right 20" in content
    assert size.startswith(f"size: file {resized['file_id']} of user {resized['user_id']}, size recorded 10, actual 5 ")
    for private in ("salary", "jane", changed["recorded"], changed["actual"], "ada@example"):
        assert private.encode() not in audited.receiver.bytes


def test_the_run_is_a_transaction_with_spans_and_figures(audited: Audited) -> None:
    (transaction,) = arrived(audited.receiver, "transaction")
    trace = transaction["contexts"]["trace"]
    assert (transaction["transaction"], trace["op"]) == ("audit_storage", "audit")
    assert (trace["data"]["files"], trace["data"]["hashed_bytes"]) == (FILES, FILES * 10 - 10)
    assert {"files_per_second", "throttled_seconds", "retry_seconds", "peak_memory_bytes"} <= set(trace["data"])
    phases = [span["description"] for span in transaction["spans"] if span["op"] == "audit.phase"]
    assert phases == ["files", "storage", "quotas", "leftovers"]
    batches = [span["data"] for span in transaction["spans"] if span["op"] == "audit.batch"]
    assert [batch["files"] for batch in batches] == [FILES, FILES]


def test_the_run_checks_in_with_the_schedule_of_the_settings(audited: Audited) -> None:
    begin, end = arrived(audited.receiver, "check_in")
    # What it found is no failure of the job.
    assert (begin["status"], end["status"]) == ("in_progress", "ok")
    assert begin["check_in_id"] == end["check_in_id"]
    for check_in in (begin, end):
        assert check_in["monitor_slug"] == "audit-storage"
        assert check_in["monitor_config"]["schedule"] == {"type": "crontab", "value": "15 2 * * *"}
        assert check_in["monitor_config"]["timezone"] == "UTC"
        assert {"checkin_margin", "max_runtime"} <= set(check_in["monitor_config"])


def test_a_look_at_a_part_of_the_files_is_not_what_was_scheduled(server: Server, receiver: Receiver) -> None:
    assert server.audit(receiver.dsn, "--sample", "3").returncode == 0
    assert arrived(receiver, "transaction")
    assert arrived(receiver, "check_in") == []


@pytest.mark.parametrize(
    ("kind", "hint"),
    [("StorageUnreachable", "Is the disk mounted at"), ("AuditMisconfigured", "STORMCLOUD_STORAGE_BACKEND")],
)
def test_a_failure_of_the_audit_is_an_error_of_its_own_kind(
    server: Server, receiver: Receiver, kind: str, hint: str
) -> None:
    variables = {"STORMCLOUD_STORAGE_BACKEND": "tape"} if kind == "AuditMisconfigured" else {}
    shutil.move(server.folder / "media", server.folder / "not-mounted")
    ended = server.audit(receiver.dsn, **variables)
    assert (ended.returncode, hint in ended.stderr) == (1, True)
    (event,) = arrived(receiver, "event")
    assert (event["level"], event["exception"]["values"][-1]["type"]) == ("error", kind)
    assert event["fingerprint"] == ["storage-audit", kind]
    assert event["tags"]["component"] == "storage_audit"
    assert [check_in["status"] for check_in in arrived(receiver, "check_in")] == ["in_progress", "error"]


def test_a_task_that_fails_is_one_event_too(server: Server, receiver: Receiver) -> None:
    shutil.move(server.folder / "media", server.folder / "not-mounted")
    code = "from core.tasks import audit_storage; audit_storage.delay()"
    assert manage(server.env(SENTRY_DSN=receiver.dsn), "shell", "-c", code).returncode == 1
    (event,) = arrived(receiver, "event")
    assert event["exception"]["values"][-1]["type"] == "StorageUnreachable"
    assert event["tags"]["component"] == "storage_audit"


def test_without_a_dsn_an_audit_finds_the_same_and_never_loads_the_sdk(server: Server) -> None:
    next(server.home.iterdir()).unlink()
    code = (
        "import sys; from core.audit.run import audit; print(audit().violations.count(), 'sentry_sdk' in sys.modules)"
    )
    ended = manage(server.env(), "shell", "-c", code)
    assert ended.stdout.split()[-2:] == ["1", "False"], ended.stderr


def test_a_tracker_shows_repeated_runs_as_one_issue(server: Server, tmp_path: Path) -> None:
    require_bugsink()
    with Bugsink(state=tmp_path / "tracker") as tracker:
        server.audit_after_deleting(tracker.dsn, [1, 2, 6])
        assert tracker.wait_for(lambda tracker: [i for i in tracker.issues() if i["digested_event_count"] == 3])
        (issue,) = tracker.issues()
        assert [event["data"]["level"] for event in tracker.events(issue["id"])] == ["error", "warning", "warning"]


def test_what_a_killed_run_could_not_tell_the_next_one_tells_once(server: Server, receiver: Receiver) -> None:
    next(server.home.iterdir()).unlink()
    code = "import os; from core.audit import report, run; report.violations = lambda run: os._exit(9); run.audit()"
    assert manage(server.env(SENTRY_DSN=receiver.dsn), "shell", "-c", code).returncode != 0
    assert arrived(receiver, "event") == []
    for _ in range(2):
        assert server.audit(receiver.dsn).returncode == 3
    (event,) = arrived(receiver, "event")
    assert (event["contexts"]["details"]["new"], event["level"]) == (1, "warning")


def test_what_is_too_little_for_an_event_is_told_with_what_comes_later(server: Server, receiver: Receiver) -> None:
    for _ in range(3):
        next(server.home.iterdir()).unlink()
        server.audit(receiver.dsn, STORMCLOUD_AUDIT_WARNING_FROM="2")
    (event,) = arrived(receiver, "event")
    assert event["contexts"]["details"]["new"] == 2
