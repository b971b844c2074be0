"""The request and the tasks at work: for log lines and messages to a queue, which pass no event processor."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from django.core.signals import request_finished
from django.dispatch import receiver
from django.http import HttpRequest

from core.monitoring.private_values import private_values

_request: ContextVar[weakref.ref[HttpRequest] | None] = ContextVar("monitored_request", default=None)
# What is private in each: a task without a broker runs within what asks for it, be it a request or another task.
_tasks: ContextVar[tuple[Mapping[str, str] | None, ...]] = ContextVar("monitored_tasks", default=())


def enter_request(request: HttpRequest) -> None:
    """Remember the request until its answer is closed, if somebody else does."""
    _request.set(weakref.ref(request))


@receiver(request_finished)
def _leave_request(**_kwargs: Any) -> None:
    # Not earlier: until then its answer is streamed.
    _request.set(None)


def current_request() -> HttpRequest | None:
    """Return the request that is being answered, or None."""
    reference = _request.get()
    return reference() if reference else None


def enter_task(values: Mapping[str, str] | None) -> None:
    """Remember what is private in the task that begins, as `arguments()` gives it."""
    _tasks.set((*_tasks.get(), values))


def leave_task() -> None:
    """Forget the task that was entered last."""
    _tasks.set(_tasks.get()[:-1])


def in_task() -> bool:
    """Say whether a task runs."""
    return bool(_tasks.get())


def private_values_here() -> dict[str, str]:
    """Return what the current request and tasks show to be private, each value with what stands in its place.

    Raises `ValueError` if a task was given more than can be looked for.
    """
    request = current_request()
    found = private_values(request) if request else {}
    for values in _tasks.get():
        if values is None:
            raise ValueError("too many arguments")
        found |= values
    return found
