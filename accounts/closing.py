"""Closing accounts, opening them again, deleting them, and who is staff."""

from django.http import HttpRequest

from accounts import registration, signals
from accounts.models import User
from accounts.sessions import forget_sessions_of


def set_active(user: User, active: bool, *, by: User | None, request: HttpRequest | None = None) -> None:
    """An inactive account cannot sign in; its sessions and API keys stop working until it is active again."""
    user.is_active = active
    user.save(update_fields=["is_active"])
    announce(user, ["is_active"], by=by, request=request)


def set_staff(user: User, staff: bool, *, by: User | None, request: HttpRequest | None = None) -> None:
    """Staff may use the `admin/` endpoints and Django's admin site."""
    user.is_staff = staff
    user.save(update_fields=["is_staff"])
    announce(user, ["is_staff"], by=by, request=request)


def announce(user: User, changed: list[str], *, by: User | None, request: HttpRequest | None = None) -> None:
    """Send the signals for what was `changed` (names of fields) on a saved user."""
    if "is_active" in changed:
        signal = signals.user_activated if user.is_active else signals.user_deactivated
        signal.send(User, user=user, by=by, request=request)
    if "is_staff" in changed:
        signals.user_staff_changed.send(User, user=user, by=by, request=request)


def delete(user: User, *, by: User | None, request: HttpRequest | None = None) -> None:
    """The account with all that belongs to it, and its organization if nobody else is in it."""
    registration.remove(User.objects.filter(pk=user.pk))
    forget_sessions_of(user.pk)
    signals.user_deleted.send(User, user=user, by=by, request=request)
