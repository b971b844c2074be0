import hashlib
from contextlib import suppress

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from accounts import closing
from accounts.models import User
from core import files, index, shares
from core.apps import check_storage
from core.models import Quota, Share, StoredFile
from core.storage import get_storage
from core.storage.base import Conflict, InvalidPath, NotFound, QuotaExceeded
from core.storage.local import SCRATCH


def used(user) -> int:
    return Quota.objects.get(organization_id=user.organization_id).used_bytes


def set_limit(user, limit) -> None:
    Quota.objects.update_or_create(organization_id=user.organization_id, defaults={"limit_bytes": limit})


def content(user, path) -> bytes:
    _, reader = files.open_file(user, path)
    try:
        return b"".join(reader)
    finally:
        reader.close()


def leftovers(root) -> list[str]:
    return [path.name for path in (root / SCRATCH).glob("*")]


def test_a_saved_file_is_a_plain_file_in_the_owners_directory_and_in_the_index(user, home):
    file, created = files.save(user, "docs/a.txt", [b"hello ", b"world"])
    assert created
    assert (home / "docs/a.txt").read_bytes() == b"hello world"
    indexed = StoredFile.objects.get()
    assert (indexed.pk, indexed.path, indexed.size) == (file.pk, "docs/a.txt", 11)
    assert indexed.checksum == hashlib.sha256(b"hello world").hexdigest()
    assert indexed.content_type == "text/plain"
    assert indexed.modified_at == get_storage().stat(files.key_of(user, "docs/a.txt")).modified_at
    assert used(user) == 11


def test_replacing_a_file_keeps_its_id_and_counts_only_the_difference(user, home):
    old, _ = files.save(user, "a", [b"12345678"])
    new, created = files.save(user, "a", [b"123"])
    assert (new.pk, created) == (old.pk, False)
    assert content(user, "a") == b"123"
    assert used(user) == 3


@pytest.mark.parametrize("size", [None, 11])
def test_a_full_quota_refuses_and_keeps_the_old_file(user, home, root, size):
    set_limit(user, 10)
    files.save(user, "a", [b"old"])
    with pytest.raises(QuotaExceeded, match="3 of 10 bytes"):
        files.save(user, "a", [b"12345", b"678901"], size=size)
    assert content(user, "a") == b"old"
    assert StoredFile.objects.get().size == 3
    assert used(user) == 3
    assert leftovers(root) == []


def test_a_full_quota_stops_the_stream_at_once(user, home):
    set_limit(user, 10)
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield b"12345"

    with pytest.raises(QuotaExceeded):
        files.save(user, "a", endless())
    assert len(taken) == 3


def test_room_that_another_upload_took_meanwhile_is_gone(user, home, root):
    set_limit(user, 10)

    def slow():
        yield b"123456"
        files.save(user, "b", [b"123456"])

    with pytest.raises(QuotaExceeded):
        files.save(user, "a", slow())
    assert not (home / "a").exists()
    assert (used(user), leftovers(root)) == (6, [])


def test_the_size_of_the_replaced_file_is_free_for_the_new_one(user, home):
    set_limit(user, 10)
    files.save(user, "a", [b"1234567890"])
    files.save(user, "a", [b"0987654321"], size=10)
    assert content(user, "a") == b"0987654321"


def test_under_a_lowered_limit_files_can_shrink_but_not_grow(user, home):
    files.save(user, "a", [b"1234567890"])
    set_limit(user, 5)
    with pytest.raises(QuotaExceeded):
        files.save(user, "a", [b"12345678901"])
    with pytest.raises(QuotaExceeded):
        files.save(user, "b", [b"1"])
    files.save(user, "a", [b"123456789"])
    assert used(user) == 9


def test_without_a_limit_of_its_own_an_organization_has_the_servers(user, home, settings):
    settings.STORMCLOUD_QUOTA_BYTES = 4
    with pytest.raises(QuotaExceeded):
        files.save(user, "a", [b"12345"])


def test_an_interrupted_upload_changes_nothing(user, home, root):
    files.save(user, "a", [b"old"])

    def interrupted():
        yield b"half of the ne"
        raise ConnectionResetError

    for path in ("a", "new/dir/b"):
        with pytest.raises(ConnectionResetError):
            files.save(user, path, interrupted())
    assert content(user, "a") == b"old"
    assert not (home / "new").exists()
    assert (used(user), StoredFile.objects.count(), leftovers(root)) == (3, 1, [])


def test_a_database_that_fails_leaves_the_storage_as_it_was(user, home, root, monkeypatch):
    files.save(user, "a", [b"old"])

    def fail(self, *args):
        raise RuntimeError("database")

    monkeypatch.setattr(Quota, "add", fail)
    with pytest.raises(RuntimeError):
        files.save(user, "a", [b"new"])
    with pytest.raises(RuntimeError):
        files.delete(user, "a")
    assert content(user, "a") == b"old"
    assert leftovers(root) == []


def test_a_moved_file_keeps_its_id_checksum_and_shares(user, home):
    old, _ = files.save(user, "a.txt", [b"x"])
    share = shares.create(user, "a.txt")
    new = files.move(user, "a.txt", "deep/b.txt")
    assert (new.pk, new.path, new.checksum) == (old.pk, "deep/b.txt", old.checksum)
    assert shares.find_open(share.token).file.path == "deep/b.txt"
    with pytest.raises(NotFound):
        files.find(user, "a.txt")


@pytest.mark.parametrize("operation", [files.move, files.copy])
def test_an_existing_destination_is_replaced_only_when_asked(user, home, operation):
    files.save(user, "a", [b"aaa"])
    files.save(user, "b", [b"bb"])
    files.make_directory(user, "dir")
    with pytest.raises(Conflict, match="overwrite"):
        operation(user, "a", "b")
    assert content(user, "b") == b"bb"
    operation(user, "a", "b", overwrite=True)
    assert content(user, "b") == b"aaa"
    assert used(user) == sum(file.size for file in StoredFile.objects.all()) == (3 if operation is files.move else 6)
    with pytest.raises(Conflict, match="directory"):
        operation(user, "b", "dir", overwrite=True)
    with pytest.raises(Conflict, match="itself"):
        operation(user, "b", "b", overwrite=True)
    with pytest.raises(NotFound):
        operation(user, "nothing", "c")
    assert content(user, "b") == b"aaa"


def test_a_copy_needs_room_too(user, home):
    set_limit(user, 5)
    files.save(user, "a", [b"aaa"])
    with pytest.raises(QuotaExceeded):
        files.copy(user, "a", "b")
    assert not (home / "b").exists()


def test_deleting_frees_the_room_and_ends_the_shares(user, home):
    files.save(user, "a", [b"aaa"])
    share = shares.create(user, "a")
    files.delete(user, "a")
    assert not (home / "a").exists()
    assert used(user) == 0
    with pytest.raises(NotFound):
        shares.find_open(share.token)
    with pytest.raises(NotFound):
        files.delete(user, "a")


def test_a_file_that_somebody_put_on_the_disk_is_served_listed_moved_and_deleted(user, home):
    (home / "found.txt").write_bytes(b"found")
    file = files.find(user, "found.txt")
    assert (file.pk, file.checksum, file.size) == (None, "", 5)
    assert content(user, "found.txt") == b"found"
    with pytest.raises(Conflict, match="rebuild_index"):
        shares.create(user, "found.txt")
    files.move(user, "found.txt", "moved.txt")
    files.delete(user, "moved.txt")
    assert list(home.iterdir()) == []


def test_a_file_changed_behind_the_servers_back_has_another_version(user, home):
    saved, _ = files.save(user, "a", [b"original"])
    (home / "a").write_bytes(b"tampered")
    changed = files.find(user, "a")
    assert changed.checksum == ""
    assert changed.version != saved.version


def test_a_file_removed_behind_the_servers_back_can_be_deleted_and_stored_again(user, home):
    files.save(user, "a", [b"aaa"])
    files.save(user, "b", [b"bbb"])
    (home / "a").unlink()
    (home / "b").unlink()
    with pytest.raises(NotFound):
        files.find(user, "a")
    files.delete(user, "a")
    files.save(user, "b", [b"new"])
    assert used(user) == 3


def test_users_have_separate_trees(user, home, root):
    other = User.objects.create_user("bob", "bob@example.org", "x", organization=user.organization)
    files.save(user, "a", [b"ada's"])
    with pytest.raises(NotFound):
        files.find(other, "a")
    with pytest.raises(InvalidPath):
        files.find(other, f"../{user.pk}/a")
    assert files.list_directory(other) == []
    files.save(other, "a", [b"bob"])
    assert content(user, "a") == b"ada's"
    assert used(user) == 8  # one quota for both


@pytest.mark.django_db(transaction=True)
def test_whoever_deletes_a_user_deletes_the_users_files(user, home):
    other = User.objects.create_user("bob", "bob@example.org", "x", organization=user.organization)
    files.save(user, "dir/a", [b"aaa"])
    files.save(other, "b", [b"b"])
    User.objects.filter(pk=user.pk).delete()
    assert not home.exists()
    assert used(other) == 1
    assert content(other, "b") == b"b"


@pytest.mark.django_db(transaction=True)
def test_a_deletion_that_is_rolled_back_keeps_the_files(user, home):
    files.save(user, "a", [b"aaa"])
    with suppress(RuntimeError), transaction.atomic():
        User.objects.get(pk=user.pk).delete()
        raise RuntimeError
    assert content(user, "a") == b"aaa"
    assert used(user) == 3


@pytest.mark.django_db(transaction=True)
def test_the_last_user_takes_the_organizations_directory_along(user, home, root):
    files.save(user, "a", [b"aaa"])
    closing.delete(user, by=None)
    assert {path.name for path in root.iterdir()} == {SCRATCH}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("alone", [True, False], ids=["and its organization with it", "and others stay"])
def test_an_upload_whose_owner_is_deleted_meanwhile_is_refused_and_leaves_nothing(user, home, root, alone):
    if not alone:
        User.objects.create_user("bob", "bob@example.org", "x", organization=user.organization)

    def chunks():
        yield b"dear "
        closing.delete(User.objects.get(pk=user.pk), by=None)
        yield b"diary"

    with pytest.raises(NotFound, match="account was deleted"):
        files.save(user, "diary", chunks())
    with pytest.raises(NotFound, match="account was deleted"):
        files.save(user, "diary", [b"dear diary"])
    with pytest.raises(NotFound, match="account was deleted"):
        files.make_directory(user, "diaries")
    assert [path for path in root.rglob("*") if path.is_file()] == []
    assert not home.exists()
    assert Quota.objects.exists() is not alone


@pytest.mark.django_db(transaction=True)
def test_a_disk_that_fails_while_a_user_is_deleted_is_told_and_tried_again(user, home, root, caplog):
    files.save(user, "secret plan.txt", [b"aaa"])
    for left_by_saving in (root / SCRATCH).iterdir():
        left_by_saving.unlink()
    (root / SCRATCH).rmdir()
    (root / SCRATCH).touch()  # there is no way to delete a tree now
    closing.delete(user, by=None)
    assert (home / "secret plan.txt").exists()
    assert not User.objects.exists()
    assert f"still at {files.key_of(user)}" in caplog.text
    assert "USER_DELETED" in caplog.text
    assert files.finish_deletions() == 0
    (root / SCRATCH).unlink()
    assert index.rebuild().leftovers == 1
    assert {path.name for path in root.iterdir()} == {SCRATCH}
    assert index.rebuild().leftovers == 0


def test_no_name_token_or_password_is_in_what_models_print(user, home):
    file, _ = files.save(user, "secret plan.txt", [b"x"])
    share = shares.create(user, "secret plan.txt", password="swordfish")
    for thing in (file, share, Quota.objects.get()):
        for text in (str(thing), repr(thing)):
            for secret in ("secret", share.token, "swordfish", "ada"):
                assert secret not in text
    assert "swordfish" not in Share.objects.values_list("password_hash", flat=True)[0]


def test_an_unknown_backend_is_named_with_its_setting(settings):
    settings.STORMCLOUD_STORAGE_BACKEND = "floppy"
    with pytest.raises(ImproperlyConfigured, match=r"STORMCLOUD_STORAGE_BACKEND is 'floppy'.*local"):
        get_storage()
    assert [problem.id for problem in check_storage()] == ["core.E001"]
