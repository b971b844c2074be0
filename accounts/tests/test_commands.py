import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import api_keys, registration
from accounts.models import ApiKey, EmailVerification, User
from tests.services import new_database

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, **options) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def test_the_new_key_works_and_is_all_that_stands_on_stdout(user):
    out, err = run("generate_api_key", "ADA", "--name", "backup")
    assert re.fullmatch(r"[A-Za-z0-9_-]{64}\n", out)
    assert api_keys.find(out.strip()).user == user
    assert out.strip() not in err
    assert "only now" in err


def test_as_json_for_scripts(user):
    made = json.loads(run("generate_api_key", "ada", "--name", "backup", "--json")[0])
    key = ApiKey.objects.get()
    assert made == {
        "id": str(key.pk),
        "name": "backup",
        "prefix": key.prefix,
        "key": made["key"],
        "username": "ada",
    }
    assert api_keys.find(made["key"]) == key
    revoked = json.loads(run("revoke_api_key", str(key.pk), "--json")[0])
    assert revoked["changed"]
    assert revoked["revoked_at"] == ApiKey.objects.get().revoked_at.isoformat()


@pytest.mark.parametrize("name", [" ", "x" * 101, "nul\0"])
def test_a_name_that_does_not_do_is_refused(user, name):
    with pytest.raises(CommandError, match="--name takes"):
        run("generate_api_key", "ada", "--name", name)
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("closed", [{"is_active": False}, {"email_verified_at": None}])
def test_no_key_is_made_that_would_not_help(user, closed):
    User.objects.update(**closed)
    with pytest.raises(CommandError, match="would not help"):
        run("generate_api_key", "ada", "--name", "backup")


@pytest.mark.django_db
def test_an_unknown_user_is_an_error_that_says_what_to_do():
    with pytest.raises(CommandError, match="createsuperuser"):
        run("generate_api_key", "nobody", "--name", "backup")


def test_the_limit_is_an_error_that_says_what_to_do(user, settings):
    settings.STORMCLOUD_MAX_API_KEYS = 0
    with pytest.raises(CommandError, match="revoke_api_key"):
        run("generate_api_key", "ada", "--name", "backup")


@pytest.mark.parametrize("by", ["id", "prefix", "key"])
def test_a_key_is_revoked_by_whatever_one_has_of_it(user, by):
    key, secret = api_keys.create(user, "backup")
    other, _ = api_keys.create(user, "other")
    out, _ = run("revoke_api_key", "--", {"id": str(key.pk), "prefix": key.prefix, "key": secret}[by])
    assert "is revoked" in out
    assert secret not in out
    assert ApiKey.objects.get(revoked_at=None) == other
    assert "before" in run("revoke_api_key", str(key.pk))[0]


def test_revoking_guesses_nothing(user):
    for _ in range(2):
        api_keys.create(user, "twin")
    ApiKey.objects.update(prefix="12345678")
    with pytest.raises(CommandError, match="Several"):
        run("revoke_api_key", "12345678")
    for nothing in ("", "1234", "\0"):
        with pytest.raises(CommandError, match="No API key"):
            run("revoke_api_key", nothing)
    assert ApiKey.objects.filter(revoked_at=None).count() == 2


def test_cleaning_up_counts_what_it_deletes_and_deletes_it_once(user):
    registration.register(username="late", email="late@example.org", password="x")
    EmailVerification.objects.create(user=user, token_hash="x", expires_at=timezone.now())
    EmailVerification.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    Session.objects.create(session_key="old", session_data="", expire_date=timezone.now() - timedelta(seconds=1))
    Session.objects.create(session_key="new", session_data="", expire_date=timezone.now() + timedelta(days=1))
    assert json.loads(run("cleanup_expired_tokens", "--json")[0]) == {"accounts": 1, "tokens": 1}
    assert list(User.objects.all()) == [user]
    assert [session.session_key for session in Session.objects.all()] == ["new"]
    assert "0 unconfirmed accounts" in run("cleanup_expired_tokens")[0]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """An empty database on each kind of server."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'db.sqlite3'}"
        return
    with new_database() as url:
        yield url


@pytest.fixture
def server_environment(database_url, tmp_path):
    """A server with a database of its own."""
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "_core.settings.dev",
        "DATABASE_URL": database_url,
        "STORMCLOUD_LOG_DIR": str(tmp_path),
        "STORMCLOUD_STORAGE_ROOT": str(tmp_path / "media"),
        "STORMCLOUD_MAX_API_KEYS": "2",
        "DJANGO_SUPERUSER_PASSWORD": "correct horse battery staple",
        "SENTRY_DSN": "",
    }


def test_processes_at_the_same_time_do_not_pass_the_limit(server_environment, tmp_path):
    def manage(*arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            env=server_environment,
            cwd=ROOT,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    for command in (
        ["migrate", "--verbosity", "0"],
        ["createsuperuser", "--noinput", "--username", "ada", "--email", "a@example.org"],
    ):
        process = manage(*command)
        assert process.communicate()[1] == ""
        assert process.returncode == 0
    running = [manage("generate_api_key", "ada", "--name", f"key {number}") for number in range(5)]
    finished = [(*process.communicate(), process.returncode) for process in running]
    assert sorted(code for _, _, code in finished) == [0, 0, 1, 1, 1]
    for out, err, code in finished:
        assert re.fullmatch(r"[A-Za-z0-9_-]{64}\n", out) if code == 0 else out == ""
        assert "shown only now" in err if code == 0 else "2 API keys" in err
    log = (tmp_path / "security.log").read_text()
    assert log.count(" API_KEY_CREATED ") == 2


@pytest.mark.parametrize("command", ["generate_api_key", "revoke_api_key", "cleanup_expired_tokens"])
def test_help_explains_the_exit_code(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        call_command(command, "--help")
    assert "Exit code 0" in " ".join(capsys.readouterr().out.split())
