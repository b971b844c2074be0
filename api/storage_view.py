"""What all views of stored files share: how the storage's refusals become answers."""

import errno
import logging
from collections.abc import Sequence
from typing import Any

from rest_framework.exceptions import APIException
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.pagination import BoundedPagination
from core.storage.base import Conflict, InvalidPath, NotFound, QuotaExceeded, StorageError

logger = logging.getLogger(__name__)

_ANSWERS: dict[type[StorageError], tuple[int, str]] = {
    InvalidPath: (400, "invalid_path"),
    NotFound: (404, "not_found"),
    Conflict: (409, "conflict"),
    QuotaExceeded: (413, "quota_exceeded"),
}
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


class Refused(APIException):
    """An error answer with the status, the machine-readable code and the headers that the case needs."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        self.status_code = status
        self.headers = headers or {}
        super().__init__(message, code)


class StorageView(APIView):
    """Answers `StorageError` and a full disk in the API's shape. Other errors of the disk stay unhandled."""

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, StorageError):
            exc = Refused(*_ANSWERS[type(exc)], str(exc))
        elif isinstance(exc, OSError) and exc.errno in _DISK_FULL:
            # Answered, so nothing else would tell the operator.
            logger.exception("The storage is full")
            exc = Refused(
                507, "storage_full", "The server's disk is full. Nothing was changed. Tell the administrator."
            )
        response = super().handle_exception(exc)
        for name, value in getattr(exc, "headers", {}).items():
            response[name] = value
        return response


class AnyAccept(BaseContentNegotiation):
    """For answers that are a file: whatever `Accept` says, there is one representation."""

    def select_parser(self, request: Request, parsers: Sequence[BaseParser]) -> BaseParser | None:
        return parsers[0] if parsers else None

    def select_renderer(
        self, request: Request, renderers: Sequence[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


def page_of(view: APIView, request: Request, items: Any) -> tuple[BoundedPagination, list[Any]]:
    """The paginator and the part of `items` (a list or query set) that the request asks for."""
    pages = BoundedPagination()
    return pages, pages.paginate_queryset(items, request, view=view) or []
