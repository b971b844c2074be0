"""What audits found is kept: since when, until when, in the security log."""

import hashlib
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import User
from core import files, index
from core.audit import known, violations
from core.audit.compare import Finding
from core.audit.history import History
from core.audit.run import audit
from core.files import key_of
from core.locks import only_one
from core.models import AuditRun, Quota, StorageViolation, StoredFile
from core.tasks import recount_quotas
from core.tests.audit.tampering import found


def test_a_violation_is_opened_once_seen_again_resolved_and_opened_anew(tree, stored, user):
    stored("a")
    stored("b")
    right = audit()
    tree.remove(key_of(user, "a"))
    first = audit()
    again = audit()
    (violation,) = StorageViolation.objects.all()
    assert (violation.first_run, violation.last_run) == (first, again)
    assert violation.last_seen_at > violation.first_seen_at
    assert violation.last_right_at == right.started_at
    assert (first.new_violations.count(), again.new_violations.count()) == (1, 0)

    files.save(user, "a", [b"restored"])
    mended = audit()
    violation.refresh_from_db()
    assert violation.resolved_at
    assert mended.figures["resolved"] == 1

    tree.remove(key_of(user, "a"))
    anew = audit()
    assert anew.new_violations.count() == 1
    assert anew.new_violations.get().last_right_at == mended.started_at
    assert StorageViolation.objects.count() == 2


def test_what_was_wrong_in_another_way_before_was_not_right_since(tree, stored, user):
    stored("a")
    tree.write(key_of(user, "a"), b"longer than before")
    before = audit().violations.get()
    tree.write(key_of(user, "a"), b"9876543210")
    after = audit().violations.get()
    assert (before.kind, after.kind) == ("size", "content")
    assert after.last_right_at == before.last_right_at
    before.refresh_from_db()
    assert before.resolved_at


def test_deleting_a_file_resolves_what_was_wrong_with_it(tree, stored, user):
    stored("a")
    stored("b")
    tree.remove(key_of(user, "a"))
    audit()
    files.delete(user, "a")
    audit()
    assert StorageViolation.objects.get().resolved_at


def test_the_history_of_a_deleted_user_keeps_no_file_name(tree, stored, user):
    stored("letters/divorce.txt")
    stored("b")
    tree.write(key_of(user, "letters/divorce.txt"), b"changed")
    audit()
    assert "divorce" in StorageViolation.objects.get().key
    user.delete()
    assert StorageViolation.objects.get().key == ""


def test_an_audit_of_one_organization_looks_at_it_alone_and_resolves_only_there(tree, stored, user):
    other = User.objects.create_user("bob", "bob@example.org", "x")
    for owner in (user, other):
        stored("a", owner=owner)
        stored("b", owner=owner)
        tree.remove(key_of(owner, "a"))
    tree.leave_half_written()
    run = audit(organization_id=other.organization_id)
    assert found(run) == {("missing", key_of(other, "a"))}
    assert run.figures["stored"] == 1
    audit()
    for owner in (user, other):
        files.save(owner, "a", [b"restored"])
    audit(organization_id=other.organization_id)
    still_open = StorageViolation.objects.filter(resolved_at=None, kind="missing")
    assert [violation.user_id for violation in still_open] == [user.pk]


def test_since_compares_only_what_was_stored_since(tree, stored, user):
    for path in ("old", "new", "kept"):
        stored(path)
        tree.write(key_of(user, path), b"tampered with") if path != "kept" else None
    StoredFile.objects.filter(path="old").update(modified_at=datetime(2020, 1, 1, tzinfo=UTC))
    run = audit(since=datetime.now(UTC) - timedelta(hours=1))
    assert found(run) == {("size", key_of(user, "new"))}
    assert run.figures["files"] == run.figures["total_files"] == 2


@pytest.mark.parametrize(("size", "compared"), [(1, 1), (3, 3), (5, 5), (9, 5)])
def test_a_sample_is_of_the_size_that_was_asked_for(tree, stored, user, size, compared):
    for number in range(5):
        stored(str(number))
        tree.write(key_of(user, str(number)), b"tampered with")
    run = audit(sample=size)
    assert run.violations.count() == run.figures["files"] == run.figures["total_files"] == compared


def test_each_file_is_as_likely_in_a_sample_as_any_other(stored):
    for number in range(4):
        stored(str(number))
    # Ids side by side, and one far away.
    for number, file in enumerate(StoredFile.objects.order_by("path")):
        StoredFile.objects.filter(pk=file.pk).update(id=uuid.UUID(int=number if number < 3 else 2**127))
    run = AuditRun(sample=1)
    chosen = Counter(row.path for _ in range(200) for _, row in known._sample(run, 1))
    assert len(chosen) == 4
    assert min(chosen.values()) > 20


def test_a_part_of_the_files_resolves_nothing(tree, stored, user):
    stored("a")
    tree.write(key_of(user, "new"), b"x")
    audit()
    tree.remove(key_of(user, "new"))
    for part in ({"sample": 5}, {"since": datetime(2020, 1, 1, tzinfo=UTC)}):
        audit(**part)
        assert StorageViolation.objects.filter(resolved_at=None).count() == 1
    audit()
    assert StorageViolation.objects.filter(resolved_at=None).count() == 0


def test_each_new_violation_is_a_line_in_the_security_log_without_the_files_name(tree, stored, user, security_log):
    file = stored("secret plan.txt")
    stored("b")
    tree.write(key_of(user, "secret plan.txt"), b"12345")
    tree.write(key_of(user, "smuggled.exe"), b"123")
    run = audit()
    audit()
    unknown = run.new_violations.get(kind="unknown")
    assert set(security_log.lines) == {
        f'STORAGE_VIOLATION user_id={user.pk} file_id="{file.pk}" kind="size" recorded="10" actual="5" '
        f'difference="5 bytes less" audit_id={run.pk}',
        f'STORAGE_VIOLATION user_id={user.pk} file_id="{unknown.subject}" kind="unknown" recorded=- actual="3" '
        f'difference="a file that the server did not store" audit_id={run.pk}',
    }


def test_what_stands_for_an_unknown_file_cannot_be_found_by_guessing_its_name(tree, stored, user, settings):
    stored("a")
    tree.write(key_of(user, "salary of jane.txt"), b"x")
    guess = hashlib.sha256(key_of(user, "salary of jane.txt").encode()).hexdigest()
    subject = audit().violations.get().subject
    assert subject not in guess
    assert audit().new_violations.count() == 0
    settings.SECRET_KEY = "another"
    assert audit().violations.get().subject != subject


def test_what_is_found_twice_in_a_walk_is_one_violation(db, user):
    run = AuditRun.objects.create()
    twice = Finding(StorageViolation.Kind.SIZE, "subject", "1/1/a", recorded="1", actual="2")
    History(run).record([twice, twice])
    assert run.violations.count() == 1


def test_a_rebuild_leaves_what_an_audit_found_until_somebody_acknowledges_it(disk, stored, user):
    for path in ("changed", "missing", "right"):
        stored(path)
    disk.write(key_of(user, "changed"), b"evil")
    disk.write(key_of(user, "unknown"), b"evil")
    disk.remove(key_of(user, "missing"))
    assert len(found(audit())) == 3
    done = index.rebuild()
    assert (done.held, done.added, done.updated, done.removed) == (3, 0, 0, 0)
    assert len(found(audit())) == 3
    violations.acknowledge(StorageViolation.objects.all(), user)
    done = index.rebuild()
    assert (done.held, done.added, done.updated, done.removed) == (0, 1, 1, 1)
    assert found(audit()) == set()


def test_quotas_are_not_counted_while_an_audit_is_to_find_what_drifted(stored, user):
    stored("a")
    Quota.objects.update(used_bytes=1)
    with only_one("rebuild-index"):  # which an audit holds
        assert recount_quotas.delay().get() == {}
    assert Quota.objects.get().used_bytes == 1
    assert recount_quotas.delay().get() == {"corrected": 1}
