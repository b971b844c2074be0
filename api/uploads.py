"""The bytes that a request uploads, as they arrive.

Django's own form parsing would first write them to a temporary file and only then show them; here they go straight to
the storage, so that a full quota stops an upload at once and a file is written only once.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, QueryDict
from django.utils.datastructures import MultiValueDict
from multipart import MultipartError, MultipartSegment, PushMultipartParser
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, DataAndFiles

from api.storage_view import Refused
from core.monitoring import set_tag
from core.monitoring.transactions import CLIENT_DISCONNECTED
from core.storage.base import CHUNK_SIZE

_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}")  # RFC 6838, section 4.2
# What clients send when they don't know.
_SAYS_NOTHING = {"application/octet-stream", "application/x-www-form-urlencoded"}
_MAX_FIELDS = 100


class UnreadBody(BaseParser):
    """Leaves the body to `read_upload`; without it, checking a session's CSRF token would read the whole form.

    The token is therefore taken from the `X-CSRFToken` header alone.
    """

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> DataAndFiles:
        return DataAndFiles(QueryDict(), MultiValueDict())


@dataclass(frozen=True)
class Upload:
    """`chunks` raises `ParseError` when the client stops early; `size` in bytes and `content_type` if known."""

    chunks: Iterator[bytes]
    size: int | None
    content_type: str


def read_upload(request: HttpRequest) -> Upload:
    """The field `file` of a multipart form or, with PUT, the raw body.

    Raises `ParseError` (400), `Refused` (400, 411, 415).
    """
    if "Content-Range" in request.headers:  # RFC 9110, section 14.5: it must not replace the whole file
        raise Refused(400, "partial_upload", "This server takes whole files only. Send it without Content-Range.")
    if request.content_type == "multipart/form-data":
        return _form_upload(request)
    if request.method != "PUT":
        raise Refused(
            415,
            "unsupported_upload",
            "Send multipart/form-data with a field named file, or the raw content with PUT.",
        )
    return Upload(_body(request), _content_length(request), _media_type(request.content_type))


def _media_type(value: str | None) -> str:
    value = (value or "").lower()
    return value if _MEDIA_TYPE.fullmatch(value) and value not in _SAYS_NOTHING else ""


def _content_length(request: HttpRequest) -> int | None:
    value = request.META.get("CONTENT_LENGTH") or ""
    return int(value) if value.isascii() and value.isdecimal() else None


def _reader(request: HttpRequest) -> Callable[[int], bytes]:
    environ = request.META
    if _content_length(request) is None and "wsgi.input" in environ:
        # Django reads nothing without a Content-Length, because not every WSGI server ends the stream by itself.
        if environ.get("wsgi.input_terminated"):
            return environ["wsgi.input"].read  # type: ignore[no-any-return]
        if environ.get("HTTP_TRANSFER_ENCODING"):
            raise Refused(411, "length_required", "This server needs a Content-Length. Send the file with its size.")
    return request.read


def _body(request: HttpRequest) -> Iterator[bytes]:
    read, expected, received = _reader(request), _content_length(request), 0
    while True:
        try:
            chunk = read(CHUNK_SIZE)
        except OSError as error:  # Django's UnreadablePostError and gunicorn's errors are among them
            raise _interrupted() from error
        if not chunk:
            break
        received += len(chunk)
        yield chunk
    if received < (expected or 0):
        raise _interrupted()


def _interrupted() -> ParseError:
    set_tag(CLIENT_DISCONNECTED, "true")
    return ParseError("The upload ended early. Nothing was stored; send the file again.", "incomplete_upload")


def _events(request: HttpRequest) -> Iterator[MultipartSegment | bytes | None]:
    boundary = (request.content_params or {}).get("boundary", "")
    try:
        with PushMultipartParser(boundary, max_segment_count=_MAX_FIELDS) as parser:
            for chunk in _body(request):
                yield from parser.parse(chunk)
    except MultipartError as error:
        raise ParseError(f"The form is malformed ({error}). Send multipart/form-data.", "malformed_form") from error


def _form_upload(request: HttpRequest) -> Upload:
    events = _events(request)
    for event in events:
        if isinstance(event, MultipartSegment) and event.name == "file":
            if event.filename is None:
                raise ParseError("The field file is text. Send a file; with curl: -F file=@NAME.", "no_file")
            if event.header("Content-Transfer-Encoding", "binary").lower() in ("base64", "quoted-printable"):
                raise ParseError("The file is encoded. Send it as it is (RFC 7578, section 4.7).", "encoded_file")
            return Upload(_content(events), None, _media_type(event.content_type))
    raise ParseError("The form has no field named file. Add it; with curl: -F file=@NAME.", "no_file")


def _content(events: Iterator[MultipartSegment | bytes | None]) -> Iterator[bytes]:
    for event in events:
        if event is None:
            break
        yield event  # type: ignore[misc]  # bytes until the None that ends the part
    for event in events:  # only a form that is complete counts
        if isinstance(event, MultipartSegment) and event.name == "file":
            raise ParseError("The form has two fields named file. Send one file per request.", "two_files")
