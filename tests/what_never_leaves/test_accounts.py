"""Accounts: API keys, sessions, passwords, hashes, e-mail addresses and their verification."""

import logging
import re
from logging.handlers import WatchedFileHandler
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.conf import global_settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.signals import user_logged_in

from accounts import registration
from accounts.models import User
from accounts.tokens import fingerprint
from tests.what_never_leaves.faults import failing_receiver, mail_server, refused
from tests.what_never_leaves.planted import ADDRESS, EMAIL, PASSWORD, SECRET_32, SECRET_36, TOKEN, WRONG_PASSWORD

REGISTRATION = {"username": "maria", "email": EMAIL, "password": WRONG_PASSWORD}


def test_an_api_key_is_not_in_the_error_of_its_own_lookup(server, key) -> None:
    with refused("READ", "accounts_apikey"):
        assert server.request("GET", "auth/me/", key=key).status == 500
    event = server.event()
    assert event.error.startswith(("DatabaseError: ", "ProgrammingError: "))
    assert {"authenticate", "find", "_execute"} <= event.functions
    assert 'FROM "accounts_apikey"' in event.sql
    assert event.route == "/api/v1/auth/me/"


def test_a_new_api_key_is_not_in_the_error_of_storing_it(server, key, user, monkeypatch) -> None:
    new = "Zr" * 32
    server.secrets |= {"the new key": new, "the new key's hash": fingerprint(new)}
    monkeypatch.setattr("accounts.api_keys.new_secret", lambda size: new)
    with refused("INSERT", "accounts_apikey"):
        assert server.request("POST", "auth/tokens/", {"name": "nightly"}, key=key).status == 500
    event = server.event()
    assert {"post", "create", "_execute"} <= event.functions
    assert event.sql.startswith('INSERT INTO "accounts_apikey"')
    assert event.payload["user"] == {"id": str(user.pk), "username": "rosa", "is_staff": False}


def test_a_session_key_is_not_in_the_error_of_its_own_lookup(server, user) -> None:
    cookies = server.sign_in("rosa", PASSWORD)
    with refused("READ", "django_session"):
        assert server.request("GET", "auth/me/", cookies=cookies).status == 500
    event = server.event()
    assert {"load", "authenticate", "_execute"} <= event.functions
    assert 'FROM "django_session"' in event.sql
    assert event.route == "/api/v1/auth/me/"


def test_a_new_session_key_is_not_in_the_error_of_storing_it(server, user, monkeypatch) -> None:
    new = "k7" * 16
    server.secrets["the new session key"] = new
    monkeypatch.setattr("django.contrib.sessions.backends.base.get_random_string", lambda *_: new)
    with refused("INSERT", "django_session"):
        assert server.request("POST", "auth/login/", {"username": "rosa", "password": PASSWORD}).status == 500
    event = server.event()
    assert {"login", "create", "_execute"} <= event.functions
    assert event.sql.startswith('INSERT INTO "django_session"')


@pytest.mark.parametrize("password", [PASSWORD, WRONG_PASSWORD], ids=["a word", "a phrase"])
def test_password_hash_and_address_of_a_user_are_not_in_the_error_of_storing_him(server, settings, password) -> None:
    settings.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS
    with refused("INSERT", "accounts_user"):
        assert server.request("POST", "auth/register/", REGISTRATION | {"password": password}).status == 500
    event = server.event()
    assert not re.search(rb"pbkdf2_sha256\$\d", server.tracker.bytes)
    assert {"register", "create_user", "_execute"} <= event.functions
    assert event.sql.startswith('INSERT INTO "accounts_user" ("password"')
    assert event.route == "/api/v1/auth/register/"


def test_the_address_is_not_in_the_error_of_looking_for_it(server, user) -> None:
    with refused("READ", "accounts_emailverification"):
        assert server.request("POST", "auth/resend-verification/", {"email": EMAIL}).status == 500
    event = server.event()
    assert {"resend", "_execute"} <= event.functions
    assert 'FROM "accounts_user"' in event.sql
    assert event.route == "/api/v1/auth/resend-verification/"


def test_the_password_of_a_login_is_not_in_the_error_of_a_signal_handler(server, user) -> None:
    with failing_receiver(user_logged_in):
        assert server.request("POST", "auth/login/", {"username": "rosa", "password": PASSWORD}).status == 500
    event = server.event()
    assert event.error == "LookupError: the CRM knows no such customer"
    assert {"post", "login", "send", "tell_the_crm"} <= event.functions
    assert event.local("post", "given").startswith("LoginSerializer(data={'username': 'rosa', 'password': ")
    assert event.user == str(user.pk)


@pytest.mark.parametrize("password", [PASSWORD, WRONG_PASSWORD])
def test_a_password_right_or_wrong_is_not_in_the_error_of_checking_it(server, user, settings, password) -> None:
    server.secrets["the password's hash"] = user.password
    settings.PASSWORD_HASHERS = ["hashers.that.are.not.Installed"]
    assert server.request("POST", "auth/login/", {"username": "rosa", "password": password}).status == 500
    event = server.event()
    assert event.error == "ModuleNotFoundError: No module named 'hashers'"
    assert {"authenticate_by_password", "check_password"} <= event.functions
    assert event.route == "/api/v1/auth/login/"


def test_a_password_that_an_error_repeats_does_not_leave(server, user, settings) -> None:
    server.secrets["the password's hash"] = user.password
    settings.PASSWORD_HASHERS = ["tests.what_never_leaves.faults.TalkativeHasher"]
    assert server.request("POST", "auth/login/", {"username": "rosa", "password": WRONG_PASSWORD}).status == 500
    event = server.event()
    assert event.error.startswith("ValueError: can't compare ")
    assert {"authenticate_by_password", "verify"} <= event.functions


def test_a_login_form_that_fails_tells_neither_password_nor_csrf_token(server, user) -> None:
    page = server.request("GET", "/admin/login/")
    hidden = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page.content)[1].decode()
    server.secrets |= {"the form's CSRF token": hidden, "the CSRF token": page.cookies["csrftoken"]}
    form = urlencode({"csrfmiddlewaretoken": hidden, "username": "rosa", "password": WRONG_PASSWORD, "next": "/admin/"})
    User.objects.filter(pk=user.pk).update(password=make_password(WRONG_PASSWORD), is_staff=True)
    with failing_receiver(user_logged_in):
        answer = server.request(
            "POST",
            "/admin/login/",
            form.encode(),
            content_type="application/x-www-form-urlencoded",
            cookies=page.cookies,
        )
    assert answer.status == 500
    event = server.event()
    assert {"login", "form_valid", "tell_the_crm"} <= event.functions
    assert event.route == "/admin/login/"


def test_a_security_log_that_cannot_be_written_does_not_send_its_line_instead(server, user, monkeypatch) -> None:
    handlers = logging.getLogger("stormcloud.security").handlers
    handler = next(handler for handler in handlers if isinstance(handler, WatchedFileHandler))
    handler.close()
    monkeypatch.setattr(handler, "baseFilename", "/no-such-folder/security.log")
    server.sign_in("rosa", PASSWORD)
    event = server.event()
    assert event.error.startswith("FileNotFoundError: [Errno 2]")
    assert {"_write", "_open"} <= event.functions
    assert event.payload["logentry"]["message"] == "The security event %s could not be written"


def test_passwords_deep_in_a_body_do_not_leave(server, user) -> None:
    body = {
        "username": "rosa",
        "password": PASSWORD,
        "client": {"name": "desktop", "users": [{"passwords": {"old": WRONG_PASSWORD, "new": [PASSWORD]}}]},
        "apiKey": {"values": [SECRET_32]},
    }
    with failing_receiver(user_logged_in):
        assert server.request("POST", "auth/login/", body).status == 500
    sent = server.event().payload["request"]["data"]
    assert sent["username"] == "rosa"
    assert sent["client"]["name"] == "desktop"


def test_ids_that_are_secrets_by_their_name_do_not_leave(server, user) -> None:
    body = {
        "username": "rosa",
        "password": PASSWORD,
        "refresh_token": SECRET_36,
        "deviceSecret": SECRET_32,
        "client_id": "0f9b0c3e-8f0b-4d4e-9a52-66b8a4d1f0aa",
    }
    headers = {"X-Api-Key": SECRET_32, "X-Auth-Token": SECRET_36, "X-Request-Id": "0f9b0c3e8f0b4d4e9a5266b8a4d1f0aa"}
    with failing_receiver(user_logged_in):
        server.request("POST", "auth/login/", body, headers=headers, cookies={"remember_token": SECRET_36})
    event = server.event()
    assert event.payload["request"]["data"]["client_id"] == body["client_id"]
    assert headers["X-Request-Id"] in event.payload["request"]["headers"].values()


@pytest.mark.parametrize("refuses", ["RCPT", "DATA"])
def test_a_verification_mail_that_is_refused_tells_nothing_of_it(server, settings, monkeypatch, refuses) -> None:
    monkeypatch.setattr(registration, "new_secret", lambda size: TOKEN)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    log = Path(settings.SECURITY_LOG)
    before = log.stat().st_size if log.exists() else 0
    with mail_server(refuses) as settings.EMAIL_PORT:
        assert server.request("POST", "auth/register/", REGISTRATION).status == 503
    # The breadcrumbs could have held these:
    written = log.read_text()[before:]
    assert EMAIL in written
    assert ADDRESS in written
    event = server.event()
    assert event.error.startswith({"RCPT": "SMTPRecipientsRefused: ", "DATA": "SMTPDataError: "}[refuses])
    assert {"_send", "send_mail", "send_messages", "sendmail"} <= event.functions
    assert event.payload["logentry"]["message"].startswith("A mail could not be sent")
    assert event.route == "/api/v1/auth/register/"


def test_a_mail_backend_that_fails_does_not_tell_the_mail(server, settings, monkeypatch) -> None:
    monkeypatch.setattr(registration, "new_secret", lambda size: TOKEN)
    settings.EMAIL_BACKEND = "tests.what_never_leaves.faults.BrokenMail"
    assert server.request("POST", "auth/register/", REGISTRATION).status == 500
    event = server.event()
    assert event.error.startswith("ValueError")
    assert {"register", "send_verification", "_send", "send_mail", "send_messages"} <= event.functions


def test_a_verification_link_that_fails_does_not_tell_its_token(server, settings) -> None:
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "APP_DIRS": False}]
    assert server.request("GET", "auth/verify-email/", query=f"token={TOKEN}&lang=de").status == 500
    event = server.event()
    assert event.error == "TemplateDoesNotExist: accounts/verify_email.html"
    assert {"get", "_page", "render"} <= event.functions
    assert event.payload["request"]["url"].endswith("/api/v1/auth/verify-email/")


@pytest.mark.parametrize("as_form", [False, True])
def test_a_verification_that_fails_does_not_tell_its_token(server, as_form) -> None:
    body = f"token={TOKEN}".encode() if as_form else {"token": TOKEN}
    kind = "application/x-www-form-urlencoded" if as_form else "application/json"
    page = f"https://files.example.org/api/v1/auth/verify-email/?token={TOKEN}"
    with refused("READ", "accounts_emailverification"):
        answer = server.request("POST", "auth/verify-email/", body, content_type=kind, headers={"Referer": page})
    assert answer.status == 500
    event = server.event()
    assert {"post", "verify", "_execute"} <= event.functions
    assert 'FROM "accounts_emailverification"' in event.sql
    assert event.local("_execute", "params") != []
    assert "https://files.example.org/" in event.payload["request"]["headers"].values()
