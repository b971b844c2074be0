"""Storm Cloud on a real PostgreSQL, with its connections in a pool: server, worker and commands."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from celery import Celery as Application
from servers import without_proxy
from storm_cloud import StormCloud
from visitor import Visitor

from core.monitoring.testing import Receiver
from tests.conftest import manage
from tests.services import free_redis, new_database, worker

Start = Callable[..., StormCloud]
URLS = """\
import logging
from threading import Thread

from django.http import HttpResponse
from django.urls import path

from _core.urls import urlpatterns as known


def report(request):
    thread = Thread(target=lambda: logging.getLogger("app").error("the work went wrong"))
    thread.start()
    thread.join()
    return HttpResponse()


urlpatterns = [path("report/", report), *known]
"""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with new_database() as url:
        yield url


@pytest.fixture(scope="module", params=["gunicorn", "uvicorn"])
def server(request: pytest.FixtureRequest, storm_cloud: Start, database: str) -> StormCloud:
    return storm_cloud(request.param, DATABASE_URL=database, DATABASE_POOL_SIZE="3")


def healthy(server: StormCloud) -> bool:
    with without_proxy().open(f"{server.base_url}/api/v1/health/status/", timeout=60) as answer:
        return json.load(answer)["database"] == "ok"


def test_users_upload_and_share_and_the_index_is_rebuilt(server: StormCloud) -> None:
    name = f"ada-{server.base_url.rpartition(':')[2]}"
    visitor = Visitor(server.base_url, server.log, username=name, email=f"{name}@example.org")
    visitor.register()
    visitor.sign_in()
    visitor.store_and_share()
    (server.state / "media").joinpath("behind-the-servers-back.txt").write_text("no owner")
    done = manage(server.env, "rebuild_index", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["without_owner"] == 1
    # A pool that is not closed would say so when the process ends.
    assert done.stderr == ""


def test_a_pool_serves_more_requests_at_once_than_it_has_connections(server: StormCloud, database: str) -> None:
    with ThreadPoolExecutor(20) as threads:
        assert list(threads.map(lambda _: healthy(server), range(60))) == [True] * 60
    with psycopg.connect(database) as connection:
        (clients,) = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert 0 < clients <= 6, "two servers of one process each"


def test_a_thread_that_reports_an_error_keeps_no_connection_of_the_pool(
    storm_cloud: Start, database: str, tracker: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "reporting_urls.py").write_text(URLS)
    (tmp_path / "reporting.py").write_text("from _core.settings.dev import *\nROOT_URLCONF = 'reporting_urls'\n")
    server = storm_cloud(
        DATABASE_URL=database,
        DATABASE_POOL_SIZE="2",
        SENTRY_DSN=tracker.dsn,
        DJANGO_SETTINGS_MODULE="reporting",
        PYTHONPATH=str(tmp_path),
    )
    visitor = Visitor(server.base_url, server.log, username="grace", email="grace@example.org")
    visitor.register()
    visitor.sign_in()
    for _ in range(4):
        with visitor.browser.open(f"{server.base_url}/report/", timeout=60) as answer:
            assert answer.status == 200
    assert [event["user"]["username"] for event in tracker.wait_for("event", 4)] == ["grace"] * 4
    assert healthy(server)


def test_a_lost_connection_is_replaced(server: StormCloud, database: str) -> None:
    assert healthy(server)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert healthy(server)


def test_a_worker_has_connections_of_its_own(storm_cloud: Start, database: str) -> None:
    server = storm_cloud(DATABASE_URL=database)
    with free_redis() as broker:
        env = server.env | {"CELERY_BROKER_URL": broker}
        with worker(env, server.state / "logs" / "worker.log") as running:
            for _ in range(4):
                Application(broker=broker, set_as_current=False).send_task("core.tasks.recount_quotas")
            for _ in range(4):
                running.wait_for("] succeeded")
            assert running.stop() == 0
        assert not [line for line in running.lines if "ERROR" in line or "Traceback" in line]
