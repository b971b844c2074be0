"""The WSGI entry point: `gunicorn _core.wsgi`."""

from django.core.wsgi import get_wsgi_application

from _core import use_settings

use_settings(default="_core.settings.production")
application = get_wsgi_application()
