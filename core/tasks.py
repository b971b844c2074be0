"""What stored files and shares leave to the background worker. Each task may run twice without harm."""

import logging
from dataclasses import asdict

from celery import shared_task
from django.conf import settings
from django.db import OperationalError

from core import index, shares
from core.audit.errors import AuditError
from core.audit.run import audit
from core.locks import AlreadyRunning, only_one

logger = logging.getLogger(__name__)

# Seconds for the batch that an audit is at when its time is up.
TO_FINISH = 900


@shared_task(autoretry_for=(OperationalError,), retry_backoff=30)
def cleanup_expired_shares() -> dict[str, int]:
    """Delete links that expired long ago. Returns how many."""
    return {"shares": shares.forget_expired()}


@shared_task(autoretry_for=(OperationalError,), retry_backoff=30)
def recount_quotas() -> dict[str, int]:
    """Count anew how many bytes each organization stores. Returns how many counts were wrong.

    Nothing while an audit runs, which is to find them first, or a rebuild, which counts them itself.
    """
    try:
        with only_one("rebuild-index"):
            pass  # not held: a rebuild that begins meanwhile does no harm, and is not to be kept from it
    except AlreadyRunning:
        logger.info("An audit or a rebuild of the index runs; quotas are not counted")
        return {}
    return {"corrected": index.recount_quotas()}


@shared_task(autoretry_for=(OperationalError,), retry_backoff=30)
def rebuild_index() -> dict[str, int]:
    """Make the index agree with the storage. Returns what was found; nothing while another rebuild runs."""
    try:
        return asdict(index.rebuild())
    except AlreadyRunning:
        logger.info("The index is being rebuilt already; nothing to do")
        return {}


@shared_task
def fail_on_request() -> None:
    """Fail, for the page of test errors."""
    raise RuntimeError("This is a test error of a task; nothing is broken.")


@shared_task
def audit_storage() -> dict[str, int]:
    """Compare the database with the storage. Returns the run's figures.

    Pauses before the task's time limit; the next one goes on. Raises `AuditError` if nothing could be audited.
    """
    try:
        return audit(time_limit=settings.CELERY_TASK_SOFT_TIME_LIMIT - TO_FINISH).figures
    except AlreadyRunning:
        raise AuditError("Another audit or a rebuild of the index is at work; nothing was audited.") from None
