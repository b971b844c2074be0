"""What leaves when the server may not read a folder of its storage: never what users call their files."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.monitoring.testing import Receiver
from tests.conftest import ROOT, environment, manage

STORE = """
from accounts.models import User
from core import files
ada = User.objects.create_user("ada", "ada@example.org", "x")
for folder in ("canary-divorce", "canary-salaries", "canary-zebras"):
    for name in ("canary jane.txt", "canary-other.pdf"):
        files.save(ada, f"{folder}/{name}", [b"0123456789"])
print(files.key_of(ada))
"""
# Root may read everything, unless it gives that up.
AS_ANYBODY = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("server")
    env = environment(folder)
    assert manage(env, "migrate", "--verbosity", "0").returncode == 0
    stored = manage(env, "shell", "-c", STORE)
    assert stored.returncode == 0, stored.stderr
    unreadable = folder / "media" / stored.stdout.split()[-1] / "canary-salaries"
    unreadable.chmod(0)
    yield folder
    unreadable.chmod(0o700)


@pytest.mark.parametrize(
    "arguments",
    [
        ["audit_storage"],
        ["rebuild_index"],
        ["shell", "-c", "from core.tasks import audit_storage; audit_storage.delay()"],
        ["shell", "-c", "from core.tasks import rebuild_index; rebuild_index.delay()"],
    ],
    ids=["audit", "rebuild", "audit as a task", "rebuild as a task"],
)
def test_no_name_leaves_when_a_folder_cannot_be_read(folder: Path, receiver: Receiver, arguments: list[str]) -> None:
    env = environment(folder, SENTRY_DSN=receiver.dsn, SENTRY_TRACES_SAMPLE_RATE="1", SENTRY_FINDINGS="1")
    command = [*AS_ANYBODY, sys.executable, "manage.py", *arguments]
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert ended.returncode != 0
    errors = [event for event in receiver.items("event") if event.get("exception")]
    assert errors, ended.stderr
    frames = [
        frame for error in errors for value in error["exception"]["values"] for frame in value["stacktrace"]["frames"]
    ]
    assert any(frame["module"] == "core.storage.local" for frame in frames)
    assert b"canary" not in receiver.bytes
