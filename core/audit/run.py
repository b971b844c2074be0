"""An audit from beginning to end: one at a time, phase after phase, and what it found to the tracker."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count, Q, Sum
from django.utils import timezone

from core.audit import report
from core.audit.errors import AuditError, AuditMisconfigured, StorageForbidden, StorageUnreachable
from core.audit.figures import Figures
from core.audit.known import compare_files, require_files, rows_of
from core.audit.totals import compare_quotas, find_leftovers
from core.audit.unknown import compare_storage
from core.audit.work import OutOfTime, Work
from core.locks import only_one
from core.models import AuditRun
from core.monitoring import start_span, start_transaction
from core.storage import get_storage

PHASES: dict[str, Callable[[Work], None]] = {
    "files": compare_files,
    "storage": compare_storage,
    "quotas": compare_quotas,
    "leftovers": find_leftovers,
}
# A run that ended longer ago is dropped: what it saw says too little of now. More than a week, for a weekly schedule.
_RESUME_WITHIN = timedelta(days=8)


def audit(
    organization_id: int | None = None,
    since: datetime | None = None,
    sample: int | None = None,
    tick: Callable[[Figures], None] = lambda _: None,
    time_limit: float | None = None,
) -> AuditRun:
    """Compare the database with the storage and return the finished run. Changes no file; works while the server does.

    `organization_id` looks at one organization only, `since` compares only files stored since then, and `sample` only
    so many, chosen at random. A run of the same extent that did not come to its end is taken up where it was. After
    `time_limit` seconds it pauses, and the run is not finished. Only an audit of everything resolves what earlier ones
    have found, because it alone would have seen it again.

    Raises `AlreadyRunning` while another audit or a rebuild of the index runs, which would take for the truth what this
    is to find; `AuditError` when the audit itself fails.
    """
    with only_one("audit-storage"), only_one("rebuild-index"):
        run = _begin(organization_id, since, sample)
        try:
            with start_transaction("audit", "audit_storage") as transaction:
                try:
                    _carry_out(run, tick, time_limit)
                finally:
                    for name, value in run.figures.items():
                        transaction.set_data(name, value)
                    transaction.set_data("files_per_second", Figures.of(run.figures).files_per_second)
        except OutOfTime:
            run.state = AuditRun.State.PAUSED
            run.save(update_fields=["state"])
            report.violations(run)
            return run
        except AuditError as error:
            _end(run, AuditRun.State.FAILED, f"{type(error).__name__}: {error}")
            report.violations(run)
            report.failure(error, run)
            raise
        _end(run, AuditRun.State.FINISHED)
        report.violations(run)
        return run


def _begin(organization_id: int | None, since: datetime | None, sample: int | None) -> AuditRun:
    """Nobody else runs now, so what seems to run was killed."""
    ended = Q(state__in=[AuditRun.State.RUNNING, AuditRun.State.PAUSED])
    if sample is None:
        # A storage that went away may be back.
        lost = Q(state=AuditRun.State.FAILED, error__startswith=StorageUnreachable.__name__, last_owner_id__gt=0)
        runs = AuditRun.objects.filter(ended | lost, organization_id=organization_id, since=since, sample=None)
        run = runs.filter(checkpoint_at__gt=timezone.now() - _RESUME_WITHIN).first()
        if run is not None:
            run.state, run.finished_at, run.error = AuditRun.State.RUNNING, None, ""
            run.save(update_fields=["state", "finished_at", "error"])
            return run
    AuditRun.objects.filter(ended).update(state=AuditRun.State.DROPPED)
    return AuditRun.objects.create(organization_id=organization_id, since=since, sample=sample)


def _carry_out(run: AuditRun, tick: Callable[[Figures], None], time_limit: float | None) -> None:
    try:
        _require_settings()
        rate = settings.STORMCLOUD_AUDIT_MB_PER_SECOND * 1e6
        work = Work(run, get_storage(observe=False), rate, tick, time_limit)
        if not run.phase:
            _measure(run, work)
        # A run that was killed in a later phase finds nothing left of the files, and does the others anew.
        for phase in ["files"] if run.sample is not None else PHASES:
            with start_span("audit.phase", phase, queries=False):
                work.keep(phase=phase)
                PHASES[phase](work)
        if run.is_complete:
            work.figures.resolved = work.history.resolve()
        work.keep()
    except ImproperlyConfigured as error:
        raise AuditMisconfigured(str(error)) from error
    except PermissionError as error:
        raise StorageForbidden(
            "The server may not read its storage. Give the files and directories back to it."
        ) from error
    except OSError as error:
        raise StorageUnreachable("The storage does not answer. Look at the disk or the network.") from error


def _require_settings() -> None:
    for name, least in (("THREADS", 1), ("MB_PER_SECOND", 0)):
        value = getattr(settings, f"STORMCLOUD_AUDIT_{name}")
        if value < least:
            raise ImproperlyConfigured(f"STORMCLOUD_AUDIT_{name} is {value}. Set it to {least} or more.")


def _measure(run: AuditRun, work: Work) -> None:
    files = rows_of(run).aggregate(count=Count("pk"), bytes=Sum("size"))
    work.figures.total_files, work.figures.total_bytes = files["count"], files["bytes"] or 0
    if run.sample is not None and files["count"] > run.sample:
        work.figures.total_bytes = work.figures.total_bytes * run.sample // files["count"]
        work.figures.total_files = run.sample
    if files["count"]:
        require_files(work.storage)


def _end(run: AuditRun, state: AuditRun.State, error: str = "") -> None:
    run.state, run.finished_at, run.error = state, timezone.now(), error[:255]
    run.save(update_fields=["state", "finished_at", "error"])
