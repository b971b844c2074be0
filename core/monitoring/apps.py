"""The drop-in as a Django app: it brings system checks and management commands, and no models."""

from django.apps import AppConfig, apps
from django.core import checks

from core.monitoring.sdk import is_enabled


class MonitoringConfig(AppConfig):
    name = "core.monitoring"
    label = "monitoring"
    verbose_name = "Monitoring"

    def ready(self) -> None:
        from core.monitoring.checks import check_monitoring

        checks.register(check_monitoring, "monitoring")
        if is_enabled() and apps.is_installed("rest_framework"):
            from core.monitoring.rest_framework import watch_rest_framework

            watch_rest_framework()
