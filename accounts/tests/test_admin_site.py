import re

import pytest
from django.urls import reverse

from accounts import api_keys
from accounts.models import ApiKey, Organization, User


@pytest.fixture
def staff(user, client) -> User:
    boss = User.objects.create_superuser("boss", "boss@example.org", "x")
    client.force_login(boss)
    return boss


def change(client, user: User, **fields) -> None:
    url = reverse("admin:accounts_user_change", args=[user.pk])
    form = client.get(url).context["adminform"].form
    values = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    values |= {"email_verified_at_0": "2026-01-01", "email_verified_at_1": "00:00:00"} | fields
    answer = client.post(url, {name: value for name, value in values.items() if value})
    assert answer.status_code == 302, answer.context["errors"]


def test_all_pages_open_and_show_no_secret(staff, user, client):
    key, secret = api_keys.create(user, "backup")
    for model, thing in (("user", user), ("organization", user.organization), ("apikey", key)):
        for url in (
            reverse(f"admin:accounts_{model}_changelist") + "?q=a",
            reverse(f"admin:accounts_{model}_change", args=[thing.pk]),
        ):
            answer = client.get(url)
            assert answer.status_code == 200
            for private in (secret, key.key_hash, user.password):
                assert private not in answer.content.decode()


def test_a_user_made_here_can_sign_in_and_has_the_chosen_organization(staff, client):
    organization = Organization.objects.create(name="Analytical Engines")
    password = "correct horse battery staple"
    fields = {"username": "new", "email": "n@example.org", "organization": organization.pk, "usable_password": "true"}
    answer = client.post(reverse("admin:accounts_user_add"), fields | {"password1": password, "password2": password})
    assert answer.status_code == 302, answer.context["errors"]
    made = User.objects.get(username="new")
    assert made.organization == organization
    assert made.email_verified_at


def test_changes_are_in_the_security_log(staff, user, client, security_log):
    change(client, user, is_active="")
    change(client, user, is_active="on", is_staff="on")
    user.refresh_from_db()
    assert user.is_staff
    assert [line.split()[0] for line in security_log.lines] == [
        "USER_DEACTIVATED",
        "USER_ACTIVATED",
        "USER_STAFF_CHANGED",
    ]
    assert all(line.endswith(f"by={staff.pk}") for line in security_log.lines)


def test_an_address_that_another_account_has_is_a_message_and_no_crash(staff, user, client):
    url = reverse("admin:accounts_user_change", args=[user.pk])
    fields = {"username": "ada", "email": "BOSS@example.org", "date_joined_0": "2026-01-01", "date_joined_1": "00:00"}
    fields |= {"email_verified_at_0": "2026-01-01", "email_verified_at_1": "00:00:00"}
    answer = client.post(url, fields)
    assert answer.status_code == 200
    assert "Another account already has this address" in answer.content.decode()


def test_the_organization_of_a_user_with_files_stays(staff, user, client):
    other = Organization.objects.create(name="other")
    change(client, user, organization=other.pk)
    user.refresh_from_db()
    assert user.organization != other


def test_deleting_takes_the_empty_organization_along_and_is_logged(staff, user, client, security_log):
    client.post(reverse("admin:accounts_user_delete", args=[user.pk]), {"post": "yes"})
    assert not User.objects.filter(pk=user.pk).exists()
    assert not Organization.objects.filter(pk=user.organization_id).exists()
    assert re.match(rf"USER_DELETED user_id={user.pk} .*by={staff.pk}$", security_log.lines[-1])


def test_selected_keys_are_revoked_and_never_deleted(staff, user, client, security_log):
    for _ in range(2):
        api_keys.create(user, "backup")
    url = reverse("admin:accounts_apikey_changelist")
    chosen = [str(key.pk) for key in ApiKey.objects.all()]
    client.post(url, {"action": "revoke", "_selected_action": chosen})
    assert not ApiKey.objects.filter(revoked_at=None).exists()
    assert [line.split()[0] for line in security_log.lines][-2:] == ["API_KEY_REVOKED"] * 2
    client.post(url, {"action": "delete_selected", "_selected_action": chosen, "post": "yes"})
    assert ApiKey.objects.count() == 2
