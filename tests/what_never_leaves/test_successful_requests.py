"""Requests that succeed leave too, as transactions: with their bodies, queries and spans."""

import re
from urllib.parse import quote

from accounts import registration
from tests.what_never_leaves.planted import (
    CONTENT,
    EMAIL,
    MOVED_TO,
    PASSWORD,
    PATH,
    SECRET_32,
    SECRET_36,
    SHARE_PASSWORD,
    TOKEN,
    UPLOADED_AS,
    WRONG_PASSWORD,
)
from tests.what_never_leaves.test_files import MULTIPART, form


def statements(transaction) -> str:
    return "\n".join(span["description"] for span in transaction["spans"] if span["op"] == "db")


def test_registering_and_verifying_tell_neither_address_nor_password_nor_token(server, monkeypatch) -> None:
    monkeypatch.setattr(registration, "new_secret", lambda size: TOKEN)
    body = {"username": "maria", "email": EMAIL, "password": WRONG_PASSWORD}
    assert server.request("POST", "auth/register/", body).status == 202
    page = {"Referer": f"https://files.example.org/api/v1/auth/verify-email/?token={TOKEN}"}
    assert server.request("GET", "auth/verify-email/", query=f"token={TOKEN}").status == 200
    assert server.request("POST", "auth/verify-email/", {"token": TOKEN}, headers=page).status == 200
    registered = server.traced("/api/v1/auth/register/")
    assert registered["request"]["data"]["username"] == "maria"
    assert 'INSERT INTO "accounts_user"' in statements(registered)
    assert 'FROM "accounts_emailverification"' in statements(server.traced("/api/v1/auth/verify-email/"))


def test_signing_in_and_out_tells_neither_password_nor_session(server, user) -> None:
    cookies = server.sign_in("rosa", PASSWORD)
    assert server.request("GET", "auth/me/", cookies=cookies).status == 200
    assert server.request("POST", "auth/logout/", {"refresh_token": SECRET_36}, cookies=cookies).status == 204
    signed_in = server.traced("/api/v1/auth/login/")
    assert signed_in["request"]["data"]["username"] == "rosa"
    assert 'INSERT INTO "django_session"' in statements(signed_in)
    me = server.traced("/api/v1/auth/me/")
    assert me["user"] == {"id": str(user.pk), "username": "rosa", "is_staff": False}
    assert me["tags"]["auth_method"] == "session"
    assert 'FROM "django_session"' in statements(me)
    server.traced("/api/v1/auth/logout/")


def test_a_failed_login_does_not_tell_the_password(server, user) -> None:
    body = {"username": "rosa", "password": WRONG_PASSWORD, "earlier": [{"password": PASSWORD}]}
    assert server.request("POST", "auth/login/", body).status == 401
    failed = server.traced("/api/v1/auth/login/")
    assert failed["contexts"]["trace"]["status"] == "unauthenticated"
    assert failed["request"]["data"]["username"] == "rosa"


def test_making_and_revoking_a_key_does_not_tell_it_and_keeps_its_id(server, key) -> None:
    made = server.request("POST", "auth/tokens/", {"name": "nightly", "client_secret": SECRET_32}, key=key).json
    server.secrets["the new key"] = made["key"]
    assert server.request("POST", f"auth/tokens/{made['id']}/revoke/", key=key).status == 200
    assert server.traced("/api/v1/auth/tokens/")["request"]["data"]["name"] == "nightly"
    revoked = server.traced("/api/v1/auth/tokens/{key_id}/revoke/")
    assert revoked["tags"]["request_path"] == f"/api/v1/auth/tokens/{made['id']}/revoke/"


def test_a_file_is_neither_named_nor_shown_from_its_upload_to_its_end(server, key, user) -> None:
    steps = [
        ("POST", f"files/{PATH}/upload/", form(), MULTIPART, 201),
        ("PUT", f"files/{PATH}/upload/", CONTENT.encode(), "text/plain", 200),
        ("GET", f"files/{PATH}/download/", None, "", 200),
        ("POST", f"files/{PATH}/copy/", {"destination": UPLOADED_AS}, "application/json", 201),
        ("POST", f"files/{PATH}/move/", {"destination": MOVED_TO}, "application/json", 200),
        ("GET", f"dirs/{MOVED_TO.partition('/')[0]}/", None, "", 200),
        ("GET", f"files/{MOVED_TO}/", None, "", 200),
        ("DELETE", f"files/{MOVED_TO}/delete/", None, "", 204),
    ]
    for method, path, content, kind, status in steps:
        assert server.request(method, path, content, content_type=kind, key=key).status == status, path
    for action in ("upload", "download", "copy", "move", "delete"):
        trace = server.traced(f"/api/v1/files/{{path}}/{action}/")
        assert trace["tags"]["request_path"] == f"/api/v1/files/{{path}}/{action}/"
        assert trace["user"]["id"] == str(user.pk)
        assert trace["tags"]["auth_method"] == "api_key"
        assert '"core_storedfile"' in statements(trace)
    server.traced("/api/v1/dirs/{path}/")


def test_a_share_tells_neither_its_token_nor_its_password_nor_its_file(server, key, stored) -> None:
    made = server.request("POST", "shares/", {"path": stored, "password": SHARE_PASSWORD}, key=key).json
    server.secrets["the share's token"] = made["token"]
    for password, status in ((SHARE_PASSWORD, 200), (WRONG_PASSWORD, 403)):
        for page in ("", "download/"):
            answer = server.request("GET", f"public/{made['token']}/{page}", headers={"X-Share-Password": password})
            assert answer.status == status
    assert 'INSERT INTO "core_share"' in statements(server.traced("/api/v1/shares/"))
    downloaded = server.traced("/api/v1/public/{token}/download/")
    assert 'FROM "core_share"' in statements(downloaded)
    assert downloaded["request"]["url"].endswith("/api/v1/public/{token}/download/")


def test_an_address_that_nothing_answers_to_is_not_repeated(server, key) -> None:
    assert server.request("GET", f"flies/{PATH}/", key=key, query=f"password={PASSWORD}").status == 404
    lost = server.traced("/{unmatched}")
    assert lost["contexts"]["trace"]["status"] == "not_found"


def test_a_search_of_the_staff_does_not_tell_whom_they_looked_for(server, user, key) -> None:
    user.is_staff = True
    user.save()
    assert server.request("GET", "admin/users/", key=key, query=f"search={EMAIL.replace('@', '%40')}").status == 200
    searched = server.traced("/api/v1/admin/users/")
    assert searched["user"]["is_staff"] is True
    assert re.search(r'"accounts_user"."email".* LIKE ', statements(searched))


def test_what_a_caller_passes_along_for_tracing_does_not_leave(server, key) -> None:
    passed = {
        "sentry-trace": "771a43a4192642f0b136d5159a501700-b0e6f15b45c36b12-1",
        "baggage": f"sentry-trace_id=771a43a4192642f0b136d5159a501700,sentry-user_id={EMAIL},sentry-transaction="
        f"{quote(PATH)},sentry-sampled=true,sentry-sample_rate=1,password={PASSWORD}",
    }
    assert server.request("GET", "auth/me/", key=key, headers=passed).status == 200
    assert server.traced("/api/v1/auth/me/")["contexts"]["trace"]["trace_id"] == "771a43a4192642f0b136d5159a501700"
