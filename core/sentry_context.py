"""What this server adds to each monitored event: where its files are stored, and the request's id in the local log."""

from typing import Any

from django.conf import settings
from django.dispatch import receiver
from django.http import HttpRequest

from core.monitoring.context import sentry_context


@receiver(sentry_context)
def storage_context(request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
    """Return the tags `storage_backend` and `request_id`, and the context `storage`."""
    backend = settings.STORMCLOUD_STORAGE_BACKEND
    tags = {"storage_backend": backend, "request_id": getattr(request, "request_id", "-")}
    return {"tags": tags, "contexts": {"storage": {"backend": backend}}}
