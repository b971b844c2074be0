"""What staff sees of files: never a name, a content or a link."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse

from core import files
from core.audit import violations
from core.models import AuditRun, Quota, Share, StorageViolation, StoredFile


class _NotByHand(admin.ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(StoredFile)
class StoredFileAdmin(_NotByHand):
    """Deleting one here deletes the file too."""

    list_display = ["id", "owner", "size", "content_type", "created_at", "modified_at"]
    fields = [*list_display, "checksum"]
    list_filter = ["content_type"]
    search_fields = ["=id", "=checksum"]
    list_select_related = ["owner"]

    def delete_model(self, request: HttpRequest, obj: StoredFile) -> None:
        files.delete(obj.owner, obj.path)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[StoredFile]) -> None:
        for file in queryset.select_related("owner"):
            files.delete(file.owner, file.path)


@admin.register(Share)
class ShareAdmin(_NotByHand):
    """Deleting one revokes the link."""

    list_display = ["id", "file", "has_password", "expires_at", "download_count", "created_at"]
    fields = list_display
    list_select_related = ["file"]

    @admin.display(boolean=True)
    def has_password(self, share: Share) -> bool:
        return share.has_password


@admin.register(Quota)
class QuotaAdmin(admin.ModelAdmin):
    """The limit is the staff's to set; what is used is counted."""

    list_display = ["organization", "used_bytes", "limit_bytes"]
    readonly_fields = ["organization", "used_bytes"]
    list_select_related = ["organization"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


class _History(_NotByHand):
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # What was found stays known.


@admin.register(AuditRun)
class AuditRunAdmin(_History):
    """When the stored files were audited, and what it cost."""

    list_display = ["id", "state", "started_at", "finished_at", "organization_id", "since", "sample", "error"]
    fields = [*list_display, "phase", "checkpoint_at", "figures"]
    list_filter = ["state"]


@admin.register(StorageViolation)
class StorageViolationAdmin(_History):
    """What audits found, by the file's id; `manage.py audit_storage` tells the place."""

    list_display = ["id", "kind", "subject", "user_id", "difference", "first_seen_at", "resolved_at", "acknowledged_at"]
    fields = [name for name in violations.COLUMNS if name != "acknowledged_by_id"] + ["acknowledged_by"]
    list_filter = [
        "kind",
        ("resolved_at", admin.EmptyFieldListFilter),
        ("acknowledged_at", admin.EmptyFieldListFilter),
        "first_seen_at",
    ]
    search_fields = ["=subject"]
    list_select_related = ["acknowledged_by"]
    actions = ["acknowledge", "export"]

    @admin.action(description="Note that you know of the selected ones", permissions=["view"])
    def acknowledge(self, request: HttpRequest, selected: QuerySet[StorageViolation]) -> None:
        self.message_user(request, f"{violations.acknowledge(selected, request.user)} noted.")

    @admin.action(description="Export the selected ones as CSV", permissions=["view"])
    def export(self, request: HttpRequest, selected: QuerySet[StorageViolation]) -> StreamingHttpResponse:
        return violations.as_csv(selected)
