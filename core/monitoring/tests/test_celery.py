"""Tasks that run in this process: what they were given stays private, and each failure is one event."""

import builtins
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
from celery import Celery
from django.contrib.auth.models import Permission
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.functional import SimpleLazyObject

from core.monitoring.private_values import arguments
from core.monitoring.sdk import active
from core.monitoring.testing import Receiver

Start = Callable[..., bool]
Call = Callable[..., tuple[int, dict[str, str], bytes]]
PROJECT = Path(__file__).resolve().parents[3]

# Not in a line that an event would quote.
FILE, NOTE = "hospital/diagnosis.pdf", "for grace"

app = Celery("tests", broker="memory://", set_as_current=False)
app.conf.task_always_eager = True


queue = Celery("queue", broker="memory://", set_as_current=False)


@app.task
def inner() -> None:
    pass


@app.task
def ask_another(name: str) -> None:
    inner.delay()
    logging.getLogger("app.tasks").warning("working on %s", name)


@app.task
def hang_up(kind: str) -> None:
    raise getattr(builtins, kind)


@queue.task
def queued() -> None:
    pass


def ask_for_it(request: HttpRequest) -> HttpResponse:
    hang_up.delay("ConnectionResetError")
    return HttpResponse()


def ask_later(request: HttpRequest) -> HttpResponse:
    queried: list[int] = []
    request.tenant = SimpleLazyObject(lambda: queried.append(Permission.objects.count()))
    queued.delay()
    return HttpResponse(str(queried))


urlpatterns = [path("", ask_for_it), path("queue/", ask_later)]


@app.task
def fail(file: str, **options: Any) -> None:
    folder = os.path.dirname(file)  # noqa: PTH120
    raise RuntimeError(f"no room in {folder} for {file!r}: {options}")


def test_a_task_that_fails_while_monitoring_is_off_fails_as_ever() -> None:
    assert isinstance(fail.delay(FILE).result, RuntimeError)


def test_a_failure_is_one_event_without_the_arguments_of_its_task(start: Start, receiver: Receiver) -> None:
    start(SENTRY_TRACES_SAMPLE_RATE="1")
    task = fail.delay(FILE, note=[NOTE])
    sentry_sdk.flush()
    (event,) = receiver.wait_for("event")
    assert event["exception"]["values"][-1]["type"] == "RuntimeError"
    assert event["tags"]["celery_task_id"] == task.id
    assert event["extra"]["celery-job"]["task_name"] == fail.name
    assert event["exception"]["values"][-1]["stacktrace"]["frames"][-1]["vars"]["folder"]
    for private in (b"hospital", b"diagnosis", b"for grace"):
        assert private not in receiver.bytes


def test_what_one_task_was_given_is_not_hidden_in_the_next(start: Start, receiver: Receiver) -> None:
    start()
    fail.delay(FILE)
    sentry_sdk.capture_message("the hospital is open")
    assert "hospital" in receiver.wait_for("event", 2)[1]["message"]


@pytest.mark.parametrize(
    ("given", "private"),
    [
        ((["a/salary.pdf"], {}), {"a/salary.pdf", "salary.pdf"}),
        (([], {"to": {"address": ["x@example.org"]}}), {"x@example.org"}),
        ((["12", "4711", "12345678-1234-5678-1234-567812345678", 5, None, b"bytes"], {}), set()),
        (
            (
                [
                    {
                        "nested": (
                            {
                                "deep",
                            },
                        )
                    }
                ],
                {},
            ),
            {"deep"},
        ),
    ],
    ids=["path", "keyword", "ids", "nested"],
)
def test_strings_among_the_arguments_are_private_and_ids_are_not(given: Any, private: set[str]) -> None:
    assert set(arguments(*given) or {}) == private


def test_of_a_task_with_more_strings_than_can_be_looked_for_only_a_skeleton_leaves(
    start: Start, receiver: Receiver
) -> None:
    start(SENTRY_ENABLE_LOGS="true")
    fail.delay(FILE, batch=[f"patient {number}" for number in range(300)])
    sentry_sdk.flush()
    errors = [event for event in receiver.wait_for("event") if "exception" in event]
    assert [error["exception"]["values"][-1]["type"] for error in errors] == ["RuntimeError"]
    for private in (b"hospital", b"patient"):
        assert private not in receiver.bytes


def test_what_a_task_was_given_stays_private_after_another_ran_within_it(start: Start, receiver: Receiver) -> None:
    start(SENTRY_ENABLE_LOGS="true")
    ask_another.delay("diagnosis of grace")
    sentry_sdk.flush()
    bodies = [line["body"] for batch in receiver.wait_for("log") for line in batch["items"]]
    assert "working on [Filtered]" in bodies
    assert b"diagnosis of grace" not in receiver.bytes


def test_a_task_whose_connection_breaks_is_an_error_for_it_has_no_client(
    start: Start, call: Call, receiver: Receiver
) -> None:
    start()
    hang_up.delay("BrokenPipeError")
    assert call("/", urls=__name__)[0] == 200, "a request that runs its task itself"
    sentry_sdk.flush()
    types = [event["exception"]["values"][-1]["type"] for event in receiver.wait_for("event", 2)]
    assert types == ["BrokenPipeError", "ConnectionResetError"]


@pytest.mark.django_db
def test_a_request_that_asks_for_a_task_queries_nothing_to_say_for_whom(
    start: Start, call: Call, receiver: Receiver
) -> None:
    start({"tenant": "request.tenant.id"})
    assert call("/queue/", urls=__name__)[2] == b"[]"


HOST = """
import sys
for name in ("celery", "kombu", "redis"):
    sys.modules[name] = None
from django.conf import settings
settings.configure(INSTALLED_APPS=["core.monitoring"])
import django
django.setup()
from core.monitoring import init_sentry
import sentry_sdk
assert init_sentry()
sentry_sdk.capture_message("from a host without Celery")
sentry_sdk.flush()
"""


def test_a_host_without_celery_and_redis_is_monitored_too(receiver: Receiver, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "SENTRY_DSN": receiver.dsn}
    subprocess.run([sys.executable, "-c", HOST], env=env, cwd=tmp_path, check=True, timeout=60)
    assert receiver.items("event")[0]["message"] == "from a host without Celery"


def test_a_forked_process_sends_although_its_parent_was_sending(start: Start, receiver: Receiver) -> None:
    start()
    sentry_sdk.capture_message("from the parent")
    receiver.wait_for("event")
    worker = sentry_sdk.get_client().transport._worker
    guard = active().guard
    assert guard
    with worker._lock, guard._lock:  # as another thread of the parent might hold them
        child = os.fork()
        if child == 0:
            try:
                sentry_sdk.capture_message("from the child")
                sentry_sdk.flush(timeout=20)
            finally:
                os._exit(0)
        try:
            messages = {event["message"] for event in receiver.wait_for("event", 2)}
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert messages == {"from the parent", "from the child"}
