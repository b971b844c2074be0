"""API keys: make, recognise, revoke."""

import re
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from accounts import signals
from accounts.models import ApiKey, User
from accounts.tokens import fingerprint, new_secret

KEY_SHAPE = re.compile(r"[A-Za-z0-9_-]{64}")
# `last_used_at` costs a write; this often is enough to see which keys are in use.
LAST_USED_EVERY = timedelta(minutes=1)


class KeyLimitReached(Exception):
    """The user has as many working keys as `STORMCLOUD_MAX_API_KEYS` allows. Its text says what to do."""


def create(user: User, name: str, *, by: User | None = None, request: HttpRequest | None = None) -> tuple[ApiKey, str]:
    """A new key, and its 64 characters, which exist only here. Raises KeyLimitReached."""
    secret = new_secret(48)
    with transaction.atomic():
        # The user's row is the lock that makes two simultaneous requests count one after the other.
        User.objects.select_for_update().get(pk=user.pk)
        limit = settings.STORMCLOUD_MAX_API_KEYS
        if ApiKey.objects.filter(user=user, revoked_at=None).count() >= limit:
            raise KeyLimitReached(f"An account can have {limit} API keys. Revoke one that is not needed any more.")
        key = ApiKey.objects.create(user=user, name=name, prefix=secret[:8], key_hash=fingerprint(secret))
    signals.api_key_created.send(ApiKey, api_key=key, by=by, request=request)
    return key, secret


def find(secret: str) -> ApiKey | None:
    """The key, revoked or not, with its user; one query, none if `secret` cannot be a key.

    The look-up is by hash, so its timing says nothing about a stored key.
    """
    if not KEY_SHAPE.fullmatch(secret):
        return None
    return ApiKey.objects.select_related("user").filter(key_hash=fingerprint(secret)).first()


def mark_used(key: ApiKey) -> None:
    """Note that the key was used, in the database at most once a minute."""
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - LAST_USED_EVERY:
        # Of simultaneous requests only the first one writes.
        ApiKey.objects.filter(pk=key.pk, last_used_at=key.last_used_at).update(last_used_at=now)
        key.last_used_at = now


def revoke(key: ApiKey, *, by: User | None = None, request: HttpRequest | None = None) -> bool:
    """The key stops working at once and for good. False if it had been revoked before."""
    now = timezone.now()
    if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
        key.refresh_from_db(fields=["revoked_at"])
        return False
    key.revoked_at = now
    signals.api_key_revoked.send(ApiKey, api_key=key, by=by, request=request)
    return True
