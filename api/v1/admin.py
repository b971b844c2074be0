"""Users and API keys from the staff's side."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.filters import SearchFilter
from rest_framework.generics import ListAPIView
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import api_keys, closing
from accounts.models import ApiKey, User
from api.openapi import errors
from api.v1.auth import UserSerializer
from api.v1.keys import ApiKeySerializer


class UserChangeSerializer(serializers.Serializer):
    # The organization is not among them: a user's files are stored below it.
    is_active = serializers.BooleanField(required=False)
    is_staff = serializers.BooleanField(required=False)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        unknown = set(self.initial_data) - set(self.fields)
        if unknown:
            raise serializers.ValidationError(
                dict.fromkeys(sorted(unknown), "This cannot be changed here; is_active and is_staff can.")
            )
        return given


class OwnedApiKeySerializer(ApiKeySerializer):
    user_id = serializers.IntegerField(read_only=True)
    username = serializers.CharField(source="user.username", read_only=True)

    class Meta(ApiKeySerializer.Meta):
        fields = (*ApiKeySerializer.Meta.fields, "user_id", "username")


@extend_schema(tags=["staff"])
class Users(ListAPIView):
    """All accounts. `?search=` looks into user names and e-mail addresses."""

    permission_classes = (IsAdminUser,)
    serializer_class = UserSerializer
    queryset = User.objects.select_related("organization").order_by("pk")
    filter_backends = (SearchFilter,)
    search_fields = ("username", "email")


@extend_schema(tags=["staff"])
class OneUser(APIView):
    permission_classes = (IsAdminUser,)

    @extend_schema(responses={200: UserSerializer} | errors(401, 403, 404))
    def get(self, request: Request, user_id: int) -> Response:
        """One account."""
        return Response(UserSerializer(self._user(user_id)).data)

    @extend_schema(request=UserChangeSerializer, responses={200: UserSerializer} | errors(400, 401, 403, 404))
    def patch(self, request: Request, user_id: int) -> Response:
        """Activate, deactivate, make staff or not. Only superusers decide who is staff."""
        user = self._user(user_id)
        given = UserChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        changes = {name: value for name, value in given.validated_data.items() if getattr(user, name) != value}
        if changes:
            self._check_rank(request.user, user)
        if "is_staff" in changes and not request.user.is_superuser:
            raise PermissionDenied("Only a superuser decides who is staff.")
        if "is_active" in changes:
            closing.set_active(user, changes["is_active"], by=request.user, request=request._request)
        if "is_staff" in changes:
            closing.set_staff(user, changes["is_staff"], by=request.user, request=request._request)
        return Response(UserSerializer(user).data)

    @extend_schema(responses={204: None} | errors(401, 403, 404))
    def delete(self, request: Request, user_id: int) -> Response:
        """Delete an account with its files, shares and API keys. Only superusers can; it cannot be undone."""
        user = self._user(user_id)
        self._check_rank(request.user, user)
        if not request.user.is_superuser:
            raise PermissionDenied("Only a superuser deletes accounts. Deactivate this one instead.")
        closing.delete(user, by=request.user, request=request._request)
        return Response(status=204)

    def _user(self, user_id: int) -> User:
        return get_object_or_404(User.objects.select_related("organization"), pk=user_id)

    def _check_rank(self, by: User, user: User) -> None:
        if user == by:
            raise PermissionDenied(
                "This is your own account. Let another member of the staff change it, or use /api/v1/auth/."
            )
        if user.is_superuser and not by.is_superuser:
            raise PermissionDenied("Only a superuser changes the account of a superuser.")


@extend_schema(
    tags=["staff"],
    parameters=[OpenApiParameter("user", int, description="Only the keys of the user with this id.")],
)
class AllKeys(ListAPIView):
    """All API keys, the newest first."""

    permission_classes = (IsAdminUser,)
    serializer_class = OwnedApiKeySerializer
    queryset = ApiKey.objects.select_related("user")

    def filter_queryset(self, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        asked = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
        if "user" not in self.request.query_params:
            return queryset
        try:
            return queryset.filter(user=asked.run_validation(self.request.query_params["user"]))
        except serializers.ValidationError as error:
            raise serializers.ValidationError({"user": error.detail}) from error


@extend_schema(tags=["staff"])
class RevokeAnyKey(APIView):
    permission_classes = (IsAdminUser,)

    @extend_schema(request=None, responses={200: OwnedApiKeySerializer} | errors(401, 403, 404))
    def post(self, request: Request, key_id: UUID) -> Response:
        """Make anybody's key useless, at once and for good."""
        key = get_object_or_404(ApiKey.objects.select_related("user"), pk=key_id)
        api_keys.revoke(key, by=request.user, request=request._request)
        return Response(OwnedApiKeySerializer(key).data)
