"""The services that some tests need. Without one they skip and say why; in CI that is a failure."""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from environment import REPO

# Seconds, for the slowest machine there is.
PATIENCE = 60


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def new_database() -> Iterator[str]:
    """Yield the URL of an empty PostgreSQL database, on the server of DATABASE_URL, else on a local one."""
    server = os.environ.get("DATABASE_URL", "")
    if not server.startswith("postgres"):
        server = "postgresql://postgres@127.0.0.1:5432/postgres"
    name = f"stormcloud_{secrets.token_hex(6)}"
    try:
        connection = psycopg.connect(server, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        unavailable(f"No PostgreSQL answers. Start one, or name it in DATABASE_URL. {error}")
    with connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def free_redis() -> Iterator[str]:
    """Yield the URL of an empty Redis database of one's own, on the server of REDIS_URL, else on a local one."""
    server = urlsplit(os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379")
    mark = "storm-cloud-tests"
    numbers = random.sample(range(1, 16), 15)
    for number in numbers:
        url = server._replace(path=f"/{number}").geturl()
        with redis.Redis.from_url(url, socket_connect_timeout=5) as client:
            try:
                # The mark outlives a run that was killed, but not for long.
                if not client.set(mark, os.getpid(), nx=True, ex=900):
                    continue
                if client.dbsize() > 1:
                    client.delete(mark)
                    continue
            except redis.RedisError as error:
                unavailable(f"No Redis answers. Start one, or name it in REDIS_URL. {error}")
            try:
                yield url
            finally:
                client.flushdb()
            return
    unavailable("None of the databases 1 to 15 of this Redis is empty.")


class Celery:
    """`celery -A _core ...` as a child process: `with Celery("worker", env=..., log=..., ready="ready."):`."""

    def __init__(self, *arguments: str, env: dict[str, str], log: Path, ready: str) -> None:
        self.command = [sys.executable, "-m", "celery", "-A", "_core", *arguments]
        self.env, self.log, self._ready = env, log, ready

    def __enter__(self) -> Celery:
        with self.log.open("w", encoding="utf-8") as output:
            self.process = subprocess.Popen(
                self.command, cwd=REPO, env=self.env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            self.wait_for(self._ready)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def lines(self) -> list[str]:
        """What it has printed."""
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()

    def wait_for(self, text: str) -> str:
        """Return the first line that has `text` in it, once there is one."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            if found := [line for line in self.lines if text in line]:
                return found[0]
            assert not ended, "\n".join(self.lines[-30:])
            time.sleep(0.05)
        raise TimeoutError(f"No {text!r} in:\n" + "\n".join(self.lines[-30:]))

    def stop(self) -> int:
        """End it as `docker stop` does, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise


@contextmanager
def worker(env: dict[str, str], log: Path) -> Iterator[Celery]:
    """A worker of two processes, which also knows the tasks of tests/background_tasks.py."""
    quick = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    arguments = ("worker", "--concurrency", "2", "--include", "tests.background_tasks", *quick)
    with Celery(*arguments, env=env, log=log, ready="ready.") as running:
        yield running
