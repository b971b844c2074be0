"""An audit finds each kind of tampering, and nothing where nobody tampered."""

import os
import tempfile
from datetime import datetime
from pathlib import Path

import pytest

from accounts.models import User
from core import files, index
from core.audit import known, unknown
from core.audit.run import audit
from core.files import key_of
from core.models import Quota, StoredFile
from core.tests.audit.tampering import found


def written(file: StoredFile) -> datetime:
    """When the server wrote a file, as far as it noted."""
    file.refresh_from_db()
    return max(file.created_at, file.modified_at)


def overwrite(tree, key):
    tree.write(key, b"longer than before")


def overwrite_in_secret(tree, key):
    tree.write_in_secret(key, b"another one, in secret")


def flip_a_bit(tree, key):
    tree.write_in_secret(key, b"0123456788")


def exchange_content(tree, key):
    tree.write(key, b"9876543210")


def truncate(tree, key):
    tree.write_in_secret(key, b"")


TAMPERINGS = [
    (lambda tree, key: tree.remove(key), "missing", "10", "", "10 bytes missing"),
    (overwrite, "size", "10", "18", "8 bytes more"),
    (overwrite_in_secret, "size", "10", "22", "12 bytes more"),
    (truncate, "size", "10", "0", "10 bytes less"),
    (flip_a_bit, "content", None, None, "another content of the same size"),
    (exchange_content, "content", None, None, "another content of the same size"),
    (lambda tree, key: tree.date(key), "time", None, "2020-01-01T00:00:00+00:00", None),
]


@pytest.mark.parametrize(("tamper", "kind", "recorded", "actual", "difference"), TAMPERINGS)
def test_a_change_to_a_stored_file_is_one_violation_of_its_kind(
    tree, stored, user, tamper, kind, recorded, actual, difference
):
    file, other = stored("dir/a"), stored("dir/b")
    tamper(tree, key_of(user, "dir/a"))
    run = audit()
    (violation,) = run.violations.all()
    assert (violation.kind, violation.file_id, violation.user_id) == (kind, file.pk, user.pk)
    assert violation.organization_id == user.organization_id
    for expected, value in ((recorded, "recorded"), (actual, "actual"), (difference, "difference")):
        assert expected in (None, getattr(violation, value))
    assert violation.last_right_at == written(file)
    assert other.pk != violation.file_id


@pytest.mark.parametrize("place", ["{home}/dir/new", "{home}/NUL", "README", "999/7/a", "{home}/.stormcloud-tmp/a"])
def test_a_file_that_the_server_did_not_store_is_unknown(tree, stored, user, place):
    stored("a")
    key = place.format(home=key_of(user))
    tree.write(key, b"12345")
    (violation,) = audit().violations.all()
    assert (violation.kind, violation.key, violation.file_id, violation.actual) == ("unknown", key, None, "5")
    assert violation.user_id == (user.pk if "{home}" in place else None)


def test_half_written_leftovers_are_found_and_stay(tree, stored):
    stored("a")
    tree.leave_half_written()
    assert found(audit()) == {("leftover", "leftover upload-dead")}
    assert found(audit()) == {("leftover", "leftover upload-dead")}


def test_a_quota_that_drifted_is_found_and_stays(tree, stored, user):
    stored("a")
    Quota.objects.update(used_bytes=999)
    (violation,) = audit().violations.all()
    assert (violation.kind, violation.recorded, violation.actual) == ("quota", "999", "10")
    assert violation.organization_id == user.organization_id
    assert Quota.objects.get().used_bytes == 999


@pytest.mark.parametrize(
    ("mode", "difference"), [(0o644, "added 0044"), (0o400, "lost 0200"), (0o266, "added 0066, lost 0400")]
)
def test_permissions_of_a_file_that_are_not_the_servers_are_found(disk, stored, user, mode, difference):
    file = stored("a")
    (disk.root / key_of(user, "a")).chmod(mode)
    (violation,) = audit().violations.all()
    assert (violation.kind, violation.file_id) == ("permissions", file.pk)
    assert (violation.recorded, violation.actual, violation.difference)[:2] == ("0600", f"{mode:04o}")
    assert violation.difference == difference


def test_permissions_of_a_directory_that_let_others_in_are_found(disk, stored, user):
    stored("dir/a")
    (disk.root / key_of(user, "dir")).chmod(0o777)
    assert found(audit()) == {("permissions", key_of(user, "dir"))}


@pytest.mark.parametrize("place", [".", ".stormcloud-tmp", "{home}/empty", "{home}"])
def test_every_directory_that_lets_others_in_is_found(disk, stored, user, place):
    stored("dir/a")
    (disk.root / key_of(user, "empty")).mkdir(mode=0o700)
    directory = disk.root / place.format(home=key_of(user))
    directory.chmod(0o777)
    (violation,) = audit().violations.all()
    assert (violation.kind, violation.recorded, violation.actual) == ("permissions", "0700", "0777")


def test_what_is_no_violation_of_a_directory(disk, stored, user):
    disk.root.mkdir(parents=True, exist_ok=True)
    disk.root.chmod(0o2755)  # the operator's own, and setgid goes on to what is made within
    stored("dir/a")
    assert found(audit()) == set()


@pytest.mark.parametrize(("seconds", "year"), [(10**12, 9999), (-(10**11), 1)])
def test_a_time_that_no_calendar_has_is_a_wrong_time(settings, stored, user, seconds, year):
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as root:
        settings.STORMCLOUD_STORAGE_ROOT = root
        stored("a")
        path = Path(root, key_of(user, "a"))
        os.utime(path, (seconds, seconds))
        if path.stat().st_mtime != seconds:
            pytest.skip("this file system has no such time")
        (violation,) = audit().violations.all()
        assert (violation.kind, violation.actual[:4]) == ("time", f"{year:04}")
        assert index.rebuild().held == 1


def test_everything_at_once_is_found_once_each_and_nothing_else(tree, stored, user):
    other = User.objects.create_user("bob", "bob@example.org", "x", organization=user.organization)
    for owner in (user, other):
        for number in range(12):
            stored(f"dir{number % 3}/{number}", owner=owner)
    expected = set()
    for number, (tamper, kind, *_) in enumerate(TAMPERINGS):
        key = key_of(user, f"dir{number % 3}/{number}")
        tamper(tree, key)
        expected.add((kind, key))
    tree.write(key_of(other, "new"), b"x")
    tree.leave_half_written()
    Quota.objects.update(used_bytes=1)
    quota = f"quota of organization {user.organization_id}"
    expected |= {("unknown", key_of(other, "new")), ("leftover", "leftover upload-dead"), ("quota", quota)}
    run = audit()
    assert found(run) == expected
    assert run.violations.count() == len(expected)
    assert (run.figures["files"], run.state) == (24, "finished")


def test_what_users_do_with_their_files_is_no_violation(tree, stored, user):
    for path in ("kept", "replaced", "moved", "deleted", "dir/empty", "dir/ü"):
        stored(path, b"" if "empty" in path else b"0123456789")
    stored("replaced", b"another, longer")
    files.move(user, "moved", "dir/there")
    files.copy(user, "kept", "dir/copy")
    files.delete(user, "deleted")
    run = audit()
    assert found(run) == set()
    assert (run.figures["files"], run.figures["stored"]) == (6, 6)
    assert run.figures["hashed_bytes"] == 10 + 15 + 10 + 10 + 10


CHANGES_MEANWHILE = [
    lambda user: files.save(user, "a", [b"replaced meanwhile"]),
    lambda user: files.move(user, "a", "b"),
    lambda user: files.delete(user, "a"),
    lambda user: files.save(user, "new", [b"new"]),
]


@pytest.mark.parametrize("change", CHANGES_MEANWHILE)
def test_what_users_do_while_a_file_is_compared_is_no_violation(tree, stored, user, monkeypatch, change):
    stored("a")
    compare, changes = known.check, iter([change])

    def overtaken(storage, owner, row, pace):
        # The row was read before, the file is read after.
        for change in changes:
            change(user)
        return compare(storage, owner, row, pace)

    monkeypatch.setattr(known, "check", overtaken)
    monkeypatch.setattr(known, "ThreadPoolExecutor", InThisThread)  # the tests' database is this thread's
    assert found(audit()) == set()


def test_what_is_right_again_at_the_second_look_is_no_violation(tree, stored, user, monkeypatch):
    stored("a")
    tree.date(key_of(user, "a"))
    compare = known.check

    def mended(storage, owner, row, pace):
        checked = compare(storage, owner, row, pace)
        tree.date(key_of(user, "a"), row.modified_at)
        return checked

    monkeypatch.setattr(known, "check", mended)
    monkeypatch.setattr(known, "ThreadPoolExecutor", InThisThread)
    assert found(audit()) == set()


def test_a_file_that_is_stored_after_the_storage_was_listed_is_not_unknown(tree, stored, user, monkeypatch):
    stored("a")
    tree.write(key_of(user, "new"), b"put there by a program")
    lock = unknown.unchanging

    def overtaken(organization_id):
        files.save(user, "new", [b"uploaded"])
        return lock(organization_id)

    monkeypatch.setattr(unknown, "unchanging", overtaken)
    assert found(audit()) == set()


class InThisThread:
    """A pool whose threads share a database that is in memory."""

    def __init__(self, *args: object, **options: object) -> None:
        pass

    def submit(self, function, *arguments):
        from concurrent.futures import Future

        task: Future = Future()
        task.set_result(function(*arguments))
        return task

    def shutdown(self, **options: object) -> None:
        pass


def test_a_file_that_changes_whenever_it_is_looked_at_is_left_to_the_next_audit(tree, stored, user, monkeypatch):
    stored("a")
    compare = known.check

    def overtaken(storage, owner, row, pace):
        files.save(user, "a", [os.urandom(8 + len(row.checksum))])
        return compare(storage, owner, row._replace(size=1), pace)

    monkeypatch.setattr(known, "check", overtaken)
    monkeypatch.setattr(known, "ThreadPoolExecutor", InThisThread)
    run = audit()
    assert found(run) == set()
    assert run.figures["busy"] == 1


def test_more_files_than_a_batch_and_a_portion_are_all_compared(tree, stored, user, monkeypatch):
    monkeypatch.setattr(known, "BATCH", 7)
    monkeypatch.setattr(known, "_PORTION", 2)
    monkeypatch.setattr(known, "_UNDER_LOCK", 2)
    owners = [user, *(User.objects.create_user(f"u{n}", f"u{n}@example.org", "x") for n in range(2))]
    for owner in owners:
        for number in range(10):
            stored(f"{number}", owner=owner)
            tree.remove(key_of(owner, f"{number}")) if number != 4 else None
    run = audit()
    assert run.figures["files"] == 30
    assert found(run) == {("missing", key_of(owner, f"{n}")) for owner in owners for n in range(10) if n != 4}


def test_a_name_that_is_no_unicode_and_one_that_forges_are_kept_as_ascii(disk, stored, user, security_log):
    stored("a")
    for name in (b"\xff", b"line\nSTORAGE_VIOLATION user_id=1", b"\x1b[31m"):
        (disk.root / key_of(user) / os.fsdecode(name)).write_bytes(b"x")
    assert {violation.key for violation in audit().violations.all()} == {
        key_of(user, name) for name in ("\\udcff", "line\nSTORAGE_VIOLATION user_id=1", "\x1b[31m")
    }
    assert len(security_log.lines) == 3


def test_a_link_in_a_files_place_is_missing_and_not_followed(disk, stored, user, tmp_path):
    stored("a")
    stored("b")
    (tmp_path / "secret").write_bytes(b"0123456789")
    disk.remove(key_of(user, "a"))
    (disk.root / key_of(user, "a")).symlink_to(tmp_path / "secret")
    assert found(audit()) == {("missing", key_of(user, "a"))}
