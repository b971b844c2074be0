"""Several workers count together through Redis, and go on without it."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery as Application
from environment import SetupError
from kombu.exceptions import OperationalError as BrokerError
from servers import without_proxy
from storm_cloud import StormCloud
from visitor import Visitor

from tests.conftest import environment, manage
from tests.services import free_redis

Start = Callable[..., StormCloud]
LIMIT = 10
# Not that of the visitor, whose own attempts count, too.
ADDRESS = "203.0.113.8"


@pytest.fixture(scope="module")
def servers(storm_cloud: Start) -> Iterator[list[StormCloud]]:
    """Two servers on one Redis: which of its own two workers takes a request is up to the kernel."""
    with free_redis() as url:
        yield [storm_cloud(workers=2, REDIS_URL=url), storm_cloud(REDIS_URL=url)]


def attempt(server: StormCloud, number: int) -> int:
    """Guess a password, on a connection of its own so that any worker may take it; return the status."""
    request = urllib.request.Request(
        f"{server.base_url}/api/v1/auth/login/",
        json.dumps({"username": f"nobody{number}", "password": "wrong"}).encode(),
        {"Content-Type": "application/json", "X-Forwarded-For": ADDRESS, "Connection": "close"},
    )
    try:
        with without_proxy().open(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_session_holds_at_every_worker(servers: list[StormCloud]) -> None:
    visitor = Visitor(servers[0].base_url, servers[0].log)
    visitor.register()
    visitor.sign_in()
    visitor.api_key = ""
    assert {visitor._call("GET", "auth/me/")["username"] for _ in range(20)} == {"ada"}


def test_a_throttle_counts_across_workers_and_servers(servers: list[StormCloud]) -> None:
    codes = [attempt(servers[number % 2], number) for number in range(2 * LIMIT)]
    assert codes == [401] * LIMIT + [429] * LIMIT


def test_without_redis_people_still_sign_in_and_guessing_is_still_limited(storm_cloud: Start) -> None:
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        nobody = f"redis://127.0.0.1:{nobody_listens.getsockname()[1]}/0"
        server = storm_cloud(REDIS_URL=nobody, CELERY_BROKER_URL=nobody)
        visitor = Visitor(server.base_url, server.log)
        visitor.register()
        visitor.sign_in()
        visitor.store_and_share()
        assert [attempt(server, number) for number in range(LIMIT + 2)] == [401] * LIMIT + [429] * 2
        assert "The cache does not answer; check REDIS_URL" in server.log.read_text()
        program = "from accounts.models import User; User.objects.update(is_staff=True)"
        assert manage(server.env, "shell", "-v", "0", "-c", program).returncode == 0
        with pytest.raises(SetupError, match=r"503:[^.]+broker_unavailable.*CELERY_BROKER_URL"):
            visitor._call("POST", "index/rebuild/")


def test_a_silent_broker_keeps_nobody_waiting(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tasks = Application(broker=f"redis://127.0.0.1:{silent.getsockname()[1]}/0", set_as_current=False)
        assert settings.CELERY_BROKER_TRANSPORT_OPTIONS["socket_timeout"] <= 5
        tasks.conf.broker_transport_options = settings.CELERY_BROKER_TRANSPORT_OPTIONS | {"socket_timeout": 0.1}
        tasks.conf.task_publish_retry = settings.CELERY_TASK_PUBLISH_RETRY
        with pytest.raises(BrokerError):
            tasks.send_task("core.tasks.recount_quotas")


@pytest.mark.parametrize("variable", ["REDIS_URL", "CELERY_BROKER_URL"])
def test_an_address_without_a_scheme_is_told_before_the_server_starts(variable: str, tmp_path: Path) -> None:
    done = manage(environment(tmp_path, **{variable: "localhost:6379"}), "check")
    assert done.returncode != 0
    assert f"{variable} is no address of a Redis. Write it as redis://host:6379/0." in done.stderr
