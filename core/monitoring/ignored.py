"""Which exceptions are no errors of the server, and never become an event."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from core.monitoring.current import current_request, in_task

# Classes, subclasses included. SENTRY_IGNORE_ERRORS adds to them. What Django and REST framework answer with a 4xx
# (Http404, PermissionDenied, ...) needs no place here: nobody reports it.
IGNORED = (
    "django.core.exceptions.SuspiciousOperation",  # a bad Host header, a body too large
    "django.core.exceptions.RequestAborted",  # a client that left, under ASGI
    "django.http.request.UnreadablePostError",  # an upload that was broken off
    "django.core.management.CommandError",  # a command's own word for wrong usage
    "asyncio.CancelledError",
    "builtins.KeyboardInterrupt",
)

# While a request is answered: a client that left, unless the connection was one to a part of the server.
DISCONNECTS = (BrokenPipeError, ConnectionResetError, ConnectionAbortedError)
# Modules that talk to such a part, with everything below them: Django's own doors to it, and clients.
BACKENDS = tuple(
    "django.db django.core.cache django.core.files django.core.mail psycopg psycopg2 MySQLdb pymysql oracledb redis "
    "pymemcache pylibmc kombu amqp botocore urllib3 httpx httpcore aiohttp http.client urllib smtplib ftplib".split()
)

# Lines of gunicorn about a client's connection that broke (had the application failed, it would have been an event
# before), and of Celery about a task's process that was killed, which celery.py reports with the task's name.
NO_EVENTS = re.compile(
    r"gunicorn\.error: (Socket error processing request|HTTP/2 socket error)"
    r"|multiprocessing: Process .* exited with"
    r"|celery\.worker\.request: (Task handler raised error: WorkerLostError|Hard time limit)"
)


def is_ignored(error: BaseException, names: Iterable[str] = ()) -> bool:
    """Say whether `error` is none of the server's. `names` are further classes: bare names or dotted paths."""
    if any(_is_a(type(error), name) for name in (*IGNORED, *names)):
        return True
    if not isinstance(error, DISCONNECTS) or current_request() is None or in_task():
        return False
    return not _passed(error.__traceback__, BACKENDS)


def is_told_otherwise(event: Mapping[str, Any]) -> bool:
    """Say whether `event` is of a log line that needs none of its own."""
    line = (event.get("logentry") or {}).get("formatted")
    return bool(line and NO_EVENTS.match(f"{event.get('logger')}: {line}"))


def _is_a(kind: type, name: str) -> bool:
    """Say whether `kind` is the class `name` or below it. Imports nothing: where it is in use, it has been imported."""
    module, _, bare = name.rpartition(".")
    if module:
        return getattr(sys.modules.get(module), bare, None) in kind.__mro__
    return any(ancestor.__name__ == bare for ancestor in kind.__mro__)


def _passed(trace: TracebackType | None, modules: tuple[str, ...]) -> bool:
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", ""))
        if any(name == module or name.startswith(f"{module}.") for module in modules):
            return True
        trace = trace.tb_next
    return False
