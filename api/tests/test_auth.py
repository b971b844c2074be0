import re

import pytest
from django.contrib.sessions.models import Session
from django.core import mail
from rest_framework.test import APIClient

from accounts import api_keys
from accounts.models import Organization, User
from api.tests.conftest import PASSWORD
from core import files
from core.storage import get_storage
from core.storage.base import NotFound

pytestmark = pytest.mark.django_db
ADA = {"username": "ada", "email": "ada@example.org", "password": PASSWORD}


def sign_in(client: APIClient, username="ada", password=PASSWORD):
    return client.post("/api/v1/auth/login/", {"username": username, "password": password})


def with_csrf(client: APIClient) -> dict[str, str]:
    return {"X-CSRFToken": client.cookies["csrftoken"].value}


def test_register_confirm_sign_in_look_sign_out(anonymous):
    answer = anonymous.post("/api/v1/auth/register/", ADA | {"organization": "Analytical Engines"})
    assert answer.status_code == 202
    assert "mail" in answer.json()["message"]

    early = sign_in(anonymous)
    assert early.status_code == 401
    assert early.json()["error"]["code"] == "unverified"
    assert "resend-verification" in early.json()["error"]["message"]

    (token,) = re.findall(r"token=([\w-]+)", mail.outbox[0].body)
    assert anonymous.post("/api/v1/auth/verify-email/", {"token": token}).status_code == 200
    assert sign_in(anonymous).json()["username"] == "ada"

    me = anonymous.get("/api/v1/auth/me/").json()
    assert (me["email"], me["organization"]["name"], me["is_staff"]) == ("ada@example.org", "Analytical Engines", False)
    assert "password" not in me

    assert anonymous.post("/api/v1/auth/logout/").status_code == 403, "without the CSRF token"
    assert anonymous.post("/api/v1/auth/logout/", headers=with_csrf(anonymous)).status_code == 204
    assert anonymous.get("/api/v1/auth/me/").status_code == 401


def test_the_answer_is_the_same_for_a_known_address(anonymous, ada):
    known = anonymous.post("/api/v1/auth/register/", ADA | {"username": "eve"})
    unknown = anonymous.post("/api/v1/auth/register/", ADA | {"username": "bob", "email": "bob@example.org"})
    assert known.status_code == unknown.status_code == 202
    assert known.content == unknown.content
    # The password that was just chosen is the only one that gets to see what the account waits for.
    assert sign_in(anonymous, "eve").content == sign_in(anonymous, "bob").content
    for address in ("ada@example.org", "nobody@example.org", "bob@example.org"):
        assert anonymous.post("/api/v1/auth/resend-verification/", {"email": address}).content == known.content


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"username": "has space"}, "username"),
        ({"username": ""}, "username"),
        ({"username": "x" * 151}, "username"),
        ({"username": "\ufb03" * 51}, "username"),  # a ligature that is stored as three letters
        ({"email": "no address"}, "email"),
        ({"email": f"a@{chr(0x130) * 60}.{chr(0x130) * 60}.{chr(0x130) * 60}.{chr(0x130) * 60}.org"}, "email"),
        ({"password": "password"}, "password"),
        ({"password": "ada@example.org"}, "password"),
        ({"organization": "x" * 151}, "organization"),
    ],
)
def test_what_is_wrong_is_named_by_field_and_in_words(anonymous, wrong, field):
    answer = anonymous.post("/api/v1/auth/register/", ADA | wrong)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert list(error["details"]) == [field]
    assert error["message"].startswith(f"{field}: ")
    assert not User.objects.exists()


def test_spellings_of_one_name_are_one_name(anonymous):
    for name, status in (("\uff41da", 202), ("ADA", 400)):
        answer = anonymous.post("/api/v1/auth/register/", ADA | {"username": name})
        assert answer.status_code == status
    assert User.objects.get().username == User.objects.get().organization.name == "ada"


def test_a_taken_name_is_told(anonymous, ada):
    answer = anonymous.post("/api/v1/auth/register/", ADA | {"username": "Ada", "email": "other@example.org"})
    assert answer.status_code == 400
    assert "taken" in answer.json()["error"]["details"]["username"][0]


def test_a_mail_server_that_is_down_is_told_with_what_to_do(anonymous, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    answer = anonymous.post("/api/v1/auth/register/", ADA)
    assert answer.status_code == 503
    assert "resend-verification" in answer.json()["error"]["message"]
    assert User.objects.filter(username="ada").exists(), "nothing is lost"


def test_the_link_opens_a_page_whose_button_confirms_because_mail_scanners_follow_links(anonymous):
    anonymous.post("/api/v1/auth/register/", ADA)
    (link,) = re.findall(r"http://\S+", mail.outbox[0].body)
    page = anonymous.get(link.removeprefix("http://127.0.0.1:8000"))
    assert page.status_code == 200
    assert page["Cache-Control"].count("no-store") == 1
    assert not User.objects.get().email_verified_at, "looking at the link confirms nothing"
    (token,) = re.findall(r'name="token" value="([^"]+)"', page.content.decode())
    form = {"data": f"token={token}", "content_type": "application/x-www-form-urlencoded"}
    done = anonymous.post("/api/v1/auth/verify-email/", **form)
    assert (done.status_code, done["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "is confirmed" in done.content.decode()
    assert User.objects.get().email_verified_at
    again = anonymous.post("/api/v1/auth/verify-email/", **form)
    assert again.status_code == 400
    assert "already used" in again.content.decode()


def test_the_page_escapes_what_stands_in_the_link(anonymous):
    page = anonymous.get("/api/v1/auth/verify-email/", {"token": '"><script>alert(1)</script>'})
    assert "<script>" not in page.content.decode()


def test_a_wrong_token_says_what_to_do(anonymous):
    error = anonymous.post("/api/v1/auth/verify-email/", {"token": "x"}).json()["error"]
    assert error["code"] == "invalid_token"
    assert "resend-verification" in error["message"]


def test_only_who_has_the_password_learns_that_an_account_is_closed(anonymous, ada):
    User.objects.filter(pk=ada.pk).update(is_active=False)
    closed = sign_in(anonymous)
    assert (closed.status_code, closed.json()["error"]["code"]) == (401, "inactive")
    wrong, unknown = sign_in(anonymous, password="wrong"), sign_in(anonymous, "nobody")
    assert wrong.status_code == 401
    assert wrong["WWW-Authenticate"] == "Bearer"
    assert wrong.content == unknown.content
    assert "sessionid" not in anonymous.cookies


def test_signing_in_takes_the_name_in_any_case_and_any_password_character(anonymous, ada):
    ada.set_password("  spaces, ünïcode  ")
    ada.save()
    assert sign_in(anonymous, "ADA", "  spaces, ünïcode  ").status_code == 200


def test_signing_in_again_needs_no_csrf_token(anonymous, ada):
    assert sign_in(anonymous).status_code == 200
    assert sign_in(anonymous).status_code == 200


def test_another_site_cannot_sign_a_visitor_in_with_a_form(anonymous, ada):
    for content_type in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"):
        body = f"username=ada&password={PASSWORD}"
        answer = anonymous.post("/api/v1/auth/login/", data=body, content_type=content_type)
        assert answer.status_code == 415
        assert "application/json" in answer.json()["error"]["message"]


def test_an_api_key_has_no_session_to_end(by_key):
    answer = by_key.post("/api/v1/auth/logout/")
    assert answer.status_code == 409
    assert "Revoke" in answer.json()["error"]["message"]


@pytest.mark.parametrize("action", ["deactivate", "delete"])
@pytest.mark.parametrize("body", [{}, {"password": "wrong"}, {"password": None}])
def test_closing_an_account_asks_for_the_password_again(by_key, ada, action, body):
    answer = by_key.post(f"/api/v1/auth/{action}/", body)
    assert answer.status_code == 400
    assert "password" in answer.json()["error"]["details"]
    assert User.objects.get(pk=ada.pk).is_active


def test_guessing_the_password_with_a_stolen_key_is_throttled(by_key):
    statuses = [by_key.post("/api/v1/auth/delete/", {"password": "wrong"}).status_code for _ in range(11)]
    assert statuses == [400] * 10 + [429]


def test_a_deactivated_account_has_no_working_key_and_no_session(by_key, anonymous, ada):
    sign_in(anonymous)
    assert by_key.post("/api/v1/auth/deactivate/", {"password": PASSWORD}).status_code == 204
    assert anonymous.get("/api/v1/auth/me/").status_code == 401
    refused = by_key.get("/api/v1/auth/me/")
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "inactive")


@pytest.mark.django_db(transaction=True)
def test_deleting_an_account_deletes_its_keys_files_sessions_and_organization(by_key, ada):
    for user in (ada, User.objects.create_user("bob", "bob@example.org", PASSWORD)):
        APIClient().force_login(user)
    files.save(ada, "letters/to-charles.txt", [b"The engine weaves algebraical patterns."])
    storage, key = get_storage(), files.key_of(ada, "letters/to-charles.txt")
    assert storage.stat(key).size == 39
    assert by_key.post("/api/v1/auth/delete/", {"password": PASSWORD}).status_code == 204
    assert [user.username for user in User.objects.all()] == ["bob"]
    assert [organization.name for organization in Organization.objects.all()] == ["bob"]
    assert Session.objects.count() == 1
    with pytest.raises(NotFound):
        storage.stat(key)
    assert by_key.get("/api/v1/auth/me/").status_code == 401


def test_a_revoked_key_is_refused_with_what_to_do(by_key, ada):
    api_keys.revoke(ada.api_keys.get())
    answer = by_key.get("/api/v1/auth/me/")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["error"] == {
        "code": "revoked_api_key",
        "message": "This API key was revoked. Create a new one.",
        "details": {},
    }
