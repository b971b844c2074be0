"""Is the server up, and does what it depends on answer? Open to everybody, so it tells no more than that."""

import logging

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.monitoring import is_enabled
from core.request_id import support_reference
from core.storage import get_storage

logger = logging.getLogger("stormcloud.health")


class HealthSerializer(serializers.Serializer):
    status = serializers.CharField(help_text="`ok`")


class StatusSerializer(serializers.Serializer):
    status = serializers.CharField(help_text="`ok`, or `unavailable` if something below is.")
    version = serializers.CharField()
    database = serializers.CharField(help_text="`ok` or `unavailable`")
    storage = serializers.CharField(help_text="`ok` or `unavailable`: whether it can be written.")
    monitoring = serializers.BooleanField()
    reference = serializers.CharField(required=False, help_text="With 503: what the staff finds the reason by.")


class _Open(APIView):
    # No authentication: a probe with an outdated key still gets its answer.
    authentication_classes = ()
    permission_classes = (AllowAny,)


class Health(_Open):
    """For load balancers and container probes: the process answers. Touches nothing else."""

    @extend_schema(tags=["health"], responses=HealthSerializer)
    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class Status(_Open):
    """For people and monitors: asks database and storage; 503 says that one of them does not answer."""

    @extend_schema(
        tags=["health"],
        responses={200: StatusSerializer, 503: StatusSerializer},
        examples=[
            OpenApiExample(
                "Everything works",
                {"status": "ok", "version": "0.1.0", "database": "ok", "storage": "ok", "monitoring": False},
                status_codes=["200"],
                response_only=True,
            )
        ],
    )
    def get(self, request: Request) -> Response:
        parts = {"database": _database_answers(), "storage": _storage_answers()}
        words = {part: "ok" if works else "unavailable" for part, works in parts.items()}
        healthy = all(parts.values())
        reference = {} if healthy else {"reference": support_reference(request)}
        return Response(
            {
                "status": "ok" if healthy else "unavailable",
                "version": settings.VERSION,
                **words,
                "monitoring": is_enabled(),
                **reference,
            },
            status=200 if healthy else 503,
        )


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        logger.exception("The database does not answer; check DATABASE_URL")
        return False
    return True


def _storage_answers() -> bool:
    if get_storage().healthy():
        return True
    logger.error("The storage cannot be written; check STORMCLOUD_STORAGE_ROOT")
    return False
