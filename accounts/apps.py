"""Connects the security log to its signals when Django starts."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts import signal_handlers

        signal_handlers.connect()
