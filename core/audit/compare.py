"""One file against its row. Runs in threads: it touches the storage, never the database."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.utils.crypto import salted_hmac

from core.audit.pace import Pace
from core.files import key_of
from core.models import StorageViolation
from core.storage.base import Entry, NotFound, Reader, StorageBackend

Kind = StorageViolation.Kind


class Owner(NamedTuple):
    """Whose files: enough of a user for `key_of`."""

    pk: int
    organization_id: int


class Row(NamedTuple):
    """What the database says of a file; the names are those of `StoredFile`."""

    id: UUID
    path: str
    size: int
    checksum: str
    modified_at: datetime
    created_at: datetime


@dataclass(frozen=True)
class Finding:
    """Something that differs. `subject` is the file's id or, where there is none, a hash of the key."""

    kind: StorageViolation.Kind
    subject: str
    key: str
    organization_id: int | None = None
    user_id: int | None = None
    recorded: str = ""
    actual: str = ""
    difference: str = ""
    written_at: datetime | None = None  # when the server wrote it, so when it was right for certain


@dataclass(frozen=True)
class Checked:
    """A file that was looked at. `entry` is what was there; None if it could not be opened."""

    owner: Owner
    row: Row
    entry: Entry | None
    findings: tuple[Finding, ...] = ()


def check(storage: StorageBackend, owner: Owner, row: Row, pace: Pace) -> Checked:
    """Compare a file with its row, and read it unless its size tells enough.

    One change is one finding: a new content also has a new time, and a new size a new content. Permissions are apart.
    """
    key = key_of(owner, row.path)

    def finding(kind: StorageViolation.Kind, recorded: object, actual: object, difference: str) -> Finding:
        texts = str(recorded), str(actual), difference
        written_at = max(row.created_at, row.modified_at)
        return Finding(kind, str(row.id), key, owner.organization_id, owner.pk, *texts, written_at)

    def differences(entry: Entry, reader: Reader) -> Iterator[Finding]:
        if entry.size != row.size:
            yield finding(Kind.SIZE, row.size, entry.size, byte_difference(row.size, entry.size))
        elif row.checksum and (checksum := _checksum(reader, pace)) != row.checksum:
            yield finding(Kind.CONTENT, row.checksum, checksum, "another content of the same size")
        elif seconds := (entry.modified_at - row.modified_at).total_seconds():
            times = row.modified_at.isoformat(), entry.modified_at.isoformat()
            yield finding(Kind.TIME, *times, f"{abs(seconds):f} s {'later' if seconds > 0 else 'earlier'}")
        if entry.mode != storage.file_mode:
            yield finding(Kind.PERMISSIONS, *mode_difference(storage.file_mode, entry.mode))

    def look() -> Checked:
        reader = storage.read(key)
        try:
            return Checked(owner, row, reader.entry, tuple(differences(reader.entry, reader)))
        finally:
            reader.close()

    try:
        return pace.with_patience(storage, look)
    except NotFound:
        found = finding(Kind.MISSING, row.size, "", f"{row.size} bytes missing")
    except PermissionError:
        found = finding(Kind.PERMISSIONS, _octal(storage.file_mode), "", "the server may not read it")
    except OSError as error:
        found = finding(Kind.UNREADABLE, row.size, "", failure_of(error))
    return Checked(owner, row, None, (found,))


def _checksum(reader: Reader, pace: Pace) -> str:
    checksum = hashlib.sha256()
    for chunk in reader:
        pace.take(len(chunk))
        checksum.update(chunk)
    return checksum.hexdigest()


def byte_difference(recorded: int, actual: int) -> str:
    """Two counts of bytes, compared in words. No sign, which a spreadsheet would take for a formula."""
    return f"{abs(actual - recorded)} bytes {'more' if actual > recorded else 'less'}"


def mode_difference(recorded: int | None, actual: int | None) -> tuple[str, str, str]:
    """The texts of permission bits: those that there should be, those that there are, and how they differ."""
    added, lost = (actual or 0) & ~(recorded or 0), (recorded or 0) & ~(actual or 0)
    changes = [f"{word} {_octal(bits)}" for word, bits in (("added", added), ("lost", lost)) if bits]
    return _octal(recorded), _octal(actual), ", ".join(changes)


def failure_of(error: OSError) -> str:
    """Why the storage failed, in words that hold no name."""
    return os.strerror(error.errno) if error.errno else "no answer"


def _octal(mode: int | None) -> str:
    return "" if mode is None else f"{mode:04o}"


def subject_of(key: str) -> str:
    """What stands for a key that no file's id stands for. Without SECRET_KEY nobody finds out by guessing names."""
    return salted_hmac("core.audit", key.encode("utf-8", "surrogatepass"), algorithm="sha256").hexdigest()[:32]
