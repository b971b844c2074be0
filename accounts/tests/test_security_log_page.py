"""The end of security.log: quick whatever its size, and only for staff who may see users."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission

from accounts import security_log
from accounts.models import User
from accounts.security_log import Line, tail

LOGIN = (
    '2026-11-22 07:16:09,123 INFO LOGIN user_id={id} username="ada{id}" email="Ada{id}@example.org" ip=192.0.2.{id}\n'
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "security.log"
    path.write_text("".join(LOGIN.format(id=id) for id in range(1, 200)))
    return path


def ids(path: Path, **chosen: object) -> list[str]:
    return [line.fields["user_id"] for line in tail(path, **chosen).lines]


@pytest.fixture
def staff(db, client) -> User:
    member = User.objects.create_user("linus", "linus@example.org", "x", is_staff=True)
    client.force_login(member)
    return member


def test_a_line_is_what_was_written(log):
    expected = {"user_id": "199", "username": "ada199", "email": "Ada199@example.org", "ip": "192.0.2.199"}
    assert tail(log, limit=1).lines == [Line("2026-11-22 07:16:09", "LOGIN", expected)]


@pytest.mark.parametrize("block", [101, 150, 4096])
def test_page_by_page_every_line_is_shown_once_the_latest_first(log, monkeypatch, block):
    monkeypatch.setattr(security_log, "BLOCK", block)
    seen, before = [], None
    while before != 0:
        found = tail(log, before=before, limit=7)
        seen += [line.fields["user_id"] for line in found.lines]
        before = found.before
    assert seen == [str(id) for id in reversed(range(1, 200))]


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"user": "7"}, ["7"]),
        ({"user": "ADA7"}, ["7"]),
        ({"user": "ada7@example.org"}, ["7"]),
        ({"user": "ada"}, []),
        ({"address": "192.0.2.19", "limit": 3}, ["199", "198", "197"]),
        ({"event": "login", "user": "7", "address": "192.0.2.7"}, ["7"]),
        ({"event": "LOGIN_FAILED"}, []),
        ({"event": "LOG"}, []),
    ],
)
def test_lines_are_filtered_by_event_user_and_address(log, chosen, found):
    assert ids(log, **chosen) == found


def test_what_somebody_typed_can_not_pass_for_a_field(log):
    with log.open("a") as file:
        file.write(
            '2026-11-22 08:00:00,000 INFO LOGIN_FAILED user_id=- username="x user_id=7 ip=10.0.0.1" ip=192.0.2.1\n'
        )
    assert ids(log, user="7") == ["7"]
    assert ids(log, address="10.") == []


def test_one_call_reads_no_more_than_its_share_of_a_large_file(log, monkeypatch):
    monkeypatch.setattr(security_log, "BLOCK", 1024)
    monkeypatch.setattr(security_log, "MAX_BYTES", 4096)
    read = []
    monkeypatch.setattr(
        security_log.os, "pread", lambda *asked, real=security_log.os.pread: read.append(asked[1]) or real(*asked)
    )
    size = log.stat().st_size
    found = tail(log, user="1")
    assert found.lines == []
    assert sum(read) <= 4096 + 2 * 1024
    assert 0 < found.before < size - 4096 + 1024
    before: int = found.before
    while not (found := tail(log, user="1", before=before)).lines:
        assert found.before < before
        before = found.before
    assert found.lines[0].fields["user_id"] == "1"


def test_a_log_that_was_rotated_meanwhile_or_is_missing_is_no_error(log, tmp_path):
    assert ids(log, before=10**9, limit=1) == ["199"]
    assert tail(tmp_path / "none.log").lines == []


def test_lines_that_are_none_are_left_out(log):
    with log.open("ab") as file:
        file.write(b"\n\xff\xfe nonsense\n" + b"x" * 200_000 + b"\n")
    assert ids(log, limit=1) == ["199"]


def test_staff_sees_the_log_only_with_the_permission_to_see_users(staff, client, settings, log):
    settings.SECURITY_LOG = log
    assert client.get("/admin/security-log/").status_code == 403
    assert "Security log" not in client.get("/admin/").content.decode()
    staff.user_permissions.add(Permission.objects.get(codename="view_user"))
    page = client.get("/admin/security-log/?user=ada7").content.decode()
    assert "Ada7@example.org" in page
    assert "Ada8@example.org" not in page
    assert "Security log" in client.get("/admin/").content.decode()


def test_the_events_of_audits_are_offered_and_an_absurd_place_in_the_log_is_the_end(staff, client, settings, log):
    settings.SECURITY_LOG = log
    staff.user_permissions.add(Permission.objects.get(codename="view_user"))
    page = client.get(f"/admin/security-log/?before={'9' * 5000}").content.decode()
    assert "Ada199@example.org" in page
    assert '<option value="STORAGE_VIOLATION">' in page


def test_what_stands_in_the_log_is_text_and_no_markup(staff, client, settings, log):
    staff.user_permissions.add(Permission.objects.get(codename="view_user"))
    with log.open("a") as file:
        file.write('2026-11-22 08:00:00,000 INFO LOGIN_FAILED user_id=- username="<script>" email=- ip=192.0.2.1\n')
    settings.SECURITY_LOG = log
    page = client.get("/admin/security-log/").content.decode()
    assert "<script>" not in page.partition('class="results"')[2].partition("</table>")[0]
    assert "&lt;script&gt;" in page


def test_a_log_that_can_not_be_read_says_what_to_do(staff, client, settings, tmp_path):
    staff.user_permissions.add(Permission.objects.get(codename="view_user"))
    settings.SECURITY_LOG = tmp_path  # a directory
    assert "Let the server&#x27;s user own it" in client.get("/admin/security-log/").content.decode()


def test_view_site_leads_to_a_page_that_is_there(staff, client):
    (site,) = re.findall(r'<a href="([^"]+)">View site', client.get("/admin/").content.decode())
    assert client.get(site, headers={"accept": "text/html"}, follow=True).status_code == 200


def test_who_is_no_staff_sees_neither_page(client, user):
    client.force_login(user)
    for address in ("monitoring", "security-log"):
        assert client.get(f"/admin/{address}/").status_code == 302
