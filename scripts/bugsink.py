"""A real, Sentry-compatible error tracker on loopback: Bugsink with SQLite, in an environment of its own.

The demo, the tracker and the tests share it. Bugsink's licence lets anyone run it for their own development in
single-user mode, as here.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request

import environment
from environment import REPO, SetupError, Step
from servers import HOST, Server, choose_port, without_proxy

# Later versions answer every envelope with a rate limit for transactions, and the SDK then holds traces back.
VERSION = "2.5.1"
HOME = REPO / ".demo" / "bugsink"

SETTINGS = """\
from bugsink.settings.default import *

SECRET_KEY = {secret_key!r}
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
# Cookies don't know ports: under other names they leave Storm Cloud's own on the same host alone.
SESSION_COOKIE_NAME = "bugsink_sessionid"
CSRF_COOKIE_NAME = "bugsink_csrftoken"
DATABASES["default"]["NAME"] = {database!r}
DATABASES["snappea"]["NAME"] = {database!r} + "-queue"
# An event is stored when its request is answered: no second process, nothing to wait for.
SNAPPEA = {{"TASK_ALWAYS_EAGER": True}}
EMAIL_BACKEND = "bugsink.email_backends.QuietConsoleEmailBackend"
BUGSINK = {{
    "BASE_URL": {url!r},
    "SINGLE_USER": True,
    "PHONEHOME": False,
    "INGEST_STORE_BASE_DIR": {ingestion!r},
}}
"""

MIGRATE = """\
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("migrate", verbosity=0, database="snappea")
"""

# Runs inside Bugsink's environment; prints the account as JSON.
FIRST_SETUP = (
    MIGRATE
    + """\
import json, secrets
from django.contrib.auth import get_user_model
from bsmain.models import AuthToken
from projects.models import Project, ProjectMembership
from teams.models import Team
password = secrets.token_urlsafe(9)
user = get_user_model().objects.create_superuser(username="demo", email="demo@example.org", password=password)
project = Project.objects.create(name="Storm Cloud", team=Team.objects.create(name="Storm Cloud"))
ProjectMembership.objects.create(project=project, user=user, role=1, accepted=True)
print(json.dumps({
    "username": "demo", "password": password, "project": project.id, "sentry_key": project.sentry_key.hex,
    "token": AuthToken.objects.create().token,
}))
"""
)


def install(home: Path = HOME) -> None:
    """Install Bugsink into `home` with an empty tracker to copy; quick if it is there. Raises SetupError."""
    make_private(home)
    python = environment.prepare(
        home / "venv", [f"bugsink=={VERSION}"], title=f"Installing Bugsink {VERSION}, the tracker"
    )
    account = home / f"account-{VERSION}.json"
    if account.exists():
        return
    with Step("Preparing the tracker's database"):
        shutil.rmtree(home / "empty", ignore_errors=True)
        _write_settings(home / "empty", f"http://{HOST}", secrets.token_urlsafe(50))
        result = _run(python, FIRST_SETUP, home / "empty")
        if result.returncode != 0:
            raise SetupError(
                f"Bugsink could not be set up in {home}; remove that folder to begin anew.\n\n{result.stderr[-2000:]}"
            )
        _write_at_once(account, result.stdout.splitlines()[-1])


def make_private(folder: Path) -> None:
    """Make `folder`, if need be, and close it to other users: what is below it holds passwords and events."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)


def mails_into(folder: Path) -> str:
    """Return the settings with which Bugsink writes its mails into `folder`, each into a file."""
    return f'EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"\nEMAIL_FILE_PATH = {str(folder)!r}\n'


def is_installed(home: Path = HOME) -> bool:
    """Whether `install()` has nothing left to do."""
    return environment.is_prepared(home / "venv") and (home / f"account-{VERSION}.json").exists()


class Bugsink(Server):
    """A running tracker: `with Bugsink(state=folder) as tracker: ... tracker.dsn`.

    `state` is a folder for its data; what is in it is replaced by an empty tracker, unless `keep`. `port` 0 takes any
    free one. `settings` are lines of Python that win over Bugsink's own settings. Raises SetupError.
    """

    def __init__(
        self, state: Path, *, port: int = 0, home: Path = HOME, keep: bool = False, settings: str = ""
    ) -> None:
        port = choose_port(port, "--tracker-port")
        self.state = state
        self.python = environment.python_in(home / "venv")
        self.base_url = f"http://{HOST}:{port}"
        # Written last, so that a copy that was broken off is made again.
        file = state / "account.json"
        is_new = not (keep and file.exists())
        if is_new:
            shutil.rmtree(state, ignore_errors=True)
            shutil.copytree(home / "empty", state)
            self.account = json.loads((home / f"account-{VERSION}.json").read_text(encoding="utf-8"))
            self.account.update(version=VERSION, secret_key=secrets.token_urlsafe(50))
        else:
            self.account = _account(file)
        _write_settings(state, self.base_url, self.account["secret_key"], settings)
        if is_new or self.account["version"] != VERSION:
            if not is_new:
                self.run(MIGRATE)
            self.account["version"] = VERSION
            _write_at_once(file, json.dumps(self.account))
        self.dsn = f"http://{self.account['sentry_key']}@{HOST}:{port}/{self.account['project']}"
        super().__init__(
            "Bugsink",
            # One process, because SQLite has one writer.
            [
                str(self.python), "-m", "gunicorn", "bugsink.wsgi",
                "--no-control-socket", "--bind", f"{HOST}:{port}",
                "--workers", "1", "--threads", "8", "--graceful-timeout", "5",
            ],
            env=_environment(state),
            cwd=state,
            log=state / "bugsink.log",
            url=f"{self.base_url}/health/ready",
        )  # fmt: skip

    def issues(self) -> list[dict[str, Any]]:
        """Return the issues, oldest first: dicts with `id`, `calculated_type`, `digested_event_count`, ..."""
        return self._api("issues", project=self.account["project"])["results"]

    def events(self, issue_id: str) -> list[dict[str, Any]]:
        """Return the events of an issue, newest first; the payload of each is under `data`, as it arrived."""
        return [self._api(f"events/{event['id']}") for event in self._api("events", issue=issue_id)["results"]]

    def resolve(self, issue_id: str) -> None:
        """Mark an issue as resolved, as a person does who has repaired it."""
        self._api(f"issues/{issue_id}/resolve", method="POST")

    def wait_for(self, found: Callable[[Bugsink], Any], seconds: float = 30) -> Any:
        """Return the first true answer of `found(self)`, or its last one once `seconds` are over."""
        deadline = time.monotonic() + seconds
        while not (answer := found(self)) and time.monotonic() < deadline:
            time.sleep(0.2)
        return answer

    def run(self, program: str) -> str:
        """Run Python in Bugsink's environment, as its `shell` does, and return what it prints. Raises SetupError."""
        result = _run(self.python, program, self.state)
        if result.returncode != 0:
            raise SetupError(f"Bugsink did not do what it was told:\n\n{result.stderr[-2000:]}")
        return result.stdout

    def page(self, issue_id: str) -> str:
        """Return the address of an issue in the tracker's own pages."""
        return f"{self.base_url}/issues/issue/{issue_id}/event/last/"

    def _api(self, path: str, *, method: str = "GET", **query: Any) -> Any:
        url = f"{self.base_url}/api/canonical/0/{path}/?{urllib.parse.urlencode(query)}"
        headers = {"Authorization": f"Bearer {self.account['token']}"}
        request = Request(url, headers=headers, method=method)  # noqa: S310 (http)
        with without_proxy().open(request, timeout=10) as response:
            return json.load(response)


def _account(file: Path) -> dict[str, Any]:
    try:
        account: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        complete = {"username", "password", "project", "sentry_key", "token", "secret_key", "version"} <= account.keys()
    except (OSError, ValueError, AttributeError):
        complete = False
    if not complete:
        raise SetupError(
            f"{file} is damaged. Restore it from a backup; or remove the folder {file.parent} to begin anew, without "
            "what the tracker has received."
        )
    return account


def _write_at_once(file: Path, text: str) -> None:
    """Write a file that only its owner can read, and that is never seen half-written."""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    with open(new, "x", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as opened:
        opened.write(text)
    new.replace(file)


def _environment(state: Path) -> dict[str, str]:
    return {
        **environment.clean_environment(),
        "DJANGO_SETTINGS_MODULE": "bugsink_conf",
        "PYTHONPATH": str(state),
    }


def _run(python: Path, program: str, state: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), "-c", program], cwd=state, env=_environment(state), capture_output=True, text=True
    )


def _write_settings(state: Path, url: str, secret_key: str, further: str = "") -> None:
    make_private(state)
    text = SETTINGS.format(
        secret_key=secret_key, database=str(state / "db.sqlite3"), ingestion=str(state / "ingestion"), url=url
    )
    (state / "bugsink_conf.py").write_text(text + further, encoding="utf-8")
