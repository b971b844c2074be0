"""What leaves of a log line: as a breadcrumb, and as a structured log once the operator asked for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sentry_sdk.utils import safe_repr

from core.monitoring.current import private_values_here
from core.monitoring.hiding import hide_values
from core.monitoring.private_values import named_values
from core.monitoring.rules import FILTERED
from core.monitoring.scrubber import Scrubber


def before_breadcrumb(scrubber: Scrubber) -> Callable[[dict[str, Any], dict[str, Any]], dict[str, Any] | None]:
    """Return the SDK's hook: it hides what the line's own `%(password)s` shows to be private.

    The names are gone from the message that the breadcrumb holds. If hiding fails, there is no breadcrumb.
    """

    def hide(crumb: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any] | None:
        arguments = getattr(hint.get("log_record"), "args", None)
        if not isinstance(arguments, Mapping):
            return crumb
        try:
            named = named_values({"request": dict(arguments)}, scrubber)
            hidden = hide_values(crumb, dict.fromkeys(named, FILTERED))
        except Exception as error:
            scrubber.report(error)
            return None
        hidden.pop("_meta", None)  # belongs to an event
        return hidden

    return hide


def before_send_log(scrubber: Scrubber) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the SDK's hook: it hides what the request, the task and the line itself show to be private.

    If it raises, the SDK drops the line. The rest of the scrubbing is the transport's.
    """

    def hide(log: dict[str, Any], hint: Any) -> dict[str, Any]:
        # The SDK would write an object down only later, unseen by what follows.
        attributes = {
            name: value if isinstance(value, str | int | float) else safe_repr(value)
            for name, value in log["attributes"].items()
        }
        # An attribute named `password`, or `%(password)s` in the message, shows what the password is.
        named = named_values({"request": attributes}, scrubber)
        return hide_values(
            {**log, "attributes": attributes}, {**dict.fromkeys(named, FILTERED), **private_values_here()}
        )

    return hide
