"""Who asks: API keys in the Authorization header, user names and passwords at login."""

from django.contrib.auth.backends import AllowAllUsersModelBackend
from django.contrib.auth.signals import user_login_failed
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts import api_keys, signals
from accounts.models import ApiKey, User

INACTIVE = "This account is deactivated. Ask the staff of this server to activate it again."


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <API key>` (RFC 6750, section 2.1). `request.auth` becomes the ApiKey."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        scheme, *values = get_authorization_header(request).split() or [b""]
        if scheme.lower() != b"bearer":
            return None
        if len(values) != 1:
            raise AuthenticationFailed("Send the header as `Authorization: Bearer <API key>`.", "invalid_api_key")
        key = api_keys.find(values[0].decode("latin-1"))
        if key is None:
            raise AuthenticationFailed(
                "This API key is unknown. Compare its first 8 characters with your keys, or make a new one.",
                "invalid_api_key",
            )
        if key.revoked_at is not None:
            signals.api_key_used_revoked.send(ApiKey, api_key=key, request=request._request)
            raise AuthenticationFailed("This API key was revoked. Create a new one.", "revoked_api_key")
        if not key.user.is_active:
            raise AuthenticationFailed(INACTIVE, "inactive")
        api_keys.mark_used(key)
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def authenticate_by_password(request: HttpRequest, username: str, password: str) -> User:
    """The account that may sign in with this name and password.

    Raises AuthenticationFailed. Why an account is closed is told only to who has its password; for everybody
    else the answer, and the work behind it, is the same as for an unknown name.
    """
    user = AllowAllUsersModelBackend().authenticate(
        request, username=User.normalize_username(username), password=password
    )
    if isinstance(user, User) and user.is_active and user.email_verified_at:
        return user
    user_login_failed.send(__name__, credentials={"username": username}, request=request)
    if user is None:
        raise AuthenticationFailed(
            "No account has this user name and password. Check both, capital letters included.",
            "invalid_credentials",
        )
    if not user.is_active:
        raise AuthenticationFailed(INACTIVE, "inactive")
    raise AuthenticationFailed(
        "Your e-mail address is not verified yet. Open the link in our mail, or ask for a new one with "
        "POST /api/v1/auth/resend-verification/.",
        "unverified",
    )
