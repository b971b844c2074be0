import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from accounts import api_keys
from accounts.models import Organization, User


@pytest.mark.django_db
def test_createsuperuser_works_although_every_user_needs_an_organization():
    call_command("createsuperuser", "--noinput", username="root", email="root@example.org", verbosity=0)
    user = User.objects.get(username="root")
    assert user.is_superuser
    assert user.organization.name == "root"
    assert user.email_verified_at, "an operator's own account can sign in at once"


@pytest.mark.django_db
def test_a_given_organization_is_kept():
    organization = Organization.objects.create(name="Analytical Engines")
    by_object = User.objects.create_user("ada", "ada@example.org", organization=organization)
    by_id = User.objects.create_user("charles", "charles@example.org", organization_id=organization.pk)
    assert by_object.organization_id == by_id.organization_id == organization.pk
    assert Organization.objects.count() == 1


@pytest.mark.django_db
def test_a_refused_user_leaves_no_organization_behind(user):
    with pytest.raises(IntegrityError):
        User.objects.create_user("ada", "other@example.org")
    with pytest.raises(ValueError, match="username"):
        User.objects.create_user("", "other@example.org")
    assert Organization.objects.count() == 1


@pytest.mark.django_db
def test_two_names_that_differ_in_case_cannot_be_two_people(user):
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("ADA", "other@example.org")
    assert User.objects.get_by_natural_key("Ada") == user


@pytest.mark.django_db
def test_an_address_belongs_to_one_verified_account_and_can_be_claimed_by_many(user):
    for number in range(2):
        User.objects.create_user(f"claims{number}", "ADA@example.org", email_verified_at=None)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("second", "Ada@Example.org")


@pytest.mark.django_db
def test_accounts_without_an_address_do_not_exclude_each_other():
    User.objects.create_user("robot1")
    User.objects.create_user("robot2")


def test_what_is_logged_of_an_object_names_nobody_and_holds_no_secret(user):
    key, secret = api_keys.create(user, "nightly backup of ada")
    for thing in (user, user.organization, key):
        for text in (repr(thing), str(thing)):
            assert str(thing.pk) in text
            for private in ("ada", secret, key.prefix, key.key_hash):
                assert private not in text
