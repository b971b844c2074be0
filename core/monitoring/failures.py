"""What can be made to fail on request, so that an operator sees it arrive. Nothing here changes anything.

`ERRORS` need nothing but Python; `FAILURES` are all of them. A host adds its own where it routes the page.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter

from asgiref.sync import async_to_sync
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest

from core.monitoring.sdk import active

logger = logging.getLogger(__name__)

# More than findings.REPEATS.
REPEATED_QUERIES = 12
# SQL that SQLite, PostgreSQL and MySQL know; it takes as long as it is told to count.
COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s) SELECT count(*) FROM n"
MOST_ROWS = 100_000_000


@dataclass(frozen=True)
class Failure:
    """One that can be chosen: its `title`, what it is `about`, and what makes it happen. `run` raises, if it should.

    `is_finding` says that only a finding tells of it.
    """

    title: str
    about: str
    run: Callable[[HttpRequest], object]
    is_finding: bool = False


def _division(request: HttpRequest) -> float:
    files, users = 7, 0
    return files / users


def _value(request: HttpRequest) -> None:
    raise ValueError("This is a test error; nothing is broken.")


def _api_key(request: HttpRequest) -> None:
    api_key = "not-a-real-key-Zm9yLXRlc3RpbmctdGhhdC1ub3RoaW5nLXByaXZhdGUtbGVhdmVz"
    headers = {"Authorization": f"Bearer {api_key}", "sent": request.headers.get("Authorization")}
    raise ValueError(f"The key {api_key} was refused, with the headers {headers}")


def _chained(request: HttpRequest) -> None:
    settings = {"color": "blue"}
    try:
        settings["size"]
    except KeyError as error:
        raise RuntimeError("The settings are not complete") from error


def _in_a_coroutine(request: HttpRequest) -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise RuntimeError("A coroutine failed, and nobody caught it")

    async_to_sync(fail)()


def _database(request: HttpRequest) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT size FROM a_table_that_is_not_there")


def _n_plus_one(request: HttpRequest) -> None:
    with connection.cursor() as cursor:
        for number in range(REPEATED_QUERIES):
            cursor.execute("SELECT %s + 1", [number])


def _slow_query(request: HttpRequest) -> None:
    rows, seconds, slow = 50_000, 0.0, active().config.slow_query_ms / 1000
    with connection.cursor() as cursor:
        while seconds < slow and rows < MOST_ROWS:  # how much that is depends on the machine
            rows *= 4
            begun = perf_counter()
            cursor.execute(COUNT, [rows])
            seconds = perf_counter() - begun


def _cache(request: HttpRequest) -> None:
    cache.set("monitoring-test", threading.Lock())  # can't be pickled


def _log(request: HttpRequest) -> None:
    logger.error("This is a test message of level error; nothing is broken.")


ERRORS: Mapping[str, Failure] = {
    "division": Failure("Division by zero", "a ZeroDivisionError", _division),
    "value": Failure("Wrong value", "a ValueError with a message", _value),
    "api_key": Failure(
        "API key",
        "a ValueError with an API key in its message, locals and source; the key must not arrive",
        _api_key,
    ),
    "chained": Failure("Chained", "a RuntimeError that was caused by a KeyError", _chained),
    "async": Failure("Coroutine", "a RuntimeError that nobody caught in a coroutine", _in_a_coroutine),
}
FAILURES: Mapping[str, Failure] = {
    **ERRORS,
    "database": Failure("Database", "a query of a table that is not there", _database),
    "n_plus_one": Failure(
        "N+1 queries", f"{REPEATED_QUERIES} queries where one would do; a finding", _n_plus_one, True
    ),
    "slow_query": Failure(
        "Slow query", "one that takes longer than SENTRY_SLOW_QUERY_MS; a finding", _slow_query, True
    ),
    "cache": Failure("Cache", "a value that the cache can't store", _cache),
    "log": Failure("Log message", "a line of level error; nothing is raised", _log),
}
