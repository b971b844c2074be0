"""What accounts leave to the background worker."""

from celery import shared_task
from django.db import OperationalError

from accounts import registration


@shared_task(autoretry_for=(OperationalError,), retry_backoff=30)
def cleanup_expired_tokens() -> dict[str, int]:
    """Delete accounts that were not confirmed in time, and links that have expired. Returns how many of each."""
    return registration.forget_expired()
