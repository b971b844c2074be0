import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import new_database

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path) -> Iterator[str]:
    """A database of its own on each kind of server."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'db.sqlite3'}"
        return
    with new_database() as url:
        yield url


def test_many_writers_at_once_never_exceed_the_quota_nor_part_index_and_disk(database_url, tmp_path):
    finished = subprocess.run(
        [sys.executable, "-m", "core.tests.race", str(tmp_path / "media")],
        cwd=REPO,
        env=os.environ | {"DATABASE_URL": database_url, "DJANGO_SETTINGS_MODULE": "_core.settings.test"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    result = json.loads(finished.stdout)
    assert result["unexpected"] == []
    assert result["disk"]
    assert result["index"] == result["disk"]
    assert result["used"] == sum(size for size, _ in result["disk"].values()) <= result["limit"]
    assert result["refused"]  # the quota was reached
    assert result["leftovers"] == []
