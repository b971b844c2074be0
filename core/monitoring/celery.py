"""What the SDK's Celery integration leaves out: who asked for a task, and that its arguments are private.

Imported only where Celery is. The ids of user and tenant travel in the task's message, never a name or an address.
"""

from __future__ import annotations

from typing import Any

import sentry_sdk
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Task, current_task, signals
from sentry_sdk.integrations.celery.beat import crons_task_retry

from core.monitoring.capture import set_user_context
from core.monitoring.context import add_private, current_user, no_queries, tenant_of
from core.monitoring.current import current_request, enter_task, leave_task
from core.monitoring.findings import end_task, watch_task
from core.monitoring.private_values import arguments
from core.monitoring.sdk import active, is_enabled

# The header of a task's message: {"user": "7", "tenant": "3"}.
ENQUEUED_BY = "sentry-enqueued-by"


def connect() -> None:
    """Take part in publishing and running tasks. Calling it twice does no harm."""
    signals.before_task_publish.connect(_sign)
    signals.task_prerun.connect(_begin)
    signals.task_postrun.connect(_end)
    signals.task_failure.connect(_report_lost)
    # The integration would check in an error; a monitor hears how a task ended, not that it tries again.
    signals.task_retry.disconnect(crons_task_retry)


def _sign(headers: dict[str, Any], **_kwargs: Any) -> None:
    if is_enabled() and (who := _who()):
        headers[ENQUEUED_BY] = who


def _who() -> dict[str, str]:
    request = current_request()
    if request is None:
        # A task that asks for another one, or for itself once more.
        return dict(current_task.request.get(ENQUEUED_BY) or {}) if current_task else {}
    with no_queries():
        user = current_user(request, may_query=False)
        found = {"user": getattr(user, "pk", None), "tenant": tenant_of(request, user, active().config.tenant)}
    return {name: str(value) for name, value in found.items() if value is not None}


def _begin(task: Task[Any, Any], args: Any, kwargs: Any, **_kwargs: Any) -> None:
    if not is_enabled():
        return
    private = arguments(args, kwargs)
    enter_task(private)

    def describe(event: Any, hint: dict[str, Any]) -> Any:
        add_private(hint, private)
        return event

    # Behind the request's own, where a request runs its task itself.
    sentry_sdk.get_current_scope().add_event_processor(describe)
    if who := task.request.get(ENQUEUED_BY):
        set_user_context(who.get("user"), who.get("tenant"))
    if active().config.findings:
        watch_task(task.name, task.run, active().config.slow_query_ms)


def _end(**_kwargs: Any) -> None:
    if is_enabled():
        leave_task()
        end_task()


def _report_lost(sender: Task[Any, Any], task_id: str, exception: Any, args: Any, kwargs: Any, **_kwargs: Any) -> None:
    """Report, from the worker's main process, a task whose own was killed: for its memory, or after its time limit."""
    if not (is_enabled() and isinstance(exception, WorkerLostError | TimeLimitExceeded)):
        return
    with sentry_sdk.isolation_scope() as scope:

        def describe(event: Any, hint: dict[str, Any]) -> Any:
            event["transaction"] = sender.name
            event.setdefault("tags", {})["celery_task_id"] = task_id
            add_private(hint, arguments(args, kwargs))
            return event

        scope.add_event_processor(describe)
        if who := sender.request.get(ENQUEUED_BY):
            set_user_context(who.get("user"), who.get("tenant"))
        sentry_sdk.capture_exception(exception)
