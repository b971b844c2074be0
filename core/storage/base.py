"""What a place that stores files can do, and how it says no."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

CHUNK_SIZE = 256 * 1024


class StorageError(Exception):
    """A request that the storage refuses. The message is for the user: it names the fix and never a file.

    A failing disk is no such refusal: it stays an `OSError`, so that error tracking sees it.
    """


class InvalidPath(StorageError):
    """The path cannot be the address of a stored file."""


class NotFound(StorageError):
    """There is no such file or directory."""


class Conflict(StorageError):
    """Something else stands where the file or directory should go."""


class QuotaExceeded(StorageError):
    """The organization has no room for that many bytes."""


@dataclass(frozen=True)
class Entry:
    """A stored file or a directory. `size` is in bytes, 0 for a directory; `modified_at` is aware, in UTC.

    `mode` are its permission bits, None where the storage has none. The repr, which ends up in error reports, does not
    tell the name.
    """

    name: str = field(repr=False)
    is_directory: bool
    size: int
    modified_at: datetime
    mode: int | None = None


class Reader(Iterator[bytes], ABC):
    """An open file: `entry` describes exactly the bytes that iterating yields, even if the file is replaced meanwhile.

    Close it; a response that streams it does so by itself.
    """

    entry: Entry

    @abstractmethod
    def select(self, offset: int, length: int) -> None:
        """Yield only `length` bytes from `offset` on. Call it before the first chunk is read."""

    @abstractmethod
    def close(self) -> None: ...


class Staged(ABC):
    """A file that is written completely, and not yet visible under its key."""

    @abstractmethod
    def commit(self) -> Entry:
        """Put it under its key, replacing a file that is there in one step, and create missing directories.

        Raises `Conflict` when a directory or something unknown is in the way.
        """


class StorageBackend(ABC):
    """Keeps files under keys: names joined by `/`, each already normalized by `core.storage.paths`.

    Every method may raise `NotFound`, `Conflict` or `InvalidPath` as described, and `OSError` when the medium fails.
    """

    name: ClassVar[str]
    # The permission bits of what it makes, None where there are none.
    file_mode: ClassVar[int | None] = None
    directory_mode: ClassVar[int | None] = None

    @abstractmethod
    def stage(self, key: str, chunks: Iterable[bytes]) -> AbstractContextManager[Staged]:
        """Write `chunks` to a safe place. Left without `commit()`, also by an exception, it leaves nothing behind."""

    @abstractmethod
    def read(self, key: str) -> Reader:
        """Open the file, or raise `NotFound`."""

    @abstractmethod
    def stat(self, key: str) -> Entry:
        """Describe a file or directory ("" is the topmost), or raise `NotFound`. Anything else does not exist."""

    @abstractmethod
    def list(self, key: str) -> list[Entry]:
        """The files and directories directly in this directory, sorted by name, directories first."""

    @abstractmethod
    def walk(self, key: str = "", directories: bool = False) -> Iterator[str]:
        """The keys of all files below `key` (nothing when it does not exist), also those with unusable names.

        With `directories` also theirs, if the storage has any, and the storage's own: each with a / at its end.
        """

    @abstractmethod
    def make_directory(self, key: str) -> bool:
        """Make the directory and its parents; False if it was there. `Conflict` if a file is in the way."""

    @abstractmethod
    def remove_directory(self, key: str) -> None:
        """Remove an empty directory; `Conflict` if it is not empty."""

    @abstractmethod
    def move(self, source: str, destination: str) -> Entry:
        """Rename a file, replacing a file at the destination in one step. `Conflict` like `Staged.commit`."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove a file, or raise `NotFound`."""

    @abstractmethod
    def delete_tree(self, key: str) -> None:
        """Remove everything below `key`, and itself. Nothing happens when it does not exist."""

    @abstractmethod
    def leftovers(self, older_than: timedelta) -> Iterator[Entry]:
        """What interrupted writes and deletions left behind, and `clean_up` would remove."""

    @abstractmethod
    def clean_up(self, older_than: timedelta) -> int:
        """Remove what interrupted writes and deletions left behind; returns how many things were removed."""

    @abstractmethod
    def healthy(self) -> bool:
        """Whether files can be written now. Never raises."""
