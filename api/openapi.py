"""What the OpenAPI schema cannot find out by itself."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import serializers


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """The Authorize button of Swagger UI takes an API key."""

    target_class = "accounts.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, as in `Authorization: Bearer <key>`.",
        }


class ErrorContentSerializer(serializers.Serializer):
    code = serializers.CharField(help_text="For programs.")
    message = serializers.CharField(help_text="For people: what to do.")
    details = serializers.DictField(help_text="Invalid input: messages by field.")
    reference = serializers.CharField(
        required=False,
        help_text="Errors of the server (5xx): what its staff finds this one by; also the header X-Support-Reference.",
    )


class ErrorSerializer(serializers.Serializer):
    error = ErrorContentSerializer()


def errors(*statuses: int) -> dict[int, type[ErrorSerializer]]:
    """For `extend_schema(responses={...} | errors(400, 429))`."""
    return dict.fromkeys(statuses, ErrorSerializer)
