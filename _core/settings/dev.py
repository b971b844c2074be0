"""Development: DEBUG, SQLite unless `.env` says otherwise, mails on the console."""

import warnings

from _core.environment import items, text
from _core.settings.base import *
from core.monitoring import init_sentry

DEBUG = True
SECRET_KEY = text("SECRET_KEY", "development-only-never-in-production")
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *items("ALLOWED_HOSTS")]
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

# Static files come straight from the apps; nothing has to be collected.
WHITENOISE_USE_FINDERS = True
warnings.filterwarnings("ignore", message="No directory at", module="whitenoise.base")

init_sentry(environment="development", findings=True, **MONITORING)
