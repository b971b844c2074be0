"""Everything in the storage: does the database know it, and who else may get at it?"""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from stat import S_IWOTH
from typing import Any

from core.audit.compare import Finding, Kind, failure_of, mode_difference, subject_of
from core.audit.work import BATCH, Work, slices, stretches, unchanging
from core.index import owner_of
from core.models import StoredFile
from core.monitoring import start_span
from core.storage.base import Entry, NotFound
from core.storage.paths import is_usable


def compare_storage(work: Work) -> None:
    """Look up every stored file in the database, and at the permissions of every directory."""
    work.pace.with_patience(work.storage, partial(_compare_all, work))


def _compare_all(work: Work) -> None:
    root = "" if work.run.organization_id is None else str(work.run.organization_id)
    figures = work.figures
    figures.stored = 0  # this phase begins anew when it was interrupted
    for stretch in stretches(slices(work.storage.walk(root, directories=True), BATCH), figures.total_files / BATCH):
        with start_span("audit.batch", "storage", queries=False) as span:
            before = figures.stored
            for batch in stretch:
                files = [key for key in batch if not key.endswith("/")]
                directories = [key.removesuffix("/") for key in batch if key.endswith("/")]
                findings = [*_unknown(work, files), *_exposed(work, directories)]
                figures.stored += len(files)
                work.keep(findings)
            span.set_data("files", figures.stored - before)


def _unknown(work: Work, keys: Iterable[str]) -> Iterator[Finding]:
    for root, group in groupby(keys, lambda key: "/".join(key.split("/")[:2])):
        owner = owner_of(root)
        unknown = _not_in_database(owner, root, list(group))
        if unknown and owner:
            # Again, under the lock that every change by the server holds.
            with unchanging(owner.organization_id):
                entries = {key: _stat(work, key, patient=False) for key in _not_in_database(owner, root, unknown)}
        else:
            entries = {key: _stat(work, key, patient=False) for key in unknown}
        for key, entry in entries.items():
            if isinstance(entry, OSError):  # patience is for afterwards: users wait for the lock
                entry = _stat(work, key)
            place = subject_of(key), key, _organization_of(key), owner.pk if owner else None
            if isinstance(entry, Entry):
                what = "a file that the server did not store"
                yield Finding(Kind.UNKNOWN, *place, actual=str(entry.size), difference=what)
            elif entry is not None:
                yield Finding(Kind.UNREADABLE, *place, difference=failure_of(entry))


def _not_in_database(owner: Any, root: str, keys: list[str]) -> list[str]:
    if owner is None:
        return keys
    by_path = {key.removeprefix(f"{root}/"): key for key in keys}
    # What is no Unicode cannot be asked for, let alone be known; most names are plain, and quickly told.
    paths = {path: key for path, key in by_path.items() if path.isascii() or is_usable(path)}
    rows = StoredFile.objects.filter(owner_id=owner.pk, path__in=paths)
    known = {paths[path] for path in rows.values_list("path", flat=True)}
    return [key for key in keys if key not in known]


def _exposed(work: Work, directories: Iterable[str]) -> Iterator[Finding]:
    right = work.storage.directory_mode
    for key in directories:
        entry = _stat(work, key)
        place = subject_of(key), key or "/", _organization_of(key), None
        if isinstance(entry, OSError):
            yield Finding(Kind.UNREADABLE, *place, difference=failure_of(entry))
        # The topmost directory is the operator's own; but nobody else may put another in its place.
        elif entry and entry.mode != right and (key or (entry.mode or 0) & S_IWOTH):
            yield Finding(Kind.PERMISSIONS, *place, *mode_difference(right, entry.mode))


def _stat(work: Work, key: str, patient: bool = True) -> Entry | OSError | None:
    """What is there: None if it was deleted meanwhile, the error if the storage fails."""
    look = partial(work.storage.stat, key)
    try:
        return work.pace.with_patience(work.storage, look) if patient else look()
    except NotFound:
        return None
    except PermissionError:
        raise
    except OSError as error:
        return error


def _organization_of(key: str) -> int | None:
    first = key.partition("/")[0]
    return int(first) if first.isascii() and first.isdecimal() and len(first) < 19 else None
