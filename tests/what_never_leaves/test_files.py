"""Files and shares: what they are called, what is in them, their links and passwords."""

import pytest
from django.conf import settings

from core import files, storage
from tests.what_never_leaves.faults import (
    BrokenConnection,
    FromTheFolder,
    PlainStorage,
    files_end_at,
    full_disk,
    refused,
    unopenable,
    unreadable,
    unseekable,
)
from tests.what_never_leaves.planted import (
    CONTENT,
    FOLDER,
    MOVED_TO,
    PATH,
    SHARE_PASSWORD,
    UPLOADED_AS,
    WRONG_PASSWORD,
)

FORM = (
    b'--edge\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n'
    b"Content-Type: application/vnd.oasis.opendocument.spreadsheet\r\n\r\n%s\r\n--edge--\r\n"
)
MULTIPART = "multipart/form-data; boundary=edge"


def form(content: bytes = CONTENT.encode()) -> bytes:
    return FORM % (UPLOADED_AS.encode(), content)


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_disk_that_fails_does_not_tell_the_upload(server, key, user, method) -> None:
    limit = 2**20
    content = CONTENT.encode() * (2 * limit // len(CONTENT))
    body, kind = (content, "text/plain") if method == "PUT" else (form(content), MULTIPART)
    with files_end_at(limit):
        assert server.request(method, f"files/{PATH}/upload/", body, content_type=kind, key=key).status == 500
    event = server.event()
    assert event.error == "OSError: [Errno 27] File too large"
    assert {"_upload", "save", "stage"} <= event.functions
    assert event.route == "/api/v1/files/{path}/upload/"
    assert event.payload["request"]["url"].endswith("/api/v1/files/{path}/upload/")
    assert event.user == str(user.pk)
    assert event.payload["tags"]["tenant_id"] == str(user.organization_id)


@pytest.mark.parametrize("server", ["wsgi"], indirect=True)
@pytest.mark.parametrize("read", [len(form()) // 2, len(form()) - 10])
def test_a_form_that_cannot_be_read_to_its_end_does_not_tell_its_file(server, key, read) -> None:
    answer = server.request(
        "POST",
        f"files/{PATH}/upload/",
        content_type=MULTIPART,
        key=key,
        headers={"Content-Length": str(len(form()))},
        stream=BrokenConnection(form()[:read]),
    )
    assert answer.status == 500
    event = server.event()
    assert event.error == "RuntimeError: the worker lost its socket"
    assert {"read_upload", "_events", "_body"} & event.functions
    assert event.route == "/api/v1/files/{path}/upload/"


def test_a_database_that_fails_does_not_tell_the_upload(server, key) -> None:
    with refused("INSERT", "core_storedfile"):
        body = form()
        assert server.request("POST", f"files/{PATH}/upload/", body, content_type=MULTIPART, key=key).status == 500
    event = server.event()
    assert event.sql.startswith('INSERT INTO "core_storedfile"')
    assert {"_upload", "save", "_execute"} <= event.functions


def test_moving_a_file_that_fails_tells_neither_name(server, key, stored) -> None:
    with refused("UPDATE", "core_storedfile"):
        assert server.request("POST", f"files/{stored}/move/", {"destination": MOVED_TO}, key=key).status == 500
    event = server.event()
    assert event.sql.startswith('UPDATE "core_storedfile" SET "path" = ')
    assert {"post", "move", "_execute"} <= event.functions
    assert event.route == "/api/v1/files/{path}/move/"
    assert event.payload["request"]["data"].keys() == {"destination"}


@pytest.mark.parametrize("folder", [FOLDER, ""])
def test_a_listing_that_fails_does_not_tell_what_is_in_the_folder(server, key, user, stored, folder) -> None:
    files.save(user, f"{folder}/{UPLOADED_AS}".lstrip("/"), [])
    with refused("READ", "core_storedfile"):
        assert server.request("GET", f"dirs/{folder}/" if folder else "dirs/", key=key).status == 500
    event = server.event()
    assert {"describe_all", "_execute"} <= event.functions
    assert 'FROM "core_storedfile"' in event.sql
    assert event.user == str(user.pk)


def test_a_full_disk_does_not_tell_the_upload(server, key, monkeypatch) -> None:
    full_disk(monkeypatch)
    body = CONTENT.encode()
    assert server.request("PUT", f"files/{PATH}/upload/", body, content_type="text/plain", key=key).status == 507
    event = server.event()
    assert event.error == "OSError: [Errno 28] No space left on device"
    assert {"_upload", "save", "stage"} <= event.functions
    assert event.payload["logentry"]["message"] == "The storage is full"


@pytest.mark.parametrize("by_link", [False, True], ids=["by its owner", "by a link"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (unopenable, "OSError: [Errno 25] Inappropriate ioctl for device"),
        (unseekable, "OSError: [Errno 29] Illegal seek"),
        (PlainStorage, "FileNotFoundError: [Errno 2] No such file or directory"),
        (FromTheFolder, "FileNotFoundError: [Errno 2] No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_downloaded_is_not_named(server, key, share, monkeypatch, fault, error, by_link) -> None:
    """A link's request does not name the file; only the database and the disk know what it is called."""
    if isinstance(fault, type):
        monkeypatch.setitem(storage.BACKENDS, "local", lambda: fault(settings.STORMCLOUD_STORAGE_ROOT))
    else:
        monkeypatch.setattr("core.storage.local.FileIO", fault)
    if by_link:
        path, headers = f"public/{share.token}/download/", {"X-Share-Password": SHARE_PASSWORD}
    else:
        path, headers = f"files/{PATH}/download/", {"Authorization": f"Bearer {key}"}
    assert server.request("GET", path, headers=headers | {"Range": "bytes=1-"}).status == 500
    event = server.event()
    assert event.error.startswith(error)
    assert {"get", "download" if fault is unseekable else "open_file"} <= event.functions
    assert event.route == f"/api/v1/{'public/{token}' if by_link else 'files/{path}'}/download/"


def test_a_download_that_breaks_off_does_not_tell_the_file(server, share, monkeypatch) -> None:
    monkeypatch.setattr("core.storage.local.FileIO", unreadable)
    with pytest.raises(OSError, match="Input/output error"):
        server.request("GET", f"public/{share.token}/download/", headers={"X-Share-Password": SHARE_PASSWORD})
    event = server.event()
    assert event.error == "OSError: [Errno 5] Input/output error"
    assert "__next__" in event.functions


def test_a_list_of_shares_that_fails_tells_neither_links_nor_files(server, key, share, settings) -> None:
    settings.STORMCLOUD_PUBLIC_URL = None
    assert server.request("GET", "shares/", key=key).status == 500
    event = server.event()
    assert event.error == "AttributeError: 'NoneType' object has no attribute 'rstrip'"
    assert {"get", "to_representation", "get_url"} <= event.functions
    assert event.local("get_url", "share") == f"<Share: share {share.pk}>"


def test_a_rebuild_of_the_index_that_fails_does_not_tell_what_is_stored(server, key, user, stored) -> None:
    user.is_staff = True
    user.save()
    files.StoredFile.objects.all().delete()
    with refused("INSERT", "core_storedfile"):
        assert server.request("POST", "index/rebuild/", {}, key=key).status == 500
    event = server.event()
    assert {"post", "_execute"} <= event.functions
    assert event.sql.startswith('INSERT INTO "core_storedfile"')
    assert event.payload["user"] == {"id": str(user.pk), "username": "rosa", "is_staff": True}


def test_the_token_of_a_share_is_not_in_the_error_of_its_own_lookup(server, share) -> None:
    with refused("READ", "core_share"):
        assert server.request("GET", f"public/{share.token}/").status == 500
    event = server.event()
    assert {"find_open", "_execute"} <= event.functions
    assert 'FROM "core_share"' in event.sql
    assert event.payload["request"]["url"].endswith("/api/v1/public/{token}/")


@pytest.mark.parametrize("password", [SHARE_PASSWORD, WRONG_PASSWORD])
def test_a_shares_password_right_or_wrong_is_not_in_the_error_of_checking_it(server, share, settings, password) -> None:
    settings.PASSWORD_HASHERS = ["hashers.that.are.not.Installed"]
    answer = server.request("GET", f"public/{share.token}/download/", headers={"X-Share-Password": password})
    assert answer.status == 500
    event = server.event()
    assert {"_share", "check_password", "get_hashers"} <= event.functions
    assert event.local("_share", "share") == f"<Share: share {share.pk}>"


def test_a_download_that_fails_after_the_password_was_right_tells_nothing(server, share) -> None:
    with refused("UPDATE", "core_share"):
        answer = server.request("GET", f"public/{share.token}/download/", headers={"X-Share-Password": SHARE_PASSWORD})
    assert answer.status == 500
    event = server.event()
    assert {"count_download", "_execute"} <= event.functions
    assert event.sql.startswith('UPDATE "core_share" SET "download_count"')


def test_a_new_share_that_cannot_be_stored_tells_neither_file_nor_password(server, key, stored) -> None:
    body = {"path": stored, "password": SHARE_PASSWORD}
    with refused("INSERT", "core_share"):
        assert server.request("POST", "shares/", body, key=key).status == 500
    event = server.event()
    assert event.sql.startswith('INSERT INTO "core_share"')
    assert event.local("post", "serializer").startswith("ShareSerializer(")
