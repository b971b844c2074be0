import csv
import io
import uuid

import pytest
from rest_framework.test import APIClient

from accounts import api_keys
from accounts.models import User
from core import files
from core.audit.run import audit
from core.files import key_of
from core.models import StorageViolation

URL = "/api/v1/admin/violations/"


@pytest.fixture
def staff(db) -> User:
    return User.objects.create_user("moderator", "moderator@example.org", is_staff=True)


@pytest.fixture
def by_staff(staff) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {api_keys.create(staff, 'tests')[1]}")
    return client


@pytest.fixture
def found(ada, settings, tmp_path) -> dict[str, StorageViolation]:
    """By kind: one file overwritten, one missing, one unknown, one repaired."""
    settings.STORMCLOUD_STORAGE_ROOT = str(tmp_path / "media")
    home = tmp_path / "media" / key_of(ada)
    for name in ("overwritten.txt", "missing.txt", "repaired.txt"):
        files.save(ada, name, [b"0123456789"])
    (home / "overwritten.txt").write_bytes(b"12345")
    (home / "repaired.txt").chmod(0o644)
    (home / "missing.txt").unlink()
    audit()
    (home / "repaired.txt").chmod(0o600)
    (home / "=cmd|calc.txt").write_bytes(b"1")
    (home / "=cmd|calc.txt").chmod(0o600)
    audit()
    return {violation.kind: violation for violation in StorageViolation.objects.all()}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "audits/"),
        ("get", "violations/"),
        ("get", "violations/export/"),
        ("post", f"violations/{uuid.UUID(int=7)}/acknowledge/"),
    ],
)
def test_everything_here_is_for_staff_only(by_key, anonymous, method, path):
    assert getattr(by_key, method)(f"/api/v1/admin/{path}").status_code == 403
    assert getattr(anonymous, method)(f"/api/v1/admin/{path}").status_code == 401


def test_a_violation_tells_what_is_wrong_and_since_when_but_no_name(by_staff, found, ada):
    answer = by_staff.get(f"{URL}?kind=size")
    (violation,) = answer.json()["results"]
    expected = {"kind": "size", "attribute": "size", "recorded": "10", "actual": "5", "difference": "5 bytes less"}
    assert violation.items() >= expected.items()
    assert violation["file_id"] == str(ada.stored_files.get(path="overwritten.txt").pk)
    assert violation["first_seen_at"] < violation["last_seen_at"]
    assert violation["last_right_at"] < violation["first_seen_at"]
    everything = by_staff.get(URL).content + b"".join(by_staff.get(f"{URL}export/").streaming_content)
    for name in (b"overwritten", b"missing.txt", b"calc"):
        assert name not in everything


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("", {"size", "missing", "permissions", "unknown"}),
        ("state=open", {"size", "missing", "unknown"}),
        ("state=resolved", {"permissions"}),
        ("kind=missing&state=open", {"missing"}),
        ("acknowledged=true", {"size"}),
        ("acknowledged=false&state=open", {"missing", "unknown"}),
        ("user={ada}", {"size", "missing", "permissions", "unknown"}),
        ("user=9999", set()),
        ("organization={organization}&state=resolved", {"permissions"}),
        ("file={file}", {"size"}),
    ],
)
def test_list_and_export_are_filtered_alike(by_staff, found, ada, query, kinds):
    by_staff.post(f"{URL}{found['size'].pk}/acknowledge/")
    file = found["size"].subject
    query = query.format(ada=ada.pk, organization=ada.organization_id, file=file)
    listed = by_staff.get(f"{URL}?{query}").json()["results"]
    export = by_staff.get(f"{URL}export/?{query}")
    exported = list(csv.DictReader(io.StringIO(b"".join(export.streaming_content).decode())))
    assert {violation["kind"] for violation in listed} == kinds
    assert {row["id"] for row in exported} == {violation["id"] for violation in listed}


@pytest.mark.parametrize("query", ["kind=wet", "state=x", "acknowledged=maybe", "user=x", "file=7", "organization=0"])
def test_a_filter_that_makes_no_sense_says_so(by_staff, query):
    for url in (URL, f"{URL}export/"):
        answer = by_staff.get(f"{url}?{query}")
        assert answer.status_code == 400
        assert list(answer.json()["error"]["details"]) == [query.partition("=")[0]]


def test_no_cell_of_the_export_is_a_formula_for_a_spreadsheet(by_staff, found):
    rows = list(csv.reader(io.StringIO(b"".join(by_staff.get(f"{URL}export/").streaming_content).decode())))
    assert len(rows) == 5
    assert [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")] == []


def test_whoever_acknowledges_first_stays_noted(by_staff, staff, found):
    url = f"{URL}{found['size'].pk}/acknowledge/"
    first = by_staff.post(url).json()
    assert first["acknowledged_by_id"] == staff.pk
    other = User.objects.create_user("other", "other@example.org", is_staff=True)
    client = APIClient()
    client.force_authenticate(other)
    assert client.post(url).json()["acknowledged_by_id"] == staff.pk
    assert first["resolved_at"] is None
    assert by_staff.post(f"{URL}{uuid.uuid4()}/acknowledge/").status_code == 404


def test_runs_are_listed_with_what_they_cost(by_staff, found):
    newest, oldest = by_staff.get("/api/v1/admin/audits/").json()["results"]
    assert newest["id"] > oldest["id"]
    assert (newest["state"], newest["figures"]["resolved"], newest["figures"]["files"]) == ("finished", 1, 3)


def test_listing_costs_the_same_queries_for_one_violation_and_for_many(by_staff, found, django_assert_max_num_queries):
    by_staff.get(URL)
    with django_assert_max_num_queries(3):
        by_staff.get(URL)
