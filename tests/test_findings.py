"""Findings from real servers, whose workers open their connections themselves: sync and async views, both databases."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import environment
import pytest
from servers import HOST, Server, choose_port, without_proxy

from core.monitoring.testing import Receiver
from tests.conftest import ROOT
from tests.services import new_database

SETTINGS = """\
import os
import dj_database_url

SECRET_KEY = "a library"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "library"
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "core.monitoring"]
MIDDLEWARE = ["core.middleware.SentryContextMiddleware"]

from core.monitoring import init_sentry

init_sentry(findings=True)
"""

LIBRARY = """\
import time
from django.core.asgi import get_asgi_application
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpResponse
from django.urls import path

SLOW = {"postgresql": "SELECT pg_sleep(0.02), 'salary of jane'", "sqlite": "SELECT doze(0.02), 'salary of jane'"}
BOOKS = [f"salary of jane {number}" for number in range(12)]


def one_by_one(request):
    from django.contrib.auth.models import Group

    for book in BOOKS:
        Group.objects.filter(name=book).exists()  # sync
    return HttpResponse("fine")


async def one_by_one_async(request):  # async view
    for book in BOOKS:
        await find(book)
    return HttpResponse("fine")


async def find(book):
    from django.contrib.auth.models import Group

    return await Group.objects.filter(name=book).aexists()  # async


def slow(request):
    connection.ensure_connection()
    if connection.vendor == "sqlite":
        connection.connection.create_function("doze", 1, time.sleep)
    with connection.cursor() as cursor:
        cursor.execute(SLOW[connection.vendor])  # slow
    return HttpResponse("fine")


urlpatterns = [path("sync/", one_by_one), path("async/", one_by_one_async), path("slow/", slow)]
"""

SERVE = """\
from library import *

wsgi, asgi = get_wsgi_application(), get_asgi_application()
call_command("migrate", verbosity=0)
connection.close()
"""

COMMANDS = {
    "gunicorn": "gunicorn serve:wsgi --no-control-socket --threads 2 --bind {host}:{port}",
    "uvicorn": "uvicorn serve:asgi --lifespan off --host {host} --port {port}",
}


@pytest.fixture(params=[("gunicorn", "postgresql"), ("uvicorn", "postgresql"), ("uvicorn", "sqlite")], ids=" and ".join)
def library(request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver) -> Iterator[str]:
    """The address of a server of another program, with findings on."""
    server, database = request.param
    port = choose_port(0, "")
    for name, text in (("settings.py", SETTINGS), ("library.py", LIBRARY), ("serve.py", SERVE)):
        (tmp_path / name).write_text(text)
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path}/db" if database == "sqlite" else stack.enter_context(new_database())
        clean = {k: v for k, v in environment.clean_environment().items() if not k.startswith("SENTRY_")}
        env = clean | {
            "PYTHONPATH": f"{tmp_path}:{ROOT}",
            "DJANGO_SETTINGS_MODULE": "settings",
            "DATABASE_URL": url,
            "SENTRY_DSN": receiver.dsn,
            "SENTRY_SLOW_QUERY_MS": "10",
        }
        address = f"http://{HOST}:{port}"
        command = [sys.executable, "-m", *COMMANDS[server].format(host=HOST, port=port).split()]
        log = tmp_path / "log"
        stack.enter_context(Server("library", command, env=env, cwd=tmp_path, log=log, url=f"{address}/nothing/"))
        yield address


def visit(address: str) -> None:
    with without_proxy().open(address, timeout=20) as response:
        assert response.read() == b"fine"


def line_of(mark: str) -> int:
    return next(number for number, line in enumerate(LIBRARY.splitlines(), 1) if line.endswith(f"  # {mark}"))


def test_each_finding_of_a_real_server_names_its_line(
    library: str, receiver: Receiver, request: pytest.FixtureRequest
) -> None:
    server = request.node.name
    for name in ("sync", "async", "slow"):
        visit(f"{library}/{name}/")
    wanted = {("n_plus_one", "/sync/"), ("n_plus_one", "/async/"), ("slow_query", "/slow/")}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    # On a busy machine another query may be slow, too.
    while not wanted <= set(found):
        for event in receiver.wait_for("event", len(found) + 1):
            found[event["tags"]["finding"], event["contexts"]["finding"]["view"]] = event["contexts"]["finding"]
    sync, later = found["n_plus_one", "/sync/"], found["n_plus_one", "/async/"]
    assert sync["times"] == later["times"] == 12
    assert sync["line"] == f"library.py:{line_of('sync')} in one_by_one"
    if "gunicorn" in server:
        # Django has run the async view in a loop of its own, which the thread with the connection doesn't know.
        assert later["line"] == f"library.py:{line_of('async view')} in one_by_one_async"
    else:
        assert later["line"] == f"library.py:{line_of('async')} in find"
    assert sync["sql"] == later["sql"]
    assert found["slow_query", "/slow/"]["line"] == f"library.py:{line_of('slow')} in slow"
    assert b"salary" not in receiver.bytes
