"""The monitoring lifts into another Django server: two copies, a few lines of settings, and nothing of Storm Cloud."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.monitoring.testing import Receiver
from tests.conftest import ROOT

SETTINGS = """\
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent
SECRET_KEY = "another-server"
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "shop"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "core.monitoring"]
MIDDLEWARE = [
    "core.middleware.SentryContextMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
"""

MONITORED = """\
from settings import *
from core.monitoring import init_sentry

init_sentry(base_dir=BASE_DIR, tenant="tenant.id", ignore_paths=["/health/"])
"""

SHOP = """\
from types import SimpleNamespace
from django.http import HttpResponse
from django.urls import path


def buy(request, item):
    request.tenant = SimpleNamespace(id="acme")
    password = "hunter2"
    raise RuntimeError("sold out")


urlpatterns = [path("buy/<str:item>/", buy)]
"""

VISIT = """\
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "monitored"
import django
django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.test import RequestFactory, Client

call_command("check", fail_level="WARNING")
call_command("migrate", verbosity=0)
jane = get_user_model().objects.create_user("jane", "jane.doe@example.com", "hunter2")
client = Client()
client.force_login(jane)
environ = RequestFactory().get("/buy/diary.txt/").environ
environ["HTTP_COOKIE"] = "sessionid=" + client.cookies["sessionid"].value
answer = []
get_wsgi_application()(environ, lambda status, headers, *_: answer.append(status))
assert answer == ["500 Internal Server Error"], answer
"""


@pytest.fixture
def other_server(tmp_path: Path) -> Path:
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "__init__.py").touch()
    shutil.copy(ROOT / "core" / "middleware.py", tmp_path / "core")
    shutil.copytree(ROOT / "core" / "monitoring", tmp_path / "core" / "monitoring")
    for name, text in (("settings.py", SETTINGS), ("monitored.py", MONITORED), ("shop.py", SHOP), ("visit.py", VISIT)):
        (tmp_path / name).write_text(text)
    return tmp_path


def visit(server: Path, **environment: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SENTRY_", "DJANGO_"))}
    command = [sys.executable, "visit.py"]
    result = subprocess.run(
        command, cwd=server, env=env | environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def test_another_server_reports_its_errors_with_user_and_tenant(other_server: Path, receiver: Receiver) -> None:
    visit(other_server, SENTRY_DSN=receiver.dsn)
    (event,) = receiver.wait_for("event")
    assert event["exception"]["values"][-1]["type"] == "RuntimeError"
    assert event["user"] == {"id": "1", "username": "jane", "is_staff": False}
    assert event["tags"]["tenant_id"] == "acme"
    assert event["tags"]["request_path"] == "/buy/{item}/"
    for private in (b"diary", b"jane.doe", b"hunter2"):
        assert private not in receiver.bytes


def test_another_server_without_a_dsn_is_left_alone(other_server: Path, receiver: Receiver) -> None:
    visit(other_server)
    assert receiver.bytes == b""


def test_the_drop_ins_own_tests_pass_where_it_was_lifted_to(other_server: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "core/monitoring", "--ds=settings"]
    # Scrubber and rules know no host: where they lie makes no difference to their tests, which take a while.
    command += ["--ignore-glob=*test_scrubber*", "--ignore-glob=*test_rules*"]
    # A test that hangs ends the run and says where.
    command += ["-o", "faulthandler_timeout=240", "-o", "faulthandler_exit_on_timeout=true"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SENTRY_", "DJANGO_", "PYTEST_"))}
    result = subprocess.run(
        command, cwd=other_server, env=env, capture_output=True, text=True, timeout=900, check=False
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
