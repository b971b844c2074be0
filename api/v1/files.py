"""Files: describe, upload, download, move, copy, delete."""

from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.downloads import download
from api.openapi import errors
from api.storage_view import AnyAccept, StorageView
from api.uploads import UnreadBody, read_upload
from api.v1.entries import EntrySerializer, file_entry
from core import files

FILE_PATH = OpenApiParameter(
    "path",
    OpenApiTypes.STR,
    OpenApiParameter.PATH,
    description="Relative to your own files, directories separated by `/`.",
    examples=[OpenApiExample("a file in a directory", "reports/2026.pdf")],
)
RANGE = OpenApiParameter("Range", OpenApiTypes.STR, OpenApiParameter.HEADER, description="`bytes=0-1023`")
DOWNLOAD = {
    (status, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY, description)
    for status, description in ((200, "The content"), (206, "The part that `Range` asks for"))
}


class FileView(StorageView):
    """One file."""

    @extend_schema(tags=["files"], parameters=[FILE_PATH], responses={200: EntrySerializer} | errors(400, 401, 404))
    def get(self, request: Request, path: str) -> Response:
        """Describe a file."""
        return Response(file_entry(files.find(request.user, path)))


class FileActionView(StorageView):
    """Something that is done to a file.

    A file can have the name of an action: GET `files/docs/copy/` describes the file `docs/copy`.
    """

    # Not `action`: REST framework knows that as the name of a method, and the schema looks for its docstring.
    verb: str

    @extend_schema(exclude=True)
    def get(self, request: Request, path: str) -> Response:
        return Response(file_entry(files.find(request.user, f"{path}/{self.verb}")))


class UploadView(FileActionView):
    """Store content."""

    verb = "upload"
    parser_classes = [UnreadBody]

    def _upload(self, request: Request, path: str) -> Response:
        upload = read_upload(request._request)
        file, created = files.save(request.user, path, upload.chunks, upload.content_type, upload.size)
        return Response(file_entry(file), status=201 if created else 200)

    @extend_schema(
        tags=["files"],
        operation_id="files_upload",
        parameters=[FILE_PATH],
        request={
            "multipart/form-data": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
                "required": ["file"],
            }
        },
        responses={201: EntrySerializer, 200: EntrySerializer} | errors(400, 401, 403, 409, 411, 413, 415),
        examples=[
            OpenApiExample(
                "stored",
                {
                    "type": "file",
                    "name": "2026.pdf",
                    "path": "reports/2026.pdf",
                    "size": 4096,
                    "modified_at": "2026-01-31T12:00:00Z",
                    "id": "0b6a4f0e-6f3c-4b58-9a55-2c1c4a1c7a11",
                    "checksum": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "content_type": "application/pdf",
                    "created_at": "2026-01-31T12:00:00Z",
                },
                response_only=True,
            )
        ],
    )
    def post(self, request: Request, path: str) -> Response:
        """Upload a form with the field `file`.

        Missing directories are made. A file that is there is replaced in one step (200 instead of 201), and its
        shares show the new content.

        `curl -H "Authorization: Bearer $KEY" -F file=@2026.pdf $SERVER/api/v1/files/reports/2026.pdf/upload`
        """
        return self._upload(request, path)

    @extend_schema(
        tags=["files"],
        operation_id="files_upload_raw",
        parameters=[FILE_PATH],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={201: EntrySerializer, 200: EntrySerializer} | errors(400, 401, 403, 409, 411, 413, 415),
    )
    def put(self, request: Request, path: str) -> Response:
        """Upload the raw body.

        `curl -H "Authorization: Bearer $KEY" -T 2026.pdf $SERVER/api/v1/files/reports/2026.pdf/upload`

        There is no slash at the end: curl would append the name of your file to it.
        """
        return self._upload(request, path)


class DownloadView(StorageView):
    """The content of a file."""

    content_negotiation_class = AnyAccept

    @extend_schema(tags=["files"], operation_id="files_download", parameters=[FILE_PATH, RANGE], responses=DOWNLOAD)
    def get(self, request: Request, path: str) -> HttpResponseBase:
        """Download a file, also in parts (`Range`) and only if it changed (`If-None-Match`)."""
        return download(request._request, *files.open_file(request.user, path))


class DeleteView(FileActionView):
    """Delete for good."""

    verb = "delete"

    @extend_schema(
        tags=["files"],
        operation_id="files_delete",
        parameters=[FILE_PATH],
        responses={204: None} | errors(400, 401, 403, 404),
    )
    def delete(self, request: Request, path: str) -> Response:
        """Delete a file and its shares, for good."""
        files.delete(request.user, path)
        return Response(status=204)

    @extend_schema(
        tags=["files"],
        operation_id="files_delete_post",
        parameters=[FILE_PATH],
        request=None,
        responses={204: None} | errors(400, 401, 403, 404),
    )
    def post(self, request: Request, path: str) -> Response:
        """The same, for clients that cannot send DELETE."""
        return self.delete(request, path)


class DestinationSerializer(serializers.Serializer):
    """Where a file goes."""

    destination = serializers.CharField(trim_whitespace=False, help_text="The new path, with the file's name.")
    overwrite = serializers.BooleanField(default=False, help_text="Replace a file that is there.")


TO_ARCHIVE = OpenApiExample("into another directory", {"destination": "archive/2026.pdf", "overwrite": False})


def _destination(request: Request) -> dict[str, Any]:
    serializer = DestinationSerializer(data=request.data)
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data


class MoveView(FileActionView):
    """Another path for the same file."""

    verb = "move"

    @extend_schema(
        tags=["files"],
        operation_id="files_move",
        parameters=[FILE_PATH],
        request=DestinationSerializer,
        responses={200: EntrySerializer} | errors(400, 401, 403, 404, 409),
        examples=[TO_ARCHIVE],
    )
    def post(self, request: Request, path: str) -> Response:
        """Move or rename a file; its shares follow. 409 if the destination exists, unless `overwrite`."""
        return Response(file_entry(files.move(request.user, path, **_destination(request))))


class CopyView(FileActionView):
    """A second file."""

    verb = "copy"

    @extend_schema(
        tags=["files"],
        operation_id="files_copy",
        parameters=[FILE_PATH],
        request=DestinationSerializer,
        responses={201: EntrySerializer} | errors(400, 401, 403, 404, 409, 413),
        examples=[TO_ARCHIVE],
    )
    def post(self, request: Request, path: str) -> Response:
        """Copy a file, without its shares. 409 if the destination exists, unless `overwrite`."""
        return Response(file_entry(files.copy(request.user, path, **_destination(request))), status=201)
