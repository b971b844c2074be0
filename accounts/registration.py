"""Registering: a new account, the mail with its link, and what becomes of accounts that nobody confirms."""

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts import mail, signals
from accounts.models import EmailVerification, Organization, User
from accounts.sessions import SessionStore
from accounts.tokens import fingerprint, new_secret

VERIFY_WITHIN = timedelta(hours=24)


def register(
    *, username: str, email: str, password: str, organization: str = "", request: HttpRequest | None = None
) -> User:
    """An account in an organization of its own, waiting for its address to be confirmed.

    Raises ValidationError if the user name is taken, and MailNotSent, in which case the account waits all the
    same. An address that has an account already gets a mail that says so; everything else is the same.
    """
    try:
        with transaction.atomic():
            forget_unconfirmed(User.objects.filter(username__iexact=username))
            user = User.objects.create_user(
                username,
                email,
                password,
                email_verified_at=None,
                organization=Organization.objects.create(name=organization or username),
            )
            token = _new_token(user)
            owner = _owner(email)
    except IntegrityError as error:
        raise ValidationError({"username": "This user name is taken. Choose another one."}, "taken") from error
    signals.user_registered.send(User, user=user, request=request)
    if owner:
        mail.send_already_registered(email, owner.get_username())
    else:
        mail.send_verification(email, {username: token})
    return user


def resend(email: str) -> None:
    """One more mail, with new links for the newest accounts waiting for this address. Raises MailNotSent."""
    waiting = User.objects.filter(email__iexact=email, email_verified_at=None, email_verifications__isnull=False)
    with transaction.atomic():
        newest = waiting.distinct().order_by("-pk")[:5]
        tokens = {user.get_username(): _new_token(user) for user in newest}
        owner = _owner(email)
    if owner:
        mail.send_already_registered(email, owner.get_username())
    elif tokens:
        mail.send_verification(email, tokens)
    else:
        mail.send_unknown(email)


def verify(token: str, request: HttpRequest | None = None) -> User:
    """The account whose address is now confirmed. Raises ValidationError for a token that does not do."""
    try:
        with transaction.atomic():
            verification = (
                EmailVerification.objects.select_for_update()
                .filter(token_hash=fingerprint(token), expires_at__gt=timezone.now())
                .first()
            )
            if verification is None:
                raise ValidationError(
                    "This link is wrong, expired or already used. Try to sign in; if that fails, ask for a "
                    "new link with POST /api/v1/auth/resend-verification/.",
                    "invalid_token",
                )
            user = verification.user
            user.email_verified_at = timezone.now()
            user.save(update_fields=["email_verified_at"])
            user.email_verifications.all().delete()
    except IntegrityError as error:
        raise ValidationError(
            "Another account with this address was confirmed before. Sign in with that one.", "address_taken"
        ) from error
    signals.email_verified.send(User, user=user, request=request)
    return user


def forget_unconfirmed(users: QuerySet[User]) -> int:
    """Delete those of `users` whose address was not confirmed in time; their names are free again.

    Returns how many. Accounts that staff made have no link that could expire, and stay.
    """
    in_time = EmailVerification.objects.filter(expires_at__gt=timezone.now()).values("user")
    late = users.filter(email_verified_at=None, last_login=None, email_verifications__isnull=False).exclude(
        pk__in=in_time
    )
    return remove(User.objects.filter(pk__in=late.values("pk")))


def forget_expired_tokens() -> int:
    """Delete links that have expired. Returns how many."""
    return EmailVerification.objects.filter(expires_at__lte=timezone.now()).delete()[0]


def forget_expired() -> dict[str, int]:
    """Delete accounts not confirmed in time, links and sessions that expired. Returns how many of the first two."""
    SessionStore.clear_expired()
    # Accounts first: without its expired link an account would look as if staff had made it.
    return {"accounts": forget_unconfirmed(User.objects.all()), "tokens": forget_expired_tokens()}


@transaction.atomic
def remove(users: QuerySet[User]) -> int:
    """Delete accounts, and the organizations that are left without any. Returns how many accounts."""
    organizations = set(users.values_list("organization_id", flat=True))
    deleted = users.delete()[1].get("accounts.User", 0)
    Organization.objects.filter(pk__in=organizations, users=None).delete()
    return deleted


def _new_token(user: User) -> str:
    token = new_secret(32)
    EmailVerification.objects.create(
        user=user, token_hash=fingerprint(token), expires_at=timezone.now() + VERIFY_WITHIN
    )
    return token


def _owner(email: str) -> User | None:
    return User.objects.filter(email__iexact=email, email_verified_at__isnull=False).first()
