"""Whatever is sent, the answer is an error that explains itself, never a 500."""

import json

import pytest
from django.conf import settings

from accounts.models import ApiKey

pytestmark = pytest.mark.django_db
BODIES = ["register/", "verify-email/", "resend-verification/", "login/", "deactivate/", "delete/", "tokens/"]
NASTY = [
    "nul\0",
    "\ud800",
    "\u2028",
    "a" * 100_000,
    "💥",
    "",
    " ",
    None,
    True,
    5,
    1.5,
    10**400,
    [],
    ["x"],
    {},
    {"a": {}},
]


def send(client, path: str, body: bytes, content_type="application/json"):
    return client.post(f"/api/v1/auth/{path}", data=body, content_type=content_type)


def explains_itself(answer) -> None:
    assert 400 <= answer.status_code < 500, answer.content[:300]
    error = json.loads(answer.content)["error"]
    assert set(error) == {"code", "message", "details"}
    assert error["message"]
    assert isinstance(error["details"], dict)


@pytest.fixture(autouse=True)
def unthrottled(monkeypatch):
    monkeypatch.setattr("rest_framework.throttling.SimpleRateThrottle.allow_request", lambda *_: True)


@pytest.mark.parametrize("path", BODIES)
def test_fields_of_any_kind(by_key, path):
    for value in NASTY:
        fields = dict.fromkeys(("username", "email", "password", "token", "organization"), value)
        name = value if path == "tokens/" and not isinstance(value, str | int | float) else None
        explains_itself(send(by_key, path, json.dumps(fields | {"name": name}).encode()))


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"5",
        b"NaN",
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"username": "\\ud800"}',
        b"1" * 5000,
        b'{"password": ' + b"1" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_bodies_that_are_no_object(by_key, path, body):
    explains_itself(send(by_key, path, body))


@pytest.mark.parametrize("path", BODIES)
def test_a_huge_body_is_refused_before_it_is_understood(by_key, path):
    answer = send(by_key, path, b'{"name": "' + b"x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE + b'"}')
    explains_itself(answer)
    assert answer.status_code == 413


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/xml",
        "application/json; charset=bogus",
        "application/json; charset=hex",
        "application/json; charset=idna",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded; charset=utf-16",
        "\u00e9/\u00fc",
        ";;;",
    ],
)
def test_content_types_of_any_kind(by_key, path, content_type):
    answer = send(by_key, path, b'{"token": 5}', content_type)
    if answer["Content-Type"].startswith("text/html"):
        assert (answer.status_code, path) == (400, "verify-email/"), "its form answers with a page"
    else:
        explains_itself(answer)


@pytest.mark.parametrize(
    "query",
    ["limit=x&offset=-1", f"limit={10**30}&offset={10**30}", "limit=" + "9" * 5000, "search=%00", "search=%ff%fe"],
)
def test_queries_of_any_kind(by_key, ada, query):
    ada.is_staff = True
    ada.save()
    for path in ("auth/tokens/", "admin/users/", "admin/keys/"):
        answer = by_key.get(f"/api/v1/{path}?{query}")
        assert answer.status_code in (200, 400), answer.content[:300]


@pytest.mark.parametrize(
    "path", ["admin/users/" + "9" * 30, "admin/users/" + "9" * 5000, "admin/users/\0", "auth/tokens/x/revoke"]
)
def test_addresses_of_any_kind(by_key, ada, path):
    ada.is_staff = True
    ada.save()
    explains_itself(by_key.get(f"/api/v1/{path}/"))


def test_a_cookie_that_cannot_be_a_session_is_no_session(anonymous, django_assert_num_queries):
    """PostgreSQL answers a NUL byte with an error, SQLite does not; so neither is asked."""
    for cookie in (r"\000aaaaaaaaaaaa", "../../aaaaaaaaaaaa", "a" * 10):
        with django_assert_num_queries(1 if cookie.isalnum() else 0):
            explains_itself(anonymous.get("/api/v1/auth/me/", headers={"cookie": f'sessionid="{cookie}"'}))


def test_no_page_holds_more_than_1000_rows(by_key, ada):
    ApiKey.objects.bulk_create(ApiKey(user=ada, name="many", key_hash=str(number)) for number in range(1000))
    page = by_key.get("/api/v1/auth/tokens/?limit=100000000").json()
    assert (page["count"], len(page["results"])) == (1001, 1000)
