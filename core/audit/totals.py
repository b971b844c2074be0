"""What is not about single files: what organizations are charged for, and what interrupted writes left behind."""

from functools import partial

from django.db.models import Sum

from core.audit.compare import Finding, Kind, byte_difference, subject_of
from core.audit.work import BATCH, Work, slices, unchanging
from core.index import ABANDONED
from core.models import Quota, StoredFile


def compare_quotas(work: Work) -> None:
    """Compare what each organization is charged for with the sum of its files."""
    organizations = Quota.objects.values_list("pk", flat=True)
    if work.run.organization_id is not None:
        organizations = organizations.filter(pk=work.run.organization_id)
    for organization_id in organizations:
        with unchanging(organization_id) as quota:
            if quota is None:  # deleted meanwhile
                continue
            files = StoredFile.objects.filter(owner__organization_id=organization_id)
            actual, recorded = files.aggregate(total=Sum("size"))["total"] or 0, quota.used_bytes
        if actual != recorded:
            texts = str(recorded), str(actual), byte_difference(recorded, actual)
            key = f"quota of organization {organization_id}"
            work.keep([Finding(Kind.QUOTA, subject_of(key), key, organization_id, None, *texts)])


def find_leftovers(work: Work) -> None:
    """Find half-written files. They belong to nobody, so an audit of one organization skips them."""
    if work.run.organization_id is not None:
        return
    work.pace.with_patience(work.storage, partial(_find_all_leftovers, work))


def _find_all_leftovers(work: Work) -> None:
    for batch in slices(work.storage.leftovers(ABANDONED), BATCH):
        work.keep(
            [
                Finding(
                    Kind.LEFTOVER,
                    subject_of(f"leftover {entry.name}"),
                    f"leftover {entry.name}",
                    actual=str(entry.size),
                    difference="left behind by an interrupted write",
                )
                for entry in batch
            ]
        )
