"""The command, the task, and what the guide says of them."""

import json
import re

import pytest
from celery.schedules import crontab
from django.core.management import CommandError, call_command
from django.utils import timezone

from core.audit import known
from core.audit.errors import AuditError
from core.audit.figures import Figures
from core.files import key_of
from core.locks import only_one
from core.management.commands.audit_storage import Command, progress_line
from core.models import AuditRun, StorageViolation
from core.tasks import TO_FINISH, audit_storage


def test_the_task_does_what_the_command_does(stored, tree, user):
    stored("a")
    tree.write(key_of(user, "a"), b"12345")
    assert audit_storage.delay().get()["files"] == 1
    assert StorageViolation.objects.count() == 1


def test_a_night_on_which_nothing_was_audited_does_not_look_good(stored):
    stored("a")
    with only_one("rebuild-index"), pytest.raises(AuditError, match="nothing was audited"):
        audit_storage.delay().get()


def test_the_task_pauses_before_its_time_limit_and_goes_on_the_next_night(stored, settings, monkeypatch):
    for path in "abc":
        stored(path)
    monkeypatch.setattr(known, "BATCH", 2)
    settings.CELERY_TASK_SOFT_TIME_LIMIT = TO_FINISH
    assert audit_storage.delay().get()["files"] == 2
    assert AuditRun.objects.get().state == "paused"
    assert audit_storage.delay().get()["files"] == 3
    assert audit_storage.delay().get()["stored"] == 3
    assert AuditRun.objects.get().state == "finished"


def test_beat_runs_it_as_the_monitor_that_the_command_checks_in_with(settings):
    entry = settings.CELERY_BEAT_SCHEDULE["audit-storage"]
    assert entry["task"] == "core.tasks.audit_storage"
    assert entry["schedule"] == crontab.from_string(settings.STORMCLOUD_AUDIT_SCHEDULE)


def run_command(*arguments: str, capsys) -> tuple[int, str, str]:
    try:
        call_command("audit_storage", *arguments)
        code = 0
    except SystemExit as error:
        code = error.code
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_the_command_says_by_its_exit_code_whether_something_differs(disk, stored, user, capsys):
    stored("a")
    stored("b")
    code, out, err = run_command(capsys=capsys)
    assert (code, err) == (0, "")
    assert "2 files compared" in out
    assert "0 new, 0 known, 0 resolved" in out
    disk.remove(key_of(user, "a"))
    for expected in ("1 new, 0 known", "0 new, 1 known"):
        code, out, _ = run_command(capsys=capsys)
        assert code == 3
        assert expected in out
        assert f'missing     "{key_of(user, "a")}": 10 bytes missing (recorded 10, actual -), last right 2' in out


def test_names_are_printed_so_that_a_terminal_obeys_none_of_them(disk, stored, user, capsys):
    stored("a")
    disk.write(key_of(user, "\x1b[2J\nx"), b"x")
    _, out, _ = run_command(capsys=capsys)
    assert "\x1b" not in out
    assert '\\u001b[2J\\nx"' in out


def test_scripts_get_one_json_object(disk, stored, user, capsys):
    file = stored("a")
    disk.write(key_of(user, "a"), b"12345")
    code, out, err = run_command("--json", capsys=capsys)
    answer = json.loads(out)
    assert (code, err) == (3, "")
    assert (answer["new"], answer["seen"], answer["figures"]["files"]) == (1, 1, 1)
    (violation,) = answer["violations"]
    assert violation["file_id"] == str(file.pk)
    assert (violation["attribute"], violation["recorded"], violation["actual"]) == ("size", "10", "5")


def test_scripts_get_every_violation_however_many_there_are(db, capsys):
    run, now = AuditRun.objects.create(), timezone.now()
    seen = {"first_seen_at": now, "last_seen_at": now, "first_run": run, "last_run": run}
    StorageViolation.objects.bulk_create(
        StorageViolation(kind="missing", subject=str(number), key="1/1/x", **seen) for number in range(2001)
    )
    Command()._print(run, as_json=True)
    assert len(json.loads(capsys.readouterr().out)["violations"]) == 2001


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--since", "yesterday"], "write it as 2026-12-31"),
        (["--since", "0001-01-01T00:00+14:00"], "write it as 2026-12-31"),
        (["--since", "9999-12-31"], "in the future"),
        (["--sample", "0"], "a whole number from 1 up"),
        (["--organization", "x"], "a whole number from 1 up"),
        (["--organization", "99999"], "There is no such organization"),
    ],
)
def test_bad_input_is_told_how_to_write_it(db, arguments, hint):
    with pytest.raises(CommandError, match=hint):
        call_command("audit_storage", *arguments)


@pytest.mark.parametrize("since", ["2026-01-31", "2026-01-31T10:00", "2026-01-31T10:00+02:00"])
def test_since_takes_a_date_or_a_time(stored, since, capsys):
    stored("a")
    assert run_command("--since", since, capsys=capsys)[0] == 0


def test_the_progress_bar_shows_what_is_done_and_what_is_left():
    half = Figures(total_files=2000, files=1000, seconds=100.0)
    assert progress_line(half) == "[###############...............]  50%  1,000 of 2,000 files, 10/s, 0:01:40 left"
    assert progress_line(Figures()).startswith("[####")
    assert progress_line(Figures(total_files=7)).endswith("0 of 7 files, 0/s")  # nobody knows yet


def test_the_guide_explains_every_kind_and_every_option_and_every_setting(settings):
    guide = (settings.BASE_DIR / "docs" / "AUDIT.md").read_text(encoding="utf-8")
    template = (settings.BASE_DIR / ".env.template").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z]+)` \|", guide, re.MULTILINE) == StorageViolation.Kind.values
    assert re.findall(r"^\| `(--[a-z]+)", guide, re.MULTILINE) == ["--organization", "--since", "--sample", "--json"]
    for name, default in re.findall(r"^\| `(STORMCLOUD_AUDIT_\w+)` \| `(.+?)` \|", guide, re.MULTILINE):
        assert f"\n{name}={default}\n" in template
        assert str(getattr(settings, name)) in (default, f"{default}.0")


def test_the_guides_example_of_a_job_runs(settings):
    guide = (settings.BASE_DIR / "docs" / "AUDIT.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.+?)```", guide, re.DOTALL)
    exec(example, {})
