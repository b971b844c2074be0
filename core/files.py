"""What users do with their files: storage, index and quota, changed together.

Every change happens under the lock of the organization's quota row, and touches the storage last before the
transaction ends. If the database fails just then, the file is right and the index is stale; `rebuild_index` mends it.
"""

import hashlib
import logging
import mimetypes
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import Any, Protocol

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models import Sum

from core.models import DeletedTree, Quota, StorageViolation, StoredFile
from core.storage import get_storage
from core.storage.base import Conflict, Entry, NotFound, Reader
from core.storage.paths import normalize

logger = logging.getLogger(__name__)

UNKNOWN_TYPE = "application/octet-stream"
_NO_OWNER = "This account was deleted, with its files."


class Owner(Protocol):
    """A user: whose files, and which organization pays for them."""

    pk: Any
    organization_id: int


def key_of(owner: Owner, path: str = "") -> str:
    """Where the storage keeps the owner's file or, without a path, all of them."""
    root = f"{owner.organization_id}/{owner.pk}"
    return f"{root}/{path}" if path else root


def guess_type(path: str) -> str:
    """The media type by the name's suffix. A compressed file is not the type of what it contains."""
    media_type, encoding = mimetypes.guess_type(path)
    return media_type if media_type and not encoding else UNKNOWN_TYPE


def _quota_of(organization_id: int) -> Quota:
    try:
        return Quota.objects.get_or_create(organization_id=organization_id)[0]
    except IntegrityError:  # deleted meanwhile
        raise NotFound(_NO_OWNER) from None


@contextmanager
def changing(organization_id: int) -> Iterator[Quota]:
    """A transaction in which nobody else changes files of the organization; yields its locked quota row.

    Raises `NotFound` if the organization was deleted.
    """
    _quota_of(organization_id)
    with transaction.atomic():
        quota = Quota.objects.select_for_update().filter(organization_id=organization_id).first()
        if quota is None:
            raise NotFound(_NO_OWNER)
        yield quota


@contextmanager
def _changing_files_of(owner: Owner) -> Iterator[Quota]:
    """`changing`, and `NotFound` if the owner was deleted since the request began: nothing may be stored any more."""
    with changing(owner.organization_id) as quota:
        if not get_user_model().objects.filter(pk=owner.pk).exists():
            raise NotFound(_NO_OWNER)
        yield quota


class Meter:
    """Passes chunks on while it counts and hashes them, and stops with `QuotaExceeded` once they have no room."""

    def __init__(self, chunks: Iterable[bytes], quota: Quota, replaced: int) -> None:
        self._chunks, self._quota, self._room = chunks, quota, quota.room(replaced)
        self._hash = hashlib.sha256()
        self.size = 0

    def require_room(self, size: int) -> None:
        """Raise `QuotaExceeded` unless so many bytes fit."""
        if size > self._room:
            raise self._quota.refusal()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.size += len(chunk)
            self.require_room(self.size)
            self._hash.update(chunk)
            yield chunk

    @property
    def checksum(self) -> str:
        """SHA-256 of everything passed on, in hex."""
        return self._hash.hexdigest()


def _row(owner: Owner, path: str) -> StoredFile | None:
    return StoredFile.objects.filter(owner_id=owner.pk, path=path).first()


def _describe(owner: Owner, path: str, entry: Entry, row: StoredFile | None) -> StoredFile:
    """What the index knows, corrected by what the storage says. Not to be saved.

    A file that was changed behind the server's back has no checksum; one that was put there has no id either.
    """
    file = row or StoredFile(id=None, owner_id=owner.pk, path=path, content_type=guess_type(path), size=-1)
    if (file.size, file.modified_at) != (entry.size, entry.modified_at):
        file.size, file.modified_at, file.checksum = entry.size, entry.modified_at, ""
    return file


def find(owner: Owner, path: str) -> StoredFile:
    """Describe a file; `NotFound` if there is none. For reading only: `id` and `checksum` can be empty."""
    path = normalize(path)
    entry = get_storage().stat(key_of(owner, path))
    if entry.is_directory:
        raise NotFound("That is a directory, not a file. List it under dirs/.")
    return _describe(owner, path, entry, _row(owner, path))


def open_file(owner: Owner, path: str) -> tuple[StoredFile, Reader]:
    """Describe a file and open exactly that content. The caller closes the reader."""
    path = normalize(path)
    reader = get_storage().read(key_of(owner, path))
    try:
        return _describe(owner, path, reader.entry, _row(owner, path)), reader
    except BaseException:
        reader.close()
        raise


def save(
    owner: Owner,
    path: str,
    chunks: Iterable[bytes],
    content_type: str = "",
    size: int | None = None,
    overwrite: bool = True,
) -> tuple[StoredFile, bool]:
    """Store `chunks` as a file, replacing one that is there in one step; returns it, and whether it is new.

    `size` is how many bytes will come at most, if known, to refuse early. Any exception, also one that `chunks`
    raises, leaves everything as it was. Raises `InvalidPath`, `Conflict`, `QuotaExceeded`, and `NotFound` when the
    owner was deleted meanwhile.
    """
    path = normalize(path)
    storage, key = get_storage(), key_of(owner, path)
    _require_place(key, overwrite)
    old = _row(owner, path)
    meter = Meter(chunks, _quota_of(owner.organization_id), old.size if old else 0)
    meter.require_room(size or 0)
    with storage.stage(key, meter) as staged, _changing_files_of(owner) as quota:
        _require_place(key, overwrite)
        old = _row(owner, path)
        file = old or StoredFile(owner_id=owner.pk, path=path)
        quota.charge(meter.size, replaced=old.size if old else 0)
        file.size, file.checksum = meter.size, meter.checksum
        file.content_type = content_type or guess_type(path)
        file.modified_at = staged.commit().modified_at
        file.save()
    return file, old is None


def _require_place(key: str, overwrite: bool) -> None:
    try:
        entry = get_storage().stat(key)
    except NotFound:
        return
    if entry.is_directory:
        raise Conflict("A directory has that name. Choose another name for the file.")
    if not overwrite:
        raise Conflict('The destination exists. Choose another name, or send "overwrite": true to replace it.')


def move(owner: Owner, source: str, destination: str, overwrite: bool = False) -> StoredFile:
    """Give a file another path; its shares follow. Raises `NotFound`, `InvalidPath`, `Conflict`."""
    source, destination = normalize(source), normalize(destination)
    if source == destination:
        raise Conflict("The destination is the file itself. Choose another name.")
    with _changing_files_of(owner) as quota:
        find(owner, source)
        _require_place(key_of(owner, destination), overwrite)
        replaced, row = _row(owner, destination), _row(owner, source)
        if replaced:
            quota.add(-replaced.size)
            replaced.delete()
        if row:
            row.path = destination
            row.save(update_fields=["path"])
        get_storage().move(key_of(owner, source), key_of(owner, destination))
    return find(owner, destination)


def copy(owner: Owner, source: str, destination: str, overwrite: bool = False) -> StoredFile:
    """Store a second file with the same content. Raises `NotFound`, `InvalidPath`, `Conflict`, `QuotaExceeded`."""
    if normalize(source) == normalize(destination):
        raise Conflict("The destination is the file itself. Choose another name.")
    file, reader = open_file(owner, source)
    try:
        return save(owner, destination, reader, file.content_type, reader.entry.size, overwrite)[0]
    finally:
        reader.close()


def delete(owner: Owner, path: str) -> None:
    """Delete a file and its shares; `NotFound` if there is none."""
    path = normalize(path)
    with changing(owner.organization_id) as quota:
        row = _row(owner, path)
        if row:
            quota.add(-row.size)
            row.delete()
        else:
            find(owner, path)
        # Gone behind the server's back already: then the index was all that was left.
        with suppress(NotFound) if row else nullcontext():
            get_storage().delete(key_of(owner, path))


def list_directory(owner: Owner, path: str = "") -> list[Entry]:
    """What is in one of the owner's directories, directories first; without a path, in the topmost."""
    try:
        return get_storage().list(key_of(owner, normalize(path) if path else ""))
    except NotFound:
        if path:
            raise
        return []  # nothing was ever stored


def describe_all(owner: Owner, directory: str, entries: list[Entry]) -> dict[str, StoredFile]:
    """What `find` says of each file among the entries of a directory, by name, with one query."""
    prefix = f"{normalize(directory)}/" if directory else ""
    found_paths = {prefix + entry.name: entry for entry in entries if not entry.is_directory}
    rows = {row.path: row for row in StoredFile.objects.filter(owner_id=owner.pk, path__in=found_paths)}
    return {entry.name: _describe(owner, path, entry, rows.get(path)) for path, entry in found_paths.items()}


def make_directory(owner: Owner, path: str) -> bool:
    """Make a directory and its parents; False if it was there. Raises `InvalidPath`, `Conflict`."""
    path = normalize(path)
    with _changing_files_of(owner):
        return get_storage().make_directory(key_of(owner, path))


def remove_directory(owner: Owner, path: str) -> None:
    """Remove an empty directory. Raises `NotFound`, `InvalidPath`, `Conflict`."""
    path = normalize(path)
    with changing(owner.organization_id):
        get_storage().remove_directory(key_of(owner, path))


def delete_everything_of(user: Owner) -> None:
    """Delete all files, directories and shares of a user: the index now, the files when the transaction commits.

    Happens by itself whenever a user is deleted (see `core.apps`). Calling it twice does no harm.
    """
    with changing(user.organization_id) as quota:
        rows = StoredFile.objects.filter(owner_id=user.pk)
        quota.add(-(rows.aggregate(total=Sum("size"))["total"] or 0))
        rows.delete()
        StorageViolation.objects.filter(user_id=user.pk).update(key="")
        tree = DeletedTree.objects.create(key=key_of(user))
        transaction.on_commit(partial(_delete_tree, tree), robust=True)


def finish_deletions() -> int:
    """Delete what could not be deleted with its user. Returns how many users' files are gone now."""
    return sum(_delete_tree(tree) for tree in DeletedTree.objects.all())


def _delete_tree(tree: DeletedTree) -> bool:
    storage, organization = get_storage(), tree.key.partition("/")[0]
    try:
        storage.delete_tree(tree.key)
        if not Quota.objects.filter(organization_id=organization).exists():
            with suppress(NotFound, Conflict):
                storage.remove_directory(organization)
    except OSError:
        # The user is gone, whatever the disk says; whoever deleted it must not be told otherwise.
        logger.exception(
            "The files of a deleted user are still at %s. The next rebuild of the index deletes them", tree.key
        )
        return False
    tree.delete()
    return True
