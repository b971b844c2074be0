"""Makes the project's Celery application the one that tasks use, in every process."""

from django.apps import AppConfig


class StormCloudConfig(AppConfig):
    name = "_core"

    def ready(self) -> None:
        import _core.celery  # noqa: F401
