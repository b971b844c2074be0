"""What was found, and since when: a violation is opened once, seen again, and resolved when it is gone."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from core.audit.compare import Finding
from core.models import AuditRun, StorageViolation
from core.signals import storage_violation_found


class History:
    """Keeps the findings of one run."""

    def __init__(self, run: AuditRun) -> None:
        self.run = run
        self._seen_right: dict[int | None, datetime | None] = {}

    def record(self, findings: Sequence[Finding]) -> None:
        """Open a violation for each finding that is new, and renew those that are known."""
        if not findings:
            return
        # One of a kind: a file that is moved during a walk can be seen twice.
        findings = list({(finding.subject, finding.kind): finding for finding in findings}.values())
        now = timezone.now()
        with transaction.atomic():
            open_ones = list(_open().filter(subject__in={finding.subject for finding in findings}))
            known = {(violation.subject, violation.kind): violation for violation in open_ones}
            last_right = {violation.subject: violation.last_right_at for violation in open_ones}
            new = []
            for finding in findings:
                violation = known.get((finding.subject, finding.kind))
                if violation is None:
                    violation = self._opened(finding, now)
                    # What was wrong in another way before has not been right since.
                    violation.last_right_at = last_right.get(finding.subject, violation.last_right_at)
                    new.append(violation)
                violation.recorded, violation.actual = finding.recorded[:255], finding.actual[:255]
                violation.difference = finding.difference[:255]
                violation.last_seen_at, violation.last_run = now, self.run
            StorageViolation.objects.bulk_update(
                known.values(), ["recorded", "actual", "difference", "last_seen_at", "last_run"], batch_size=100
            )
            StorageViolation.objects.bulk_create(new, batch_size=100)
            # Within the transaction: better a line twice, should it fail now, than none.
            for violation in new:
                storage_violation_found.send(StorageViolation, violation=violation)

    def resolve(self) -> int:
        """Close what this run, which must be complete, did not see any more; returns how many."""
        gone = _open().exclude(last_run=self.run)
        if self.run.organization_id is not None:
            gone = gone.filter(organization_id=self.run.organization_id)
        return gone.update(resolved_at=timezone.now())

    def _opened(self, finding: Finding, now: datetime) -> StorageViolation:
        times = (finding.written_at, self._last_look(finding.organization_id))
        return StorageViolation(
            kind=finding.kind,
            subject=finding.subject,
            # A name on the disk need not be Unicode.
            key=finding.key.encode("utf-8", "backslashreplace").decode(),
            organization_id=finding.organization_id,
            user_id=finding.user_id,
            last_right_at=max((time for time in times if time), default=None),
            first_seen_at=now,
            first_run=self.run,
        )

    def _last_look(self, organization_id: int | None) -> datetime | None:
        """When the last complete audit began that looked at this organization, and so did not see the violation."""
        if organization_id not in self._seen_right:
            looked = AuditRun.objects.filter(
                Q(organization_id=None) | Q(organization_id=organization_id),
                state=AuditRun.State.FINISHED,
                since=None,
                sample=None,
                started_at__lt=self.run.started_at,
            )
            self._seen_right[organization_id] = looked.values_list("started_at", flat=True).first()
        return self._seen_right[organization_id]


def untold(subjects: Iterable[str]) -> set[str]:
    """Those of `subjects` with an open violation that no staff has acknowledged."""
    violations = _open().filter(acknowledged_at=None, subject__in=set(subjects))
    return set(violations.values_list("subject", flat=True))


def _open() -> QuerySet[StorageViolation]:
    return StorageViolation.objects.filter(resolved_at=None)
