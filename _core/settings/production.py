"""Production: hardened, and it refuses to start half configured."""

from _core.environment import flag, items, number, required, text
from _core.settings.base import *
from core.monitoring import init_sentry

DEBUG = False

SECRET_KEY = required(
    "SECRET_KEY", "<50 random characters: python -c 'import secrets; print(secrets.token_urlsafe(50))'>"
)
ALLOWED_HOSTS = required("ALLOWED_HOSTS", "files.example.org") and items("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = items("CSRF_TRUSTED_ORIGINS")

# Off only for a server that is reached without TLS, on a trusted network.
HTTPS = flag("STORMCLOUD_HTTPS", True)
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^api/v1/health/"]
if REST_FRAMEWORK["NUM_PROXIES"]:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

EMAIL_HOST = text("EMAIL_HOST", "localhost")
EMAIL_PORT = number("EMAIL_PORT", 25)
EMAIL_HOST_USER = text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = flag("EMAIL_USE_TLS", False)
EMAIL_TIMEOUT = 10

# Optional: error tracking and performance monitoring. Does nothing without SENTRY_DSN.
init_sentry(environment="production", **MONITORING)
