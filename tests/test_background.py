"""A real worker and beat behind a real server: what happens in the background is seen, with who asked for it."""

import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery as Application
from storm_cloud import StormCloud
from visitor import Visitor

from core.monitoring.testing import Receiver
from tests.conftest import ROOT, manage
from tests.services import Celery, free_redis, worker

Start = Callable[..., StormCloud]
BEAT_SCHEDULE = {
    "cleanup-expired-tokens": "10 3 * * *",
    "cleanup-expired-shares": "20 3 * * *",
    "rebuild-index": "30 3 * * *",
    "recount-quotas": "40 4 * * *",
}
# The file's name and the password have no shape that a rule could know.
CANARIES = {
    "an API key": "bm90LWEtcmVhbC1rZXktMDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY",
    "an e-mail address": "grace.hopper@example.org",
    "a password": "correct-horse-4711",
    "a file's name": "diagnosis of grace.pdf",
    "a folder's name": "hospital",
}


class Background:
    """A monitored server with a worker beside it, and what their tracker received."""

    def __init__(self, server: StormCloud, tracker: Receiver, broker: str) -> None:
        self.server, self.tracker = server, tracker
        self.tasks = Application(broker=broker, set_as_current=False)
        self.worker: Celery

    def errors(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        """Return the errors of the task `name`, once there are `count`."""
        return self._wait("event", count, lambda event: event.get("transaction") == name)

    def transactions(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        return self._wait("transaction", count, lambda event: event["transaction"] == name)

    def check_ins(self, monitors: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return the check-ins of each monitor, as {"in_progress": ..., "ended": ...}, once all are there."""
        arrived: list[Any] = []
        found: dict[str, dict[str, Any]] = {monitor: {} for monitor in monitors}
        while any(len(of_monitor) < 2 for of_monitor in found.values()):
            arrived = self.tracker.wait_for("check_in", len(arrived) + 1, timeout=60)
            for check_in in arrived:
                phase = "in_progress" if check_in["status"] == "in_progress" else "ended"
                if check_in["monitor_slug"] in found:
                    found[check_in["monitor_slug"]][phase] = check_in
        return found

    def _wait(self, kind: str, count: int, wanted: Callable[[Any], bool]) -> list[dict[str, Any]]:
        arrived = 0
        while len(found := [event for event in self.tracker.items(kind) if wanted(event)]) < count:
            arrived = len(self.tracker.wait_for(kind, arrived + 1, timeout=60))
        return found


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with free_redis() as url:
        yield url


@pytest.fixture(scope="module")
def background(storm_cloud: Start, tracker: Receiver, broker: str) -> Iterator[Background]:
    server = storm_cloud(
        SENTRY_DSN=tracker.dsn,
        SENTRY_TRACES_SAMPLE_RATE="1",
        SENTRY_PROFILES_SAMPLE_RATE="0",
        CELERY_BROKER_URL=broker,
        REDIS_URL=broker,
    )
    with worker(server.env, server.state / "logs" / "worker.log") as running:
        background = Background(server, tracker, broker)
        background.worker = running
        yield background


@pytest.fixture(scope="module")
def staff(background: Background) -> Visitor:
    """A member of the staff with an API key and one stored file."""
    visitor = Visitor(background.server.base_url, background.server.log)
    visitor.register()
    visitor.sign_in()
    visitor.store_and_share()
    program = "from accounts.models import User; User.objects.update(is_staff=True)"
    assert manage(background.server.env, "shell", "-v", "0", "-c", program).returncode == 0
    return visitor


def rebuild(staff: Visitor) -> tuple[int, dict[str, Any], str]:
    """Ask for a new index; return the answer's status, body and request id."""
    request = urllib.request.Request(
        f"{staff.base_url}/api/v1/index/rebuild/", method="POST", headers={"Authorization": f"Bearer {staff.api_key}"}
    )
    with staff.browser.open(request, timeout=30) as answer:
        return answer.status, json.load(answer), answer.headers["X-Request-ID"]


@pytest.fixture(scope="module")
def rebuilt(background: Background, staff: Visitor) -> dict[str, Any]:
    """A request that asked for a task, and the task: their transactions, and the request's answer."""
    status, answer, request_id = rebuild(staff)
    assert status == 202
    (request,) = background.transactions("/api/v1/index/rebuild/")
    (task,) = background.transactions("core.tasks.rebuild_index")
    return {"id": answer["task"], "request_id": request_id, "request": request, "task": task}


def spans(transaction: dict[str, Any], op: str) -> list[dict[str, Any]]:
    return [span for span in transaction["spans"] if span["op"] == op]


def test_a_request_and_the_task_that_it_asks_for_are_one_trace(rebuilt: dict[str, Any]) -> None:
    trace, asked = rebuilt["task"]["contexts"]["trace"], rebuilt["request"]["contexts"]["trace"]
    assert trace["trace_id"] == asked["trace_id"]
    assert trace["op"] == "queue.task.celery"
    (publishing,) = spans(rebuilt["request"], "queue.publish")
    assert publishing["data"]["messaging.message.id"] == rebuilt["id"]
    assert trace["parent_span_id"] in {span["span_id"] for span in spans(rebuilt["request"], "queue.submit.celery")}


def test_a_task_shows_how_long_it_waited_and_what_it_did(rebuilt: dict[str, Any]) -> None:
    (process,) = spans(rebuilt["task"], "queue.process")
    assert process["data"]["messaging.message.receive.latency"] > 0
    assert process["data"]["messaging.message.retry.count"] == 0
    assert process["data"]["messaging.message.id"] == rebuilt["id"]
    assert process["data"]["messaging.system"] == "redis"
    assert spans(rebuilt["task"], "db")


def test_a_task_belongs_to_the_user_and_tenant_who_asked_for_it(rebuilt: dict[str, Any]) -> None:
    assert rebuilt["task"]["user"] == {"id": rebuilt["request"]["user"]["id"]}
    assert rebuilt["task"]["tags"]["tenant_id"] == rebuilt["request"]["tags"]["tenant_id"]


def test_the_log_lines_of_a_task_carry_the_id_and_trace_of_its_request(
    background: Background, rebuilt: dict[str, Any]
) -> None:
    line = background.worker.wait_for(f"{rebuilt['id']}] succeeded")
    assert f"[{rebuilt['request_id']} {rebuilt['task']['contexts']['trace']['trace_id']}]" in line


def test_an_error_names_the_user_and_tenant_whose_request_asked_for_the_task(
    background: Background, staff: Visitor, rebuilt: dict[str, Any]
) -> None:
    media = background.server.state / "media"
    aside = media.rename(media.with_name("unmounted"))
    try:
        rebuild(staff)
        (error,) = background.errors("core.tasks.rebuild_index")
    finally:
        shutil.rmtree(media, ignore_errors=True)
        aside.rename(media)
    assert error["exception"]["values"][-1]["type"] == "EmptyStorage"
    assert error["user"] == {"id": rebuilt["request"]["user"]["id"]}
    assert error["tags"]["tenant_id"] == rebuilt["request"]["tags"]["tenant_id"]
    assert error["tags"]["celery_task_id"]
    assert staff.email.encode() not in background.tracker.bytes


def test_the_arguments_of_a_task_never_leave_however_they_are_given(background: Background) -> None:
    name = "tests.background_tasks.fail"
    key, address, password, file, folder = CANARIES.values()
    kwargs = {"message": "given", "password": password, "batch": [{"file": f"{folder}/{file}"}], "to": address}
    background.tasks.send_task(name, kwargs=kwargs)
    background.tasks.send_task(name, args=[f"cannot read {folder}/{file}", key, [address, password, [file]]])
    errors, transactions = background.errors(name, 2), background.transactions(name, 2)
    for error in errors:
        assert error["exception"]["values"][-1]["type"] == "RuntimeError"
        assert {"args", "kwargs", "copied"} <= set(error["exception"]["values"][-1]["stacktrace"]["frames"][-1]["vars"])
    for payload in (*errors, *transactions):
        for what, canary in CANARIES.items():
            assert canary not in json.dumps(payload), what
    for what, canary in CANARIES.items():
        assert canary.encode() not in background.tracker.bytes, what


def test_trying_again_is_no_error_and_failing_for_good_is_one(background: Background) -> None:
    name = "tests.background_tasks.try_again"
    background.tasks.send_task(name, args=[2])
    background.transactions(name, 3)
    counts = [
        spans(t, "queue.process")[0]["data"]["messaging.message.retry.count"] for t in background.transactions(name)
    ]
    assert sorted(counts) == [0, 1, 2]
    background.tasks.send_task(name, args=[3])
    background.transactions(name, 6)
    (error,) = background.errors(name)
    assert error["exception"]["values"][-1]["type"] == "ConnectionError"


def test_a_scheduled_task_that_is_tried_again_checks_in_once_when_it_ends(background: Background) -> None:
    monitor = {"sentry-monitor-slug": "trying", "sentry-monitor-check-in-id": "0" * 32, "sentry-monitor-config": {}}
    background.tasks.send_task("tests.background_tasks.try_again", args=[2], headers={"headers": monitor, **monitor})
    begun = len(background.tracker.wait_for("check_in", timeout=60))
    check_ins = background.tracker.items("check_in")[:begun]
    assert [check_in["status"] for check_in in check_ins if check_in["monitor_slug"] == "trying"] == ["ok"]


def test_a_task_whose_process_is_killed_is_one_error_with_its_name_and_user(background: Background) -> None:
    name = "tests.background_tasks.be_killed"
    arrived = len(background.tracker.items("event"))
    known = {"sentry-enqueued-by": {"user": "7", "tenant": "3"}}
    task = background.tasks.send_task(name, args=["ottilies diagnosis"], headers=known)
    (error,) = background.errors(name)
    background.worker.wait_for("Task handler raised error")
    background.tasks.send_task("tests.background_tasks.fail", args=["the end"])
    background._wait("event", arrived + 2, lambda event: True)
    assert error["exception"]["values"][-1]["type"] == "WorkerLostError"
    assert error["user"] == {"id": "7"}
    assert error["tags"]["tenant_id"] == "3"
    assert error["tags"]["celery_task_id"] == task.id
    assert len(background.tracker.items("event")) == arrived + 2
    assert b"ottilie" not in background.tracker.bytes


def test_a_task_that_asks_for_another_hands_on_the_trace(background: Background) -> None:
    background.tasks.send_task("tests.background_tasks.ask_another")
    (asking,) = background.transactions("tests.background_tasks.ask_another")
    trace = asking["contexts"]["trace"]["trace_id"]
    (error,) = background._wait("event", 1, lambda event: event["contexts"]["trace"]["trace_id"] == trace)
    assert error["transaction"] == "tests.background_tasks.fail"


def test_each_scheduled_task_checks_in_at_its_monitor_and_says_how_it_ended(
    background: Background, staff: Visitor, tmp_path: Path
) -> None:
    media = background.server.state / "media"
    aside = media.rename(media.with_name("unmounted"))
    try:
        make_overdue(background.server.env, tmp_path / "schedule")
        arguments = ("beat", "--schedule", str(tmp_path / "schedule"), "--pidfile", "")
        with Celery(*arguments, env=background.server.env, log=tmp_path / "beat.log", ready="Sending due") as beat:
            check_ins = background.check_ins(BEAT_SCHEDULE)
            assert beat.stop() == 0
    finally:
        shutil.rmtree(media, ignore_errors=True)
        aside.rename(media)
    for monitor, cron in BEAT_SCHEDULE.items():
        begun, ended = check_ins[monitor]["in_progress"], check_ins[monitor]["ended"]
        assert ended["status"] == ("error" if monitor == "rebuild-index" else "ok")
        assert begun["check_in_id"] == ended["check_in_id"]
        assert ended["duration"] >= 0
        for check_in in (begun, ended):
            assert check_in["monitor_config"] == {
                "schedule": {"type": "crontab", "value": cron},
                "timezone": "UTC",
                "checkin_margin": 15,
                "max_runtime": 365,
            }


def make_overdue(env: dict[str, str], schedule: Path) -> None:
    """Write beat's memory of a server whose tasks ran last eight days ago; not the audit, which rebuilds wait for."""
    program = (
        "import sys, _core.celery\n"
        "from datetime import timedelta\n"
        "from celery.beat import PersistentScheduler\n"
        "scheduler = PersistentScheduler(_core.celery.app, schedule_filename=sys.argv[1])\n"
        "for name in sys.argv[2:]:\n"
        "    scheduler.schedule[name].last_run_at -= timedelta(days=8)\n"
        "scheduler.close()\n"
    )
    command = [sys.executable, "-c", f"import django; django.setup()\n{program}", str(schedule), *BEAT_SCHEDULE]
    subprocess.run(command, cwd=ROOT, env=env, check=True, timeout=60)


def test_a_worker_that_is_stopped_loses_no_event(
    storm_cloud: Start, background: Background, receiver: Receiver
) -> None:
    with free_redis() as broker:
        env = background.server.env | {
            "CELERY_BROKER_URL": broker,
            "SENTRY_DSN": receiver.dsn,
            "SENTRY_TRACES_SAMPLE_RATE": "0",
            "SENTRY_MAX_EVENTS_PER_MINUTE": "0",
        }
        tasks = Application(broker=broker, set_as_current=False)
        for number in range(40):
            tasks.send_task("tests.background_tasks.fail", args=[f"number {number}"])
        with worker(env, background.server.state / "logs" / "stopped.log") as running:
            receiver.wait_for("event")
            assert running.stop() == 0
        failed = sum("raised unexpected" in line for line in running.lines)
        assert 0 < failed == len(receiver.items("event"))


def test_without_a_broker_the_server_does_the_work_itself_and_loads_no_redis(tmp_path: Path) -> None:
    from tests.conftest import environment

    program = (
        "import sys\n"
        "from core.tasks import recount_quotas\n"
        "assert recount_quotas.delay().result == {'corrected': 0}\n"
        "assert 'redis' not in sys.modules\n"
    )
    env = environment(tmp_path)
    assert manage(env, "migrate", "-v", "0").returncode == 0
    done = manage(env, "shell", "-v", "0", "-c", program)
    assert done.returncode == 0, done.stderr
