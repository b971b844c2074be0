"""Accounts from their owner's side: register, sign in and out, look, close, delete."""

from typing import Any

from django.contrib.auth import login, logout
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.parsers import FormParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import closing, registration
from accounts.authentication import ApiKeyAuthentication, authenticate_by_password
from accounts.mail import MailNotSent
from accounts.models import ApiKey, Organization, User
from api import throttling
from api.errors import Conflict, Unavailable
from api.openapi import errors
from api.parsers import BoundedJSONParser

CHECK_YOUR_MAIL = "We have sent a mail to this address. Open the link in it within 24 hours, then sign in."


class MessageSerializer(serializers.Serializer):
    message = serializers.CharField()


class OrganizationSerializer(serializers.ModelSerializer):
    class Meta:
        model = Organization
        fields = ("id", "name")


class UserSerializer(serializers.ModelSerializer):
    organization = OrganizationSerializer(read_only=True)

    class Meta:
        model = User
        fields = (
            "id",
            "username",
            "email",
            "email_verified_at",
            "is_active",
            "is_staff",
            "date_joined",
            "last_login",
            "organization",
        )
        read_only_fields = fields


class UsernameField(serializers.CharField):
    """As it will be stored: Unicode's NFKC, which can be longer than what was typed."""

    def to_internal_value(self, data: Any) -> str:
        return User.normalize_username(super().to_internal_value(data))


class AddressField(serializers.EmailField):
    """As it will be stored: the domain in small letters, which can be longer too."""

    def to_internal_value(self, data: Any) -> str:
        return User.objects.normalize_email(super().to_internal_value(data))


class RegistrationSerializer(serializers.Serializer):
    username = UsernameField(max_length=150, validators=[UnicodeUsernameValidator()])
    email = AddressField(max_length=254)
    password = serializers.CharField(max_length=1024, trim_whitespace=False, write_only=True)
    organization = serializers.CharField(max_length=150, required=False, help_text="Default: the user name.")

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        try:
            validate_password(given["password"], User(username=given["username"], email=given["email"]))
        except ValidationError as error:
            raise serializers.ValidationError({"password": error.messages}) from error
        return given


class EmailSerializer(serializers.Serializer):
    email = AddressField(max_length=254)


class TokenSerializer(serializers.Serializer):
    token = serializers.CharField(max_length=200)


class LoginSerializer(serializers.Serializer):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=1024, trim_whitespace=False, write_only=True)


class PasswordSerializer(serializers.Serializer):
    password = serializers.CharField(max_length=1024, trim_whitespace=False, write_only=True)


class _Open(APIView):
    # Without session authentication: a left-over session must not ask a visitor for a CSRF token. Other sites
    # cannot sign a visitor in, because a browser does not let them send JSON here.
    authentication_classes = (ApiKeyAuthentication,)
    permission_classes = (AllowAny,)


@extend_schema(tags=["auth"])
class Register(_Open):
    throttle_classes = (throttling.RegistrationByAddress, throttling.RegistrationByEmail)

    @extend_schema(
        request=RegistrationSerializer,
        responses={202: MessageSerializer} | errors(400, 429, 503),
        examples=[
            OpenApiExample(
                "A new account",
                {"username": "ada", "email": "ada@example.org", "password": "correct horse battery staple"},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        """Make an account in an organization of its own. It can be used once its e-mail address is confirmed.

        The answer is the same for an address that has an account already: only its owner is told, by mail.
        """
        given = RegistrationSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            registration.register(**given.validated_data, request=request._request)
        except MailNotSent as error:
            raise Unavailable(
                "You are registered, but the mail with your link could not be sent. Ask for it later with "
                "POST /api/v1/auth/resend-verification/."
            ) from error
        return Response({"message": CHECK_YOUR_MAIL}, status=202)


@extend_schema(tags=["auth"])
class ResendVerification(_Open):
    throttle_classes = (throttling.RegistrationByAddress, throttling.RegistrationByEmail)

    @extend_schema(request=EmailSerializer, responses={202: MessageSerializer} | errors(400, 429, 503))
    def post(self, request: Request) -> Response:
        """Ask for the mail with the link once more. The answer is the same for every address."""
        given = EmailSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            registration.resend(given.validated_data["email"])
        except MailNotSent as error:
            raise Unavailable("The mail could not be sent. Try again in a few minutes.") from error
        return Response({"message": CHECK_YOUR_MAIL}, status=202)


@extend_schema(tags=["auth"])
@method_decorator(never_cache, name="dispatch")
class VerifyEmail(_Open):
    parser_classes = (BoundedJSONParser, FormParser)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """Where the link in the mail leads: a page with a button, because mail scanners follow links too."""
        return self._page(request, token=request.query_params.get("token", ""))

    @extend_schema(request=TokenSerializer, responses={200: MessageSerializer} | errors(400))
    def post(self, request: Request) -> HttpResponse:
        """Confirm the e-mail address with the token from the mail."""
        from_page = (request.content_type or "").startswith(FormParser.media_type)
        given = TokenSerializer(data=request.data)
        try:
            given.is_valid(raise_exception=True)
            registration.verify(given.validated_data["token"], request._request)
        except (ValidationError, serializers.ValidationError) as error:
            if not from_page:
                raise
            return self._page(request, message=_words(error), status=400)
        message = "Your e-mail address is confirmed. You can sign in now."
        return self._page(request, message=message) if from_page else Response({"message": message})

    def _page(self, request: Request, *, status: int = 200, **shown: str) -> HttpResponse:
        return render(request._request, "accounts/verify_email.html", shown, status=status)


def _words(error: ValidationError | serializers.ValidationError) -> str:
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    return "The link is incomplete. Copy all of it from the mail."


@extend_schema(tags=["auth"])
class Login(_Open):
    throttle_classes = (throttling.LoginByAddress, throttling.LoginByUsername)

    @extend_schema(
        request=LoginSerializer,
        responses={200: UserSerializer} | errors(400, 401, 429),
        examples=[
            OpenApiExample(
                "Sign in",
                {"username": "ada", "password": "correct horse battery staple"},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        """Start a session. Other requests than GET then need the cookie `csrftoken` as header X-CSRFToken."""
        given = LoginSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        user = authenticate_by_password(request._request, **given.validated_data)
        login(request._request, user, backend="django.contrib.auth.backends.ModelBackend")
        return Response(UserSerializer(user).data)


@extend_schema(tags=["auth"])
class Logout(APIView):
    @extend_schema(request=None, responses={204: None} | errors(401, 403, 409))
    def post(self, request: Request) -> Response:
        """End the session."""
        if isinstance(request.auth, ApiKey):
            raise Conflict("You are using an API key, which has no session to end. Revoke the key instead.")
        logout(request._request)
        return Response(status=204)


@extend_schema(tags=["auth"])
class Me(APIView):
    @extend_schema(responses={200: UserSerializer} | errors(401))
    def get(self, request: Request) -> Response:
        """Your account."""
        return Response(UserSerializer(request.user).data)


class _AsksForPassword(APIView):
    throttle_classes = (throttling.PasswordByUser,)

    def check_password(self, request: Request) -> None:
        given = PasswordSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        if not request.user.check_password(given.validated_data["password"]):
            raise serializers.ValidationError({"password": "This is not your password."})


@extend_schema(tags=["auth"])
class Deactivate(_AsksForPassword):
    @extend_schema(request=PasswordSerializer, responses={204: None} | errors(400, 401, 403, 429))
    def post(self, request: Request) -> Response:
        """Close your account. Nothing is deleted, but nothing works until staff activates it again."""
        self.check_password(request)
        closing.set_active(request.user, False, by=request.user, request=request._request)
        return Response(status=204)


@extend_schema(tags=["auth"])
class Delete(_AsksForPassword):
    @extend_schema(request=PasswordSerializer, responses={204: None} | errors(400, 401, 403, 429))
    def post(self, request: Request) -> Response:
        """Delete your account with its files, shares and API keys. This cannot be undone."""
        self.check_password(request)
        closing.delete(request.user, by=request.user, request=request._request)
        return Response(status=204)
