"""The index of stored files, for staff."""

from dataclasses import asdict

from django.conf import settings
from drf_spectacular.utils import extend_schema, inline_serializer
from kombu.exceptions import OperationalError as BrokerError
from rest_framework import serializers
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response

from api.openapi import errors
from api.storage_view import Refused, StorageView
from core.index import EmptyStorage, Rebuilt, rebuild
from core.locks import AlreadyRunning
from core.tasks import rebuild_index

QUEUED = inline_serializer("QueuedRebuild", {"task": serializers.UUIDField(help_text="As the worker's log names it.")})
REBUILT = inline_serializer("Rebuilt", {name: serializers.IntegerField() for name in Rebuilt.__dataclass_fields__})


class RebuildView(StorageView):
    """Agreement of database and disk."""

    permission_classes = (IsAdminUser,)

    @extend_schema(tags=["admin"], request=None, responses={200: REBUILT, 202: QUEUED} | errors(401, 403, 409, 503))
    def post(self, request: Request) -> Response:
        """Index what was added, changed or deleted on the disk, and count quotas anew.

        202 says that a background worker will do it; without one, the answer waits until it is done.
        """
        if settings.CELERY_BROKER_URL:
            return _queue()
        try:
            return Response(asdict(rebuild()))
        except EmptyStorage as error:
            raise Refused(409, "empty_storage", f"{error} (manage.py rebuild_index --allow-empty)") from None
        except AlreadyRunning:
            raise Refused(
                409, "already_running", "A rebuild or an audit is running already. Try again later."
            ) from None


def _queue() -> Response:
    try:
        queued = rebuild_index.delay()
    except BrokerError as error:
        raise Refused(
            503, "broker_unavailable", "The task queue does not answer. Check CELERY_BROKER_URL, then try again."
        ) from error
    return Response({"task": queued.id}, status=202)
