"""How often somebody may try. Addresses and names are hashed, so that the cache holds nothing private."""

import hashlib
import ipaddress
import logging
import math
import unicodedata
from abc import ABC, abstractmethod
from contextlib import suppress

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from accounts.client_address import client_address

logger = logging.getLogger("stormcloud.throttling")


class _HashedThrottle(SimpleRateThrottle, ABC):
    """Counts for all processes in the shared cache or, while that does not answer, each process for itself."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        try:
            return super().allow_request(request, view)
        except settings.CACHE_ERRORS:
            logger.exception("The cache does not answer; check REDIS_URL. Until then each process counts for itself")
            self.cache = caches["process"]
            return super().allow_request(request, view)

    @abstractmethod
    def who(self, request: Request) -> str | None:
        """What is counted; None counts nothing."""

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        who = self.who(request)
        if who is None:
            return None
        ident = hashlib.sha256(f"{type(self).__name__} {who}".encode(errors="replace")).hexdigest()
        return self.cache_format % {"scope": self.scope, "ident": ident}


class _ByAddress(_HashedThrottle):
    def who(self, request: Request) -> str | None:
        address = client_address(request._request)
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return address
        # Whoever has one IPv6 address usually has 2**64 of them (RFC 6177).
        return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else address


class _ByField(_HashedThrottle):
    field: str

    def who(self, request: Request) -> str | None:
        value = request.data.get(self.field) if isinstance(request.data, dict) else None
        # Spellings that mean the same account count together.
        return unicodedata.normalize("NFKC", value).strip().casefold() if isinstance(value, str) else None


class LoginByAddress(_ByAddress):
    scope = "login"


class LoginByUsername(_ByField):
    scope = "login"
    field = "username"


def seconds_to_wait_for_login(request: HttpRequest) -> int:
    """Count a password that Django's own form sends, together with those at the API; 0: it may be tried now."""
    if not request.POST:
        return 0
    asked, view = Request(request, parsers=[FormParser(), MultiPartParser()]), APIView()
    throttles: list[_HashedThrottle] = [LoginByAddress(), LoginByUsername()]
    waits = [throttle.wait() or 1 for throttle in throttles if not throttle.allow_request(asked, view)]
    return math.ceil(max(waits, default=0))


class PasswordByUser(_HashedThrottle):
    """For requests of somebody who is signed in and has to give the password once more."""

    scope = "login"

    def who(self, request: Request) -> str | None:
        return str(request.user.pk) if request.user.pk else None


class RegistrationByAddress(_ByAddress):
    scope = "registration"


class RegistrationByEmail(_ByField):
    """Keeps this server from flooding somebody's mailbox."""

    scope = "registration"
    field = "email"


class _SharePassword(_HashedThrottle):
    """Guesses at the passwords of shares; requests without one are not counted."""

    scope = "share"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        return super().get_cache_key(request, view) if "X-Share-Password" in request.headers else None

    def take_back(self) -> None:
        """Count no password that was right: a player asks for a film in hundreds of parts."""
        if self.key is None:
            return
        with suppress(*settings.CACHE_ERRORS):
            # Anew: guesses that came meanwhile count.
            history = self.cache.get(self.key, [])
            self.cache.set(self.key, [moment for moment in history if moment != self.now], self.duration)


class SharePasswordByAddress(_SharePassword, _ByAddress):
    """Of one guesser, at any shares."""


class SharePasswordByShare(_SharePassword):
    """At one share, by any guessers."""

    def who(self, request: Request) -> str | None:
        return str(request.parser_context["kwargs"]["token"])
