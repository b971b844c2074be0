"""How a stored file or directory looks in answers."""

from typing import Any

from rest_framework import serializers

from core.models import StoredFile
from core.storage.base import Entry


class EntrySerializer(serializers.Serializer):
    """A file or directory."""

    type = serializers.ChoiceField(["file", "directory"])
    name = serializers.CharField()
    path = serializers.CharField(help_text="Relative to your own files.")
    size = serializers.IntegerField(allow_null=True, help_text="Bytes; null for a directory.")
    modified_at = serializers.DateTimeField()
    id = serializers.UUIDField(
        allow_null=True, help_text="Stays when the file is moved; null until the index knows it."
    )
    checksum = serializers.CharField(
        allow_null=True, help_text="SHA-256 in hex; null until the index knows the content."
    )
    content_type = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField(allow_null=True)


def file_entry(file: StoredFile) -> dict[str, Any]:
    """The answer for a file."""
    return EntrySerializer(
        {
            "type": "file",
            "name": file.name,
            "path": file.path,
            "size": file.size,
            "modified_at": file.modified_at,
            "id": file.pk,
            "checksum": file.checksum or None,
            "content_type": file.content_type,
            "created_at": file.created_at,
        }
    ).data


def directory_entry(path: str, entry: Entry) -> dict[str, Any]:
    """The answer for a directory."""
    return EntrySerializer(
        {
            "type": "directory",
            "name": entry.name,
            "path": path,
            "size": None,
            "modified_at": entry.modified_at,
            "id": None,
            "checksum": None,
            "content_type": None,
            "created_at": None,
        }
    ).data
