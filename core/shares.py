"""Links that show one file to whoever has them."""

from datetime import datetime, timedelta

from django.utils import timezone

from core import files
from core.models import Share
from core.storage.base import Conflict, NotFound

# How long the owner still sees a link that has expired.
KEEP_EXPIRED = timedelta(days=30)


def create(owner: files.Owner, path: str, password: str = "", expires_at: datetime | None = None) -> Share:
    """A new link to the owner's file, with a password unless it is empty. Raises `NotFound`, `Conflict`."""
    with files.changing(owner.organization_id):
        file = files.find(owner, path)
        if file.pk is None:
            raise Conflict(
                "The file was put there by other means and is not in the index yet. Ask an administrator for "
                "rebuild_index, then share it."
            )
        share = Share(file=file, expires_at=expires_at)
        share.set_password(password)
        share.save()
    return share


def find_open(token: str) -> Share:
    """The share of this token; the same `NotFound` whether it never existed, was revoked, or has expired."""
    share = Share.objects.open().filter(token=token).select_related("file__owner").first()
    if share is None:
        raise NotFound("This link is not valid, or not any more. Ask whoever sent it for a new one.")
    return share


def forget_expired() -> int:
    """Delete links that expired `KEEP_EXPIRED` ago or earlier. Returns how many."""
    return Share.objects.filter(expires_at__lte=timezone.now() - KEEP_EXPIRED).delete()[0]
