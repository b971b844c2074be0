"""What every environment shares. Values that differ from server to server come from the environment or `.env`."""

import dj_database_url
from celery.schedules import crontab
from corsheaders.defaults import default_headers

from _core.environment import BASE_DIR, folder, items, number, redis_url, schedule, text

VERSION = "0.1.0"

INSTALLED_APPS = [
    "_core.admin_site.StaffSiteConfig",  # django.contrib.admin with two pages more
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "_core",
    "accounts",
    "core",
    "core.monitoring",
]

MIDDLEWARE = [
    # First, so that what the others do and fail at is known by its request.
    "core.request_id.RequestIdMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "core.middleware.SentryContextMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "api.middleware.SlashMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "_core.urls"
DEFAULT_EXCEPTION_REPORTER = "core.request_id.DebugReporter"
WSGI_APPLICATION = "_core.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": dj_database_url.parse(text("DATABASE_URL", f"sqlite:///{BASE_DIR / 'db.sqlite3'}"))}
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # Each process keeps its connections in a pool (https://docs.djangoproject.com/en/5.2/ref/databases/#connection-pool),
    # which also lends them to the threads of an event loop, where CONN_MAX_AGE would keep one open for each request,
    # and replaces those that a restart of the database has cut.
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {
        "min_size": 0,
        "max_size": number("DATABASE_POOL_SIZE", 20),
        "timeout": 10,
    }
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    # Writers wait for each other instead of failing: a transaction takes the write lock when it begins
    # (https://docs.djangoproject.com/en/5.2/ref/databases/#sqlite-transaction-behavior).
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = redis_url("REDIS_URL", "unix")
# How the cache says that it does not answer.
CACHE_ERRORS: tuple[type[Exception], ...] = ()
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    # Where throttles count while Redis does not answer.
    "process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "process"},
}
if REDIS_URL:
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry

    CACHE_ERRORS = (RedisError,)
    CACHES["default"] = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "stormcloud",
        # A Redis that is gone must not keep a request waiting.
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1, "retry": Retry(NoBackoff(), retries=1)},
    }

SESSION_ENGINE = "accounts.sessions"
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"

STORMCLOUD_STORAGE_BACKEND = text("STORMCLOUD_STORAGE_BACKEND", "local")
STORMCLOUD_STORAGE_ROOT = text("STORMCLOUD_STORAGE_ROOT", str(BASE_DIR / "media"))
# Bytes one organization may store.
STORMCLOUD_QUOTA_BYTES = number("STORMCLOUD_QUOTA_BYTES", 10 * 1024**3)
STORMCLOUD_MAX_API_KEYS = number("STORMCLOUD_MAX_API_KEYS", 10)
# Where users reach this server; links in mails begin with it.
STORMCLOUD_PUBLIC_URL = text("STORMCLOUD_PUBLIC_URL", "http://127.0.0.1:8000")

DEFAULT_FROM_EMAIL = text("DEFAULT_FROM_EMAIL", "storm-cloud@localhost")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PARSER_CLASSES": ["api.parsers.BoundedJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "api.pagination.BoundedPagination",
    "PAGE_SIZE": 100,
    "EXCEPTION_HANDLER": "api.errors.exception_handler",
    "DEFAULT_THROTTLE_RATES": {"login": "10/minute", "registration": "20/hour", "share": "30/minute"},
    # How many proxies stand in front: the client's address for throttling and security.log.
    "NUM_PROXIES": number("STORMCLOUD_PROXIES", 0),
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Storm Cloud",
    "DESCRIPTION": "Store, list and share files. Sign in with a session or `Authorization: Bearer <API key>`.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    # Served by this server: opening the documentation tells no third party.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    # Signing in replaces the CSRF token, so each request takes the one that holds now.
    "SWAGGER_UI_SETTINGS": """{
        deepLinking: true,
        requestInterceptor: (request) => {
            const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
            if (token && request.credentials === "same-origin") request.headers["X-CSRFToken"] = token[1];
            return request;
        },
    }""",
}

# The audit of stored files: when, how many threads read, how fast at most (0: no limit), and from how many new
# violations on it is a warning or an error.
STORMCLOUD_AUDIT_SCHEDULE = text("STORMCLOUD_AUDIT_SCHEDULE", "0 1 * * *")
STORMCLOUD_AUDIT_THREADS = number("STORMCLOUD_AUDIT_THREADS", 2)
STORMCLOUD_AUDIT_MB_PER_SECOND = number("STORMCLOUD_AUDIT_MB_PER_SECOND", 100.0)
STORMCLOUD_AUDIT_WARNING_FROM = number("STORMCLOUD_AUDIT_WARNING_FROM", 1)
STORMCLOUD_AUDIT_ERROR_FROM = number("STORMCLOUD_AUDIT_ERROR_FROM", 5)

# Work in the background. Without a broker, whoever asks for it does it at once.
CELERY_BROKER_URL = redis_url("CELERY_BROKER_URL", "redis+socket", "sentinel")
CELERY_TASK_ALWAYS_EAGER = not CELERY_BROKER_URL
CELERY_TASK_EAGER_PROPAGATES = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
# A task that a killed worker leaves behind runs again: each may run twice. If only the task's own process is killed,
# for its memory, it does not: the next would be killed as well.
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Seconds. Reading a whole storage for the first time takes hours; nothing takes longer.
CELERY_TASK_SOFT_TIME_LIMIT = 6 * 3600
CELERY_TASK_TIME_LIMIT = CELERY_TASK_SOFT_TIME_LIMIT + 300
# Redis gives a task that was not acknowledged by then to another worker.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": CELERY_TASK_TIME_LIMIT + 3600,
    # Seconds: a Redis that is gone or silent must not keep the request that asks for a task waiting.
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
    "max_retries": 1,
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = TIME_ZONE
# The names are those of the cron monitors in the tracker.
CELERY_BEAT_SCHEDULE = {
    # Before the rebuild and the recount, which take what they find for the truth.
    "audit-storage": {
        "task": "core.tasks.audit_storage",
        "schedule": schedule("STORMCLOUD_AUDIT_SCHEDULE", STORMCLOUD_AUDIT_SCHEDULE),
    },
    "cleanup-expired-tokens": {
        "task": "accounts.tasks.cleanup_expired_tokens",
        "schedule": crontab(hour="3", minute="10"),
    },
    "cleanup-expired-shares": {"task": "core.tasks.cleanup_expired_shares", "schedule": crontab(hour="3", minute="20")},
    "rebuild-index": {"task": "core.tasks.rebuild_index", "schedule": crontab(hour="3", minute="30")},
    "recount-quotas": {"task": "core.tasks.recount_quotas", "schedule": crontab(hour="4", minute="40")},
}

CORS_ALLOWED_ORIGINS = items("CORS_ALLOWED_ORIGINS")
CORS_URLS_REGEX = r"^/api/"
# What a web page needs for downloads in parts, for shares with a password, and to tell what failed.
CORS_ALLOW_HEADERS = [*default_headers, "if-none-match", "if-range", "range", "x-share-password"]
CORS_EXPOSE_HEADERS = ["Content-Disposition", "Content-Range", "ETag", "X-Request-ID", "X-Support-Reference"]

SECURITY_LOG = folder("STORMCLOUD_LOG_DIR", BASE_DIR / "logs") / "security.log"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {
            "()": "core.request_id.RequestIdFormatter",
            "format": "{asctime} {levelname} {name} [{request_id} {trace_id}] {message}",
            "style": "{",
        },
        "security": {"format": "{asctime} {levelname} {message}", "style": "{"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "plain"},
        "security": {
            "class": "accounts.security_log_file.PrivateFileHandler",
            "filename": str(SECURITY_LOG),
            "formatter": "security",
            "encoding": "utf-8",
            "delay": True,
        },
    },
    "loggers": {
        # Without the handlers that Django would give it: in development its lines would come twice, once without ids.
        "django": {"handlers": [], "level": "INFO"},
        "stormcloud.security": {"handlers": ["security"], "level": "INFO", "propagate": False},
    },
    "root": {"handlers": ["console"], "level": "INFO"},
}

# What the monitoring has to know of this server; `init_sentry(**MONITORING)` in dev.py and production.py.
MONITORING = {
    "base_dir": BASE_DIR,
    "log_dir": SECURITY_LOG.parent,
    # Minutes: later than this a scheduled task is missed, and longer than this it hangs.
    "monitor_config": {"checkin_margin": 15, "max_runtime": CELERY_TASK_TIME_LIMIT // 60},
    "tenant": "user.organization_id",
    "ignore_paths": ["/api/v1/health/", "/static/"],
    # The security log holds e-mails and addresses on purpose; nothing of it goes to Sentry.
    "ignore_loggers": ["stormcloud.security"],
    # What follows them is a user's: file names on disk and in addresses, and the tokens of share links.
    "private_paths": [STORMCLOUD_STORAGE_ROOT, "/api/v1/files", "/api/v1/dirs", "/api/v1/public"],
    # Every second variable there is a file's name, or what holds one.
    "private_modules": [
        "core.storage",
        "core.audit",
        "core.index",
        "core.files",
        "core.shares",
        "core.management",
        "api.v1.dirs",
        "rest_framework.response",  # renders what the others return
    ],
    # What users call their files, in request bodies and in variables, and what they look for.
    "sensitive_keys": ["path", "paths", "parts", "parents", "destination", "filename", "batch", "search", "q"],
}
