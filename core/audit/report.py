"""What the tracker hears of an audit: one event a run, and one if the audit itself failed. Ids and numbers only."""

from django.conf import settings
from django.db.models import Count

from core.audit.errors import AuditError
from core.models import AuditRun, StorageViolation
from core.monitoring import capture_exception, capture_message
from core.monitoring.capture import Level

TAGS = {"component": "storage_audit"}
# Violations that the event tells of; the SDK cuts longer lists.
_FIRST = 10


def violations(run: AuditRun) -> str | None:
    """Send one event if there is enough that the tracker was not told; return its id.

    That is what this run has found, and what a run before it could not tell any more, or not alone.
    """
    unreported = StorageViolation.objects.filter(resolved_at=None, reported=False)
    by_kind = dict(unreported.order_by().values_list("kind").annotate(Count("pk")))
    new = sum(by_kind.values())
    level = level_of(new)
    if level is None:
        return None
    event_id = capture_message(
        "Stored files differ from what the database says of them",
        level,
        tags=TAGS,
        fingerprint=["storage-audit", "violations"],
        audit=run.pk,
        new=new,
        new_by_kind=by_kind,
        first=[_line(violation) for violation in unreported.order_by("kind", "subject")[:_FIRST]],
        still_open=StorageViolation.objects.filter(resolved_at=None).count() - new,
        compared_files=run.figures.get("files", 0),
        organization=run.organization_id,
    )
    if event_id:
        unreported.update(reported=True)
    return event_id


def level_of(new: int) -> Level | None:
    """How grave so many new violations are; None if not worth an event."""
    if new and new >= settings.STORMCLOUD_AUDIT_ERROR_FROM:
        return "error"
    return "warning" if new and new >= settings.STORMCLOUD_AUDIT_WARNING_FROM else None


def failure(error: AuditError, run: AuditRun) -> str | None:
    """Send an event of an audit that could not be done; return its id."""
    return capture_exception(
        error, tags=TAGS, fingerprint=["storage-audit", type(error).__name__], audit=run.pk, phase=run.phase
    )


def _line(violation: StorageViolation) -> str:
    """One line, because the SDK cuts what is nested deeper."""
    last_right = violation.last_right_at.isoformat(timespec="seconds") if violation.last_right_at else "never"
    return (
        f"{violation.kind}: file {violation.subject} of user {violation.user_id or '-'}, {violation.attribute} "
        f"recorded {violation.recorded or '-'}, actual {violation.actual or '-'} ({violation.difference}), "
        f"last right {last_right}"
    )
