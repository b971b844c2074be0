"""Tests: fast hashing, mails in memory, files in a folder of their own, and no monitoring unless a test starts it."""

import tempfile
from pathlib import Path

from _core.settings.base import *

DEBUG = False
SECRET_KEY = "tests-only"  # noqa: S105
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CACHES["default"] = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
CELERY_BROKER_URL, CELERY_TASK_ALWAYS_EAGER = "", True

_scratch = Path(tempfile.mkdtemp(prefix="storm-cloud-tests-"))
STATIC_ROOT = _scratch
STORMCLOUD_STORAGE_ROOT = str(_scratch / "media")
SECURITY_LOG = _scratch / "security.log"
LOGGING["handlers"]["security"]["filename"] = str(SECURITY_LOG)
MONITORING["log_dir"] = _scratch
