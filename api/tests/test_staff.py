import pytest
from rest_framework.test import APIClient

from accounts import api_keys
from accounts.models import ApiKey, User

pytestmark = pytest.mark.django_db


def client_of(user: User) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {api_keys.create(user, 'tests')[1]}")
    return client


@pytest.fixture
def moderator() -> User:
    return User.objects.create_user("moderator", "moderator@example.org", is_staff=True)


@pytest.fixture
def by_moderator(moderator) -> APIClient:
    return client_of(moderator)


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser("root", "root@example.org")


@pytest.fixture
def by_root(root) -> APIClient:
    return client_of(root)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "users/"),
        ("get", "users/1/"),
        ("patch", "users/1/"),
        ("delete", "users/1/"),
        ("get", "keys/"),
        ("post", "keys/1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed/revoke/"),
    ],
)
def test_everything_here_is_for_staff_only(by_key, anonymous, method, path):
    assert getattr(by_key, method)(f"/api/v1/admin/{path}").status_code == 403
    assert getattr(anonymous, method)(f"/api/v1/admin/{path}").status_code == 401


def test_users_are_listed_in_pages_and_found_by_name_or_address(by_moderator, ada):
    User.objects.create_user("eve", "eve@example.org")
    page = by_moderator.get("/api/v1/admin/users/?limit=2").json()
    assert page["count"] == 3
    assert len(page["results"]) == 2
    found = by_moderator.get("/api/v1/admin/users/?search=EVE@").json()["results"]
    assert [user["username"] for user in found] == ["eve"]
    assert by_moderator.get(f"/api/v1/admin/users/{ada.pk}/").json()["organization"]["name"] == "ada"


def test_listing_costs_the_same_queries_for_one_user_and_for_many(by_moderator, django_assert_max_num_queries):
    for number in range(20):
        user = User.objects.create_user(f"user{number}", f"u{number}@example.org")
        api_keys.create(user, "key")
    by_moderator.get("/api/v1/admin/users/")
    with django_assert_max_num_queries(3):
        by_moderator.get("/api/v1/admin/users/")
    with django_assert_max_num_queries(3):
        by_moderator.get("/api/v1/admin/keys/")


def test_staff_deactivates_and_activates_and_only_changes_are_announced(by_moderator, moderator, ada, caplog):
    url = f"/api/v1/admin/users/{ada.pk}/"
    for active in (False, False, True):
        answer = by_moderator.patch(url, {"is_active": active})
        assert answer.json()["is_active"] is active
    events = [record.getMessage() for record in caplog.records if f"by={moderator.pk}" in record.getMessage()]
    assert [event.split()[0] for event in events if "tests" not in event] == ["USER_DEACTIVATED", "USER_ACTIVATED"]


def test_only_a_superuser_decides_who_is_staff_and_who_is_deleted(by_moderator, by_root, ada):
    url = f"/api/v1/admin/users/{ada.pk}/"
    for refused in (by_moderator.patch(url, {"is_staff": True}), by_moderator.delete(url)):
        assert refused.status_code == 403
        assert "superuser" in refused.json()["error"]["message"]
    assert not User.objects.get(pk=ada.pk).is_staff
    assert by_root.patch(url, {"is_staff": True}).json()["is_staff"] is True
    assert by_root.delete(url).status_code == 204
    assert not User.objects.filter(pk=ada.pk).exists()


def test_a_refused_change_changes_nothing_at_all(by_moderator, ada):
    answer = by_moderator.patch(f"/api/v1/admin/users/{ada.pk}/", {"is_active": False, "is_staff": True})
    assert answer.status_code == 403
    assert User.objects.get(pk=ada.pk).is_active


def test_staff_cannot_close_a_superuser(by_moderator, root):
    assert by_moderator.patch(f"/api/v1/admin/users/{root.pk}/", {"is_active": False}).status_code == 403
    assert User.objects.get(pk=root.pk).is_active


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}])
def test_nobody_locks_themselves_out(by_root, root, change):
    answer = by_root.patch(f"/api/v1/admin/users/{root.pk}/", change)
    assert answer.status_code == 403
    assert "your own account" in answer.json()["error"]["message"]
    assert by_root.delete(f"/api/v1/admin/users/{root.pk}/").status_code == 403


@pytest.mark.parametrize(
    "body", [{"is_superuser": True}, {"organization": 1}, {"is_active": "perhaps"}, {"is_active": None}, [], "x", 5]
)
def test_what_cannot_be_changed_is_refused_and_not_ignored(by_root, ada, body):
    answer = by_root.patch(f"/api/v1/admin/users/{ada.pk}/", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert not User.objects.get(pk=ada.pk).is_superuser


def test_keys_of_all_users_are_listed_by_user_and_revoked(by_moderator, moderator, ada):
    key, secret = api_keys.create(ada, "backup")
    assert by_moderator.get("/api/v1/admin/keys/").json()["count"] == 2
    listed = by_moderator.get(f"/api/v1/admin/keys/?user={ada.pk}")
    assert [(one["name"], one["username"]) for one in listed.json()["results"]] == [("backup", "ada")]
    assert secret not in listed.content.decode()
    assert key.key_hash not in listed.content.decode()
    answer = by_moderator.post(f"/api/v1/admin/keys/{key.pk}/revoke/")
    assert answer.json()["revoked_at"]
    assert list(ApiKey.objects.filter(revoked_at=None)) == [moderator.api_keys.get()]


@pytest.mark.parametrize("user", ["x", "-1", "1" * 40, "\0", ""])
def test_a_filter_that_is_no_number_says_so(by_moderator, user):
    answer = by_moderator.get("/api/v1/admin/keys/", {"user": user})
    assert answer.status_code == 400
    assert list(answer.json()["error"]["details"]) == ["user"]
