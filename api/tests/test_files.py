import errno
import hashlib
import json
import logging
import os
from urllib.parse import quote

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from core import files
from core.models import Quota, StoredFile
from core.storage.local import SCRATCH

SHA = hashlib.sha256(b"hello world").hexdigest()


@pytest.fixture(autouse=True)
def root(tmp_path, settings):
    settings.STORMCLOUD_STORAGE_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


@pytest.fixture
def user(db) -> User:
    return User.objects.create_user("ada", "ada@example.org", "correct horse battery staple")


@pytest.fixture
def client(user) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(user)
    return client


def url(path: str, action: str = "") -> str:
    return f"/api/v1/files/{quote(path, errors='surrogatepass')}/" + (f"{action}/" if action else "")


def put(client, path, content=b"hello world", content_type="application/octet-stream"):
    return client.generic("PUT", url(path, "upload"), content, content_type)


def form(*parts: tuple[str, bytes], end: bytes = b"--x--\r\n") -> bytes:
    return b"".join(b"--x\r\n%s\r\n\r\n%s\r\n" % (headers.encode(), body) for headers, body in parts) + end


def post(client, path, body: bytes, boundary="x"):
    return client.generic("POST", url(path, "upload"), body, f"multipart/form-data; boundary={boundary}")


FILE_PART = 'Content-Disposition: form-data; name="file"; filename="f"\r\nContent-Type: image/png'
TEXT_PART = 'Content-Disposition: form-data; name="note"'


def content_of(user, path) -> bytes:
    _, reader = files.open_file(user, path)
    with_all = b"".join(reader)
    reader.close()
    return with_all


def error(response) -> str:
    assert set(response.json()["error"]) - {"reference"} == {"code", "message", "details"}
    return response.json()["error"]["code"]


# Upload


def test_an_uploaded_form_is_stored_and_described(client, user):
    response = post(
        client, "docs/a.bin", form((TEXT_PART, b"before"), (FILE_PART, b"hello world"), (TEXT_PART, b"after"))
    )
    assert response.status_code == 201
    answer = response.json()
    assert (answer["type"], answer["name"], answer["path"]) == ("file", "a.bin", "docs/a.bin")
    assert (answer["size"], answer["checksum"], answer["content_type"]) == (11, SHA, "image/png")
    assert answer == client.get(url("docs/a.bin")).json()
    assert answer["id"] == str(StoredFile.objects.get().pk)
    assert content_of(user, "docs/a.bin") == b"hello world"


def test_djangos_own_test_client_can_upload(client, tmp_path):
    (tmp_path / "f.txt").write_bytes(b"hello world")
    with (tmp_path / "f.txt").open("rb") as file:
        response = client.post(url("a.txt", "upload"), {"file": file}, format="multipart")
    assert (response.status_code, response.json()["checksum"]) == (201, SHA)


def test_a_raw_body_is_stored_and_a_second_one_replaces_it(client, user):
    assert put(client, "a.txt").status_code == 201
    response = put(client, "a.txt", b"new")
    assert (response.status_code, response.json()["size"]) == (200, 3)
    assert content_of(user, "a.txt") == b"new"


def test_an_empty_file_is_a_file(client, user):
    assert put(client, "empty", b"").json()["size"] == 0
    assert post(client, "empty2", form((FILE_PART, b""))).json()["size"] == 0
    assert client.get(url("empty", "download")).status_code == 200


@pytest.mark.parametrize(
    ("sent", "name", "stored"),
    [
        ("application/octet-stream", "a.pdf", "application/pdf"),
        ("application/x-www-form-urlencoded", "a.pdf", "application/pdf"),
        ("Text/HTML; charset=utf-8", "a", "text/html"),
        ("image/png\x00", "a.txt", "text/plain"),
        ("nonsense", "a", "application/octet-stream"),
        ("a/" + "b" * 300, "a.tar.gz", "application/octet-stream"),
        ("", "a.json", "application/json"),
    ],
)
def test_the_content_type_is_the_clients_or_guessed_by_name(client, sent, name, stored):
    assert put(client, name, content_type=sent).json()["content_type"] == stored


def test_the_boundary_may_fall_anywhere_between_chunks(client, user, monkeypatch):
    import api.uploads

    content = b"\r\n--x\r\r\n--\r\n--xy" * 3 + b"\r"
    body = form((FILE_PART, content))
    for size in range(1, 40):
        monkeypatch.setattr(api.uploads, "CHUNK_SIZE", size)
        # "--xy" must not end the part, "--x" at a line's start would: use a boundary that the content only begins
        response = post(
            client, "a", body.replace(b"--x\r\nC", b"--xyz\r\nC").replace(b"--x--\r\n", b"--xyz--\r\n"), "xyz"
        )
        assert response.status_code in (200, 201), response.content
        assert content_of(user, "a") == content


BAD_FORMS = {
    "no file": (form((TEXT_PART, b"x")), "x"),
    "no part": (form(), "x"),
    "empty body": (b"", "x"),
    "text instead of a file": (form(('Content-Disposition: form-data; name="file"', b"a.pdf")), "x"),
    "two files": (form((FILE_PART, b"1"), (FILE_PART, b"2")), "x"),
    "cut off": (form((FILE_PART, b"hello"), end=b""), "x"),
    "cut off in the header": (b"--x\r\nContent-Dispo", "x"),
    "another boundary": (form((FILE_PART, b"1")), "y"),
    "no boundary": (form((FILE_PART, b"1")), ""),
    "boundary beyond ASCII": (form((FILE_PART, b"1")), "\u00e9"),
    "no disposition": (form(("Content-Type: text/plain", b"1")), "x"),
    "base64": (form((FILE_PART + "\r\nContent-Transfer-Encoding: BASE64", b"aGk=")), "x"),
    "endless header": (b"--x\r\nContent-Disposition: " + b"a" * 100_000, "x"),
    "endless parts": (form(*[(TEXT_PART, b"1")] * 200), "x"),
    "garbage": (b"\0\xff" * 5000, "x"),
}


@pytest.mark.parametrize("case", BAD_FORMS)
def test_a_bad_form_is_a_clear_400_and_keeps_the_old_file(client, user, root, case):
    put(client, "a", b"old")
    body, boundary = BAD_FORMS[case]
    response = post(client, "a", body, boundary)
    assert response.status_code == 400, response.content
    assert error(response) in ("no_file", "two_files", "malformed_form", "encoded_file")
    assert content_of(user, "a") == b"old"
    assert list((root / SCRATCH).iterdir()) == []


def test_a_raw_post_says_how_to_upload(client):
    response = client.generic("POST", url("a", "upload"), b"{}", "application/json")
    assert (response.status_code, error(response)) == (415, "unsupported_upload")
    assert "PUT" in response.json()["error"]["message"]


def test_a_part_of_a_file_does_not_replace_all_of_it(client, user):
    put(client, "a", b"0123456789")
    part = {"Content-Range": "bytes 5-9/10"}
    response = client.generic("PUT", url("a", "upload"), b"56789", "application/octet-stream", headers=part)
    assert (response.status_code, error(response)) == (400, "partial_upload")
    assert content_of(user, "a") == b"0123456789"


@pytest.mark.parametrize("debug", [False, True])
def test_an_address_without_its_final_slash_takes_every_method(client, user, settings, debug):
    settings.DEBUG = debug
    assert client.generic("PUT", "/api/v1/files/a/upload", b"x", "application/octet-stream").status_code == 201
    assert client.get("/api/v1/files/a").json()["path"] == "a"
    assert client.post("/api/v1/files/a/move", {"destination": "b"}).status_code == 200
    assert client.delete("/api/v1/files/b/delete").status_code == 204


def test_a_full_quota_is_a_413_that_names_the_numbers(client, user):
    Quota.objects.create(organization_id=user.organization_id, limit_bytes=20)
    put(client, "a")
    for refused in (put(client, "b"), post(client, "b", form((FILE_PART, b"hello world")))):
        assert (refused.status_code, error(refused)) == (413, "quota_exceeded")
        assert "11 of 20 bytes" in refused.json()["error"]["message"]
    # A form is a little longer than its file; the file alone counts.
    assert post(client, "b", form((FILE_PART, b"123456789"))).status_code == 201


def test_a_full_disk_is_a_507_that_reaches_the_log_without_the_files_name(client, user, caplog, monkeypatch):
    put(client, "tax.pdf", b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR, "api.storage_view"):
        patch.setattr(os, "fsync", full)
        response = put(client, "tax.pdf", b"new")
    assert (response.status_code, error(response)) == (507, "storage_full")
    [record] = [record for record in caplog.records if record.name == "api.storage_view"]
    assert record.exc_info[1].errno == errno.ENOSPC
    assert "tax" not in caplog.handler.format(record).split("Traceback")[0] + str(record.exc_info[1])
    assert content_of(user, "tax.pdf") == b"old"


def test_a_failing_disk_is_an_unhandled_500(client, user, root, monkeypatch):
    put(client, "a", b"old")

    def broken(*args, **kwargs):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "rename", broken)
    seen = []
    from django.core.signals import got_request_exception

    def listen(**kwargs):
        seen.append(1)

    got_request_exception.connect(listen)
    response = put(client, "a", b"new")
    assert (response.status_code, seen) == (500, [1])
    assert error(response) == "server_error"
    assert content_of(user, "a") == b"old"


def test_a_session_uploads_with_the_token_in_the_header_and_nothing_reads_the_body_before(user, root):
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(user)
    body = form((FILE_PART, b"hello world"))
    refused = post(browser, "a", body)
    assert refused.status_code == 403
    assert not StoredFile.objects.exists()
    browser.cookies["csrftoken"] = "a" * 32
    accepted = browser.generic(
        "POST", url("a", "upload"), body, "multipart/form-data; boundary=x", headers={"X-CSRFToken": "a" * 32}
    )
    assert accepted.status_code == 201, accepted.content


# Addresses

UNSAFE = [
    *("../a", "a/../../b", "..", "/etc/passwd", "a\\b", "a\0b", "CON", "\uff0e\uff0e/a", "a\u202eb", "a\u200bb"),
    *("a.", "x" * 256, "a/" * 600 + "b", ".stormcloud-tmp/x", "a//b", "C:/x"),
]


@pytest.mark.parametrize("path", UNSAFE)
def test_an_unsafe_path_is_a_clear_400_wherever_it_stands(client, user, root, path):
    put(client, "a.txt")
    answers = [
        client.get(url(path)),
        put(client, path),
        client.get(url(path, "download")),
        client.delete(url(path, "delete")),
        client.post(url(path, "move"), {"destination": "b"}),
        client.post(url("a.txt", "move"), {"destination": path}),
        client.post(url("a.txt", "copy"), {"destination": path}),
        client.get(f"/api/v1/dirs/{quote(path)}/"),
        client.post(f"/api/v1/dirs/{quote(path)}/create/"),
        client.delete(f"/api/v1/dirs/{quote(path)}/"),
        client.post("/api/v1/shares/", {"path": path}),
    ]
    assert {answer.status_code for answer in answers} == {400}
    assert all(error(answer) in ("invalid_path", "invalid", "null_characters_not_allowed") for answer in answers)
    assert [str(file.path) for file in StoredFile.objects.all()] == ["a.txt"]


@pytest.mark.parametrize("raw", ["%ff", "%ed%a0%80", "%2e%2e%2fa", "a%0ab", "a%0d", "%00", "%252e%252e", "?", "#"])
def test_no_spelling_in_the_address_breaks_the_server(client, raw):
    for method in ("get", "put"):
        for suffix in ("/", "/upload/", "/download/"):
            assert getattr(client, method)(f"/api/v1/files/{raw}{suffix}").status_code < 500


@pytest.mark.parametrize("destination", [None, 5, [], {}, "", "\ud800", "\0", {"a": 1}, True])
def test_a_destination_of_another_kind_is_a_400(client, destination):
    put(client, "a")
    response = client.generic("POST", url("a", "move"), json.dumps({"destination": destination}), "application/json")
    # A number is text to REST framework, and then a name.
    assert response.status_code == (200 if destination == 5 else 400), response.content


def test_names_beyond_ascii_are_one_whatever_their_spelling(client):
    assert put(client, "re\u0301sume\u0301 日本.txt").json()["path"] == "r\u00e9sum\u00e9 日本.txt"
    assert client.get(url("r\u00e9sum\u00e9 日本.txt")).status_code == 200


def test_a_file_can_have_the_name_of_an_action(client):
    for action in ("upload", "delete", "move", "copy"):
        assert put(client, f"docs/{action}").status_code == 201
        assert client.get(url(f"docs/{action}")).json()["path"] == f"docs/{action}"
        assert client.get(url(f"docs/{action}", "download")).status_code == 200


# Download


def streamed(response) -> bytes:
    return b"".join(response.streaming_content)


def test_a_download_is_an_attachment_that_no_browser_runs(client):
    put(client, "x.html", b"<script>", "text/html")
    response = client.get(url("x.html", "download"))
    assert streamed(response) == b"<script>"
    assert response["Content-Disposition"] == 'attachment; filename="x.html"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Type"] == "text/html"
    assert response["Content-Length"] == "8"


@pytest.mark.parametrize("name", ['a".txt', "a;b=c.txt", "naïve 日本.txt", "a'b%41.txt", "'; filename=evil.exe"])
def test_no_name_breaks_out_of_its_header(client, name):
    put(client, name)
    disposition = client.get(url(name, "download"))["Content-Disposition"]
    assert disposition.startswith("attachment; filename")
    assert disposition.isascii()
    assert "evil.exe" not in disposition.split('"')[2:]


@pytest.mark.parametrize("accept", ["image/png", "application/pdf", "text/html", "nonsense"])
def test_a_download_suits_every_accept_header(client, accept):
    put(client, "a")
    assert client.get(url("a", "download"), headers={"Accept": accept}).status_code == 200


@pytest.mark.parametrize(
    ("asked", "answered", "content"),
    [
        ("bytes=0-4", "bytes 0-4/11", b"hello"),
        ("bytes=6-", "bytes 6-10/11", b"world"),
        ("bytes=-5", "bytes 6-10/11", b"world"),
        ("bytes=-500", "bytes 0-10/11", b"hello world"),
        ("bytes=10-999999999999999999", "bytes 10-10/11", b"d"),
    ],
)
def test_a_range_is_answered_with_that_part(client, asked, answered, content):
    put(client, "a")
    response = client.get(url("a", "download"), headers={"Range": asked})
    assert (response.status_code, response["Content-Range"]) == (206, answered)
    assert streamed(response) == content
    assert response["Content-Length"] == str(len(content))


@pytest.mark.parametrize("asked", ["bytes=11-", "bytes=500-600", "bytes=-0"])
def test_a_range_outside_the_file_is_a_416_with_its_size(client, asked):
    put(client, "a")
    response = client.get(url("a", "download"), headers={"Range": asked})
    assert (response.status_code, response["Content-Range"]) == (416, "bytes */11")
    assert error(response) == "range_not_satisfiable"


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-1,3-4", "bytes=-", "bytes=5-2", "lines=1-2", "bytes=a-b", "bytes=٣-", "bytes=" + "9" * 5000 + "-"],
)
def test_a_range_that_is_not_understood_is_ignored(client, asked):
    put(client, "a")
    response = client.get(url("a", "download"), headers={"Range": asked.encode().decode("latin-1")})
    assert response.status_code == 200
    assert streamed(response) == b"hello world"


def test_a_download_resumes_only_the_same_content(client):
    put(client, "a")
    first = client.get(url("a", "download"))
    for condition in (first["ETag"], first["Last-Modified"]):
        resumed = client.get(url("a", "download"), headers={"Range": "bytes=6-", "If-Range": condition})
        assert resumed.status_code == 206
    for condition in ('"other"', f"W/{first['ETag']}", "Mon, 01 Jan 2001 00:00:00 GMT", "nonsense"):
        whole = client.get(url("a", "download"), headers={"Range": "bytes=6-", "If-Range": condition})
        assert (whole.status_code, streamed(whole)) == (200, b"hello world")


def test_an_unchanged_file_is_not_sent_again(client):
    put(client, "a")
    etag = client.get(url("a", "download"))["ETag"]
    assert etag == f'"{SHA}"'
    unchanged = client.get(url("a", "download"), headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content, unchanged["ETag"]) == (304, b"", etag)
    assert client.get(url("a", "download"), headers={"If-Match": etag}).status_code == 200
    put(client, "a", b"new")
    assert client.get(url("a", "download"), headers={"If-None-Match": etag}).status_code == 200
    changed = client.get(url("a", "download"), headers={"If-Match": etag})
    assert (changed.status_code, error(changed)) == (412, "precondition_failed")


def test_head_tells_all_but_the_content(client):
    put(client, "a")
    response = client.head(url("a", "download"))
    assert (response.status_code, response["Content-Length"], response["ETag"]) == (200, "11", f'"{SHA}"')
    assert response.content == b""


# The rest


def test_a_file_is_moved_copied_and_deleted(client, user):
    created = put(client, "a").json()
    moved = client.post(url("a", "move"), {"destination": "dir/b"})
    assert (moved.status_code, moved.json()["path"], moved.json()["id"]) == (200, "dir/b", created["id"])
    copied = client.post(url("dir/b", "copy"), {"destination": "c"})
    assert (copied.status_code, copied.json()["checksum"]) == (201, SHA)
    assert copied.json()["id"] != created["id"]
    assert client.post(url("c", "move"), {"destination": "dir/b"}).status_code == 409
    assert client.post(url("c", "move"), {"destination": "dir/b", "overwrite": True}).status_code == 200
    assert client.delete(url("dir/b", "delete")).status_code == 204
    assert client.post(url("dir/b", "delete")).status_code == 404
    assert not StoredFile.objects.exists()


def test_a_directory_is_no_file(client):
    put(client, "dir/a")
    for response in (client.get(url("dir")), client.get(url("dir", "download")), client.delete(url("dir", "delete"))):
        assert response.status_code == 404
    assert put(client, "dir").status_code == 409


def test_nobody_reaches_the_files_of_another_or_without_an_account(client, user):
    put(client, "a")
    stranger = APIClient()
    assert stranger.get(url("a")).status_code == 401
    assert put(stranger, "a", b"x").status_code == 401
    stranger.force_authenticate(User.objects.create_user("eve", "eve@example.org", "x", organization=user.organization))
    assert stranger.get(url("a")).status_code == 404
    assert stranger.get(url("a", "download")).status_code == 404


def test_only_staff_rebuilds_the_index(client, user, root):
    assert client.post("/api/v1/index/rebuild/").status_code == 403
    user.is_staff = True
    home = root / files.key_of(user)
    home.mkdir(parents=True)
    (home / "found").write_bytes(b"x")
    response = client.post("/api/v1/index/rebuild/")
    assert (response.status_code, response.json()["added"]) == (200, 1)
    (home / "found").unlink()
    refused = client.post("/api/v1/index/rebuild/")
    assert (refused.status_code, error(refused)) == (409, "empty_storage")
