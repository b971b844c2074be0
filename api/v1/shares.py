"""Share links: their owner's side, and the public one."""

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from api.downloads import download
from api.openapi import errors
from api.storage_view import AnyAccept, Refused, StorageView, page_of
from api.throttling import SharePasswordByAddress, SharePasswordByShare
from api.v1.dirs import PAGING
from api.v1.files import DOWNLOAD, RANGE
from core import files, shares
from core.models import Share
from core.storage.base import NotFound

PASSWORD_HEADER = "X-Share-Password"  # noqa: S105 - its name
PASSWORD = OpenApiParameter(
    PASSWORD_HEADER, OpenApiTypes.STR, OpenApiParameter.HEADER, description="If the share has a password."
)
TOKEN = OpenApiParameter("token", OpenApiTypes.STR, OpenApiParameter.PATH, description="From the share's link.")
SHARE_ID = OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH)


class ShareSerializer(serializers.ModelSerializer):
    """A share as its owner sees it. `path` and `password` make a new one."""

    path = serializers.CharField(source="file.path", trim_whitespace=False, help_text="The file to share.")
    password = serializers.CharField(
        write_only=True, default="", allow_blank=True, max_length=128, help_text="Empty: none."
    )
    url = serializers.SerializerMethodField(help_text="Send this link; downloading is at `download/` below it.")
    has_password = serializers.BooleanField(read_only=True)
    expires_at = serializers.DateTimeField(default=None, allow_null=True, help_text="Null: never.")

    class Meta:
        model = Share
        fields = [
            "id",
            "path",
            "url",
            "token",
            "password",
            "has_password",
            "expires_at",
            "download_count",
            "created_at",
        ]
        read_only_fields = ["id", "token", "download_count", "created_at"]

    @extend_schema_field(OpenApiTypes.URI)
    def get_url(self, share: Share) -> str:
        return settings.STORMCLOUD_PUBLIC_URL.rstrip("/") + reverse("public-share", args=[share.token])

    def validate_password(self, password: str) -> str:
        if not password.isprintable():
            raise serializers.ValidationError("A header cannot carry this password. Use visible characters.")
        return password

    def validate_expires_at(self, expires_at: Any) -> Any:
        if expires_at and expires_at <= timezone.now():
            raise serializers.ValidationError("This time has passed. Choose one in the future.")
        return expires_at

    def create(self, validated_data: dict[str, Any]) -> Share:
        owner = self.context["request"].user
        validated_data["path"] = validated_data.pop("file")["path"]
        return shares.create(owner, **validated_data)


class SharePageSerializer(serializers.Serializer):
    """A page of shares."""

    count = serializers.IntegerField()
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = ShareSerializer(many=True)


def _own(request: Request) -> QuerySet[Share]:
    return Share.objects.filter(file__owner_id=request.user.pk).select_related("file")


class SharesView(StorageView):
    """All of one's shares."""

    @extend_schema(
        tags=["shares"],
        operation_id="shares_list",
        parameters=PAGING,
        responses={200: SharePageSerializer} | errors(401),
    )
    def get(self, request: Request) -> Response:
        """List your shares, the newest first, also expired ones."""
        pages, page = page_of(self, request, _own(request))
        return pages.get_paginated_response(ShareSerializer(page, many=True).data)

    @extend_schema(
        tags=["shares"],
        request=ShareSerializer,
        responses={201: ShareSerializer} | errors(400, 401, 403, 404, 409),
        examples=[
            OpenApiExample(
                "with password and expiry",
                {
                    "path": "reports/2026.pdf",
                    "password": "tell it by phone",
                    "expires_at": "2030-01-01T00:00:00Z",
                },
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        """Share a file: whoever has the link, and the password if there is one, can download it."""
        serializer = ShareSerializer(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response(serializer.data, status=201)


class ShareView(StorageView):
    """One of one's shares."""

    def _share(self, request: Request, id: Any) -> Share:
        share = _own(request).filter(pk=id).first()
        if share is None:
            raise NotFound("You have no such share. List your shares to see their ids.")
        return share

    @extend_schema(tags=["shares"], parameters=[SHARE_ID], responses={200: ShareSerializer} | errors(401, 404))
    def get(self, request: Request, id: Any) -> Response:
        """Describe a share."""
        return Response(ShareSerializer(self._share(request, id)).data)

    @extend_schema(tags=["shares"], parameters=[SHARE_ID], responses={204: None} | errors(401, 403, 404))
    def delete(self, request: Request, id: Any) -> Response:
        """Revoke a share: its link stops working at once."""
        self._share(request, id).delete()
        return Response(status=204)


class PublicSerializer(serializers.Serializer):
    """What a link shows before the download."""

    name = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    content_type = serializers.CharField()
    modified_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)


class PublicView(StorageView):
    """A share as anybody sees it who has the link."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (SharePasswordByAddress, SharePasswordByShare)

    def get_throttles(self) -> list[Any]:
        self.throttles = super().get_throttles()
        return self.throttles

    def _share(self, request: Request, token: str) -> Share:
        share = shares.find_open(token)
        password = request.headers.get(PASSWORD_HEADER)
        if share.has_password and password is None:
            raise Refused(
                401,
                "password_required",
                f"This share has a password. Send it in the header {PASSWORD_HEADER}.",
                {"WWW-Authenticate": PASSWORD_HEADER},
            )
        if not share.check_password(_as_typed(password or "")):
            raise Refused(403, "wrong_password", "The password is wrong. Ask whoever sent the link.")
        for throttle in self.throttles:
            throttle.take_back()
        return share

    @extend_schema(
        tags=["public"],
        parameters=[TOKEN, PASSWORD],
        responses={200: PublicSerializer} | errors(401, 403, 404, 429),
        auth=[],
    )
    def get(self, request: Request, token: str) -> HttpResponseBase:
        """Describe what a share link offers."""
        share = self._share(request, token)
        file = files.find(share.file.owner, share.file.path)
        return Response(
            PublicSerializer(
                {
                    "name": file.name,
                    "size": file.size,
                    "content_type": file.content_type,
                    "modified_at": file.modified_at,
                    "expires_at": share.expires_at,
                }
            ).data
        )


class PublicDownloadView(PublicView):
    """The content behind a share."""

    content_negotiation_class = AnyAccept

    @extend_schema(
        tags=["public"],
        parameters=[TOKEN, PASSWORD, RANGE],
        responses=DOWNLOAD | errors(401, 403, 404, 412, 416, 429),
        auth=[],
    )
    def get(self, request: Request, token: str) -> HttpResponseBase:
        """Download what a share link offers."""
        share = self._share(request, token)
        response = download(request._request, *files.open_file(share.file.owner, share.file.path))
        starts = response.get("Content-Range", "bytes 0-").startswith("bytes 0-")
        if request.method == "GET" and response.status_code in (200, 206) and starts:
            share.count_download()
        return response


def _as_typed(header: str) -> str:
    """Clients put a password with letters beyond ASCII into a header as UTF-8 or as Latin-1; WSGI shows Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header
