import hashlib
import json
import os

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from core import files, index, shares
from core.models import Quota, StoredFile
from core.storage.local import SCRATCH


def index_now() -> dict[str, tuple[int, str]]:
    return {row.path: (row.size, row.checksum) for row in StoredFile.objects.all()}


def facts(content: bytes) -> tuple[int, str]:
    return len(content), hashlib.sha256(content).hexdigest()


def used(user) -> int:
    return Quota.objects.get(organization_id=user.organization_id).used_bytes


def test_the_index_follows_the_disk(user, home):
    for path in ("kept", "changed", "removed"):
        files.save(user, path, [b"old"])
    kept = StoredFile.objects.get(path="kept")
    share = shares.create(user, "changed")
    (home / "changed").write_bytes(b"changed")
    (home / "removed").unlink()
    (home / "dir").mkdir()
    (home / "dir/added.txt").write_bytes(b"added")
    done = index.rebuild()
    assert (done.seen, done.added, done.updated, done.removed) == (3, 1, 1, 1)
    assert index_now() == {"kept": facts(b"old"), "changed": facts(b"changed"), "dir/added.txt": facts(b"added")}
    assert StoredFile.objects.get(path="kept") == kept
    assert shares.find_open(share.token).file.path == "changed"
    assert files.find(user, "dir/added.txt").content_type == "text/plain"
    assert used(user) == 3 + 7 + 5


def test_a_second_rebuild_changes_and_reads_nothing(user, home):
    (home / "a").write_bytes(b"a" * 1000)
    assert index.rebuild().hashed_bytes == 1000
    before = index_now()
    again = index.rebuild()
    assert (again.added, again.updated, again.removed, again.hashed_bytes) == (0, 0, 0, 0)
    assert index_now() == before


def test_a_drifted_quota_is_counted_anew(user, home):
    files.save(user, "a", [b"12345"])
    Quota.objects.update(used_bytes=999)
    index.rebuild()
    assert used(user) == 5


def test_files_are_indexed_even_when_they_exceed_the_quota(user, home):
    Quota.objects.create(organization_id=user.organization_id, limit_bytes=1)
    (home / "a").write_bytes(b"12345")
    index.rebuild()
    assert used(user) == 5


@pytest.mark.parametrize(
    "place", ["README", "7/README", "{org}/999/a", "999/{user}/a", "{org}/0{user}/a", "x/y/z", "1/\u00b2/z"]
)
def test_what_belongs_to_no_user_is_counted_and_left_alone(user, home, root, place):
    stranger = root / place.format(org=user.organization_id, user=user.pk)
    stranger.parent.mkdir(parents=True, exist_ok=True)
    stranger.write_bytes(b"x")
    done = index.rebuild()
    assert (done.without_owner, done.added) == (1, 0)
    assert stranger.read_bytes() == b"x"


def test_a_name_that_cannot_be_addressed_is_counted_and_left_alone(user, home):
    for name in (b"\xff", b"NUL", b"line\nbreak"):
        (home / os.fsdecode(name)).write_bytes(b"x")
    done = index.rebuild()
    assert (done.unusable_names, done.added) == (3, 0)
    assert len(list(home.iterdir())) == 3


def test_a_link_on_the_disk_is_not_followed(user, home, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    (home / "link").symlink_to(tmp_path / "secret")
    (home / "up").symlink_to("..")
    assert index.rebuild().seen == 0


def test_a_file_written_during_its_hashing_is_left_to_its_writer(user, home, monkeypatch):
    (home / "a").write_bytes(b"found")
    changing = index.changing

    def overtaken(organization_id):
        files.save(user, "a", [b"uploaded"])
        return changing(organization_id)

    monkeypatch.setattr(index, "changing", overtaken)
    index._index(user, "a", None, index.Rebuilt())
    assert index_now() == {"a": facts(b"uploaded")}
    assert used(user) == 8


def test_a_disk_that_is_not_mounted_does_not_empty_the_index(user, home):
    files.save(user, "a", [b"a"])
    share = shares.create(user, "a")
    (home / "a").unlink()
    with pytest.raises(CommandError, match=r"mounted.*--allow-empty"):
        call_command("rebuild_index")
    assert shares.find_open(share.token)
    call_command("rebuild_index", "--allow-empty")
    assert index_now() == {}
    assert used(user) == 0


def test_leftovers_of_killed_workers_are_removed(user, home, root):
    (root / SCRATCH).mkdir()
    (root / SCRATCH / "upload-dead").write_bytes(b"half")
    os.utime(root / SCRATCH / "upload-dead", (0, 0))
    assert index.rebuild().leftovers == 1
    assert list((root / SCRATCH).iterdir()) == []


def test_more_files_than_one_batch_are_all_indexed(user, home, monkeypatch):
    monkeypatch.setattr(index, "_BATCH", 3)
    other = User.objects.create_user("bob", "bob@example.org", "x", organization=user.organization)
    for owner in (user, other):
        for number in range(7):
            files.save(owner, f"dir/{number}", [b"x"])
    StoredFile.objects.all().delete()
    assert index.rebuild().added == 14
    assert StoredFile.objects.filter(owner=other).count() == 7


def test_the_command_reports_for_people_and_for_scripts(user, home, capsys):
    (home / "a").write_bytes(b"12345")
    (home / "nul").write_bytes(b"")
    call_command("rebuild_index", "--json")
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert (result["added"], result["unusable_names"], result["hashed_bytes"]) == (1, 1, 5)
    assert printed.err == ""
    call_command("rebuild_index")
    assert "2 files: 0 added" in capsys.readouterr().out
