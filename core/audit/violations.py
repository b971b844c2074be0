"""What staff does with violations, in the API and in the admin site."""

import csv
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone

from core.models import StorageViolation

# The storage's key is not among them: it holds the file's name.
COLUMNS = (
    *(
        "id",
        "kind",
        "attribute",
        "file_id",
        "subject",
        "organization_id",
        "user_id",
        "recorded",
        "actual",
        "difference",
    ),
    *("last_right_at", "first_seen_at", "last_seen_at", "resolved_at", "acknowledged_at", "acknowledged_by_id"),
)


def acknowledge(violations: QuerySet[StorageViolation], by: Any) -> int:
    """Note that `by`, a user, knows of them; whoever was first stays noted. Returns how many were new to staff."""
    unknown = violations.filter(acknowledged_at=None)
    return unknown.update(acknowledged_at=timezone.now(), acknowledged_by=by)


def as_csv(violations: QuerySet[StorageViolation]) -> StreamingHttpResponse:
    """All of them as a file to download, in constant memory."""
    response = StreamingHttpResponse(_lines(violations), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="storage-violations.csv"'
    return response


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _lines(violations: QuerySet[StorageViolation]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for violation in violations.iterator(chunk_size=1000):
        yield writer.writerow([_cell(getattr(violation, name)) for name in COLUMNS])


def _cell(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
