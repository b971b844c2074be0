"""The ASGI entry point: `uvicorn _core.asgi:application`."""

from django.core.asgi import get_asgi_application

from _core import use_settings
from core.monitoring.lifespan import with_lifespan

use_settings(default="_core.settings.production")
application = with_lifespan(get_asgi_application())
