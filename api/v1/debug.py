"""The monitoring's page of test errors behind this API's authentication, so that an error carries its user."""

import errno
import os
from collections.abc import Iterator

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import api_view, parser_classes, permission_classes
from rest_framework.parsers import FormParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from core import tasks
from core.monitoring import views
from core.monitoring.failures import FAILURES, Failure
from core.storage import get_storage


def _storage(request: HttpRequest) -> None:
    def full_disk() -> Iterator[bytes]:
        yield b"the first bytes"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with get_storage().stage("test/never-stored", full_disk()) as staged:
        staged.commit()


def _task(request: HttpRequest) -> None:
    tasks.fail_on_request.delay()


OWN_FAILURES = {
    **FAILURES,
    "storage": Failure("Storage", "an upload that fills the disk; nothing is stored", _storage),
    "task": Failure("Task", "a background task that fails; without a worker, in this request", _task),
}


@extend_schema(exclude=True)
@api_view(["GET", "POST"])
@parser_classes([FormParser])
@permission_classes([AllowAny])
def sentry_test(request: Request) -> HttpResponseBase:
    """Let the test error happen that `type` names."""
    return views.sentry_test(request._request, OWN_FAILURES)
