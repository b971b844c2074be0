"""What the background worker does, done here."""

import json
import subprocess
import sys
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from _core.celery import app
from accounts.models import EmailVerification, User
from accounts.tasks import cleanup_expired_tokens
from core import files, index, shares, tasks
from core.locks import AlreadyRunning, only_one
from core.models import Quota, Share
from core.shares import KEEP_EXPIRED

HOLD = """
import sys
from core.locks import only_one
with only_one(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def expired(user: User) -> dict[str, Share]:
    """Links by when they expired."""
    files.save(user, "a.txt", [b"a"])
    now = timezone.now()
    times = {
        "never": None,
        "tomorrow": now + timedelta(days=1),
        "yesterday": now - timedelta(days=1),
        "long ago": now - KEEP_EXPIRED - timedelta(minutes=1),
    }
    return {name: shares.create(user, "a.txt", expires_at=expires_at) for name, expires_at in times.items()}


def test_links_that_expired_long_ago_are_deleted_and_their_files_stay(user: User, expired: dict[str, Share]) -> None:
    assert tasks.cleanup_expired_shares.delay().result == {"shares": 1}
    assert set(Share.objects.all()) == set(expired.values()) - {expired["long ago"]}
    assert files.find(user, "a.txt").size == 1
    assert tasks.cleanup_expired_shares.delay().result == {"shares": 0}


def test_the_command_does_the_same_and_says_how_many(expired: dict[str, Share], capsys) -> None:
    call_command("cleanup_expired_shares", "--json")
    assert json.loads(capsys.readouterr().out) == {"shares": 1}
    call_command("cleanup_expired_shares")
    assert capsys.readouterr().out == "Deleted: 0 expired links.\n"


def test_wrong_quotas_are_counted_anew_and_right_ones_left_alone(user: User) -> None:
    files.save(user, "a.txt", [b"12345"])
    assert tasks.recount_quotas.delay().result == {"corrected": 0}
    Quota.objects.update(used_bytes=999)
    assert tasks.recount_quotas.delay().result == {"corrected": 1}
    assert Quota.objects.get().used_bytes == 5


def test_the_index_follows_the_disk(user: User, home: Path) -> None:
    (home / "found.txt").write_bytes(b"found")
    assert tasks.rebuild_index.delay().result["added"] == 1
    assert files.find(user, "found.txt").pk


def test_one_rebuild_runs_at_a_time_whoever_asks(user: User, home: Path) -> None:
    (home / "found.txt").write_bytes(b"found")
    with only_one("rebuild-index"):
        assert tasks.rebuild_index.delay().result == {}
        with pytest.raises(AlreadyRunning):
            index.rebuild()
        with pytest.raises(CommandError, match="Another rebuild or an audit is running"):
            call_command("rebuild_index")
    assert tasks.rebuild_index.delay().result["added"] == 1


def test_a_lock_holds_across_processes_and_ends_with_a_killed_one(db: None, settings: Any) -> None:
    env = {
        "DJANGO_SETTINGS_MODULE": "_core.settings.dev",
        "STORMCLOUD_LOG_DIR": str(settings.SECURITY_LOG.parent),
        "PYTHONPATH": ".",
    }
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import django; django.setup(){HOLD}", "work"],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(AlreadyRunning), only_one("work"):
        pass
    with only_one("other work"):
        pass
    holder.kill()
    holder.communicate()
    with only_one("work"):
        pass


def test_expired_registrations_are_forgotten(db: None) -> None:
    user = User.objects.create_user("late", "late@example.org", "correct horse", email_verified_at=None)
    EmailVerification.objects.create(user=user, token_hash="0" * 64, expires_at=timezone.now() - timedelta(hours=1))
    assert cleanup_expired_tokens.delay().result == {"accounts": 1, "tokens": 0}
    assert not User.objects.exists()


def test_a_database_that_does_not_answer_is_asked_again(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [OperationalError, 3]

    def answer() -> int:
        found = answers.pop(0)
        if found is OperationalError:
            raise found
        return int(found)

    monkeypatch.setattr(shares, "forget_expired", answer)
    assert tasks.cleanup_expired_shares.apply(throw=False).result == {"shares": 3}


def test_every_scheduled_task_exists() -> None:
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}
    for task in scheduled:
        import_module(task.rpartition(".")[0])
    assert scheduled <= set(app.tasks)
    assert len(scheduled) >= 4


def test_messages_are_json_and_nothing_else() -> None:
    assert app.conf.task_serializer == "json"
    assert app.conf.accept_content == ["json"]
