"""API keys from their owner's side."""

from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import api_keys
from accounts.models import ApiKey
from api.errors import Conflict
from api.openapi import errors

EXAMPLE = {
    "id": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
    "name": "backup script",
    "prefix": "q3vT9xZk",
    "created_at": "2026-03-01T12:00:00Z",
    "last_used_at": None,
    "revoked_at": None,
}


class ApiKeySerializer(serializers.ModelSerializer):
    class Meta:
        model = ApiKey
        fields = ("id", "name", "prefix", "created_at", "last_used_at", "revoked_at")
        read_only_fields = ("id", "prefix", "created_at", "last_used_at", "revoked_at")


class NewApiKeySerializer(ApiKeySerializer):
    key = serializers.CharField(read_only=True, help_text="64 characters, shown only this once.")

    class Meta(ApiKeySerializer.Meta):
        fields = (*ApiKeySerializer.Meta.fields, "key")


@extend_schema(tags=["API keys"])
class Keys(ListModelMixin, GenericAPIView):
    serializer_class = ApiKeySerializer
    queryset = ApiKey.objects.none()

    def get_queryset(self) -> QuerySet[ApiKey]:
        return ApiKey.objects.filter(user=self.request.user)

    @extend_schema(operation_id="auth_tokens_list", responses={200: ApiKeySerializer(many=True)} | errors(401))
    def get(self, request: Request) -> Response:
        """Your keys, the newest first, revoked ones too."""
        return self.list(request)

    @extend_schema(
        operation_id="auth_tokens_create",
        request=ApiKeySerializer,
        responses={201: NewApiKeySerializer} | errors(400, 401, 403, 409),
        examples=[
            OpenApiExample("A key for a script", {"name": "backup script"}, request_only=True),
            OpenApiExample(
                "The new key",
                {**EXAMPLE, "key": "q3vT9xZk...(64 characters)"},
                response_only=True,
                status_codes=["201"],
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        """Make a key. It is shown in this answer and never again."""
        given = ApiKeySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            key, secret = api_keys.create(
                request.user, given.validated_data["name"], by=request.user, request=request._request
            )
        except api_keys.KeyLimitReached as error:
            raise Conflict(str(error), "api_key_limit") from error
        answer = {**ApiKeySerializer(key).data, "key": secret}
        return Response(answer, status=201, headers={"Cache-Control": "no-store"})


@extend_schema(tags=["API keys"])
class RevokeKey(APIView):
    @extend_schema(request=None, responses={200: ApiKeySerializer} | errors(401, 403, 404))
    def post(self, request: Request, key_id: UUID) -> Response:
        """Make a key useless, at once and for good. Doing it twice is no error."""
        key = get_object_or_404(ApiKey.objects.select_related("user"), pk=key_id, user=request.user)
        api_keys.revoke(key, by=request.user, request=request._request)
        return Response(ApiKeySerializer(key).data)
