"""A storage that is no file system: what works on it and on the local one works on the abstract backend."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from core.storage.base import Conflict, Entry, NotFound, Reader, Staged, StorageBackend


@dataclass
class Stored:
    content: bytes
    modified_at: datetime


class MemoryReader(Reader):
    def __init__(self, entry: Entry, content: bytes) -> None:
        self.entry, self._chunks = entry, iter([content] if content else [])

    def select(self, offset: int, length: int) -> None:
        self._chunks = iter([b"".join(self._chunks)[offset : offset + length]])

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        pass


class MemoryStaged(Staged):
    def __init__(self, storage: "MemoryStorage", key: str, content: bytes) -> None:
        self._storage, self._key, self._content = storage, key, content

    def commit(self) -> Entry:
        self._storage.stored[self._key] = Stored(self._content, datetime.now(UTC))
        return self._storage.stat(self._key)


class MemoryStorage(StorageBackend):
    """Has no permissions and no directories of its own, as object stores have none."""

    name = "memory"

    def __init__(self) -> None:
        self.stored: dict[str, Stored] = {}
        self.half_written: list[Entry] = []

    @contextmanager
    def stage(self, key: str, chunks: Iterable[bytes]) -> Iterator[Staged]:
        yield MemoryStaged(self, key, b"".join(chunks))

    def read(self, key: str) -> Reader:
        entry = self.stat(key)
        if entry.is_directory:
            raise NotFound("a directory")
        return MemoryReader(entry, self.stored[key].content)

    def stat(self, key: str) -> Entry:
        name = key.rpartition("/")[2]
        if key in self.stored:
            return Entry(name, False, len(self.stored[key].content), self.stored[key].modified_at)
        if any(other.startswith(f"{key}/") for other in self.stored):
            return Entry(name, True, 0, datetime.now(UTC))
        raise NotFound("nothing there")

    def list(self, key: str) -> list[Entry]:
        children = {other.removeprefix(f"{key}/").partition("/")[0] for other in self.walk(key)}
        return [self.stat(f"{key}/{child}") for child in sorted(children)]

    def walk(self, key: str = "", directories: bool = False) -> Iterator[str]:
        yield from [other for other in self.stored if not key or other.startswith(f"{key}/")]

    def make_directory(self, key: str) -> bool:
        return False

    def remove_directory(self, key: str) -> None:
        raise Conflict("not empty")

    def move(self, source: str, destination: str) -> Entry:
        self.stored[destination] = replace(self.stored.pop(source))
        return self.stat(destination)

    def delete(self, key: str) -> None:
        self.stat(key)
        del self.stored[key]

    def delete_tree(self, key: str) -> None:
        for other in list(self.walk(key)):
            del self.stored[other]

    def leftovers(self, older_than: timedelta) -> Iterator[Entry]:
        limit = datetime.now(UTC) - older_than
        return (entry for entry in self.half_written if entry.modified_at <= limit)

    def clean_up(self, older_than: timedelta) -> int:
        return 0

    def healthy(self) -> bool:
        return True
