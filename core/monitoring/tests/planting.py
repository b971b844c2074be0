"""Views that hold a secret in every place from which one could leave."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import sentry_sdk
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse

# Each place writes its own name before the secret, so that a test can tell where one came from.
PLACES = (
    "local",
    "nested",
    "argument",
    "message",
    "cause",
    "logged",
    "parameter",
    "log-extra",
    "breadcrumb",
    "tag",
    "context",
    "extra",
    "span",
    "span-data",
    "cache",
)

_secret = ""
_name = "note"


@contextmanager
def planted(secret: str, *, named: bool, name: str = "note") -> Iterator[None]:
    """Let the views below hold `secret`: bare, or (`named`) always under `name`, as code that handles one has it."""
    global _secret, _name
    _secret, _name = secret, name if named else "note"
    try:
        yield
    finally:
        _secret, _name = "", "note"


def written(place: str) -> str:
    """The secret as text: by itself, or as `name=secret` if only the name gives it away."""
    return f"{place} {_secret}" if _name == "note" else f"{place} {_name}={_secret!r}"


def leave_traces() -> None:
    logger = logging.getLogger("app")
    logger.setLevel(logging.INFO)
    logger.info(written("logged"))
    logger.info("with %s", written("parameter"))
    logger.info("harmless", extra={_name: _secret if _name != "note" else written("log-extra")})
    sentry_sdk.add_breadcrumb(message=written("breadcrumb"), data={_name: _secret})
    sentry_sdk.set_tag(_name, written("tag")[:190] if _name == "note" else _secret)
    sentry_sdk.set_context("work", {_name: written("context"), "list": [written("context")]})
    sentry_sdk.get_isolation_scope().set_extra(_name, written("extra"))
    with sentry_sdk.start_span(op="work", name=written("span")) as span:
        span.set_data(_name, written("span-data"))
    if _name == "note":
        # One of its own: the SDK times only caches that were made after its start.
        cache = caches.create_connection("default")
        cache.get(f"throttle:cache-{_secret}".replace(" ", "-").replace("\n", "-"))


def fail_inside(argument: str, **kwargs: object) -> None:
    local = {_name: _secret} if _name != "note" else written("local")
    nested = {"a": [{"b": ({_name: _secret} if _name != "note" else written("nested"),)}]}
    try:
        raise ValueError(written("cause"))
    except ValueError as cause:
        assert local
        assert nested
        raise LookupError(written("message")) from cause


def plant(request: HttpRequest, path: str) -> HttpResponse:
    list(request.POST.items())
    # Called as the fields of a frame are, in which the code's own names stay.
    filename, item = f"opening {path}", {"type": path, "module": [path]}
    assert filename
    assert item
    leave_traces()
    fail_inside(written("argument"), **{_name: _secret})
    return HttpResponse()
