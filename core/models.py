"""The index of what is stored, the links that share it, the room that an organization has, and what audits found."""

import secrets
import uuid

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import models
from django.utils import timezone

from core.storage.base import QuotaExceeded


class StoredFile(models.Model):
    """What the index knows of one file. The file system is the truth: `rebuild_index` makes this agree with it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="stored_files")
    path = models.CharField(max_length=1024, help_text="Relative to the owner's files, Unicode NFC.")
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    checksum = models.CharField(max_length=64, help_text="SHA-256 of the content, in hex.")
    content_type = models.CharField(max_length=255)
    created_at = models.DateTimeField(auto_now_add=True)
    modified_at = models.DateTimeField(help_text="When the content changed, according to the storage.")

    class Meta:
        ordering = ["path"]
        constraints = [models.UniqueConstraint(fields=["owner", "path"], name="one_row_per_file")]

    def __str__(self) -> str:
        return f"file {self.pk}"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def version(self) -> str:
        """Differs when the content does: the checksum or, where it is not known, size and time."""
        return self.checksum or f"{self.size:x}-{int(self.modified_at.timestamp() * 1_000_000):x}"


class ShareQuerySet(models.QuerySet["Share"]):
    """Shares, and which of them are open."""

    def open(self) -> "ShareQuerySet":
        """Those that have not expired and whose owner's account is active."""
        unexpired = models.Q(expires_at=None) | models.Q(expires_at__gt=timezone.now())
        return self.filter(unexpired, file__owner__is_active=True)


def _new_token() -> str:
    return secrets.token_urlsafe(32)


class Share(models.Model):
    """A link to a file for whoever has its token. It follows the file when it is moved, and is deleted with it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    file = models.ForeignKey(StoredFile, on_delete=models.CASCADE, related_name="shares")
    # Not hashed: the owner sees the link again in the list of shares.
    token = models.CharField(max_length=64, unique=True, default=_new_token, editable=False)
    password_hash = models.CharField(max_length=255, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    download_count = models.PositiveBigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ShareQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "id"]

    def __str__(self) -> str:
        return f"share {self.pk}"

    @property
    def has_password(self) -> bool:
        """Whether downloading needs a password."""
        return bool(self.password_hash)

    def set_password(self, password: str) -> None:
        """Keep the password's hash; the empty password means none."""
        self.password_hash = make_password(password) if password else ""

    def check_password(self, password: str) -> bool:
        """Whether it is the right one; any is when none is set."""
        return not self.has_password or check_password(password, self.password_hash)

    def count_download(self) -> None:
        """Add one, also when several downloads begin at once."""
        Share.objects.filter(pk=self.pk).update(download_count=models.F("download_count") + 1)


class Quota(models.Model):
    """How many bytes an organization may store, and how many it does. Its row is the lock of every change."""

    organization = models.OneToOneField("accounts.Organization", on_delete=models.CASCADE, primary_key=True)
    limit_bytes = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Empty: the server's STORMCLOUD_QUOTA_BYTES."
    )
    used_bytes = models.PositiveBigIntegerField(default=0, editable=False)

    def __str__(self) -> str:
        return f"quota of organization {self.pk}"

    @property
    def limit(self) -> int:
        """Bytes that may be stored."""
        return settings.STORMCLOUD_QUOTA_BYTES if self.limit_bytes is None else self.limit_bytes

    def room(self, replaced: int = 0) -> int:
        """Bytes that a new file may have if it replaces one of `replaced` bytes, which it may always equal."""
        return max(self.limit - self.used_bytes + replaced, replaced)

    def refusal(self) -> QuotaExceeded:
        """The error for a file that has no room."""
        return QuotaExceeded(
            f"Your organization stores {self.used_bytes:,} of {self.limit:,} bytes, and the file does not fit. "
            "Nothing was changed. Delete files, or ask an administrator for a higher quota."
        )

    def charge(self, size: int, replaced: int = 0) -> None:
        """Count a file of `size` bytes that replaces one of `replaced`, or raise `QuotaExceeded`."""
        if size > self.room(replaced):
            raise self.refusal()
        self.add(size - replaced)

    def add(self, difference: int) -> None:
        """Change the count by so many bytes, whatever the limit. Only for a row that this transaction has locked."""
        self.used_bytes = max(self.used_bytes + difference, 0)
        self.save(update_fields=["used_bytes"])


class DeletedTree(models.Model):
    """The files of a deleted user, noted with the user's deletion until the storage has deleted them, too."""

    key = models.CharField(max_length=64, help_text="Where the storage keeps them.")

    def __str__(self) -> str:
        return f"deleted tree {self.pk}"


class AuditRun(models.Model):
    """One audit of the storage: what it covers, how far it came, and what it cost."""

    class State(models.TextChoices):
        """Where a run stands. One that was killed still seems to run, until the next audit takes it up or drops it.

        One that had no time left is paused, until the next takes it up.
        """

        RUNNING = "running"
        PAUSED = "paused"
        FINISHED = "finished"
        FAILED = "failed"
        DROPPED = "dropped"

    state = models.CharField(max_length=8, choices=State, default=State.RUNNING)
    started_at = models.DateTimeField(default=timezone.now)
    checkpoint_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    # Not foreign keys, here and below: the history outlives what it tells of.
    organization_id = models.BigIntegerField(null=True, help_text="Empty: all of them.")
    since = models.DateTimeField(null=True, help_text="Only files that were stored since then.")
    sample = models.PositiveIntegerField(null=True, help_text="Only so many files, chosen at random.")
    phase = models.CharField(max_length=16, blank=True, help_text="The phase that it is in, or was last in.")
    last_owner_id = models.BigIntegerField(default=0)
    last_path = models.CharField(max_length=1024, blank=True)
    figures = models.JSONField(default=dict)
    error = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ["-started_at", "-id"]

    def __str__(self) -> str:
        return f"audit {self.pk}"

    @property
    def is_complete(self) -> bool:
        """Whether it looks at all files of what it covers."""
        return self.since is None and self.sample is None


class StorageViolation(models.Model):
    """Something that the storage and the database tell differently, from when an audit first saw it until none does."""

    class Kind(models.TextChoices):
        """What is wrong. The label is the attribute that differs."""

        MISSING = "missing", "existence"
        UNKNOWN = "unknown", "existence"
        SIZE = "size", "size"
        CONTENT = "content", "checksum"
        TIME = "time", "modified_at"
        PERMISSIONS = "permissions", "mode"
        UNREADABLE = "unreadable", "content"
        QUOTA = "quota", "used_bytes"
        LEFTOVER = "leftover", "existence"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=16, choices=Kind)
    subject = models.CharField(max_length=64, help_text="The file's id. What has none has a hash of its place instead.")
    key = models.TextField(help_text="Where it is in the storage. Holds names: for the console only.")
    organization_id = models.BigIntegerField(null=True)
    user_id = models.BigIntegerField(null=True)
    recorded = models.CharField(max_length=255, blank=True, help_text="What the database says.")
    actual = models.CharField(max_length=255, blank=True, help_text="What the storage says.")
    difference = models.CharField(max_length=255, blank=True)
    last_right_at = models.DateTimeField(null=True, help_text="Empty: it never was, as far as we know.")
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    first_run = models.ForeignKey(AuditRun, on_delete=models.PROTECT, related_name="new_violations")
    last_run = models.ForeignKey(AuditRun, on_delete=models.PROTECT, related_name="violations")
    resolved_at = models.DateTimeField(null=True)
    reported = models.BooleanField(default=False, help_text="Whether the tracker was told.")
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="acknowledged_violations"
    )

    class Meta:
        ordering = ["-first_seen_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["subject", "kind"], condition=models.Q(resolved_at=None), name="one_open_violation_of_a_kind"
            )
        ]

    def __str__(self) -> str:
        return f"violation {self.pk}"

    @property
    def attribute(self) -> str:
        """The attribute that differs."""
        return str(self.get_kind_display())

    @property
    def file_id(self) -> uuid.UUID | None:
        """The file that it is about, if the database knows one."""
        return uuid.UUID(self.subject) if "-" in self.subject else None
