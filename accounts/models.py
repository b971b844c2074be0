"""Who uses the server: organizations (the tenants), users, and the keys and tokens that prove a user."""

import uuid
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.db import models, transaction
from django.db.models.functions import Upper
from django.utils import timezone


class Organization(models.Model):
    """A tenant. Every user belongs to exactly one; files and quotas are counted per organization."""

    name = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"organization {self.pk}"


class UserManager(DjangoUserManager["User"]):
    """Makes users with an organization of their own where none is given, as `createsuperuser` gives none."""

    use_in_migrations = False

    @transaction.atomic
    def create_user(
        self, username: str, email: str | None = None, password: str | None = None, **extra_fields: Any
    ) -> "User":
        """Like Django's. The caller vouches for the address, unless `email_verified_at=None` is given."""
        return super().create_user(username, email, password, **self._completed(username, extra_fields))

    @transaction.atomic
    def create_superuser(
        self, username: str, email: str | None = None, password: str | None = None, **extra_fields: Any
    ) -> "User":
        """Like Django's, with a verified address and an organization."""
        return super().create_superuser(username, email, password, **self._completed(username, extra_fields))

    def get_by_natural_key(self, username: str | None) -> "User":
        """Signing in as `Bob` finds `bob`; the constraint below makes sure that there is only one."""
        return self.get(username__iexact=username)

    def _completed(self, username: str, extra_fields: dict[str, Any]) -> dict[str, Any]:
        extra_fields.setdefault("email_verified_at", timezone.now())
        # An empty name is refused by Django's create_user; no organization is made for it.
        if username and not (extra_fields.get("organization") or extra_fields.get("organization_id")):
            extra_fields["organization"] = Organization.objects.using(self.db).create(name=username)
        return extra_fields


class User(AbstractUser):
    """A person's account. Signing in needs a verified e-mail address and `is_active`.

    Several unverified accounts may claim one address, so that registering never tells whether an address is
    known; only one of them can be verified.
    """

    email = models.EmailField("email address")
    email_verified_at = models.DateTimeField(null=True, blank=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="users")

    objects = UserManager()  # type: ignore[misc]

    class Meta(AbstractUser.Meta):
        constraints = [
            # Upper, because Django's iexact compares UPPER() on PostgreSQL and can then use these indexes.
            models.UniqueConstraint(
                Upper("username"),
                name="username_unique_in_any_case",
                violation_error_message="This username is taken, possibly in other letter case.",
            ),
            models.UniqueConstraint(
                Upper("email"),
                condition=models.Q(email_verified_at__isnull=False) & ~models.Q(email=""),
                name="verified_email_unique",
                violation_error_message="Another account already has this address.",
            ),
        ]

    def __str__(self) -> str:
        return f"user {self.pk}"


class ApiKey(models.Model):
    """A key for scripts. Only its SHA-256 is stored: 48 random bytes need no slow hash."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=8, editable=False, help_text="The key's first characters.")
    key_hash = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="Exact to the minute.")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at", "id")
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"API key {self.pk}"


class EmailVerification(models.Model):
    """A token mailed to a new address. Stored hashed, like an API key."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="email_verifications")
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"e-mail verification {self.pk}"
