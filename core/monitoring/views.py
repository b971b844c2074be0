"""The page that fails on request and shows what left because of it. It exists only while DEBUG is on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from core.monitoring.failures import FAILURES, Failure
from core.monitoring.ledger import Entry
from core.monitoring.preview import about
from core.monitoring.sdk import active, is_enabled
from core.monitoring.shown import event_link, pieces
from core.monitoring.status import recent, status


def sentry_test(request: HttpRequest, failures: Mapping[str, Failure] = FAILURES) -> HttpResponse:
    """Let the one of `failures` happen that `type` names, in a POST's form or, for scripts, in a GET's query.

    Without a type, answer 200 with a page for a browser, and with the choices in JSON for others; 400 if the type is
    unknown. One that raises nothing answers 200, or leads a browser back to the page. Raises Http404 without DEBUG.
    """
    if not settings.DEBUG:
        raise Http404
    return _sentry_test(request, failures)


@csrf_protect
@never_cache
def _sentry_test(request: HttpRequest, failures: Mapping[str, Failure]) -> HttpResponse:
    kind = request.GET.get("type") or request.POST.get("type", "")
    wants_page = request.get_preferred_type(["application/json", "text/html"]) == "text/html"
    if kind in failures:
        failures[kind].run(request)
        return HttpResponseRedirect(request.path) if wants_page else JsonResponse({"type": kind, "raised": False})
    if wants_page and not kind:
        return render(request, "monitoring/debug.html", _page(failures))
    explanation = {
        "monitoring": is_enabled(),
        "usage": "Add ?type= and one of the types; the error is raised in this request.",
        "types": {name: failure.about for name, failure in failures.items()},
    }
    if kind:
        message = f"There is no test error of this type. Choose one of: {', '.join(failures)}."
        error = {"code": "unknown_type", "message": message, "details": explanation}
        return JsonResponse({"error": error}, status=400)
    return JsonResponse(explanation)


def _page(failures: Mapping[str, Failure]) -> dict[str, Any]:
    left = recent()
    # Transactions and sessions leave as well, but what a button makes is an event.
    last: Entry | None = next((entry for entry in left if entry.kind == "event"), None)
    context: dict[str, Any] = {"failures": failures, "status": status(), "last": last}
    context["findings"] = active().config.findings
    if last:
        from core.monitoring.transport import is_taken

        context["arrived"] = is_taken(last.answer)
        context["pieces"] = pieces(last.payload or "{}")
        context["rules"] = [(rule, about(rule), count) for rule, count in last.redactions.items()]
        context["redacted"] = sum(last.redactions.values())
        context["link"] = event_link(active().config.dsn, last.id) if last.id else ""
    return context
