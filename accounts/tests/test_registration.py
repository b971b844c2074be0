import re
from datetime import timedelta

import pytest
from django.core import mail, serializers
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import registration
from accounts.mail import MailNotSent
from accounts.models import EmailVerification, Organization, User

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"


def register(username="ada", email="ada@example.org", **more) -> User:
    return registration.register(username=username, email=email, password=PASSWORD, **more)


def mailed_tokens() -> list[str]:
    return re.findall(r"\?token=([\w-]+)$", mail.outbox[-1].body, re.MULTILINE)


def expire_links() -> None:
    EmailVerification.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def test_the_mailed_link_confirms_the_address_once(settings):
    settings.STORMCLOUD_PUBLIC_URL = "https://files.example.org/"
    user = register()
    assert mail.outbox[0].to == ["ada@example.org"]
    assert "https://files.example.org/api/v1/auth/verify-email/?token=" in mail.outbox[0].body
    (token,) = mailed_tokens()
    assert token not in serializers.serialize("json", EmailVerification.objects.all()), "hashed at rest"
    assert not User.objects.get().email_verified_at
    assert registration.verify(token) == user
    assert User.objects.get().email_verified_at
    with pytest.raises(ValidationError, match="already used"):
        registration.verify(token)


def test_an_expired_link_confirms_nothing():
    register()
    expire_links()
    with pytest.raises(ValidationError, match="expired"):
        registration.verify(mailed_tokens()[0])
    assert not User.objects.get().email_verified_at


def test_everybody_gets_an_organization_of_their_own_named_as_they_like():
    ada = register()
    charles = register("charles", "charles@example.org", organization="Analytical Engines")
    assert ada.organization.name == "ada"
    assert charles.organization.name == "Analytical Engines"
    assert ada.organization_id != charles.organization_id


def test_a_known_address_costs_the_same_work_and_only_its_owner_learns_of_it(user):
    with CaptureQueriesContext(connection) as unknown:
        register("charles", "charles@example.org")
    with CaptureQueriesContext(connection) as known:
        register("eve", "ADA@example.org")
    shapes = [[re.sub(r"'[^']*'|\d+", "?", query["sql"]) for query in run] for run in (unknown, known)]
    assert [len(shape) for shape in shapes] == [len(shapes[0])] * 2
    assert [shape.split(" ", 1)[0] for shape in shapes[0]] == [shape.split(" ", 1)[0] for shape in shapes[1]]
    assert len(mail.outbox) == 2
    assert "already" in mail.outbox[1].body
    assert "token" not in mail.outbox[1].body, "nobody can take over a known address"
    assert User.objects.filter(username="eve", email_verified_at=None).exists(), "as for an unknown address"


def test_a_taken_user_name_is_refused_in_any_case_of_its_letters_and_nothing_stays_behind(user):
    before = Organization.objects.count()
    with pytest.raises(ValidationError) as refused:
        register("ADA", "other@example.org")
    assert "taken" in refused.value.message_dict["username"][0]
    assert Organization.objects.count() == before
    assert mail.outbox == []


def test_the_name_of_an_account_that_nobody_confirmed_is_free_again():
    first = register()
    expire_links()
    second = register(email="ada.lovelace@example.org")
    assert list(User.objects.all()) == [second]
    assert not Organization.objects.filter(pk=first.organization_id).exists()


def test_of_two_accounts_that_claim_an_address_one_can_be_confirmed():
    register("ada")
    first = mailed_tokens()[0]
    register("eve")
    second = mailed_tokens()[0]
    registration.verify(second)
    with pytest.raises(ValidationError, match="Another account"):
        registration.verify(first)
    assert not User.objects.get(username="ada").email_verified_at


def test_resending_gives_each_waiting_account_a_new_link():
    register("ada")
    register("ada2")
    registration.resend("ADA@example.org")
    assert len(mailed_tokens()) == 2
    registration.verify(mailed_tokens()[0])


@pytest.mark.parametrize(
    ("address", "says"), [("ada@example.org", "already belongs"), ("nobody@example.org", "no account")]
)
def test_resending_sends_one_mail_whatever_the_address_is(user, address, says):
    registration.resend(address)
    assert [message.to for message in mail.outbox] == [[address]]
    assert says in mail.outbox[0].body
    assert "token" not in mail.outbox[0].body


def test_when_the_mail_server_is_down_the_account_waits_for_another_mail(settings, caplog):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    with pytest.raises(MailNotSent):
        register()
    assert "EMAIL_HOST" in caplog.text, "the operator learns what to check"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    registration.resend("ada@example.org")
    registration.verify(mailed_tokens()[0])


def test_forgetting_touches_only_registrations_that_expired(user):
    late = register("late", "late@example.org")
    expire_links()
    waiting = register("waiting", "waiting@example.org")
    made_by_staff = User.objects.create_user("staff-made", "made@example.org", email_verified_at=None)
    assert registration.forget_unconfirmed(User.objects.all()) == 1
    assert set(User.objects.all()) == {user, waiting, made_by_staff}
    assert not Organization.objects.filter(pk=late.organization_id).exists()


def test_a_new_link_keeps_a_late_registration_alive():
    register()
    expire_links()
    registration.resend("ada@example.org")
    assert registration.forget_unconfirmed(User.objects.all()) == 0
    registration.verify(mailed_tokens()[0])


def test_an_organization_stays_while_somebody_is_in_it(user):
    colleague = User.objects.create_user("charles", "c@example.org", organization=user.organization)
    registration.remove(User.objects.filter(pk=user.pk))
    assert Organization.objects.filter(pk=colleague.organization_id).exists()
