"""Files as plain files below one directory.

A path is walked one name at a time, each opened relative to its parent's descriptor and never through a symbolic
link, so no link, not even one that is planted between two steps, leads out of the root. What is neither a regular file
nor a directory does not exist.
"""

import errno
import os
import secrets
import shutil
import stat as modes
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from io import FileIO

from core.storage.base import CHUNK_SIZE, Conflict, Entry, InvalidPath, NotFound, Reader, Staged, StorageBackend
from core.storage.paths import RESERVED_PREFIX, is_usable

# Writes in progress, on the same file system as their destination so that a rename is one step.
SCRATCH = RESERVED_PREFIX + "tmp"
# At the top of the root; the second where that is a disk of its own, for root's eyes only (man 8 mklost+found).
NOT_STORED = (SCRATCH, "lost+found")
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# A FIFO that takes the file's place after the check must not hang the worker.
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_CREATE_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_FILE_MODE, _DIRECTORY_MODE = 0o600, 0o700

_NOT_FOUND = "There is no such file or directory. List the directory to see what there is."
_IN_THE_WAY = "Something else is in the way. Choose another name, or delete what is there first."
_NOT_EMPTY = "The directory is not empty. Delete or move what it contains first."
_TOO_LONG = "A name in the path is too long for this storage. Shorten it."


@contextmanager
def _refusals(creating: bool = False) -> Iterator[None]:
    """Tell what the user asked wrongly from a failing disk, whose error stays but loses the file's name."""
    try:
        yield
    except OSError as error:
        match error.errno:
            case errno.ENOTDIR | errno.ELOOP if creating:
                raise Conflict(_IN_THE_WAY) from None
            case errno.ENOENT | errno.ENOTDIR | errno.ELOOP | errno.ENXIO:
                raise NotFound(_NOT_FOUND) from None
            case errno.EEXIST | errno.EISDIR:
                raise Conflict(_IN_THE_WAY) from None
            case errno.ENOTEMPTY:
                raise Conflict(_NOT_EMPTY) from None
            case errno.ENAMETOOLONG:
                raise InvalidPath(_TOO_LONG) from None
        _forget_names(error)
        raise


def _forget_names(error: OSError) -> None:
    for attribute in ("filename", "filename2"):
        with suppress(AttributeError):
            delattr(error, attribute)


def _remove_tree(filename: str, directory: int) -> None:
    try:
        shutil.rmtree(filename, dir_fd=directory)
    except OSError as error:
        _forget_names(error)
        raise


def _status(filename: str, directory: int) -> os.stat_result:
    return os.stat(filename, dir_fd=directory, follow_symlinks=False)


def _entry(filename: str, status: os.stat_result) -> Entry:
    is_directory = modes.S_ISDIR(status.st_mode)
    size = 0 if is_directory else status.st_size
    # Some file systems hand setgid on from directory to directory; it lets nobody in.
    mode = modes.S_IMODE(status.st_mode) & ~(modes.S_ISGID if is_directory else 0)
    return Entry(filename, is_directory, size, _moment(status.st_mtime_ns), mode)


def _moment(nanoseconds: int) -> datetime:
    try:
        # Whole microseconds, so that a database gives the same value back.
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:  # whoever may touch a file may date it to any year
        return (datetime.max if nanoseconds > 0 else datetime.min).replace(tzinfo=UTC)


def _require_file(status: os.stat_result) -> None:
    if not modes.S_ISREG(status.st_mode):
        raise NotFound(_NOT_FOUND)


def _require_replaceable(filename: str, directory: int) -> None:
    with suppress(FileNotFoundError):
        if not modes.S_ISREG(_status(filename, directory).st_mode):
            raise Conflict(_IN_THE_WAY)


def _split(key: str) -> tuple[list[str], str]:
    *parents, filename = key.split("/")
    return parents, filename


class LocalReader(Reader):
    """Reads an open file, which it closes."""

    def __init__(self, file: FileIO, entry: Entry) -> None:
        self.entry = entry
        self._file, self._remaining = file, entry.size

    def select(self, offset: int, length: int) -> None:
        self._file.seek(offset)
        self._remaining = length

    def __next__(self) -> bytes:
        chunk = self._file.read(min(CHUNK_SIZE, self._remaining)) if self._remaining else b""
        if not chunk:
            raise StopIteration
        self._remaining -= len(chunk)
        return chunk

    def close(self) -> None:
        self._file.close()


class LocalStaged(Staged):
    """A complete file in the scratch directory."""

    def __init__(self, storage: "LocalStorage", scratch: int, temporary: str, key: str) -> None:
        self._storage, self._scratch, self._temporary, self._key = storage, scratch, temporary, key

    def commit(self) -> Entry:
        parents, filename = _split(self._key)
        with _refusals(creating=True), self._storage.directory(parents, create=True) as directory:
            _require_replaceable(filename, directory)
            status = _status(self._temporary, self._scratch)
            os.rename(self._temporary, filename, src_dir_fd=self._scratch, dst_dir_fd=directory)
            os.fsync(directory)
            return _entry(filename, status)


class LocalStorage(StorageBackend):
    """Stores below `root`, which must be one file system. Only the server's user may read what it writes."""

    name = "local"
    file_mode = _FILE_MODE
    directory_mode = _DIRECTORY_MODE

    def __init__(self, root: str) -> None:
        self.root = root

    @contextmanager
    def directory(self, parts: Iterable[str], create: bool = False) -> Iterator[int]:
        """The descriptor of a directory below the root, open meanwhile; `create` makes what is missing."""
        if create:
            os.makedirs(self.root, mode=_DIRECTORY_MODE, exist_ok=True)  # noqa: PTH103
        # The root is the operator's choice and may be a link.
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in parts:
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(part, _DIRECTORY_MODE, dir_fd=descriptor)
                        os.fsync(descriptor)
                child = os.open(part, _OPEN_DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = child
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def stage(self, key: str, chunks: Iterable[bytes]) -> Iterator[Staged]:
        with self.directory([SCRATCH], create=True) as scratch:
            temporary = f"upload-{secrets.token_hex(16)}"
            descriptor = os.open(temporary, _CREATE_FILE, _FILE_MODE, dir_fd=scratch)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    for chunk in chunks:
                        file.write(chunk)
                    file.flush()
                    os.fsync(descriptor)
                yield LocalStaged(self, scratch, temporary, key)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=scratch)

    def read(self, key: str) -> Reader:
        parents, filename = _split(key)
        with _refusals(), self.directory(parents) as directory:
            # Before opening too: opening a device can already do something.
            _require_file(_status(filename, directory))
            descriptor = os.open(filename, _OPEN_FILE, dir_fd=directory)
            try:
                status = os.fstat(descriptor)
                _require_file(status)
            except BaseException:
                os.close(descriptor)
                raise
            return LocalReader(FileIO(descriptor), _entry(filename, status))

    def stat(self, key: str) -> Entry:
        parents, filename = _split(key or ".")
        with _refusals(), self.directory(parents) as directory:
            status = _status(filename, directory)
        if not modes.S_ISDIR(status.st_mode):
            _require_file(status)
        return _entry(filename, status)

    def list(self, key: str) -> list[Entry]:
        entries = []
        with _refusals(), self.directory(key.split("/")) as directory, os.scandir(directory) as found:
            for item in found:
                with suppress(FileNotFoundError):  # deleted meanwhile
                    status = item.stat(follow_symlinks=False)
                    if modes.S_IFMT(status.st_mode) in (modes.S_IFREG, modes.S_IFDIR) and is_usable(item.name):
                        entries.append(_entry(item.name, status))
        return sorted(entries, key=lambda entry: (not entry.is_directory, entry.name))

    def walk(self, key: str = "", directories: bool = False) -> Iterator[str]:
        waiting = [key]
        while waiting:
            parent = waiting.pop()
            with (
                suppress(NotFound),  # deleted meanwhile
                _refusals(),
                self.directory(parent.split("/") if parent else []) as directory,
                os.scandir(directory) as found,
            ):
                if directories:
                    yield f"{parent}/"
                for item in found:
                    child = f"{parent}/{item.name}" if parent else item.name
                    if item.is_dir(follow_symlinks=False):
                        waiting += [child] if child not in NOT_STORED else []
                        if directories and child == SCRATCH:
                            yield f"{child}/"
                    elif item.is_file(follow_symlinks=False):
                        yield child

    def make_directory(self, key: str) -> bool:
        parents, filename = _split(key)
        with _refusals(creating=True), self.directory(parents, create=True) as directory:
            try:
                os.mkdir(filename, _DIRECTORY_MODE, dir_fd=directory)
            except FileExistsError:
                if not modes.S_ISDIR(_status(filename, directory).st_mode):
                    raise
                return False
            os.fsync(directory)
            return True

    def remove_directory(self, key: str) -> None:
        parents, filename = _split(key)
        with _refusals(), self.directory(parents) as directory:
            os.rmdir(filename, dir_fd=directory)

    def move(self, source: str, destination: str) -> Entry:
        (from_parents, from_filename), (to_parents, to_filename) = _split(source), _split(destination)
        with _refusals(), self.directory(from_parents) as from_directory:
            status = _status(from_filename, from_directory)
            _require_file(status)
            with _refusals(creating=True), self.directory(to_parents, create=True) as to_directory:
                _require_replaceable(to_filename, to_directory)
                os.rename(from_filename, to_filename, src_dir_fd=from_directory, dst_dir_fd=to_directory)
                os.fsync(to_directory)
            os.fsync(from_directory)
        return _entry(to_filename, status)

    def delete(self, key: str) -> None:
        parents, filename = _split(key)
        with _refusals(), self.directory(parents) as directory:
            _require_file(_status(filename, directory))
            os.unlink(filename, dir_fd=directory)

    def delete_tree(self, key: str) -> None:
        parents, filename = _split(key)
        trash = f"deleted-{secrets.token_hex(16)}"
        with self.directory([SCRATCH], create=True) as scratch:
            # One step out of sight first: nobody sees half a tree, and what a crash leaves is found by clean_up.
            try:
                with _refusals(), self.directory(parents) as directory:
                    os.rename(filename, trash, src_dir_fd=directory, dst_dir_fd=scratch)
            except NotFound:
                return
            _remove_tree(trash, scratch)

    def leftovers(self, older_than: timedelta) -> Iterator[Entry]:
        limit = time.time() - older_than.total_seconds()
        with suppress(NotFound), _refusals(), self.directory([SCRATCH]) as scratch:  # NotFound: nothing was ever stored
            for filename in os.listdir(scratch):  # noqa: PTH208 - a descriptor
                with suppress(FileNotFoundError):  # its owner was faster
                    status = _status(filename, scratch)
                    if status.st_mtime <= limit:
                        yield _entry(filename, status)

    def clean_up(self, older_than: timedelta) -> int:
        removed = 0
        with self.directory([SCRATCH], create=True) as scratch:
            for entry in self.leftovers(older_than):
                with suppress(FileNotFoundError):  # its owner was faster
                    if entry.is_directory:
                        _remove_tree(entry.name, scratch)
                    else:
                        os.unlink(entry.name, dir_fd=scratch)
                    removed += 1
        return removed

    def healthy(self) -> bool:
        try:
            with self.stage("health", [b"1"]):
                return True
        except OSError:
            return False
