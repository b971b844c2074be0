"""Audits at work: one at a time, beside users, on a terminal, and as a trace that stays small."""

import json
import os
import pty
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.monitoring.testing import Receiver
from tests.audited_server import FILES, Server, copy_of, new_server
from tests.conftest import ROOT, manage
from tests.services import new_database


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Server:
    return new_server(tmp_path_factory.mktemp("template"))


@pytest.fixture
def server(template: Server, tmp_path: Path) -> Server:
    return copy_of(template, tmp_path / "server")


HANG = """
from core.audit import known
from core.audit.run import audit
known.BATCH = 20
def hang(figures):
    if figures.files == 40:
        print("forty", flush=True)
        input()
audit(tick=hang)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def on_each_database(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> Iterator[Server]:
    if request.param == "sqlite":
        yield server
        return
    with new_database() as url:
        yield new_server(tmp_path / "postgresql", DATABASE_URL=url)


def test_one_audit_runs_at_a_time_and_one_that_was_killed_goes_on_where_it_was(on_each_database: Server) -> None:
    server = on_each_database
    command = [sys.executable, "manage.py", "shell", "-c", HANG]
    hanging = subprocess.Popen(
        command, cwd=ROOT, env=server.env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        while "forty" not in (line := hanging.stdout.readline()):  # type: ignore[union-attr]
            assert line, "it ended before its time"
        refused = server.audit("")
        assert refused.returncode == 1
        assert "Another audit or a rebuild" in refused.stderr
    finally:
        hanging.kill()
        hanging.communicate()
    # The first 20 were compared before the last checkpoint, and are not compared again.
    paths = sorted(server.home.iterdir())
    paths[0].unlink()
    paths[-1].unlink()
    answer = json.loads(server.audit("", "--json").stdout)
    assert (answer["audit"], answer["figures"]["files"]) == (1, FILES)
    assert [violation["key"].rpartition("/")[2] for violation in answer["violations"]] == [paths[-1].name]


# A server with one organization a user, which is many for so few files.
MANY_BATCHES = """
from accounts.models import User
from core import files
from core.audit import known, unknown, work
for number in range(30):
    files.save(User.objects.create_user(f"u{number}", f"u{number}@example.org", None), "a", [b"1"])
known.BATCH, unknown.BATCH, work._SPANS = 5, 5, 5
from core.tasks import audit_storage
print(audit_storage.delay().get())
"""


def test_a_run_of_many_batches_keeps_its_spans_and_is_no_finding(server: Server, receiver: Receiver) -> None:
    env = server.env(SENTRY_DSN=receiver.dsn, SENTRY_FINDINGS="1")
    ended = manage(env, "shell", "-c", MANY_BATCHES)
    assert ended.returncode == 0, ended.stderr
    assert receiver.items("event") == []
    (audit,) = [sent for sent in receiver.items("transaction") if sent["transaction"] == "audit_storage"]
    phases = [span["description"] for span in audit["spans"] if span["op"] == "audit.phase"]
    assert phases == ["files", "storage", "quotas", "leftovers"]
    files: Counter[str] = Counter()
    stretches: Counter[str] = Counter()
    for span in audit["spans"]:
        if span["op"] == "audit.batch":
            files[span["description"]] += span["data"]["files"]
            stretches[span["description"]] += 1
    assert files == {"files": FILES + 30, "storage": FILES + 30}
    assert stretches["files"] == 4
    assert stretches["storage"] <= 8  # 100 files, and nearly as many directories
    assert len(audit["spans"]) < 50  # of hundreds of queries


def test_a_terminal_shows_a_bar(server: Server) -> None:
    terminal, end = pty.openpty()
    command = [sys.executable, "manage.py", "audit_storage"]
    ended = subprocess.run(command, cwd=ROOT, env=server.env(), stdout=subprocess.PIPE, stderr=end, timeout=120)
    os.close(end)
    assert ended.returncode == 0
    shown = os.read(terminal, 10_000).decode()
    assert "[" in shown
    assert f"of {FILES} files" in shown
    assert shown.endswith("\r\x1b[K")
    os.close(terminal)


# Whoever changes files waits while a suspect is looked at again; and what users do beside audits is no violation.
BESIDE_USERS = """
import os, random, threading, time
from django.db import connection
from accounts.models import User
from core import files
from core.audit.run import audit
from core.audit.work import unchanging
from core.storage.base import StorageError

ada = User.objects.get(username="ada")
with unchanging(ada.organization_id):
    change = threading.Thread(target=files.save, args=(ada, "d0/0", [b"1"]))
    change.start()
    change.join(0.3)
    print("waits", change.is_alive())
change.join()

def use(seed):
    chance, end = random.Random(seed), time.monotonic() + 3
    while time.monotonic() < end:
        path, other = f"d{chance.randrange(3)}/{chance.randrange(20)}", f"e{chance.randrange(20)}"
        try:
            match chance.randrange(5):
                case 0: files.move(ada, path, other, overwrite=True)
                case 1: files.delete(ada, path)
                case _: files.save(ada, path, [os.urandom(chance.randrange(3000))])
        except StorageError:
            pass
    connection.close()

users = [threading.Thread(target=use, args=(seed,)) for seed in range(2)]
[user.start() for user in users]
invented = []
while any(user.is_alive() for user in users):
    invented += audit().violations.values_list("kind", flat=True)
print("invented", invented)
"""


def test_users_wait_for_the_second_look_and_what_they_do_beside_an_audit_is_no_violation(tmp_path: Path) -> None:
    with new_database() as url:
        env = new_server(tmp_path, DATABASE_URL=url).env()
        ended = manage(env, "shell", "-c", BESIDE_USERS)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.splitlines()[-2:] == ["waits True", "invented []"]
