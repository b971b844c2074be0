"""The end of security.log as a page of Django's admin, for staff who may see users: it has addresses in it."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache

from accounts.security_log import USER_FIELDS, Line, tail
from accounts.signal_handlers import EVENTS

# What the audit of stored files writes there.
AUDIT_EVENT = "STORAGE_VIOLATION"
FILTERS = ("event", "user", "address")


def may_read(request: HttpRequest) -> bool:
    """Whether who asks may see the e-mail and IP addresses of users."""
    return request.user.has_perm("accounts.view_user")


@never_cache
def security_log_page(request: HttpRequest) -> TemplateResponse:
    """Show the latest lines that match the form; `before` leads to older ones. Raises PermissionDenied."""
    if not may_read(request):
        raise PermissionDenied
    chosen = {name: request.GET.get(name, "").strip() for name in FILTERS}
    before = request.GET.get("before", "")
    context: dict[str, Any] = {"problem": "", "rows": [], "before": 0}
    try:
        found = tail(settings.SECURITY_LOG, **chosen, before=int(before[:18]) if before.isdecimal() else None)
    except OSError as error:
        context["problem"] = f"{settings.SECURITY_LOG} can't be read ({error.strerror}). Let the server's user own it."
    else:
        context |= {"before": found.before, "rows": [_row(line) for line in found.lines]}
    older = request.GET.copy()
    older["before"] = str(context["before"])
    context |= {
        **admin.site.each_context(request),
        "title": "Security log",
        "chosen": chosen,
        "is_latest": not before,
        "events": [*(name for _, name, _ in EVENTS), AUDIT_EVENT],
        "older": older.urlencode(),
    }
    return TemplateResponse(request, "admin/accounts/security_log.html", context)


def _row(line: Line) -> dict[str, Any]:
    shown = {name: value for name, value in line.fields.items() if value != "-"}
    user = [shown.pop(name) for name in USER_FIELDS if name in shown]
    return {"time": line.time, "event": line.event, "user": user, "ip": shown.pop("ip", ""), "more": shown}
