"""What somebody does who reaches the stored files behind the server's back, and what an audit says of it."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.models import AuditRun
from core.storage.base import Entry
from core.storage.local import SCRATCH
from core.tests.audit.memory_storage import MemoryStorage, Stored

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class TamperedDisk:
    """The local storage's tree."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, key: str, content: bytes) -> None:
        path = self.root / key
        for parent in reversed(path.relative_to(self.root).parents):
            (self.root / parent).mkdir(exist_ok=True, mode=0o700)
        path.write_bytes(content)
        path.chmod(0o600)

    def write_in_secret(self, key: str, content: bytes) -> None:
        """Leave no trace in the time."""
        before = (self.root / key).stat()
        self.write(key, content)
        os.utime(self.root / key, ns=(before.st_atime_ns, before.st_mtime_ns))

    def remove(self, key: str) -> None:
        (self.root / key).unlink()

    def date(self, key: str, moment: datetime = LONG_AGO) -> None:
        nanoseconds = (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1) * 1000
        os.utime(self.root / key, ns=(nanoseconds, nanoseconds))

    def leave_half_written(self) -> None:
        self.write(f"{SCRATCH}/upload-dead", b"half")
        self.date(f"{SCRATCH}/upload-dead")


class TamperedMemory:
    """The memory storage's objects."""

    def __init__(self, storage: MemoryStorage) -> None:
        self.storage = storage

    def write(self, key: str, content: bytes) -> None:
        self.storage.stored[key] = Stored(content, datetime.now(UTC) + timedelta(seconds=1))

    def write_in_secret(self, key: str, content: bytes) -> None:
        self.storage.stored[key] = replace(self.storage.stored[key], content=content)

    def remove(self, key: str) -> None:
        del self.storage.stored[key]

    def date(self, key: str, moment: datetime = LONG_AGO) -> None:
        self.storage.stored[key] = replace(self.storage.stored[key], modified_at=moment)

    def leave_half_written(self) -> None:
        self.storage.half_written.append(Entry("upload-dead", False, 4, LONG_AGO))


def found(run: AuditRun) -> set[tuple[str, str]]:
    """What a run saw: kind and place."""
    return {(violation.kind, violation.key) for violation in run.violations.all()}


Tree = TamperedDisk | TamperedMemory
