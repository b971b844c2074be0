"""Writes what audits find to the logger `stormcloud.security`, one line a new violation, in the form of the others:

    STORAGE_VIOLATION user_id=7 file_id="..." kind="size" recorded="10" actual="12" difference="2 bytes more" audit_id=3

File names are not among it.
"""

import json
import logging
from typing import Any

from django.dispatch import receiver

from core.models import StorageViolation
from core.signals import storage_violation_found

security_log = logging.getLogger("stormcloud.security")
own_log = logging.getLogger("stormcloud.core")


@receiver(storage_violation_found)
def log_violation(violation: StorageViolation, **_kwargs: Any) -> None:
    """Write the line; a log that cannot be written stops no audit."""
    fields = {
        "user_id": violation.user_id,
        "file_id": violation.subject,
        "kind": violation.kind,
        "recorded": violation.recorded,
        "actual": violation.actual,
        "difference": violation.difference,
        "audit_id": violation.first_run_id,
    }
    line = " ".join(f"{name}={json.dumps(value) if value else '-'}" for name, value in fields.items())
    try:
        security_log.info("STORAGE_VIOLATION %s", line)
    except Exception:
        own_log.exception("A storage violation could not be written to the security log")
