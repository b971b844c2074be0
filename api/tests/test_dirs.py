from urllib.parse import quote

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from core import files


@pytest.fixture(autouse=True)
def root(tmp_path, settings):
    settings.STORMCLOUD_STORAGE_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


@pytest.fixture
def client(ada) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(ada)
    return client


def url(path: str = "", action: str = "") -> str:
    return "/api/v1/dirs/" + (f"{quote(path)}/" if path else "") + (f"{action}/" if action else "")


def names(response) -> list[str]:
    return [entry["name"] for entry in response.json()["results"]]


def test_somebody_new_has_an_empty_directory(client):
    response = client.get(url())
    assert (response.status_code, response.json()["results"]) == (200, [])
    assert client.get(url("nowhere")).status_code == 404


def test_a_listing_shows_directories_first_and_all_of_each_file(client, ada):
    file, _ = files.save(ada, "b.txt", [b"hello"])
    files.save(ada, "a.txt", [b""])
    files.save(ada, "zoo/deep/c.txt", [b""])
    listing = client.get(url()).json()
    assert [(entry["type"], entry["path"]) for entry in listing["results"]] == [
        ("directory", "zoo"),
        ("file", "a.txt"),
        ("file", "b.txt"),
    ]
    assert listing["results"][2] == client.get("/api/v1/files/b.txt/").json()
    assert (listing["results"][2]["id"], listing["results"][2]["size"]) == (str(file.pk), 5)
    assert listing["results"][0]["size"] is None
    assert [entry["path"] for entry in client.get(url("zoo")).json()["results"]] == ["zoo/deep"]
    assert [entry["path"] for entry in client.get(url("zoo/deep")).json()["results"]] == ["zoo/deep/c.txt"]


def test_a_file_put_there_by_other_means_is_listed_without_checksum(client, ada, root):
    files.save(ada, "a", [b"x"])
    (root / files.key_of(ada) / "found").write_bytes(b"12345")
    found = client.get(url()).json()["results"][1]
    assert (found["name"], found["size"], found["id"], found["checksum"]) == ("found", 5, None, None)


def test_a_listing_comes_in_pages(client, ada, django_assert_max_num_queries):
    for number in range(5):
        files.save(ada, f"{number}", [b""])
    with django_assert_max_num_queries(1):
        first = client.get(url() + "?limit=2")
    assert (names(first), first.json()["count"]) == (["0", "1"], 5)
    second = client.get(first.json()["next"])
    assert names(second) == ["2", "3"]
    assert names(client.get(url() + "?offset=4&limit=2")) == ["4"]
    assert names(client.get(url() + "?offset=99")) == []


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "offset=-5", "offset=1e9", "limit=" + "9" * 100, "limit="])
def test_a_strange_page_is_a_page(client, ada, query):
    files.save(ada, "a", [b""])
    response = client.get(url() + "?" + query)
    assert response.status_code == 200
    assert names(response) == ["a"]


def test_no_page_is_larger_than_a_thousand(client, ada, root):
    files.make_directory(ada, "many")
    for number in range(1001):
        (root / files.key_of(ada, "many") / str(number)).touch()
    assert len(names(client.get(url("many") + "?limit=5000"))) == 1000


def test_a_directory_is_made_with_its_parents_and_making_it_again_is_no_error(client, ada, root):
    made = client.post(url("a/b/c", "create"))
    assert (made.status_code, made.json()) == (201, {"path": "a/b/c"})
    assert (root / files.key_of(ada, "a/b/c")).is_dir()
    assert client.post(url("a/b/c", "create")).status_code == 200
    files.save(ada, "file", [b""])
    for path in ("file", "file/below"):
        response = client.post(url(path, "create"))
        assert (response.status_code, response.json()["error"]["code"]) == (409, "conflict")


def test_only_an_empty_directory_is_removed(client, ada, root):
    files.save(ada, "dir/a", [b""])
    assert client.delete(url("dir")).status_code == 409
    assert client.delete(url("dir/a")).status_code == 404
    files.delete(ada, "dir/a")
    assert client.delete(url("dir")).status_code == 204
    assert client.delete(url("dir")).status_code == 404
    assert client.delete(url()).status_code == 405
    assert (root / files.key_of(ada)).is_dir()


def test_a_directory_can_be_named_create(client, ada):
    files.save(ada, "docs/create/a", [b""])
    assert names(client.get(url("docs/create"))) == ["a"]
    files.delete(ada, "docs/create/a")
    assert client.delete(url("docs/create")).status_code == 204


def test_directories_are_their_owners_alone(client, ada):
    files.save(ada, "dir/a", [b""])
    other = APIClient()
    assert other.get(url("dir")).status_code == 401
    other.force_authenticate(User.objects.create_user("eve", "eve@example.org", "x", organization=ada.organization))
    assert other.get(url("dir")).status_code == 404
    assert names(other.get(url())) == []
