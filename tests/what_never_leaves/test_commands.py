"""Commands that fail: what stood on their command line, and what PostgreSQL says of the values it refused."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.monitoring.testing import Receiver
from tests.conftest import environment, manage
from tests.services import new_database
from tests.what_never_leaves.planted import EMAIL, PASSWORD, PLANTED, leaks
from tests.what_never_leaves.server import Event

KEY = "Qx7-" * 16
HASH = "pbkdf2_sha256$1000000$Kp3sVn8cT1yWqZ6d$hN2mXr7bQ9tUe4wLk0fGzJ5yAoC8vDiS3pRlMxHnYb4="
USERNAME = "ottilie.birnbaum"
SECRETS = PLANTED | {"the API key": KEY, "the password's hash": HASH, "the user name": USERNAME}


def reports(receiver: Receiver, env: dict[str, str], *arguments: str) -> Event:
    """Run a command that fails, and return what it reported."""
    result = manage(env, *arguments)
    assert result.returncode == 1, result.stderr
    event = receiver.wait_for("event")[0]
    found = leaks(receiver, SECRETS)
    assert not found, "\n".join(found)
    return Event(event)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    result = manage(environment(folder), "migrate", "--verbosity", "0")
    assert result.returncode == 0, result.stderr
    with contextlib.closing(sqlite3.connect(folder / "db.sqlite3")) as database, database:
        database.execute("INSERT INTO accounts_organization (name, created_at) VALUES ('weavers', '2026-01-01')")
        database.execute(
            "INSERT INTO accounts_user (password, is_superuser, username, first_name, last_name, email, is_staff,"
            " is_active, date_joined, email_verified_at, organization_id)"
            " VALUES (?, 0, 'rosa', '', '', ?, 0, 1, '2026-01-01', '2026-01-01', 1)",
            (HASH, EMAIL),
        )
        database.execute("ALTER TABLE accounts_apikey RENAME TO lost")
    return folder


@pytest.mark.parametrize(
    ("command", "function"),
    [
        (("generate_api_key", "rosa", "--name", f"nightly backup of {EMAIL}"), "create"),
        (("revoke_api_key", KEY), "find"),
    ],
)
def test_what_stood_on_the_command_line_does_not_leave(migrated, receiver, command, function) -> None:
    event = reports(receiver, environment(migrated, SENTRY_DSN=receiver.dsn), *command)
    assert event.error == "OperationalError: no such table: accounts_apikey"
    assert {"handle", function, "_execute"} <= event.functions
    assert '"accounts_apikey"' in event.sql
    assert command[0] in event.payload["extra"]["sys.argv"]


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a Storm Cloud on PostgreSQL."""
    with new_database() as url:
        env = environment(tmp_path_factory.mktemp("postgresql")) | {"DATABASE_URL": url}
        assert manage(env, "migrate", "--verbosity", "0").returncode == 0
        person = {"DJANGO_SUPERUSER_PASSWORD": PASSWORD}
        first = ("createsuperuser", "--noinput", "--username", USERNAME, "--email", EMAIL)
        assert manage(env | person, *first).returncode == 0
        yield env


def test_postgresql_does_not_tell_the_address_that_is_taken(postgresql, receiver) -> None:
    env = postgresql | {"SENTRY_DSN": receiver.dsn, "DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    event = reports(receiver, env, "createsuperuser", "--noinput", "--username", "second", "--email", EMAIL)
    assert event.error.startswith("IntegrityError: duplicate key value violates unique constraint")
    assert '"verified_email_unique"' in event.error
    assert "DETAIL:  Key (upper(email::text))=(" in event.error
    assert {"handle", "create_superuser", "_execute"} <= event.functions


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"username": USERNAME, "password": HASH, "email": EMAIL, "organization": 1}, "DETAIL:  Key (username)=("),
        ({"username": "second", "password": HASH, "email": EMAIL}, "DETAIL:  Failing row contains ("),
    ],
    ids=["taken", "incomplete"],
)
def test_postgresql_does_not_tell_the_row_that_it_refuses(postgresql, receiver, tmp_path, row, says) -> None:
    backup = tmp_path / "backup.json"
    backup.write_text(json.dumps([{"model": "accounts.user", "pk": 4711, "fields": row}]))
    event = reports(receiver, postgresql | {"SENTRY_DSN": receiver.dsn}, "loaddata", str(backup))
    assert event.error.startswith("IntegrityError: Problem installing fixture")
    assert says in event.error
    assert {"loaddata", "save_base", "_execute"} <= event.functions
    assert '"accounts_user"' in event.sql
