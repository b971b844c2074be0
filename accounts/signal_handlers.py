"""Writes every security event to the logger `stormcloud.security`, one line an event:

    LOGIN_FAILED user_id=- username="bob" email=- ip=192.0.2.7

Text is quoted as in JSON and pure ASCII, so that nobody can forge a line or a field with what they type.
What is not known is `-`.
"""

import ipaddress
import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib.auth import signals as auth_signals
from django.dispatch import Signal
from django.http import HttpRequest

from accounts import signals
from accounts.client_address import client_address
from accounts.models import User

# With three values of this length, each character escaped as two surrogates, a line still fits into the 8 KiB
# that Python's file buffer writes at once; so lines of several processes never mix.
LONGEST_VALUE = 200

security_log = logging.getLogger("stormcloud.security")
own_log = logging.getLogger("stormcloud.accounts")


class Address(str):
    """An IP address that needs no quotes."""


def shown(value: str | int | None) -> str:
    """A value as it stands in the log: `-`, a number, true or false, a bare address, or quoted ASCII."""
    if value is None or value == "":
        return "-"
    if isinstance(value, Address):
        return str(value)
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        value = value[:LONGEST_VALUE] + "..."
    return json.dumps(value)


def _ip(request: HttpRequest | None) -> str:
    address = client_address(request)
    try:
        return Address(ipaddress.ip_address(address))
    except ValueError:
        return address


Fields = dict[str, str | int | None]


def _user(said: dict[str, Any], user: User | None = None) -> Fields:
    user = user or said["user"]
    return {
        "user_id": user.pk if user else None,
        "username": user.get_username() if user else None,
        "email": user.email if user else None,
        "ip": _ip(said["request"]),
    }


def _user_by(said: dict[str, Any]) -> Fields:
    return _user(said) | _by(said)


def _staff_changed(said: dict[str, Any]) -> Fields:
    return _user(said) | {"is_staff": said["user"].is_staff} | _by(said)


def _failed_login(said: dict[str, Any]) -> Fields:
    username = str(said["credentials"].get("username", ""))
    return {"user_id": None, "username": username, "email": None, "ip": _ip(said.get("request"))}


def _key(said: dict[str, Any]) -> Fields:
    key = said["api_key"]
    return _user(said, key.user) | {"key_id": str(key.pk), "key_prefix": key.prefix, "key_name": key.name}


def _key_by(said: dict[str, Any]) -> Fields:
    return _key(said) | _by(said)


def _by(said: dict[str, Any]) -> Fields:
    return {"by": said["by"].pk if said["by"] else None}


EVENTS: list[tuple[Signal, str, Callable[[dict[str, Any]], Fields]]] = [
    (auth_signals.user_logged_in, "LOGIN", _user),
    (auth_signals.user_login_failed, "LOGIN_FAILED", _failed_login),
    (auth_signals.user_logged_out, "LOGOUT", _user),
    (signals.user_registered, "USER_REGISTERED", _user),
    (signals.email_verified, "EMAIL_VERIFIED", _user),
    (signals.user_deactivated, "USER_DEACTIVATED", _user_by),
    (signals.user_activated, "USER_ACTIVATED", _user_by),
    (signals.user_staff_changed, "USER_STAFF_CHANGED", _staff_changed),
    (signals.user_deleted, "USER_DELETED", _user_by),
    (signals.api_key_created, "API_KEY_CREATED", _key_by),
    (signals.api_key_revoked, "API_KEY_REVOKED", _key_by),
    (signals.api_key_used_revoked, "API_KEY_USED_REVOKED", _key),
]


def _write(event: str, fields_of: Callable[[dict[str, Any]], Fields], **said: Any) -> None:
    # Opening the file happens outside of what logging itself catches, and a full disk must not stop a login.
    try:
        fields = fields_of(said)
        security_log.info("%s %s", event, " ".join(f"{name}={shown(value)}" for name, value in fields.items()))
    except Exception:
        own_log.exception("The security event %s could not be written", event)


def connect() -> None:
    """Called once, when the app is ready."""
    for signal, event, fields_of in EVENTS:
        receiver = partial(_write, event, fields_of)
        signal.connect(receiver, weak=False, dispatch_uid=f"security log: {event}")
