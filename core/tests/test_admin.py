import pytest
from django.test import Client

from accounts.models import User
from core import files, shares
from core.audit.run import audit
from core.models import Quota, Share, StorageViolation, StoredFile


@pytest.fixture
def staff(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", "root@example.org", "x"))
    return client


def test_staff_sees_files_shares_and_quotas_without_names_and_links(staff, user, home):
    file, _ = files.save(user, "secret plan.txt", [b"x"])
    share = shares.create(user, file.path, password="swordfish")
    for model, key in (("storedfile", file.pk), ("share", share.pk), ("quota", user.organization_id)):
        for page in ("", f"{key}/change/"):
            response = staff.get(f"/admin/core/{model}/{page}")
            assert response.status_code == 200
            for secret in ("secret plan", share.token, share.password_hash):
                assert secret not in response.content.decode()


def test_deleting_in_the_admin_deletes_the_file_itself(staff, user, home):
    file, _ = files.save(user, "a", [b"abc"])
    other, _ = files.save(user, "b", [b"abc"])
    staff.post(f"/admin/core/storedfile/{file.pk}/delete/", {"post": "yes"})
    selected = {"action": "delete_selected", "_selected_action": [str(other.pk)], "post": "yes"}
    staff.post("/admin/core/storedfile/", selected)
    assert list(home.iterdir()) == []
    assert not StoredFile.objects.exists()
    assert Quota.objects.get(organization_id=user.organization_id).used_bytes == 0


def test_staff_sets_a_limit_but_not_what_is_used(staff, user, home):
    files.save(user, "a", [b"abc"])
    page = f"/admin/core/quota/{user.organization_id}/change/"
    staff.post(page, {"limit_bytes": "5", "used_bytes": "0"})
    quota = Quota.objects.get(organization_id=user.organization_id)
    assert (quota.limit_bytes, quota.used_bytes) == (5, 3)


def test_a_share_is_revoked_in_the_admin(staff, user, home):
    files.save(user, "a", [b"abc"])
    share = shares.create(user, "a")
    staff.post(f"/admin/core/share/{share.pk}/delete/", {"post": "yes"})
    assert not Share.objects.exists()


@pytest.fixture
def violation(user, root) -> StorageViolation:
    files.save(user, "secret plan.txt", [b"x"])
    (root / files.key_of(user, "secret plan.txt")).write_bytes(b"tampered with")
    audit()
    return StorageViolation.objects.get()


def test_staff_sees_what_audits_found_without_names_and_cannot_make_it_undone(staff, violation):
    for model, key in (("storageviolation", violation.pk), ("auditrun", violation.first_run_id)):
        for page in ("", f"{key}/change/"):
            response = staff.get(f"/admin/core/{model}/{page}")
            assert response.status_code == 200
            assert "secret plan" not in response.content.decode()
        assert staff.post(f"/admin/core/{model}/{key}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("kind=size", True),
        ("kind=missing", False),
        ("resolved_at__isempty=1", True),
        ("resolved_at__isempty=0", False),
        ("acknowledged_at__isempty=0", False),
        ("q={subject}", True),
        ("q=nothing", False),
    ],
)
def test_violations_are_filtered_in_the_admin(staff, violation, query, shown):
    page = staff.get(f"/admin/core/storageviolation/?{query.format(subject=violation.subject)}")
    assert (f"{violation.pk}/change/" in page.content.decode()) is shown


def test_selected_violations_are_acknowledged_and_exported(staff, violation):
    chosen = {"_selected_action": [str(violation.pk)]}
    staff.post("/admin/core/storageviolation/", {"action": "acknowledge", **chosen})
    violation.refresh_from_db()
    assert violation.acknowledged_by.username == "root"
    answer = staff.post("/admin/core/storageviolation/", {"action": "export", **chosen})
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert lines[0].startswith("id,kind,attribute,file_id,")
    assert lines[1].startswith(f"{violation.pk},size,size,{violation.subject},")
    assert len(lines) == 2
