from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from core import files, shares
from core.models import Share

SHARES = "/api/v1/shares/"


@pytest.fixture(autouse=True)
def root(tmp_path, settings):
    settings.STORMCLOUD_STORAGE_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


@pytest.fixture
def client(ada) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(ada)
    return client


@pytest.fixture
def file(ada):
    return files.save(ada, "docs/report.txt", [b"hello world"])[0]


def public(share: Share, action: str = "") -> str:
    return f"/api/v1/public/{share.token}/{action}"


def code(response) -> str:
    return response.json()["error"]["code"]


def test_a_link_shows_and_downloads_the_file_to_anybody(client, anonymous, file, settings):
    settings.STORMCLOUD_PUBLIC_URL = "https://files.example.org/"
    created = client.post(SHARES, {"path": "docs/report.txt"})
    assert created.status_code == 201
    share = created.json()
    assert share["url"] == f"https://files.example.org/api/v1/public/{share['token']}/"
    assert (share["path"], share["has_password"], share["expires_at"]) == ("docs/report.txt", False, None)
    shown = anonymous.get(f"/api/v1/public/{share['token']}/")
    # The name, and nothing of where it lies or whose it is.
    assert set(shown.json()) == {"name", "size", "content_type", "modified_at", "expires_at"}
    assert (shown.json()["name"], shown.json()["size"]) == ("report.txt", 11)
    download = anonymous.get(f"/api/v1/public/{share['token']}/download/")
    assert b"".join(download.streaming_content) == b"hello world"
    assert download["Content-Disposition"] == 'attachment; filename="report.txt"'


def test_a_link_works_with_whatever_credentials_a_client_sends_along(anonymous, ada, file):
    share = shares.create(ada, file.path)
    anonymous.credentials(HTTP_AUTHORIZATION="Bearer revoked-long-ago")
    assert anonymous.get(public(share)).status_code == 200
    assert anonymous.get(public(share, "download/")).status_code == 200


def test_a_token_cannot_be_guessed(ada, file):
    tokens = {shares.create(ada, file.path).token for _ in range(20)}
    assert len(tokens) == 20
    assert min(map(len, tokens)) >= 43  # 32 random bytes


def test_the_owner_sees_the_link_again_and_revokes_it(client, anonymous, ada, file):
    share = shares.create(ada, file.path)
    assert client.get(SHARES).json()["results"][0]["token"] == share.token
    assert client.get(f"{SHARES}{share.pk}/").json()["id"] == str(share.pk)
    assert anonymous.get(public(share)).status_code == 200
    assert client.delete(f"{SHARES}{share.pk}/").status_code == 204
    assert anonymous.get(public(share)).status_code == 404
    assert client.get(f"{SHARES}{share.pk}/").status_code == 404


def test_unknown_revoked_and_expired_links_look_the_same(anonymous, ada, file):
    expired = shares.create(ada, file.path, "secret", timezone.now() - timedelta(seconds=1))
    revoked = shares.create(ada, file.path)
    revoked.delete()
    deactivated_owner = User.objects.create_user("bob", "bob@example.org", "x")
    files.save(deactivated_owner, "a", [b""])
    deactivated = shares.create(deactivated_owner, "a")
    User.objects.filter(pk=deactivated_owner.pk).update(is_active=False)
    tokens = ["x", "x" * 43, expired.token, revoked.token, deactivated.token, "%00", "\u00e9" * 9000]
    for action in ("", "download/"):
        answers = [anonymous.get(f"/api/v1/public/{token}/{action}") for token in tokens]
        assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}


def test_a_password_is_asked_for_checked_and_stored_only_as_a_hash(client, anonymous, file):
    share = Share.objects.get(pk=client.post(SHARES, {"path": file.path, "password": "Grüße, 世界"}).json()["id"])
    # Not "Gr": that may stand in the salt.
    assert share.password_hash.startswith("md5$")
    assert "Grü" not in share.password_hash
    for action in ("", "download/"):
        missing = anonymous.get(public(share, action))
        assert (missing.status_code, code(missing)) == (401, "password_required")
        assert missing["WWW-Authenticate"]
        assert "X-Share-Password" in missing.json()["error"]["message"]
        for wrong in ("Gruesse", "", " "):
            refused = anonymous.get(public(share, action), headers={"X-Share-Password": wrong})
            assert (refused.status_code, code(refused)) == (403, "wrong_password")
            assert b"report" not in refused.content
        # As a client sends UTF-8 and a WSGI server shows it.
        right = "Grüße, 世界".encode().decode("latin-1")
        assert anonymous.get(public(share, action), headers={"X-Share-Password": right}).status_code == 200


def test_a_password_in_latin_1_is_understood_too(anonymous, ada, file):
    share = shares.create(ada, file.path, password="Grüße")
    assert anonymous.get(public(share), headers={"X-Share-Password": "Grüße"}).status_code == 200


def test_guessing_passwords_is_slowed_down_and_downloading_without_one_is_not(anonymous, ada, file):
    protected, open_share = shares.create(ada, file.path, password="secret"), shares.create(ada, file.path)
    guesses = [anonymous.get(public(protected), headers={"X-Share-Password": str(n)}).status_code for n in range(31)]
    assert guesses == [403] * 30 + [429]
    assert anonymous.get(public(protected, "download/"), headers={"X-Share-Password": "secret"}).status_code == 429
    assert {anonymous.get(public(open_share, "download/")).status_code for _ in range(40)} == {200}


def test_downloads_are_counted_once_each(client, anonymous, ada, file):
    share = shares.create(ada, file.path)
    download = public(share, "download/")
    anonymous.get(public(share))
    anonymous.head(download)
    etag = anonymous.get(download)["ETag"]  # 1
    anonymous.get(download, headers={"If-None-Match": etag})
    anonymous.get(download, headers={"Range": "bytes=0-3"})  # 2
    assert anonymous.get(download, headers={"Range": "bytes=4-"}).status_code == 206
    anonymous.get(download, headers={"Range": "bytes=99-"})
    assert client.get(f"{SHARES}{share.pk}/").json()["download_count"] == 2


def test_a_link_follows_its_file_and_ends_with_it(anonymous, ada, file):
    share = shares.create(ada, file.path)
    files.move(ada, file.path, "moved.txt")
    assert anonymous.get(public(share)).json()["name"] == "moved.txt"
    files.save(ada, "moved.txt", [b"new content"])
    assert b"".join(anonymous.get(public(share, "download/")).streaming_content) == b"new content"
    files.delete(ada, "moved.txt")
    assert anonymous.get(public(share)).status_code == 404
    assert not Share.objects.exists()


@pytest.mark.parametrize("action", ["", "download/"])
def test_a_file_that_vanished_from_the_disk_is_a_404(anonymous, ada, file, root, action):
    share = shares.create(ada, file.path)
    (root / files.key_of(ada, file.path)).unlink()
    assert anonymous.get(public(share, action)).status_code == 404


BAD = {
    "no path": {},
    "no such file": {"path": "nothing"},
    "a directory": {"path": "docs"},
    "another's file": {"path": "../../2/a"},
    "the past": {"path": "docs/report.txt", "expires_at": "2001-01-01T00:00:00Z"},
    "no time": {"path": "docs/report.txt", "expires_at": "tomorrow"},
    "beyond time": {"path": "docs/report.txt", "expires_at": "9999-12-31T23:59:59-23:59"},
    "unsendable password": {"path": "docs/report.txt", "password": "a\nb"},
    "NUL password": {"path": "docs/report.txt", "password": "a\0b"},
    "long password": {"path": "docs/report.txt", "password": "x" * 129},
    "wrong types": {"path": ["a"], "password": {"a": 1}},
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_share_is_refused_with_the_reason(client, file, case):
    response = client.post(SHARES, BAD[case])
    assert response.status_code in (400, 404), response.content
    assert response.json()["error"]["message"]
    assert not Share.objects.exists()


@pytest.mark.parametrize("body", [[], "text", 5, None])
def test_a_body_of_another_shape_is_a_400(client, file, body):
    assert client.post(SHARES, body, format="json").status_code == 400


def test_shares_are_their_owners_alone(client, ada, file):
    share = shares.create(ada, file.path)
    other = APIClient()
    assert other.get(SHARES).status_code == 401
    other.force_authenticate(User.objects.create_user("eve", "eve@example.org", "x", organization=ada.organization))
    assert other.get(SHARES).json()["results"] == []
    assert other.get(f"{SHARES}{share.pk}/").status_code == 404
    assert other.delete(f"{SHARES}{share.pk}/").status_code == 404
    assert client.delete(f"{SHARES}{uuid4()}/").status_code == 404
    assert Share.objects.filter(pk=share.pk).exists()


def test_right_passwords_are_no_guesses_so_a_film_can_be_watched_in_parts(anonymous, ada, file):
    share = shares.create(ada, file.path, password="secret")

    def ask(password, **headers) -> int:
        headers = {"X-Share-Password": password} | headers
        return anonymous.get(public(share, "download/"), headers=headers).status_code

    assert [ask(str(number)) for number in range(20)] == [403] * 20
    assert {ask("secret", Range="bytes=0-1") for _ in range(40)} == {206}
    assert [ask(str(number)) for number in range(11)] == [403] * 10 + [429], "and they wipe out no guess either"


def test_guesses_at_one_share_count_together_wherever_they_come_from(anonymous, ada, file):
    share, other = (shares.create(ada, file.path, password="secret") for _ in range(2))

    def guess(share, number) -> int:
        headers = {"X-Share-Password": "wrong"}
        return anonymous.get(public(share), headers=headers, REMOTE_ADDR=f"192.0.2.{number}").status_code

    assert [guess(share, number) for number in range(31)] == [403] * 30 + [429]
    assert guess(other, 99) == 403
