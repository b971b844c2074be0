"""What audits of the stored files found, for staff. Files are told by their ids, never by name."""

from uuid import UUID

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.openapi import errors
from core.audit import violations
from core.models import AuditRun, StorageViolation

STATES = {"open": {"resolved_at": None}, "resolved": {"resolved_at__isnull": False}}
BIGGEST_ID = 2**63 - 1


class RunSerializer(serializers.ModelSerializer):
    class Meta:
        model = AuditRun
        fields = ("id", "state", "phase", "started_at", "checkpoint_at", "finished_at")
        fields += ("organization_id", "since", "sample", "figures", "error")


class ViolationSerializer(serializers.ModelSerializer):
    attribute = serializers.CharField(help_text="The attribute that differs.")
    file_id = serializers.UUIDField(allow_null=True, help_text="Empty where the database knows no such file.")
    subject = serializers.CharField(help_text="The same for everything that is found at one place.")
    acknowledged_by_id = serializers.IntegerField(allow_null=True)

    class Meta:
        model = StorageViolation
        fields = violations.COLUMNS


class FilterSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(StorageViolation.Kind.values, required=False)
    state = serializers.ChoiceField(list(STATES), required=False)
    acknowledged = serializers.BooleanField(required=False, allow_null=True, default=None)
    organization = serializers.IntegerField(required=False, min_value=1, max_value=BIGGEST_ID)
    user = serializers.IntegerField(required=False, min_value=1, max_value=BIGGEST_ID)
    file = serializers.UUIDField(required=False)

    def filtered(self) -> QuerySet[StorageViolation]:
        """The violations that were asked for, the newest first."""
        self.is_valid(raise_exception=True)
        asked = self.validated_data
        found = StorageViolation.objects.all()
        if asked["acknowledged"] is not None:
            found = found.filter(acknowledged_at__isnull=not asked["acknowledged"])
        fields = {"kind": "kind", "organization": "organization_id", "user": "user_id"}
        wanted = {field: asked[name] for name, field in fields.items() if name in asked}
        if "file" in asked:
            wanted["subject"] = str(asked["file"])
        return found.filter(**wanted, **STATES.get(asked.get("state", ""), {}))


FILTERS = [
    OpenApiParameter("kind", str, enum=StorageViolation.Kind.values),
    OpenApiParameter("state", str, enum=list(STATES), description="Without it, both."),
    OpenApiParameter("acknowledged", bool, description="Whether staff has taken note of it."),
    OpenApiParameter("organization", int, description="Its id."),
    OpenApiParameter("user", int, description="Whose files: their id."),
    OpenApiParameter("file", OpenApiTypes.UUID, description="Its id."),
]


@extend_schema(tags=["staff"])
class Runs(ListAPIView):
    """All audits, the newest first, with what they cost."""

    permission_classes = (IsAdminUser,)
    serializer_class = RunSerializer
    queryset = AuditRun.objects.all()


@extend_schema(tags=["staff"], parameters=FILTERS)
class Violations(ListAPIView):
    """What audits found, the newest first."""

    permission_classes = (IsAdminUser,)
    serializer_class = ViolationSerializer
    queryset = StorageViolation.objects.all()

    def filter_queryset(self, queryset: QuerySet[StorageViolation]) -> QuerySet[StorageViolation]:
        return FilterSerializer(data=self.request.query_params).filtered()


@extend_schema(tags=["staff"], parameters=FILTERS)
class ExportViolations(APIView):
    permission_classes = (IsAdminUser,)

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR} | errors(400, 401, 403))
    def get(self, request: Request) -> StreamingHttpResponse:
        """The same as CSV, all of them at once."""
        return violations.as_csv(FilterSerializer(data=request.query_params).filtered())


@extend_schema(tags=["staff"])
class Acknowledge(APIView):
    permission_classes = (IsAdminUser,)

    @extend_schema(request=None, responses={200: ViolationSerializer} | errors(401, 403, 404))
    def post(self, request: Request, violation_id: UUID) -> Response:
        """Note that you know of it. It stays open until an audit finds it mended."""
        violation = get_object_or_404(StorageViolation, pk=violation_id)
        violations.acknowledge(StorageViolation.objects.filter(pk=violation_id), request.user)
        violation.refresh_from_db()
        return Response(ViolationSerializer(violation).data)
