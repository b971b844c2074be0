"""The Django project: settings, urls and the server entry points."""

import os


def use_settings(default: str) -> None:
    """Choose the settings module: `DJANGO_SETTINGS_MODULE` from the environment or `.env`, else `default`."""
    from _core.environment import text

    os.environ["DJANGO_SETTINGS_MODULE"] = text("DJANGO_SETTINGS_MODULE", default)
