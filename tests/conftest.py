"""What tests of the whole program need: a real server in a folder of its own, and a receiver of what it sends."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from environment import REPO as ROOT
from storm_cloud import StormCloud, isolated

from core.monitoring.testing import Receiver


def environment(folder: Path, settings: str = "dev", **variables: str) -> dict[str, str]:
    """Return an environment in which Storm Cloud keeps to `folder`, with the settings module of that name."""
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    return isolated(folder) | {"DJANGO_SETTINGS_MODULE": f"_core.settings.{settings}", **variables}


def manage(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` to its end."""
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def storm_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., StormCloud]]:
    """Start servers: `storm_cloud("uvicorn", SENTRY_DSN=...)`. They end with the module."""
    with contextlib.ExitStack() as servers:

        def start(kind: str = "gunicorn", **variables: str) -> StormCloud:
            state = tmp_path_factory.mktemp("storm-cloud")
            server = StormCloud(Path(sys.executable), state=state, server=kind, **variables)
            return servers.enter_context(server)

        yield start


@pytest.fixture(scope="module")
def tracker() -> Iterator[Receiver]:
    """A receiver for all the tests of a module."""
    with Receiver() as tracker:
        yield tracker


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver for one test."""
    with Receiver() as receiver:
        yield receiver
