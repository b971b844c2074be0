"""The status as a page of Django's admin, for every member of staff: it holds no key and no payload."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache

from core.monitoring.status import status


@never_cache
def status_page(request: HttpRequest) -> TemplateResponse:
    """Show what `sentry_status` prints. Route it as `admin.site.admin_view(status_page)`, which lets only staff in."""
    context = {**admin.site.each_context(request), "title": "Monitoring", "status": status()}
    return TemplateResponse(request, "admin/monitoring/status.html", context)
