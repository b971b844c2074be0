"""Errors that REST framework answers itself with a 5xx, so that Django, and with it the SDK, never hears of them."""

from __future__ import annotations

import sys
from functools import wraps
from typing import Any

from core.monitoring.admission import was_sent
from core.monitoring.capture import capture_exception


def watch_rest_framework() -> None:
    """Send an event for each exception that a view of REST framework answers with a 5xx, unless one was sent already.

    It is sent before the answer is made where the exception knows its status, so that the answer can hold its id.
    """
    from rest_framework.views import APIView

    answer = APIView.handle_exception

    @wraps(answer)
    def handle_exception(self: Any, exc: Exception) -> Any:
        _report(exc, getattr(exc, "status_code", None), self.request)
        response = answer(self, exc)
        _report(exc, response.status_code, self.request)
        return response

    APIView.handle_exception = handle_exception  # type: ignore[method-assign]


def _report(error: Exception, status: Any, request: Any) -> None:
    if not (isinstance(status, int) and status >= 500):
        return
    caught = sys.exc_info()[1]
    if caught is not error and error.__context__ is None:
        # The view answers with another exception than it caught, without raising it; that one tells where.
        error.__context__ = caught
    if not was_sent(error, request):
        capture_exception(error)
