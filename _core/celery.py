"""The background worker and its timer: `celery -A _core worker` and `celery -A _core beat`.

Each task's lines in the log carry the id of the request that asked for it, or the task's own id.
"""

from typing import Any

from celery import Celery, Task
from celery.signals import before_task_publish, setup_logging, task_postrun, task_prerun

from _core import use_settings
from core import request_id

use_settings(default="_core.settings.production")
app = Celery("storm_cloud")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# The header of a task's message.
REQUEST_ID = "request_id"


@setup_logging.connect
def keep_logging(**_kwargs: Any) -> None:
    """Log as LOGGING says; Celery would otherwise replace the handlers."""


@before_task_publish.connect
def send_request_id(headers: dict[str, Any], **_kwargs: Any) -> None:
    headers[REQUEST_ID] = request_id.current.get()


@task_prerun.connect
def take_request_id(task: Task, task_id: str, **_kwargs: Any) -> None:
    if not task.request.is_eager:
        asked_for_by = task.request.get(REQUEST_ID, "-")
        request_id.current.set(task_id if asked_for_by == "-" else asked_for_by)


@task_postrun.connect
def forget_request_id(task: Task, **_kwargs: Any) -> None:
    if not task.request.is_eager:
        request_id.current.set("-")
