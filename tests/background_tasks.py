"""Tasks that fail on purpose; tests start a real worker with them."""

import logging
import os
import signal
from typing import Any

from celery import Task, shared_task

logger = logging.getLogger(__name__)


@shared_task
def fail(message: str, *args: Any, **kwargs: Any) -> None:
    """Mention everything that it was given, as careless code does."""
    logger.info("given %s and %s", args, kwargs)
    copied = [str(argument) for argument in args]
    raise RuntimeError(f"{message}: {copied}, {kwargs!r}")


@shared_task(bind=True, max_retries=2, default_retry_delay=0)
def try_again(self: "Task[Any, Any]", failures: int) -> int:
    """Fail so many times, then return how often it was tried before."""
    if self.request.retries < failures:
        raise self.retry(exc=ConnectionError("not yet"))
    return self.request.retries


@shared_task
def be_killed(file: str) -> None:
    """End as a process does that has used up the memory."""
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task
def ask_another() -> None:
    """Leave the failing to another task."""
    fail.delay("asked by another task")
