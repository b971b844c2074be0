"""The mails about registering. Each request that asks for one gets exactly one, whatever the address is, so
that neither the answer nor its time tells whether an address is known."""

import logging
from urllib.parse import urlencode

from django.conf import settings
from django.core.mail import send_mail
from django.urls import reverse

logger = logging.getLogger("stormcloud.accounts")


class MailNotSent(Exception):
    """The mail server could not be reached or refused the mail."""


def _send(address: str, subject: str, text: str) -> None:
    try:
        send_mail(f"Storm Cloud: {subject}", text, None, [address])
    except OSError as error:  # every smtplib error is one
        logger.exception("A mail could not be sent; check EMAIL_HOST and its companions")
        raise MailNotSent from error


def send_verification(address: str, tokens: dict[str, str]) -> None:
    """One link for each account (user name -> token) that waits for this address."""
    page = settings.STORMCLOUD_PUBLIC_URL.rstrip("/") + reverse("auth-verify-email")
    links = "\n\n".join(f"{name}:\n{page}?{urlencode({'token': token})}" for name, token in tokens.items())
    _send(
        address,
        "confirm your e-mail address",
        "Somebody, hopefully you, registered with this address. To confirm it, open the link for your user "
        f"name within 24 hours:\n\n{links}\n\n"
        "If you do not know the user name, do nothing: without the link the account cannot be used.\n",
    )


def send_already_registered(address: str, username: str) -> None:
    """To somebody who has an account, and was perhaps not the one who asked."""
    _send(
        address,
        "you already have an account",
        "Somebody, perhaps you, tried to register with this address. It already belongs to the user name "
        f"{username}: sign in with that one. If it was not you, nothing has changed; do nothing.\n",
    )


def send_unknown(address: str) -> None:
    """To somebody who asked for a new link and never registered, or whose registration has expired."""
    _send(
        address,
        "no account with this address",
        "Somebody, perhaps you, asked for a new confirmation link, but no account waits for this address. "
        "Register (again), or sign in if you have confirmed it already. If it was not you, do nothing.\n",
    )
