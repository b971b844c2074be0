"""Directories: list, make, remove."""

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.openapi import errors
from api.storage_view import StorageView, page_of
from api.v1.entries import EntrySerializer, directory_entry, file_entry
from core import files
from core.storage.paths import normalize

DIRECTORY_PATH = OpenApiParameter(
    "path",
    str,
    OpenApiParameter.PATH,
    description="Relative to your own files.",
    examples=[OpenApiExample("a directory", "reports/2026")],
)
PAGING = [
    OpenApiParameter("limit", int, description="At most so many entries (100; no more than 1000)."),
    OpenApiParameter("offset", int, description="Leave out so many entries."),
]


class ListingSerializer(serializers.Serializer):
    """A page of a directory's entries."""

    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = EntrySerializer(many=True)


class MadeSerializer(serializers.Serializer):
    """The path of a directory."""

    path = serializers.CharField()


def _listing(view: StorageView, request: Request, path: str) -> Response:
    path = normalize(path) if path else ""
    pages, entries = page_of(view, request, files.list_directory(request.user, path))
    known = files.describe_all(request.user, path, entries)
    return pages.get_paginated_response(
        [
            directory_entry(f"{path}/{entry.name}" if path else entry.name, entry)
            if entry.is_directory
            else file_entry(known[entry.name])
            for entry in entries
        ]
    )


class TopDirectoryView(StorageView):
    """Where a user's files begin."""

    @extend_schema(
        tags=["directories"],
        operation_id="dirs_list_top",
        parameters=PAGING,
        responses={200: ListingSerializer} | errors(401),
    )
    def get(self, request: Request) -> Response:
        """List your topmost directory: directories first, then files, by name."""
        return _listing(self, request, "")


class DirectoryView(StorageView):
    """One directory."""

    @extend_schema(
        tags=["directories"],
        operation_id="dirs_list",
        parameters=[DIRECTORY_PATH, *PAGING],
        responses={200: ListingSerializer} | errors(400, 401, 404),
    )
    def get(self, request: Request, path: str) -> Response:
        """List a directory: directories first, then files, by name."""
        return _listing(self, request, path)

    @extend_schema(
        tags=["directories"], parameters=[DIRECTORY_PATH], responses={204: None} | errors(400, 401, 403, 404, 409)
    )
    def delete(self, request: Request, path: str) -> Response:
        """Remove an empty directory; 409 if something is in it."""
        files.remove_directory(request.user, path)
        return Response(status=204)


class CreateDirectoryView(StorageView):
    """A new directory. GET lists a directory that is itself named `create`."""

    @extend_schema(exclude=True)
    def get(self, request: Request, path: str) -> Response:
        return _listing(self, request, f"{path}/create")

    @extend_schema(exclude=True)
    def delete(self, request: Request, path: str) -> Response:
        files.remove_directory(request.user, f"{path}/create")
        return Response(status=204)

    @extend_schema(
        tags=["directories"],
        operation_id="dirs_create",
        parameters=[DIRECTORY_PATH],
        request=None,
        responses={201: MadeSerializer, 200: MadeSerializer} | errors(400, 401, 403, 409),
    )
    def post(self, request: Request, path: str) -> Response:
        """Make a directory and its parents (201), or find it there (200)."""
        created = files.make_directory(request.user, path)
        return Response({"path": normalize(path)}, status=201 if created else 200)
