import json
import logging
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth import authenticate, login, logout, user_login_failed
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.test import RequestFactory
from hypothesis import example, given
from hypothesis import strategies as st
from rest_framework.settings import api_settings

from accounts import api_keys, closing, registration, signals
from accounts.models import ApiKey, User
from accounts.signal_handlers import EVENTS, LONGEST_VALUE, Address, shown

ROOT = Path(__file__).resolve().parents[2]
FIELD = r'(?:-|\d+|true|false|[0-9a-f.:]+|"(?:[ !#-\[\]-~]|\\["\\/bfnrt]|\\u[0-9a-f]{4})*")'
LINE = re.compile(rf"[A-Z_]+(?: [a-z_]+={FIELD})+")


def request_from(address="192.0.2.7", **meta):
    return RequestFactory().post("/", REMOTE_ADDR=address, **meta)


def browser_request():
    request = request_from()
    request.session, request.user = SessionStore(), AnonymousUser()
    return request


@given(st.text(alphabet=st.characters(), max_size=300))
@example("bob\nLOGIN user_id=1")
@example('bob" ip=10.0.0.1 x="')
@example("a\u2028b\u2029c\x00\x1b[31m\x7f\x85\ud800\U0001f600")
def test_text_stays_inside_its_quotes_on_one_line_of_printable_ascii(text):
    value = shown(text)
    assert re.fullmatch(FIELD, value)
    if text:
        back = json.loads(value).encode("utf-16", "surrogatepass")
        whole = text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "..."
        assert back == whole.encode("utf-16", "surrogatepass"), "nothing is lost, and what is cut is marked"


def test_values_that_are_no_text_need_no_quotes():
    assert [shown(value) for value in (None, "", 7, True, Address("::1"))] == ["-", "-", "7", "true", "::1"]


def test_the_longest_line_fits_into_one_write():
    assert 3 * len(shown("\U0001f600" * 1000)) < 7500


@pytest.mark.django_db
def test_every_event_is_one_line_with_who_and_where_from(security_log, user, settings):
    request = browser_request()
    registered = registration.register(username="eve", email="eve@example.org", password="x", request=request)
    signals.email_verified.send(User, user=registered, request=request)
    authenticate(request, username="ada", password="wrong")
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    logout(request)
    key, secret = api_keys.create(user, "night\nly", by=user, request=request)
    api_keys.revoke(key, by=registered, request=request)
    signals.api_key_used_revoked.send(ApiKey, api_key=key, request=request)
    closing.set_active(user, False, by=user, request=request)
    closing.set_active(user, True, by=registered, request=request)
    closing.set_staff(user, True, by=None)
    user_id = user.pk
    closing.delete(user, by=user, request=request)

    who = f'user_id={user_id} username="ada" email="ada@example.org" ip=192.0.2.7'
    eve = f'user_id={registered.pk} username="eve" email="eve@example.org" ip=192.0.2.7'
    about = f'key_id="{key.pk}" key_prefix="{secret[:8]}" key_name="night\\nly"'
    assert security_log.lines == [
        f"USER_REGISTERED {eve}",
        f"EMAIL_VERIFIED {eve}",
        'LOGIN_FAILED user_id=- username="ada" email=- ip=192.0.2.7',
        f"LOGIN {who}",
        f"LOGOUT {who}",
        f"API_KEY_CREATED {who} {about} by={user_id}",
        f"API_KEY_REVOKED {who} {about} by={registered.pk}",
        f"API_KEY_USED_REVOKED {who} {about}",
        f"USER_DEACTIVATED {who} by={user_id}",
        f"USER_ACTIVATED {who} by={registered.pk}",
        f"USER_STAFF_CHANGED {who.replace('192.0.2.7', '-')} is_staff=true by=-",
        f"USER_DELETED {who} by={user_id}",
    ]
    assert {line.split()[0] for line in security_log.lines} == {event for _, event, _ in EVENTS}
    assert secret not in Path(settings.SECURITY_LOG).read_text()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "username",
    [
        "bob\n2026-01-01 00:00:00,000 INFO LOGIN user_id=1",
        "bob ip=10.0.0.1",
        'bob" ip=10.0.0.1',
        "bob\u2028\ud800",
        "b" * 10**6,
    ],
)
def test_a_forged_line_stays_inside_its_quotes(security_log, username):
    user_login_failed.send(__name__, credentials={"username": username}, request=request_from())
    (line,) = security_log.lines
    assert LINE.fullmatch(line)
    assert len(line) < 3000
    assert line.startswith('LOGIN_FAILED user_id=- username="b')
    assert line.endswith('" email=- ip=192.0.2.7')


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "203.0.113.9", "192.0.2.7"),
        (1, "10.9.9.9, 203.0.113.9", "203.0.113.9"),
        (2, "10.9.9.9, 203.0.113.9, 198.51.100.1", "203.0.113.9"),
        (1, None, "192.0.2.7"),
        (1, "203.0.113.9, evil ip=1.1.1.1\r\nLOGIN", '"evil ip=1.1.1.1\\r\\nLOGIN"'),
        (1, "2001:DB8:0::1", "2001:db8::1"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
        # A zone may hold any text.
        (1, 'fe80::1%x email="boss@example.org"', "fe80::1"),
        (1, "::1%\x85LOGIN user_id=1", "::1"),
        (1, "::1%" + "a" * 20000, "::1"),
        (1, "evil%x ip=1.1.1.1", '"evil%x ip=1.1.1.1"'),
    ],
)
def test_the_address_is_the_one_that_our_own_proxies_saw(security_log, monkeypatch, proxies, forwarded, expected):
    monkeypatch.setattr(api_settings, "NUM_PROXIES", proxies, raising=False)
    meta = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    user_login_failed.send(__name__, credentials={"username": "bob"}, request=request_from(**meta))
    assert security_log.lines == [f'LOGIN_FAILED user_id=- username="bob" email=- ip={expected}']


@pytest.fixture
def broken_log(request, tmp_path, monkeypatch):
    """The real handler, with a file that cannot be opened or written."""
    of_files = (each for each in logging.getLogger("stormcloud.security").handlers if hasattr(each, "baseFilename"))
    handler = next(handler for handler in of_files if handler.baseFilename == str(settings.SECURITY_LOG))
    file = {"missing folder": str(tmp_path / "gone" / "security.log"), "full disk": "/dev/full"}[request.param]
    handler.close()
    monkeypatch.setattr(handler, "baseFilename", file)
    monkeypatch.setattr(handler, "stream", None)
    yield request.param
    handler.stream = None


@pytest.mark.django_db
@pytest.mark.parametrize("broken_log", ["missing folder", "full disk"], indirect=True)
def test_a_log_that_cannot_be_written_does_not_stop_a_login_and_the_operator_sees_it(broken_log, user, caplog, capsys):
    request = browser_request()
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    assert request.user == user
    assert "FileNotFoundError" in caplog.text or "No space left" in capsys.readouterr().err


WRITER = """
import sys, django
django.setup()
from django.contrib.auth.signals import user_login_failed
from django.test import RequestFactory
request = RequestFactory().get("/")
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    name = f"{sys.argv[1]}-{number}-" + "\\U0001f600" * 100
    user_login_failed.send("test", credentials={"username": name}, request=request)
"""


def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "_core.settings.dev",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "STORMCLOUD_LOG_DIR": str(tmp_path),
        "STORMCLOUD_STORAGE_ROOT": str(tmp_path / "media"),
        "SENTRY_DSN": "",
        "PYTHONPATH": str(ROOT),
    }


def test_processes_that_write_while_the_log_is_rotated_lose_no_line_and_tear_none(tmp_path):
    processes, each = 4, 1500
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(number), str(each)],
            env=environment(tmp_path),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    log, rotations = tmp_path / "security.log", 0
    try:
        for writer in writers:
            assert writer.stdout.readline() == "ready\n", writer.stderr.read()
        assert not log.exists(), "nothing has happened yet, so there is no file"
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        while any(writer.poll() is None for writer in writers):
            if log.exists():
                rotations += 1
                log.rename(tmp_path / f"security.log.{rotations}")
            time.sleep(0.005)
    finally:
        for writer in writers:
            writer.kill()
        errors = [writer.communicate()[1] for writer in writers]
    assert errors == [""] * processes
    assert rotations > 3
    modes = {file.stat().st_mode & 0o777 for file in tmp_path.glob("security.log*")}
    assert modes == {0o600}, "it holds names and addresses, so only the server reads it"
    lines = [line for file in tmp_path.glob("security.log*") for line in file.read_text().splitlines()]
    assert all(LINE.fullmatch(line.split(" ", 3)[3]) for line in lines)
    written = {re.search(r'username="(\d+-\d+)-', line)[1] for line in lines}
    assert written == {f"{writer}-{number}" for writer in range(processes) for number in range(each)}
    assert len(lines) == processes * each
