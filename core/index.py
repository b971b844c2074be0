"""Makes the index agree with the storage, which is the truth."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby, islice

from django.contrib.auth import get_user_model
from django.db.models import Sum

from core.audit.compare import subject_of
from core.audit.history import untold
from core.files import Owner, changing, finish_deletions, guess_type, key_of
from core.locks import only_one
from core.models import Quota, StoredFile
from core.storage import get_storage
from core.storage.base import NotFound, StorageError
from core.storage.paths import is_usable

_BATCH = 500
# No upload pauses that long between two chunks.
ABANDONED = timedelta(days=1)


class EmptyStorage(StorageError):
    """Nothing is stored although the index knows files: more likely a disk that is not mounted than the truth."""


@dataclass
class Rebuilt:
    """What a rebuild found: numbers of files, except for `hashed_bytes`."""

    seen: int = 0
    added: int = 0
    updated: int = 0
    removed: int = 0
    unusable_names: int = 0  # files that no user could have named so; they stay, unlisted
    without_owner: int = 0  # files in no existing user's directory; they stay
    leftovers: int = 0  # remains of interrupted writes and deletions, removed
    held: int = 0  # files with an open violation that nobody acknowledged; they stay as they are
    hashed_bytes: int = 0


def rebuild(allow_empty: bool = False, progress: Callable[[Rebuilt], None] = lambda _: None) -> Rebuilt:
    """Index new and changed files (size or time differ), forget those that are gone, and count each quota anew.

    What an audit found and nobody has acknowledged stays as it is: it is no user's change, and must not become one.

    Works while the server does. `progress` is called after each file. Raises `EmptyStorage` unless `allow_empty`,
    `AlreadyRunning` while another rebuild runs, and `OSError` when the storage cannot be read or written.
    """
    with only_one("rebuild-index"):
        return _rebuild(allow_empty, progress)


def recount_quotas() -> int:
    """Count anew how many bytes each organization stores, by the index. Returns how many counts were wrong."""
    return sum(_recount(organization_id) for organization_id in Quota.objects.values_list("pk", flat=True))


def _rebuild(allow_empty: bool, progress: Callable[[Rebuilt], None]) -> Rebuilt:
    storage = get_storage()
    done = Rebuilt()
    done.leftovers = finish_deletions() + storage.clean_up(ABANDONED)
    if not allow_empty and next(storage.walk(), None) is None and StoredFile.objects.exists():
        raise EmptyStorage(
            "The storage is empty, but the index knows files. Is the disk mounted at STORMCLOUD_STORAGE_ROOT? "
            "If all files are really gone, allow an empty storage."
        )
    for root, keys in groupby(storage.walk(), lambda key: "/".join(key.split("/")[:2])):
        owner = owner_of(root)
        if owner:
            _index_all(owner, (key.removeprefix(f"{root}/") for key in keys), done, progress)
        else:
            strangers = sum(1 for _ in keys)
            done.without_owner += strangers
            done.seen += strangers
            progress(done)
    for row in StoredFile.objects.select_related("owner").iterator(chunk_size=_BATCH):
        _forget_if_gone(row, done)
    recount_quotas()
    return done


def owner_of(root: str) -> Owner | None:
    """The user whose files the storage keeps below `root`; None if there is none."""
    organization, _, user = root.partition("/")
    if not (user.isascii() and user.isdecimal() and len(user) < 19):
        return None
    owner = get_user_model().objects.filter(pk=user).first()
    return owner if owner and key_of(owner) == f"{organization}/{user}" else None


def _index_all(owner: Owner, paths: Iterable[str], done: Rebuilt, progress: Callable[[Rebuilt], None]) -> None:
    paths = iter(paths)
    while batch := list(islice(paths, _BATCH)):
        usable = [path for path in batch if is_usable(path)]
        rows = {row.path: row for row in StoredFile.objects.filter(owner_id=owner.pk, path__in=usable)}
        done.seen += len(batch) - len(usable)
        done.unusable_names += len(batch) - len(usable)
        subjects = {path: str(rows[path].pk) if path in rows else subject_of(key_of(owner, path)) for path in usable}
        held = untold(subjects.values())
        for path in usable:
            done.seen += 1
            if subjects[path] in held:
                done.held += 1
            else:
                _index(owner, path, rows.get(path), done)
            progress(done)


def _index(owner: Owner, path: str, row: StoredFile | None, done: Rebuilt) -> None:
    storage, key = get_storage(), key_of(owner, path)
    try:
        entry = storage.stat(key)
        if row and (row.size, row.modified_at) == (entry.size, entry.modified_at):
            return
        reader = storage.read(key)
    except NotFound:  # deleted meanwhile
        return
    checksum = hashlib.sha256()
    try:
        for chunk in reader:
            checksum.update(chunk)
            done.hashed_bytes += len(chunk)
    finally:
        reader.close()
    with changing(owner.organization_id) as quota:
        try:
            if storage.stat(key) != reader.entry:
                return  # replaced meanwhile, and indexed by whoever did it
        except NotFound:
            return
        old = StoredFile.objects.filter(owner_id=owner.pk, path=path).first()
        file = old or StoredFile(owner_id=owner.pk, path=path, content_type=guess_type(path))
        quota.add(reader.entry.size - (old.size if old else 0))
        file.size, file.modified_at = reader.entry.size, reader.entry.modified_at
        file.checksum = checksum.hexdigest()
        file.save()
    if old:
        done.updated += 1
    else:
        done.added += 1


def _is_gone(file: StoredFile) -> bool:
    try:
        return get_storage().stat(key_of(file.owner, file.path)).is_directory
    except NotFound:
        return True


def _forget_if_gone(row: StoredFile, done: Rebuilt) -> None:
    if not _is_gone(row):
        return
    if untold([str(row.pk)]):
        done.held += 1
        return
    with changing(row.owner.organization_id) as quota:
        current = StoredFile.objects.filter(pk=row.pk).select_related("owner").first()
        if current and _is_gone(current):
            quota.add(-current.size)
            current.delete()
            done.removed += 1


def _recount(organization_id: int) -> bool:
    with changing(organization_id) as quota:
        files = StoredFile.objects.filter(owner__organization_id=organization_id)
        difference = (files.aggregate(total=Sum("size"))["total"] or 0) - quota.used_bytes
        if difference:
            quota.add(difference)
        return bool(difference)
