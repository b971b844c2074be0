"""Storm Cloud on loopback with an empty database and folders of its own, whatever `.env` says. For demo and tests."""

from __future__ import annotations

import shutil
import subprocess
import urllib.parse
from pathlib import Path

import environment
from environment import REPO, SetupError
from servers import HOST, Server, choose_port

# Empty means unset to Storm Cloud, and the environment wins over `.env`: these hide what stands there.
HIDDEN = (
    "SENTRY_DSN_FILE", "SENTRY_RELEASE", "SENTRY_TRACES_SAMPLE_RATE", "SENTRY_PROFILES_SAMPLE_RATE",
    "SENTRY_MAX_EVENTS_PER_MINUTE", "SENTRY_IGNORE_PATHS", "SENTRY_IGNORE_ERRORS", "SENTRY_SENSITIVE_KEYS",
    "SENTRY_PRIVATE_PATHS",
    "SENTRY_SLOW_QUERY_MS", "SENTRY_LEDGER", "SENTRY_DEBUG",
    "SENTRY_ENABLE_LOGS", "CELERY_BROKER_URL", "REDIS_URL",
)  # fmt: skip


def isolated(state: Path) -> dict[str, str]:
    """Return an environment in which Storm Cloud keeps to the folder `state`, with DEBUG on and no monitoring.

    It stands behind one proxy, so that X-Forwarded-For is believed.
    """
    inherited = environment.clean_environment()
    env = {name: value for name, value in inherited.items() if not name.startswith(("SENTRY_", "STORMCLOUD_"))}
    return env | {
        **dict.fromkeys(HIDDEN, ""),
        "DJANGO_SETTINGS_MODULE": "_core.settings.dev",
        "DATABASE_URL": "sqlite:///" + urllib.parse.quote(str(state / "db.sqlite3")),
        "STORMCLOUD_STORAGE_BACKEND": "local",
        "STORMCLOUD_STORAGE_ROOT": str(state / "media"),
        "STORMCLOUD_LOG_DIR": str(state / "logs"),
        "STORMCLOUD_PROXIES": "1",
        "SENTRY_DSN": "",
        "SENTRY_ENVIRONMENT": "demo",
        # On a busy machine any query can be slow.
        "SENTRY_FINDINGS": "false",
        "PYTHONUNBUFFERED": "1",
    }


COMMANDS = {
    "gunicorn sync": "gunicorn _core.wsgi --no-control-socket --bind {host}:{port} --workers {workers}"
    " --graceful-timeout 5",
    "gunicorn": "gunicorn _core.wsgi --no-control-socket --bind {host}:{port} --workers {workers} --threads 4"
    " --graceful-timeout 5",
    "uvicorn": "uvicorn _core.asgi:application --host {host} --port {port} --workers {workers} --no-access-log",
}


class StormCloud(Server):
    """The server with DEBUG on, under gunicorn or uvicorn: `with StormCloud(python, state=folder, SENTRY_DSN=dsn):`.

    `python` is an interpreter with the requirements installed; `state` is replaced; `variables` are those of
    `.env.template`. `port` 0 takes any free one.
    """

    def __init__(
        self, python: Path, *, state: Path, port: int = 0, server: str = "gunicorn", workers: int = 1, **variables: str
    ) -> None:
        port = choose_port(port, "--port")
        self.state = state
        self.base_url = f"http://{HOST}:{port}"
        self.security_log = state / "logs" / "security.log"
        command = COMMANDS[server].format(host=HOST, port=port, workers=workers)
        super().__init__(
            "Storm Cloud",
            [str(python), "-m", *command.split()],
            env=isolated(state) | {"STORMCLOUD_PUBLIC_URL": self.base_url, **variables},
            cwd=REPO,
            log=state / "logs" / "server.log",
            url=f"{self.base_url}/api/v1/health/",
        )

    def __enter__(self) -> StormCloud:
        shutil.rmtree(self.state, ignore_errors=True)
        (self.state / "logs").mkdir(parents=True)
        migrate = [self.command[0], "manage.py", "migrate", "--verbosity", "0"]
        result = subprocess.run(migrate, cwd=REPO, env=self.env, capture_output=True, text=True)
        if result.returncode != 0:
            raise SetupError(f"Storm Cloud's database could not be made:\n\n{result.stderr[-2000:]}")
        super().__enter__()
        return self
