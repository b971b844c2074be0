"""Accounts in Django's admin site. Nothing here shows a secret or its hash."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone

from accounts import api_keys, closing
from accounts.models import ApiKey, Organization, User


@admin.register(Organization)
class OrganizationAdmin(admin.ModelAdmin):
    list_display = ("id", "name", "created_at")
    list_display_links = ("id", "name")
    search_fields = ("name",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # An organization goes with its last user.


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    list_display = (
        "username",
        "email",
        "organization",
        "is_active",
        "is_staff",
        "email_verified_at",
        "last_login",
    )
    list_select_related = ("organization",)
    autocomplete_fields = ("organization",)
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        *DjangoUserAdmin.fieldsets,
        ("Storm Cloud", {"fields": ("organization", "email_verified_at")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "email", "organization", "usable_password", "password1", "password2"),
            },
        ),
    )

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        closing.delete(obj, by=request.user, request=request)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            self.delete_model(request, user)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        # A user's files are stored below the organization.
        return (*super().get_readonly_fields(request, obj), *(["organization"] if obj else []))

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:
        if not change:
            obj.email_verified_at = timezone.now()  # Whoever makes an account here vouches for its address.
        super().save_model(request, obj, form, change)
        if change:
            closing.announce(obj, form.changed_data, by=request.user, request=request)


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    list_display = ("prefix", "name", "user", "created_at", "last_used_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("user",)
    search_fields = ("prefix", "name", "user__username")
    fields = readonly_fields = ("id", "prefix", "name", "user", "created_at", "last_used_at", "revoked_at")
    actions = ("revoke",)

    @admin.action(description="Revoke the selected keys", permissions=["view"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        revoked = sum(api_keys.revoke(key, by=request.user, request=request) for key in keys.select_related("user"))
        self.message_user(request, f"{revoked} keys revoked.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # The key could be shown to nobody.

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # Revoked keys stay, so that their use is noticed.
