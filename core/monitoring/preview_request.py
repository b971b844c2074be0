"""A request that fails on purpose, with made-up private things in it, and what would leave of its error.

It runs through Django and the SDK in this process, as a real one does. Nothing is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import sentry_sdk
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.test import RequestFactory
from django.test.utils import override_settings
from django.urls import path as route
from sentry_sdk.envelope import Envelope
from sentry_sdk.scrubber import EventScrubber
from sentry_sdk.transport import Transport

from core.monitoring.config import SentryConfig
from core.monitoring.failures import ERRORS
from core.monitoring.preview import Preview, compare
from core.monitoring.scrubber import Scrubber
from core.monitoring.sdk import attach_request, build_options, without_deprecations

# What the request carries. All made up; the addresses are those that are reserved for documentation.
PASSWORD = "made-up-pass-4711"  # noqa: S105
EMAIL = "jane.doe@example.com"
ADDRESS = "203.0.113.77"
FILE = "salary of jane.pdf"
API_KEY = "made-up-key-9f8a7b6c5d4e3f2a1b0c"
SESSION = "made-up-session-0a1b2c3d4e5f"
PLANTED = (PASSWORD, EMAIL, ADDRESS, FILE, API_KEY, SESSION)

VISITOR = SimpleNamespace(pk=7, is_authenticated=True, is_staff=False, get_username=lambda: EMAIL)

# Without a DSN the SDK makes no event. Nothing listens here, and nothing is sent.
PLACEHOLDER_DSN = "http://preview@localhost/0"

# For the breadcrumb alone: it is written nowhere.
_breadcrumbs = logging.getLogger(__name__)
_breadcrumbs.propagate = False
_breadcrumbs.setLevel(logging.INFO)
_breadcrumbs.addHandler(logging.NullHandler())


def preview_request(error: str, config: SentryConfig, scrubber: Scrubber) -> Preview:
    """Make the error of `core.monitoring.failures.ERRORS` happen and return what would leave of it.

    Raises RuntimeError if no event was made of it.
    """
    left: list[dict[str, Any]] = []
    before: list[tuple[dict[str, Any], dict[str, str]]] = []
    options = build_options(config, scrubber)

    class Kept(Transport):
        def capture_envelope(self, envelope: Envelope) -> None:
            left.extend(item.payload.json for item in envelope.items if item.type == "event" and item.payload.json)

    def before_send(event: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any]:
        original = deepcopy(event)
        # For the envelope's header; the SDK takes it out of the event later.
        original["contexts"]["trace"].pop("dynamic_sampling_context", None)
        before.append((original, hint.get("private_values", {})))
        return dict(options["before_send"](event, hint))

    with without_deprecations():
        client = sentry_sdk.Client(
            **{
                **options,
                "dsn": PLACEHOLDER_DSN,
                "transport": Kept,
                "before_send": before_send,
                # The SDK's own scrubber would replace some values before they can be shown.
                "event_scrubber": EventScrubber(denylist=[], pii_denylist=[]),
                # The error alone: whether a request is traced is a matter of chance.
                "traces_sampler": None,
                "profiles_sample_rate": None,
            }
        )
    with sentry_sdk.isolation_scope() as scope:
        scope.set_client(client)
        _fail(error)
    client.close(timeout=0)
    if not left:
        raise RuntimeError("The SDK made no event of the error.")
    event, private = before[0]
    return compare(event, left[0], scrubber, private=private)


def _fail(error: str) -> None:
    """Send the request through Django's real WSGI application, without the host's own routes and middleware."""
    request = RequestFactory().post(
        f"/files/{FILE}/?type={error}&token={API_KEY}",
        {"username": EMAIL, "password": PASSWORD},
        content_type="application/json",
        headers={
            "Authorization": f"Bearer {API_KEY}",
            "Cookie": f"sessionid={SESSION}",
            "Referer": f"http://testserver/folders/{FILE}",
        },
        REMOTE_ADDR=ADDRESS,
    )
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[f"{__name__}.attached"]), _unreported():
        WSGIHandler()(request.environ, lambda status, headers, exc_info=None: lambda body: None)


@contextmanager
def _unreported() -> Iterator[None]:
    """Keep Django from reporting, on the console or to ADMINS, the failed request or what fails for its visitor."""
    loggers = [logging.getLogger(name) for name in ("django.request", "django.dispatch")]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, was in zip(loggers, before, strict=True):
            logger.disabled = was


def attached(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Do what the middleware of a monitored server does, which takes itself out while monitoring is off."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        attach_request(request)
        request.user = VISITOR  # type: ignore[assignment]  # what is read of a user, without a database
        return get_response(request)

    return middleware


def _view(request: HttpRequest, path: str) -> HttpResponseBase:
    headers = dict(request.headers)
    _breadcrumbs.info("%s opens %s from %s with %d headers", EMAIL, path, ADDRESS, len(headers))
    ERRORS[request.GET["type"]].run(request)
    return HttpResponse()


urlpatterns = [route("files/<path:path>/", _view)]
