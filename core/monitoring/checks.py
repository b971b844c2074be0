"""What `manage.py check` says of the monitoring.

All findings are warnings: an error would keep `runserver` and `migrate` from starting, and monitoring never stops
the server. In a pipeline, `manage.py check --fail-level WARNING` is the strict form.

| id | what |
| --- | --- |
| monitoring.W001 | SENTRY_DSN is not a DSN |
| monitoring.W002 | a rate, number or flag makes no sense; the default stands |
| monitoring.W003 | SENTRY_DSN is set, but sentry-sdk can't be imported |
| monitoring.W004 | SENTRY_DSN is set, but the middleware is not in MIDDLEWARE |
| monitoring.W005 | the file that SENTRY_DSN_FILE names can't be read |
| monitoring.W006 | the SDK could not be started |
| monitoring.W007 | a pattern of the host can't be used |
| monitoring.W008 | the ledger can't be written |
"""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning

from core.monitoring.config import Problem
from core.monitoring.sdk import active, is_enabled

MIDDLEWARE_MISSING = Problem(
    "monitoring.W004",
    "Events will not say which user, tenant or route they belong to: SentryContextMiddleware is not in MIDDLEWARE.",
    'Add "core.middleware.SentryContextMiddleware" to MIDDLEWARE, or unset SENTRY_DSN.',
)


def check_monitoring(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Return a warning for each problem of the configuration in force; none if nothing is configured."""
    return [Warning(p.message, hint=p.hint, id=p.id) for p in problems_in_force()]


def problems_in_force() -> list[Problem]:
    """Return what is wrong with the configuration, and with how the host uses the drop-in."""
    problems = list(active().problems)
    if is_enabled() and not any(path.endswith(".SentryContextMiddleware") for path in settings.MIDDLEWARE):
        problems.append(MIDDLEWARE_MISSING)
    return problems
