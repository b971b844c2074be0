import errno
import os
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from core.storage.base import Conflict, InvalidPath, NotFound
from core.storage.local import SCRATCH, LocalStorage


def put(storage, key, content=b"content"):
    with storage.stage(key, [content]) as staged:
        return staged.commit()


def everything_below(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")} - {SCRATCH}


@pytest.fixture
def outside(tmp_path) -> Path:
    """A directory next to the root, with a file that must stay unread and unchanged."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_bytes(b"secret")
    return outside


OPERATIONS = {
    "read": lambda storage, key: storage.read(key),
    "stat": lambda storage, key: storage.stat(key),
    "list": lambda storage, key: storage.list(key),
    "write": lambda storage, key: put(storage, key, b"overwritten"),
    "delete": lambda storage, key: storage.delete(key),
    "move away": lambda storage, key: storage.move(key, "1/2/loot"),
    "move there": lambda storage, key: storage.move("1/2/mine", key),
    "make directory": lambda storage, key: storage.make_directory(key),
    "remove directory": lambda storage, key: storage.remove_directory(key),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("key", ["1/2/link/secret.txt", "1/2/link", "1/2/file-link", "1/2/parent/secret.txt"])
def test_no_operation_follows_a_symbolic_link_out_of_the_root(storage, root, outside, operation, key):
    put(storage, "1/2/mine")
    (root / "1/2/link").symlink_to(outside)
    (root / "1/2/file-link").symlink_to(outside / "secret.txt")
    (root / "1/2/parent").symlink_to("../../../outside")
    with pytest.raises((NotFound, Conflict)):
        OPERATIONS[operation](storage, key)
    assert everything_below(outside) == {"secret.txt"}
    assert (outside / "secret.txt").read_bytes() == b"secret"


def swap_on_open(monkeypatch, name: str, path: Path, target: Path, after: bool) -> None:
    """Put a link in the path's place just before or just after the storage opens that name."""
    real_open = os.open

    def overtaken(opened, *args, **kwargs):
        if opened != name:
            return real_open(opened, *args, **kwargs)
        descriptor = real_open(opened, *args, **kwargs) if after else None
        path.rename(path.with_name("away"))
        path.symlink_to(target)
        return real_open(opened, *args, **kwargs) if descriptor is None else descriptor

    monkeypatch.setattr(os, "open", overtaken)


@pytest.mark.parametrize("name", ["dir", "secret.txt"])
def test_a_link_swapped_in_before_a_step_is_not_followed(storage, root, outside, monkeypatch, name):
    put(storage, "1/2/dir/secret.txt", b"own")
    path, target = (root / "1/2/dir", outside) if name == "dir" else (root / "1/2/dir" / name, outside / name)
    swap_on_open(monkeypatch, name, path, target, after=False)
    with pytest.raises(NotFound):
        storage.read("1/2/dir/secret.txt")


def test_a_link_swapped_in_after_a_step_does_not_lead_out(storage, root, outside, monkeypatch):
    put(storage, "1/2/dir/secret.txt", b"own")
    swap_on_open(monkeypatch, "dir", root / "1/2/dir", outside, after=True)
    reader = storage.read("1/2/dir/secret.txt")
    assert b"".join(reader) == b"own"
    reader.close()
    (root / "1/2/dir").unlink()
    (root / "1/2/away").rename(root / "1/2/dir")
    storage.delete("1/2/dir/secret.txt")
    assert (outside / "secret.txt").read_bytes() == b"secret"


def test_what_is_neither_file_nor_directory_does_not_exist_and_is_never_opened(storage, root, monkeypatch):
    (root / "1/2").mkdir(parents=True)
    opened, real_open = [], os.open
    monkeypatch.setattr(
        os, "open", lambda name, *args, **kwargs: opened.append(name) or real_open(name, *args, **kwargs)
    )
    os.mkfifo(root / "1/2/fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(root / "1/2")  # the path of a socket may not be long
        listener.bind("socket")
        os.chdir(here)
        (root / "1/2/null").symlink_to("/dev/null")
        for name in ("fifo", "socket", "null"):
            for operation in (storage.read, storage.stat, storage.delete):
                with pytest.raises(NotFound):
                    operation(f"1/2/{name}")
            with pytest.raises(Conflict):
                put(storage, f"1/2/{name}")
        assert storage.list("1/2") == []
        assert list(storage.walk()) == []
        assert not {"fifo", "socket", "null"} & set(opened)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device files")
def test_a_device_file_is_not_opened(storage, root):
    (root / "1/2").mkdir(parents=True)
    try:
        os.mknod(root / "1/2/zero", 0o020666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this container makes no device files")
    with pytest.raises(NotFound):
        storage.read("1/2/zero")
    with pytest.raises(Conflict):
        put(storage, "1/2/zero")


def test_a_failing_write_leaves_the_old_file_and_nothing_else(storage, root):
    put(storage, "1/2/a.txt", b"old")

    def chunks():
        yield b"new"
        raise ConnectionError

    with pytest.raises(ConnectionError), storage.stage("1/2/a.txt", chunks()):
        pass
    with storage.stage("1/2/new/deep/b.txt", [b"never committed"]):
        pass
    assert everything_below(root) == {"1", "1/2", "1/2/a.txt"}
    assert (root / "1/2/a.txt").read_bytes() == b"old"
    assert list((root / SCRATCH).iterdir()) == []


def test_a_reader_keeps_the_content_that_it_opened_when_the_file_is_replaced(storage):
    put(storage, "1/2/a", b"old" * 200_000)
    reader = storage.read("1/2/a")
    first = next(reader)
    put(storage, "1/2/a", b"new")
    assert first + b"".join(reader) == b"old" * 200_000
    reader.close()


def test_reading_a_part_yields_exactly_that_part(storage):
    content = bytes(range(256)) * 4096
    put(storage, "1/2/a", content)
    for offset, length in ((0, 0), (0, 1), (255, 600_000), (len(content) - 1, 1)):
        reader = storage.read("1/2/a")
        reader.select(offset, length)
        assert b"".join(reader) == content[offset : offset + length]
        reader.close()


def test_files_and_directories_are_private_to_the_server(storage, root):
    put(storage, "1/2/dir/a")
    assert (root / "1/2/dir/a").stat().st_mode & 0o777 == 0o600
    assert (root / "1/2/dir").stat().st_mode & 0o777 == 0o700


def test_a_listing_shows_only_what_can_be_addressed(storage, root):
    put(storage, "1/2/b")
    put(storage, "1/2/a")
    storage.make_directory("1/2/z")
    for name in (b"bad\xff", b"CON", b"trailing ", b".stormcloud-upload", "re\u0301".encode()):
        (root / "1/2" / os.fsdecode(name)).touch()
    assert [entry.name for entry in storage.list("1/2")] == ["z", "a", "b"]
    assert len(list(storage.walk())) == 7


@pytest.mark.parametrize("place", ["1/2/dir", "1/2/file/below"])
def test_a_file_does_not_replace_a_directory_nor_go_below_a_file(storage, root, place):
    put(storage, "1/2/file")
    storage.make_directory("1/2/dir/sub")
    with pytest.raises(Conflict):
        put(storage, place)
    with pytest.raises(Conflict):
        storage.move("1/2/file", place) if place == "1/2/dir" else storage.make_directory(place)
    assert (root / "1/2/file").is_file()
    assert (root / "1/2/dir/sub").is_dir()


def test_a_name_too_long_for_the_disk_is_an_invalid_path(storage):
    with pytest.raises(InvalidPath):
        put(storage, "1/2/" + "n" * 300)


def test_only_an_empty_directory_is_removed(storage, root):
    put(storage, "1/2/dir/a")
    with pytest.raises(Conflict):
        storage.remove_directory("1/2/dir")
    storage.delete("1/2/dir/a")
    storage.remove_directory("1/2/dir")
    assert not (root / "1/2/dir").exists()
    with pytest.raises(NotFound):
        storage.remove_directory("1/2/dir")


def test_deleting_a_tree_takes_all_of_it_and_nothing_else(storage, root, outside):
    put(storage, "1/2/deep/er/a")
    put(storage, "1/3/b")
    (root / "1/2/link").symlink_to(outside)
    storage.delete_tree("1/2")
    storage.delete_tree("1/2")
    assert everything_below(root) == {"1", "1/3", "1/3/b"}
    assert list((root / SCRATCH).iterdir()) == []
    assert (outside / "secret.txt").exists()


def test_cleaning_up_removes_what_a_killed_worker_left_but_no_running_upload(storage, root):
    with storage.stage("1/2/a", [b"running"]) as running:
        abandoned = root / SCRATCH / "upload-abandoned"
        abandoned.write_bytes(b"half")
        os.utime(abandoned, (0, 0))
        trash = root / SCRATCH / "deleted-abandoned"
        (trash / "sub").mkdir(parents=True)
        os.utime(trash, (0, 0))
        assert storage.clean_up(timedelta(hours=1)) == 2
        running.commit()
    assert everything_below(root) == {"1", "1/2", "1/2/a"}


def test_a_failing_disk_is_no_refusal_and_its_error_names_no_file(storage, root, monkeypatch):
    put(storage, "1/2/tax return.pdf")

    def fail(path, *args, **kwargs):
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    for broken, operation in {
        "open": lambda: storage.read("1/2/tax return.pdf"),
        "unlink": lambda: storage.delete("1/2/tax return.pdf"),
        "rename": lambda: storage.move("1/2/tax return.pdf", "1/2/x"),
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(os, broken, fail)
            with pytest.raises(OSError, match="Input/output error") as failure:
                operation()
        assert "tax" not in str(failure.value)


def test_health_tells_whether_files_can_be_written(root, tmp_path):
    assert LocalStorage(str(root)).healthy()
    assert list((root / SCRATCH).iterdir()) == []
    (tmp_path / "a file").touch()
    assert not LocalStorage(str(tmp_path / "a file")).healthy()
    assert not LocalStorage("/proc/nowhere").healthy()


def test_the_root_itself_may_be_a_link_of_the_operator(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "media").symlink_to("disk")
    put(LocalStorage(str(tmp_path / "media")), "1/2/a")
    assert (tmp_path / "disk/1/2/a").is_file()


def test_a_storage_root_that_is_a_disk_of_its_own_is_walked_although_root_alone_may_see_its_lost_and_found(
    storage, root
):
    (root / "1/2").mkdir(parents=True)
    (root / "1/2/report.txt").write_bytes(b"x")
    (root / "1/lost+found").mkdir()
    (root / "1/lost+found/a").write_bytes(b"x")
    (root / "lost+found").mkdir()
    (root / "lost+found/#1234").write_bytes(b"x")
    assert sorted(storage.walk()) == ["1/2/report.txt", "1/lost+found/a"]
