"""Opt-in error tracking and performance monitoring through Sentry. Importable from a settings module."""

from core.monitoring.capture import (
    add_breadcrumb,
    capture_exception,
    capture_message,
    clear_user_context,
    event_id,
    monitor,
    set_context,
    set_tag,
    set_user_context,
    start_span,
    start_transaction,
    trace_id,
)
from core.monitoring.config import SentryConfig
from core.monitoring.sdk import init_sentry, is_enabled

__all__ = [
    "SentryConfig",
    "add_breadcrumb",
    "capture_exception",
    "capture_message",
    "clear_user_context",
    "event_id",
    "init_sentry",
    "is_enabled",
    "monitor",
    "set_context",
    "set_tag",
    "set_user_context",
    "start_span",
    "start_transaction",
    "trace_id",
]
