"""The app of stored files and shares."""

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured
from django.db.models.signals import pre_delete


class CoreConfig(AppConfig):
    """Deletes the files of a user who is deleted, whoever does it, and checks the storage's settings."""

    name = "core"

    def ready(self) -> None:
        import core.sentry_context
        import core.signal_handlers  # noqa: F401  (both connect their receivers)

        pre_delete.connect(_delete_files, sender=settings.AUTH_USER_MODEL, dispatch_uid="core.delete_files")
        register(check_storage)


def _delete_files(instance: Any, **_kwargs: Any) -> None:
    from core.files import delete_everything_of  # needs the loaded models

    delete_everything_of(instance)


def check_storage(**_kwargs: Any) -> list[CheckMessage]:
    """The storage's name in the settings is one that there is."""
    from core.storage import get_storage

    try:
        get_storage()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="core.E001")]
    return []
