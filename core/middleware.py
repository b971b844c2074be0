"""Plumbing between Django's request and `core.monitoring`."""

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from core.monitoring import is_enabled
from core.monitoring.findings import watch_until_closed
from core.monitoring.sdk import attach_request
from core.monitoring.transactions import follow_response


class SentryContextMiddleware:
    """Tells the SDK which request its events belong to. Takes itself out of the chain when monitoring is off."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]) -> None:
        if not is_enabled():
            raise MiddlewareNotUsed
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        attach_request(request)
        response = self.get_response(request)
        if isinstance(response, Awaitable):
            return self._followed(request, response)
        follow_response(request, response)
        watch_until_closed(response)
        return response

    async def _followed(self, request: HttpRequest, answer: Awaitable[HttpResponseBase]) -> HttpResponseBase:
        response = await answer
        follow_response(request, response)
        watch_until_closed(response)
        return response
