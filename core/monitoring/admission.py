"""Which events there are at all: none of what is no error, of what was sent already, or of one copy too many."""

from __future__ import annotations

from typing import Any

from core.monitoring.capture import EVENTS
from core.monitoring.commands import describe_command
from core.monitoring.context import add_private, causes, describing, raised
from core.monitoring.ignored import is_ignored, is_told_otherwise
from core.monitoring.private_values import arguments
from core.monitoring.sampling import StormGuard


def admit(event: Any, hint: dict[str, Any], *, guard: StormGuard, ignored: tuple[str, ...]) -> Any:
    """Return `event`, or None if it is not to leave. The first processor that sees it, before it is serialized."""
    error = raised(hint)
    is_none = describing.get() or (error and is_ignored(error, ignored)) or is_told_otherwise(event)
    if is_none or not guard.allows(event):
        return None
    if event.get("logger") == "gunicorn.error":
        # It names the address of a request that failed outside of Django.
        add_private(hint, arguments(getattr(hint.get("log_record"), "args", None)))
    describe_command(event, hint)
    return event


def note_event(event: dict[str, Any], hint: dict[str, Any], request: Any) -> None:
    """Remember that `event` of `request` leaves, if it is of an error."""
    if event.get("type") is None and event.get("level") in ("error", "fatal"):
        request.__dict__.setdefault(EVENTS, []).append((event["event_id"], raised(hint)))


def was_sent(error: BaseException, request: Any) -> bool:
    """Say whether `error`, or what it was raised from, has become an event of `request`."""
    sent = [exception for _, exception in getattr(request, EVENTS, ())]
    return any(cause is exception for cause in causes(error) for exception in sent)
