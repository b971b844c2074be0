"""An id for each request: in its answer, and in every line of the local log that it causes.

An answer with a 5xx also has a reference for who complains about it: the id of the event that the tracker has, else the
request's id. The local log has both.
"""

import copy
import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.signals import request_finished
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.debug import ExceptionReporter

from core.monitoring import event_id, trace_id

logger = logging.getLogger(__name__)

HEADER = "X-Request-ID"
REFERENCE_HEADER = "X-Support-Reference"
HARMLESS = re.compile(r"[A-Za-z0-9-]{8,64}")

current: ContextVar[str] = ContextVar("request_id", default="-")


class RequestIdMiddleware:
    """Names the request: as its `request_id`, in `current`, and in the answer's X-Request-ID. First in MIDDLEWARE.

    A proxy's or client's own X-Request-ID is kept if it is 8 to 64 letters, digits and dashes. An answer with a 5xx
    gets an X-Support-Reference, unless it has one.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request.request_id = given if HARMLESS.fullmatch(given) else uuid.uuid4().hex
        current.set(request.request_id)
        response = self.get_response(request)
        return _marked(request, response) if isinstance(response, HttpResponseBase) else _mark_later(request, response)


async def _mark_later(request: HttpRequest, response: Awaitable[HttpResponseBase]) -> HttpResponseBase:
    return _marked(request, await response)


def _marked(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    response.headers[HEADER] = request.request_id
    if response.status_code >= 500:
        response.headers.setdefault(REFERENCE_HEADER, support_reference(request))
        if (reference := response.headers[REFERENCE_HEADER]) != request.request_id:
            # The tracker may not have the event: it was down, or the quota was used up.
            logger.info("Reference %s is request %s", reference, request.request_id)
    return response


def support_reference(request: HttpRequest) -> str:
    """Return what finds a failed `request` again: the id of its event, else its own id, which the local log has."""
    return event_id(request) or current.get()


class DebugReporter(ExceptionReporter):
    """For DEFAULT_EXCEPTION_REPORTER: Django's page for developers, with the reference below the error's message."""

    def get_traceback_data(self) -> dict[str, Any]:
        told = super().get_traceback_data()
        if self.request is not None:
            told["exception_notes"] = f"{told.get('exception_notes', '')}\nReference: {support_reference(self.request)}"
        return told


@receiver(request_finished)
def _forget(**_kwargs: Any) -> None:
    # Not earlier: Django logs an answer of 400 and above after the last middleware, and streams a file after that.
    current.set("-")


class RequestIdFormatter(logging.Formatter):
    """Knows `{request_id}` and `{trace_id}`, "-" where there is none.

    They are no fields of the record, which the monitoring would take along as data of every breadcrumb.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = copy.copy(record)
        line.request_id, line.trace_id = current.get(), trace_id()
        return super().formatMessage(line)
