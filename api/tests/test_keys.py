import pytest

from accounts import api_keys
from accounts.models import ApiKey, User

pytestmark = pytest.mark.django_db


def test_a_new_key_is_shown_once_and_works(by_key, anonymous, ada):
    made = by_key.post("/api/v1/auth/tokens/", {"name": "backup"})
    assert made.status_code == 201
    assert made["Cache-Control"] == "no-store"
    key = made.json()["key"]
    assert len(key) == 64
    listed = by_key.get("/api/v1/auth/tokens/")
    assert [one["name"] for one in listed.json()["results"]] == ["backup", "tests"]
    assert key not in listed.content.decode()
    assert ApiKey.objects.get(name="backup").key_hash not in listed.content.decode()
    anonymous.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    assert anonymous.get("/api/v1/auth/me/").json()["id"] == ada.pk


@pytest.mark.parametrize("name", [None, "", "   ", "x" * 101, ["a"], {"a": 1}, "nul\0", True])
def test_a_name_that_does_not_do_is_refused(by_key, name):
    answer = by_key.post("/api/v1/auth/tokens/", {"name": name} if name is not None else {})
    assert answer.status_code == 400
    assert ApiKey.objects.count() == 1


def test_the_limit_says_what_to_do(by_key, settings):
    settings.STORMCLOUD_MAX_API_KEYS = 1
    answer = by_key.post("/api/v1/auth/tokens/", {"name": "one too many"})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "api_key_limit"
    assert "Revoke one" in answer.json()["error"]["message"]


def test_revoking_twice_is_no_error_and_keeps_the_key_in_the_list(by_key, ada):
    key, _ = api_keys.create(ada, "old")
    url = f"/api/v1/auth/tokens/{key.pk}/revoke/"
    first, second = by_key.post(url), by_key.post(url)
    assert first.status_code == second.status_code == 200
    assert first.json()["revoked_at"] == second.json()["revoked_at"] is not None
    assert by_key.get("/api/v1/auth/tokens/").json()["count"] == 2


def test_the_key_of_somebody_else_is_neither_listed_nor_revoked(by_key):
    eve = User.objects.create_user("eve", "eve@example.org")
    key, _ = api_keys.create(eve, "hers")
    assert by_key.post(f"/api/v1/auth/tokens/{key.pk}/revoke/").status_code == 404
    assert [one["name"] for one in by_key.get("/api/v1/auth/tokens/").json()["results"]] == ["tests"]
    key.refresh_from_db()
    assert key.revoked_at is None


def test_a_session_needs_the_csrf_token_and_a_key_does_not(anonymous, by_key, ada):
    anonymous.force_login(ada)
    refused = anonymous.post("/api/v1/auth/tokens/", {"name": "forged"})
    assert refused.status_code == 403
    assert "X-CSRFToken" in refused.json()["error"]["message"]
    assert by_key.post("/api/v1/auth/tokens/", {"name": "mine"}).status_code == 201
