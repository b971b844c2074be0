"""A stored file as an answer: conditional and partial requests (RFC 9110, sections 13 and 14), and safe headers."""

import re
import threading
from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, http_date, parse_http_date_safe

from api.storage_view import Refused
from core.models import StoredFile
from core.storage.base import Reader

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def download(request: HttpRequest, file: StoredFile, reader: Reader) -> HttpResponseBase:
    """The content (200), a part of it (206), or nothing (304, and any HEAD). Closes the reader in the end.

    Always an attachment: HTML and SVG would run scripts as this site. SecurityMiddleware adds `nosniff`.
    Raises `Refused` (412, 416).
    """
    etag, modified = f'"{file.version}"', int(file.modified_at.timestamp())
    headers = {
        "ETag": etag,
        "Last-Modified": http_date(modified),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Type": file.content_type,
        "Content-Disposition": content_disposition_header(True, file.name) or "attachment",
    }
    try:
        conditional = get_conditional_response(request, etag, modified)
        if conditional and conditional.status_code == 412:
            raise Refused(412, "precondition_failed", "The file has changed. Download it again without If-Match.")
        part = None if conditional else _requested_part(request, etag, modified, file.size)
        offset, length = part or (0, file.size)
        reader.select(offset, length)
    except BaseException:
        reader.close()
        raise
    response: HttpResponseBase
    if conditional or request.method == "HEAD":
        reader.close()
        response = conditional or HttpResponse()
    else:
        chunks = _InThreads(reader) if isinstance(request, ASGIRequest) else reader
        response = StreamingHttpResponse(chunks, status=206 if part else 200)
    if part:
        headers["Content-Range"] = f"bytes {offset}-{offset + length - 1}/{file.size}"
    if not conditional:
        headers["Content-Length"] = str(length)
    for name, value in headers.items():
        response[name] = value
    return response


class _InThreads(AsyncIterator[bytes]):
    """Reads each chunk in a worker thread: under ASGI, Django would read a plain iterator to its end first."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        # When the client leaves, the response is closed while a thread may still be reading.
        self._lock = threading.Lock()
        self._closed = False

    def _next(self) -> bytes:
        with self._lock:
            return b"" if self._closed else next(self._reader, b"")

    async def __anext__(self) -> bytes:
        if chunk := await sync_to_async(self._next, thread_sensitive=False)():
            return chunk
        raise StopAsyncIteration

    def close(self) -> None:
        """Called by the response, however it ends."""
        with self._lock:
            self._closed = True
            self._reader.close()


def _requested_part(request: HttpRequest, etag: str, modified: int, size: int) -> tuple[int, int] | None:
    """Offset and length of the one range asked for; None for the whole file, also for what we don't understand."""
    match = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if request.method != "GET" or not match or not any(match.groups()):
        return None
    if_range = request.headers.get("If-Range", "").strip()
    if if_range and if_range != etag and parse_http_date_safe(if_range) != modified:
        return None
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return None
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end:
        raise Refused(
            416,
            "range_not_satisfiable",
            f"The file has {size} bytes. Ask for a range within it.",
            {"Content-Range": f"bytes */{size}"},
        )
    return start, end - start + 1
