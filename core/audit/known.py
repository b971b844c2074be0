"""Every file that the database knows: is it in the storage, and is it the one that was stored?"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import groupby
from typing import TypeVar

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from core.audit.compare import Checked, Finding, Kind, Owner, Row, check
from core.audit.errors import StorageUnreachable
from core.audit.work import BATCH, BATCH_BYTES, Work, slices, stretches, unchanging
from core.files import key_of
from core.models import AuditRun, StoredFile
from core.monitoring import start_span
from core.storage.base import NotFound, StorageBackend

T = TypeVar("T")

# Files that a thread takes at a time.
_PORTION = 50
# Suspects that are looked at again under one lock, for which users wait.
_UNDER_LOCK = 100
# How often a file that changes meanwhile is looked at before it is left to the next audit.
_ATTEMPTS = 3
# Seconds between two ticks while a large file is read.
_TICK = 0.5


def rows_of(run: AuditRun) -> QuerySet[StoredFile]:
    """The files that a run covers."""
    rows = StoredFile.objects.all()
    if run.organization_id is not None:
        rows = rows.filter(owner__organization_id=run.organization_id)
    return rows if run.since is None else rows.filter(modified_at__gte=run.since)


def compare_files(work: Work) -> None:
    """Read every file of the run from its checkpoint on, several at a time."""
    pool = ThreadPoolExecutor(settings.STORMCLOUD_AUDIT_THREADS, thread_name_prefix="audit")
    try:
        figures = work.figures
        expected = figures.total_files / BATCH + figures.total_bytes / BATCH_BYTES
        for stretch in stretches(_batches(_rows(work.run)), expected):
            with start_span("audit.batch", "files", queries=False) as span:
                files, hashed_bytes = figures.files, figures.hashed_bytes
                for batch in stretch:
                    findings = _findings(work, pool, batch)
                    owner, row = batch[-1]
                    work.keep(findings, last_owner_id=owner.pk, last_path=row.path)
                    work.require_time()
                span.set_data("files", figures.files - files)
                span.set_data("bytes", figures.hashed_bytes - hashed_bytes)
    except BaseException:
        work.pace.stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def require_files(storage: StorageBackend) -> None:
    """Raise `StorageUnreachable` if nothing is stored at all. For when something should be."""
    if next(storage.walk(), None) is None:
        raise StorageUnreachable(
            "The storage is empty, but the database knows files. Is the disk mounted at STORMCLOUD_STORAGE_ROOT?"
        )


def _batches(files: Iterable[tuple[Owner, Row]]) -> Iterator[list[tuple[Owner, Row]]]:
    batch: list[tuple[Owner, Row]] = []
    size = 0
    for owner, row in files:
        batch.append((owner, row))
        size += row.size
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _rows(run: AuditRun) -> Iterator[tuple[Owner, Row]]:
    if run.sample is not None:
        yield from _sample(run, run.sample)
        return
    owners = get_user_model().objects.filter(pk__gte=run.last_owner_id).order_by("pk")
    if run.organization_id is not None:
        owners = owners.filter(organization_id=run.organization_id)
    last_owner_id, last_path = run.last_owner_id, run.last_path
    for owner in [Owner(*values) for values in owners.values_list("pk", "organization_id")]:
        rows = rows_of(run).filter(owner_id=owner.pk).order_by("path").values_list(*Row._fields)
        path = last_path if owner.pk == last_owner_id else ""
        page = None
        while page is None or len(page) == BATCH:
            page = [Row(*values) for values in rows.filter(path__gt=path)[:BATCH]]
            yield from ((owner, row) for row in page)
            path = page[-1].path if page else path


def _sample(run: AuditRun, count: int) -> Iterator[tuple[Owner, Row]]:
    rows = rows_of(run).order_by("?").values_list("owner_id", "owner__organization_id", *Row._fields)
    for values in rows[:count].iterator(chunk_size=BATCH):
        yield Owner(*values[:2]), Row(*values[2:])


def _findings(work: Work, pool: ThreadPoolExecutor, batch: list[tuple[Owner, Row]]) -> list[Finding]:
    # The largest first, so that no thread is left alone with one at the end.
    by_size = sorted(batch, key=lambda item: item[1].size, reverse=True)
    portions = list(slices(by_size, _PORTION))
    tasks = [pool.submit(_check_portion, work, portion) for portion in portions]
    suspects: list[Checked] = []
    for portion, task in zip(portions, tasks, strict=True):
        suspects += _result(work, task)
        work.figures.files += len(portion)
    findings = _confirmed(work, suspects)
    if any(finding.kind == Kind.MISSING for finding in findings):
        require_files(work.storage)
    return findings


def _check_portion(work: Work, portion: list[tuple[Owner, Row]]) -> list[Checked]:
    checked = (check(work.storage, owner, row, work.pace) for owner, row in portion)
    return [file for file in checked if file.findings]


def _result(work: Work, task: Future[T]) -> T:
    while not wait([task], _TICK).done:
        work.tick()
    return task.result()


def _confirmed(work: Work, suspects: list[Checked]) -> list[Finding]:
    """Look again, under the lock that every change by the server holds: what users do meanwhile is no violation."""
    findings: list[Finding] = []
    for _ in range(_ATTEMPTS):
        changed: list[tuple[Owner, Row]] = []
        suspects.sort(key=lambda file: file.owner.organization_id)
        for organization_id, files in groupby(suspects, lambda file: file.owner.organization_id):
            for part in slices(files, _UNDER_LOCK):
                with unchanging(organization_id):
                    rows = StoredFile.objects.filter(pk__in=[file.row.id for file in part])
                    now = {row.id: row for row in (Row(*values) for values in rows.values_list(*Row._fields))}
                    for file in part:
                        if now.get(file.row.id) == file.row and _is_as_seen(work.storage, file):
                            findings += file.findings
                        elif file.row.id in now:
                            changed.append((file.owner, now[file.row.id]))
        suspects = _check_portion(work, changed)
    work.figures.busy += len(suspects)
    return findings


def _is_as_seen(storage: StorageBackend, file: Checked) -> bool:
    try:
        entry = storage.stat(key_of(file.owner, file.row.path))
    except NotFound:
        return file.findings[0].kind == Kind.MISSING
    except OSError:
        return file.entry is None
    # Of what could not be opened nothing is known that could be compared.
    return entry == file.entry if file.entry else file.findings[0].kind != Kind.MISSING
