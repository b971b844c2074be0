"""An audit that cannot be done says why, is patient with its storage, and goes on where it was killed."""

import errno
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from core import storage
from core.audit import known, pace
from core.audit.errors import AuditMisconfigured, StorageForbidden, StorageUnreachable
from core.audit.figures import Figures
from core.audit.report import level_of
from core.audit.run import audit
from core.files import key_of
from core.locks import AlreadyRunning, only_one
from core.models import AuditRun, StorageViolation
from core.tests.audit.memory_storage import MemoryStorage
from core.tests.audit.tampering import TamperedMemory, found
from core.tests.audit.test_tampering import InThisThread


def test_a_disk_that_is_not_mounted_is_a_failure_and_no_violation(tree, stored, user):
    stored("a")
    tree.remove(key_of(user, "a"))
    with pytest.raises(StorageUnreachable, match="mounted"):
        audit()
    assert not StorageViolation.objects.exists()
    run = AuditRun.objects.get()
    assert (run.state, run.finished_at is not None) == ("failed", True)
    assert run.error.startswith("StorageUnreachable: ")


def test_a_disk_that_is_unmounted_during_an_audit_is_a_failure_and_no_violation(tree, stored, user, monkeypatch):
    for number in range(5):
        stored(str(number))
    compare = known.check

    def unmounted(storage, owner, row, pace):
        tree.remove(key_of(user, row.path))
        return compare(storage, owner, row, pace)

    monkeypatch.setattr(known, "check", unmounted)
    with pytest.raises(StorageUnreachable):
        audit()
    assert not StorageViolation.objects.exists()


def test_a_disk_that_is_unmounted_in_the_middle_of_a_batch_is_no_violation_either(tree, stored, user, monkeypatch):
    for number in range(6):
        stored(str(number))
    compare, looked = known.check, []

    def unmounted(storage, owner, row, pace):
        looked.append(compare(storage, owner, row, pace))
        if len(looked) == 3:
            for number in range(6):
                tree.remove(key_of(user, str(number)))
        return looked[-1]

    monkeypatch.setattr(known, "check", unmounted)
    monkeypatch.setattr(known, "ThreadPoolExecutor", InThisThread)
    with pytest.raises(StorageUnreachable):
        audit()
    assert not StorageViolation.objects.exists()


class Failing(MemoryStorage):
    """Raises `errors`, one a call, then works."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[OSError] = []
        self.well = True
        self.walks, self.fails_at_walk, self.dead = 0, 0, "no such name"

    def read(self, key):
        if self.errors:
            raise self.errors.pop()
        return super().read(key)

    def walk(self, key="", directories=False):
        self.walks += 1
        if self.walks == self.fails_at_walk:
            raise TimeoutError
        return super().walk(key, directories)

    def stat(self, key):
        if key.endswith(self.dead):
            raise OSError(errno.EIO, "x")
        return super().stat(key)

    def healthy(self):
        return self.well


@pytest.fixture
def failing(settings, monkeypatch) -> Failing:
    failing = Failing()
    monkeypatch.setitem(storage.BACKENDS, "failing", lambda: failing)
    monkeypatch.setattr(pace, "RETRY_AFTER", (0.001, 0.001))
    settings.STORMCLOUD_STORAGE_BACKEND = "failing"
    settings.STORMCLOUD_AUDIT_THREADS = 1
    return failing


def test_a_storage_that_fails_for_a_moment_is_asked_again(failing, stored):
    stored("a")
    failing.errors = [TimeoutError(), ConnectionResetError()]
    run = audit()
    assert found(run) == set()
    assert run.figures["retries"] == 2
    assert run.figures["retry_seconds"] == 0.002


def test_a_storage_that_fails_for_a_moment_while_it_is_listed_is_asked_again(failing, stored):
    stored("a")
    failing.fails_at_walk = 2  # the first is to see whether anything is there
    run = audit()
    assert (run.state, run.figures["retries"], run.figures["stored"]) == ("finished", 1, 1)


def test_an_unknown_file_that_cannot_be_looked_at_is_a_violation_and_the_audit_goes_on(failing, stored, user):
    stored("a")
    TamperedMemory(failing).write(key_of(user, "dead"), b"x")
    failing.dead = "dead"
    (violation,) = audit().violations.all()
    assert (violation.kind, violation.key) == ("unreadable", key_of(user, "dead"))
    assert violation.difference == "Input/output error"


def test_a_file_that_cannot_be_read_is_a_violation(failing, stored, user):
    stored("a")
    stored("b")
    failing.errors = [OSError(errno.EIO, "x")] * 3
    (violation,) = audit().violations.all()
    assert (violation.kind, violation.difference) == ("unreadable", "Input/output error")


def test_a_file_that_the_server_may_not_read_has_wrong_permissions(failing, stored, user):
    stored("a")
    stored("b")
    failing.errors = [PermissionError(errno.EACCES, "x")]
    (violation,) = audit().violations.all()
    assert (violation.kind, violation.difference) == ("permissions", "the server may not read it")


@pytest.mark.parametrize("well", [True, False])
def test_one_failure_after_the_other_is_the_storages_own_when_nothing_can_be_written_either(failing, stored, well):
    for number in range(20):
        stored(str(number))
    failing.errors, failing.well = [OSError(errno.EIO, "x")] * 1000, well
    if well:
        assert audit().violations.count() == 20
    else:
        with pytest.raises(StorageUnreachable):
            audit()


@pytest.mark.parametrize(
    ("error", "expected"), [(PermissionError(), StorageForbidden), (TimeoutError(), StorageUnreachable)]
)
def test_a_storage_that_cannot_be_listed_is_a_failure_of_its_own_kind(failing, stored, monkeypatch, error, expected):
    stored("a")

    def refuse(self, key="", directories=False):
        raise error

    monkeypatch.setattr(Failing, "walk", refuse)
    with pytest.raises(expected):
        audit()


@pytest.mark.parametrize(
    ("name", "value"),
    [("STORAGE_BACKEND", "tape"), ("AUDIT_THREADS", 0), ("AUDIT_MB_PER_SECOND", -1)],
)
def test_a_setting_that_makes_no_sense_is_named(db, settings, name, value):
    setattr(settings, f"STORMCLOUD_{name}", value)
    with pytest.raises(AuditMisconfigured, match=rf"STORMCLOUD_{name}.* Set it to"):
        audit()
    assert AuditRun.objects.get().state == "failed"


def test_the_rate_limit_holds_it_back(tree, stored, settings):
    settings.STORMCLOUD_AUDIT_MB_PER_SECOND = 10
    stored("a", b"x" * 3_000_000)
    began = time.monotonic()
    figures = audit().figures
    assert figures["hashed_bytes"] == 3_000_000
    # The first tenth of a second's worth may come at once.
    assert time.monotonic() - began >= 0.2
    assert 0.1 < figures["throttled_seconds"] < 0.35


def test_a_storage_that_stays_below_the_rate_limit_is_not_held_back():
    figures = Figures()
    slow = pace.Pace(1e9, figures)
    for _ in range(20):
        slow.take(100_000)
        time.sleep(0.001)
    assert (figures.hashed_bytes, figures.throttled_seconds) == (2_000_000, 0)


def test_an_audit_that_ends_early_does_not_wait_for_its_threads(tree, stored, settings, monkeypatch):
    settings.STORMCLOUD_AUDIT_MB_PER_SECOND = 1
    monkeypatch.setattr(known, "_TICK", 0.01)
    stored("a", b"x" * 5_000_000)

    def kill(figures):
        if figures.hashed_bytes:
            raise Killed

    began = time.monotonic()
    with pytest.raises(Killed):
        audit(tick=kill)
    for thread in threading.enumerate():
        if thread.name.startswith("audit"):
            thread.join()
    assert time.monotonic() - began < 2


def test_as_many_files_are_read_at_once_as_the_setting_says(tree, stored, settings, monkeypatch):
    settings.STORMCLOUD_AUDIT_THREADS = 3
    monkeypatch.setattr(known, "_PORTION", 2)
    compare, together, threads = known.check, threading.Barrier(3, timeout=30), set()

    def check(*arguments):
        threads.add(threading.get_ident())
        together.wait()  # for as many as there should be
        return compare(*arguments)

    monkeypatch.setattr(known, "check", check)
    for number in range(12):
        stored(str(number))
    assert audit().figures["files"] == 12
    assert len(threads) == 3


def test_the_memory_that_an_audit_takes_is_measured(tree, stored):
    stored("a")
    assert audit().figures["peak_memory_bytes"] > 10 * 1024**2


def test_what_was_found_is_kept_together_with_how_far_the_run_came(tree, stored, user, monkeypatch):
    stored("a")
    stored("b")
    tree.remove(key_of(user, "a"))
    save = AuditRun.save

    def kill(run, update_fields=(), **options):
        if "last_path" in update_fields:
            raise Killed
        save(run, update_fields=update_fields or None, **options)

    monkeypatch.setattr(AuditRun, "save", kill)
    with pytest.raises(Killed):
        audit()
    assert not StorageViolation.objects.exists()


def test_it_never_writes_to_the_storage(disk, stored, user):
    stored("a")
    disk.leave_half_written()
    disk.write("README", b"x")

    def everything():
        return {path: (path.stat().st_mtime_ns, path.stat().st_mode) for path in disk.root.rglob("*")}

    before = everything()
    audit()
    assert everything() == before


@pytest.mark.parametrize(
    ("new", "warning_from", "error_from", "level"),
    [
        (0, 1, 5, None),
        (1, 1, 5, "warning"),
        (4, 1, 5, "warning"),
        (5, 1, 5, "error"),
        (50, 1, 5, "error"),
        (0, 0, 0, None),
        (2, 3, 10, None),
        (3, 10, 3, "error"),
    ],
)
def test_the_thresholds_are_settings(settings, new, warning_from, error_from, level):
    settings.STORMCLOUD_AUDIT_WARNING_FROM, settings.STORMCLOUD_AUDIT_ERROR_FROM = warning_from, error_from
    assert level_of(new) == level


@pytest.mark.parametrize("work", ["audit-storage", "rebuild-index"])
def test_neither_another_audit_nor_a_rebuild_runs_at_the_same_time(stored, work):
    stored("a")
    with only_one(work), pytest.raises(AlreadyRunning):
        audit()
    assert not AuditRun.objects.exists()


class Killed(BaseException):
    pass


def test_a_killed_audit_goes_on_where_it_was(tree, stored, user, monkeypatch):
    monkeypatch.setattr(known, "BATCH", 4)
    for number in range(10):
        stored(str(number))
    tree.write(key_of(user, "1"), b"tampered with")

    def kill(figures):
        if figures.files == 8:
            raise Killed

    with pytest.raises(Killed):
        audit(tick=kill)
    (killed,) = AuditRun.objects.all()
    assert (killed.state, killed.phase, killed.last_path) == ("running", "files", "3")
    tree.remove(key_of(user, "0"))  # was compared already: only from the beginning would it be found
    run = audit()
    assert (run.pk, run.figures["files"], run.state) == (killed.pk, 10, "finished")
    assert found(run) == {("size", key_of(user, "1"))}
    assert run.new_violations.count() == 1
    assert ("missing", key_of(user, "0")) in found(audit())


def test_an_audit_that_was_killed_after_the_files_does_not_read_them_again(tree, stored, user):
    stored("a")
    stored("b")

    def kill(figures):
        if figures.stored:
            raise Killed

    with pytest.raises(Killed):
        audit(tick=kill)
    tree.write(key_of(user, "new"), b"x")
    run = audit()
    assert (run.figures["hashed_bytes"], run.figures["files"], run.figures["stored"]) == (20, 2, 3)
    assert found(run) == {("unknown", key_of(user, "new"))}


@pytest.mark.parametrize("why", ["too long ago", "another extent", "a sample"])
def test_a_killed_audit_that_does_not_fit_is_dropped(stored, user, why):
    stored("a")
    extent = {"another extent": {"organization_id": user.organization_id}, "a sample": {"sample": 3}}.get(why, {})
    at = datetime.now(UTC) - timedelta(days=9 if why == "too long ago" else 0)
    killed = AuditRun.objects.create(checkpoint_at=at, phase="leftovers", figures={"files": 7}, **extent)
    run = audit(**(extent if why == "a sample" else {}))
    killed.refresh_from_db()
    assert (killed.state, run.pk == killed.pk, run.figures["files"]) == ("dropped", False, 1)


def test_how_long_ago_an_audit_was_killed_counts_and_not_how_long_it_takes(stored):
    stored("a")
    long_ago = datetime.now(UTC) - timedelta(days=30)
    killed = AuditRun.objects.create(started_at=long_ago, figures={"of_another_version": 7})
    assert audit().pk == killed.pk


def test_an_audit_without_time_left_pauses_at_a_checkpoint_and_the_next_goes_on(tree, stored, user, monkeypatch):
    monkeypatch.setattr(known, "BATCH", 4)
    for number in range(6):
        stored(str(number))
    tree.remove(key_of(user, "1"))
    paused = audit(time_limit=0)
    assert (paused.state, paused.last_path, paused.figures["files"], found(paused)) == (
        "paused",
        "3",
        4,
        {("missing", key_of(user, "1"))},
    )
    run = audit()
    assert (run.pk, run.state, run.figures["files"]) == (paused.pk, "finished", 6)
    assert StorageViolation.objects.get().resolved_at is None


def test_large_files_are_not_many_between_two_checkpoints(stored, monkeypatch):
    monkeypatch.setattr(known, "BATCH_BYTES", 15)
    for path in "abc":
        stored(path)
    assert audit(time_limit=0).figures["files"] == 2


def test_an_audit_whose_storage_went_away_goes_on_where_it_was(failing, stored, monkeypatch):
    monkeypatch.setattr(known, "BATCH", 4)
    for number in range(20):
        stored(str(number))

    def leave(figures):
        if figures.files == 4:
            failing.errors, failing.well = [TimeoutError() for _ in range(50)], False

    with pytest.raises(StorageUnreachable):
        audit(tick=leave)
    (failed,) = AuditRun.objects.all()
    assert (failed.state, failed.figures["files"]) == ("failed", 4)
    failing.errors, failing.well = [], True
    run = audit()
    assert (run.pk, run.state, run.error, run.figures["files"]) == (failed.pk, "finished", "", 20)
