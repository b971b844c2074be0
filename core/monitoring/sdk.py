"""From a configuration to a running SDK. `build_options` is pure; `init_sentry` applies it."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from decouple import Config, RepositoryEmpty, RepositoryEnv

from core.monitoring.config import Problem, SentryConfig
from core.monitoring.counters import Counters
from core.monitoring.ledger import Ledger, ledger_file, ledger_problems
from core.monitoring.rules import FILTERED
from core.monitoring.sampling import StormGuard, WhenTraced, traces_sampler
from core.monitoring.scrubber import Scrubber, pattern_problems, skeleton

if TYPE_CHECKING:
    from django.http import HttpRequest

logger = logging.getLogger("core.monitoring")

MAX_BREADCRUMBS = 50
# Seconds a process may wait at its exit for the last events.
SHUTDOWN_TIMEOUT = 2

# Django logs refused requests here at ERROR; they are the client's errors, and carry what the client sent.
REFUSED_REQUEST_LOGGERS = ("django.security", "django.security.*")
# They name every request with its address; as structured logs they would only repeat it.
ACCESS_LOGGERS = ("gunicorn.access", "uvicorn.access", "django.server")

# What context.py writes; a host's further names must not hide them.
OWN_TAGS = ("request_path", "request_method", "auth_method", "tenant_id", "command")

SDK_MISSING = Problem(
    "monitoring.W003",
    "Monitoring is off: SENTRY_DSN is set, but the package sentry-sdk can't be imported.",
    "Run `pip install sentry-sdk`, or unset SENTRY_DSN.",
)


@dataclass(frozen=True)
class Monitoring:
    """What is in force in this process. All but the configuration and its problems is None while monitoring is off."""

    config: SentryConfig = field(default_factory=SentryConfig)
    problems: tuple[Problem, ...] = ()
    scrubber: Scrubber | None = None
    guard: StormGuard | None = None
    counters: Counters | None = None
    ledger: Ledger | None = None


_active = Monitoring()


def active() -> Monitoring:
    """Return what is in force: the configuration, its problems, and whether anything is sent."""
    return _active


def is_enabled() -> bool:
    """Say whether errors are sent to a tracker."""
    return _active.scrubber is not None


def init_sentry(*, base_dir: Path | None = None, **host: Any) -> bool:
    """Read the configuration and start the SDK if there is a DSN; return whether monitoring is on.

    Call it from the last lines of a settings module. `host` are the host's own defaults for the fields of
    `SentryConfig`, by name; `base_dir` is where `.env` and the checkout are. Never raises: whatever is wrong becomes
    one line in the log and a Django system check.
    """
    global _active
    try:
        # Not decouple's own search, which would go on in every folder above: a `.env` there is another project's.
        file = base_dir / ".env" if base_dir else None
        dotenv = Config(RepositoryEnv(file) if file and file.is_file() else RepositoryEmpty())
        config = SentryConfig.from_env(partial(dotenv, default=None), base_dir=base_dir, **host)
        _active = Monitoring(config, (*config.problems, *map(_bad_pattern, pattern_problems(config.patterns))))
        if config.enabled:
            _active = _start(config, _active.problems)
    except Exception as error:
        problem = Problem(
            "monitoring.W006",
            f"Monitoring is off: it could not be started ({type(error).__name__}).",
            "Install the version of sentry-sdk that requirements.txt asks for, or unset SENTRY_DSN.",
        )
        _active = Monitoring(_active.config, (*_active.problems, problem))
    for problem in _active.problems:
        logger.warning("%s", problem)
    return is_enabled()


def _bad_pattern(message: str) -> Problem:
    return Problem(
        "monitoring.W007", message, "Until then nothing is redacted by it. Patterns are set in the settings."
    )


def _start(config: SentryConfig, problems: tuple[Problem, ...]) -> Monitoring:
    try:
        import sentry_sdk
        from sentry_sdk.integrations.logging import ignore_logger, ignore_logger_for_sentry_logs
    except ImportError:
        return Monitoring(config, (*problems, SDK_MISSING))
    from core.monitoring.admission import admit
    from core.monitoring.mended import mend

    scrubber = build_scrubber(config)
    guard = StormGuard(config.max_events_per_minute)
    counters = Counters(config.log_dir, guard, scrubber)
    ledger = Ledger(ledger_file(config), full=config.ledger == "full")
    problems += ledger_problems(config)
    options = build_options(config, scrubber, counters, ledger)
    with without_deprecations():
        options["integrations"] += _integrations_of_installed_packages()
        sentry_sdk.init(**options)
    for name in (*REFUSED_REQUEST_LOGGERS, *config.ignore_loggers):
        ignore_logger(name)
    for name in (*REFUSED_REQUEST_LOGGERS, *ACCESS_LOGGERS, *config.ignore_loggers):
        ignore_logger_for_sentry_logs(name)
    mend()
    processor = partial(admit, guard=guard, ignored=config.ignore_errors)
    sentry_sdk.get_global_scope().add_event_processor(processor)
    if config.findings:
        from core.monitoring.findings import install

        install()
    return Monitoring(config, problems, scrubber, guard, counters, ledger)


def _integrations_of_installed_packages() -> list[Any]:
    """Return those of Celery and Redis, if the host has them."""
    found: list[Any] = []
    if find_spec("celery"):
        from sentry_sdk.integrations.celery import CeleryIntegration

        from core.monitoring import celery

        found.append(CeleryIntegration(monitor_beat_tasks=True))
        celery.connect()
    if find_spec("redis"):
        from sentry_sdk.integrations.redis import RedisIntegration

        found.append(RedisIntegration())
    return found


@contextmanager
def without_deprecations() -> Iterator[None]:
    """Keep the SDK from warning of `send_default_pii` and transaction profiles, which its next version replaces."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def build_scrubber(config: SentryConfig) -> Scrubber:
    """Return the scrubber that `config` asks for."""
    return Scrubber(
        sensitive_keys=config.sensitive_keys,
        private_paths=config.private_paths,
        patterns=config.patterns,
        keep_fields=(*OWN_TAGS, *config.keep_fields),
        private_modules=config.private_modules,
    )


def build_options(
    config: SentryConfig, scrubber: Scrubber, counters: Counters | None = None, ledger: Ledger | None = None
) -> dict[str, Any]:
    """Return the arguments of `sentry_sdk.init` for `config`. Needs the SDK, changes nothing.

    Every option that the SDK would otherwise read from the environment is given, so that the environment can't
    switch on what the operator did not.
    """
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.integrations.django import DjangoIntegration
    from sentry_sdk.integrations.logging import LoggingIntegration
    from sentry_sdk.scrubber import EventScrubber

    from core.monitoring.logs import before_breadcrumb, before_send_log
    from core.monitoring.transport import scrubbing_transport

    def before_send(event: dict[str, Any], hint: dict[str, Any], kind: str = "event") -> dict[str, Any]:
        if event.get("monitor_config"):
            event["monitor_config"] = {**config.monitor_config, **event["monitor_config"]}
        private = hint.get("private_values", {})
        if private is None:
            event, private = skeleton(event), {}
        return outgoing(event, scrubber, kind, private)

    return {
        "dsn": config.dsn,
        "environment": config.environment,
        # Not None: the SDK would run git to find one.
        "release": config.release or "",
        "debug": config.debug,
        "spotlight": False,
        "transport": scrubbing_transport(scrubber, counters, ledger),
        "shutdown_timeout": SHUTDOWN_TIMEOUT,
        "integrations": [
            DjangoIntegration(
                transaction_style="url",
                middleware_spans=cast(bool, WhenTraced()),
                signals_spans=False,
                cache_spans=True,
            ),
            # The SDK's own tells the terminal of a failed command that it waits.
            AtexitIntegration(callback=lambda pending, timeout: None),
            LoggingIntegration(level=logging.INFO, event_level=logging.ERROR),
        ],
        "auto_enabling_integrations": False,
        "send_default_pii": False,
        # The SDK's own would hide from ours what it could have learned: that the `password` of the request's body
        # is also in the error message.
        "event_scrubber": EventScrubber(denylist=[], pii_denylist=[]),
        "max_breadcrumbs": MAX_BREADCRUMBS,
        "attach_stacktrace": True,
        # At rate 0 nothing is traced, whoever asks for it, and the SDK saves itself the work.
        "traces_sampler": traces_sampler(config.traces_sample_rate, config.ignore_paths)
        if config.traces_sample_rate
        else None,
        "profiles_sample_rate": config.profiles_sample_rate,
        # Third parties that the server calls get no trace headers.
        "trace_propagation_targets": [],
        "before_breadcrumb": before_breadcrumb(scrubber),
        "before_send": before_send,
        "before_send_transaction": partial(before_send, kind="transaction"),
        "enable_logs": config.enable_logs,
        "before_send_log": before_send_log(scrubber),
    }


def outgoing(
    event: dict[str, Any],
    scrubber: Scrubber,
    kind: str = "event",
    private: Mapping[str, str] | None = MappingProxyType({}),
) -> dict[str, Any]:
    """Return what leaves for a serialized `event`: no raw path, no uploaded content, everything else scrubbed.

    `private` are the values that its request showed to be private, see `private_values()`. Never raises: if they are
    not known (None), or one of our own steps fails, the scrubber's skeleton leaves.
    """
    from core.monitoring.context import drop_content, drop_variables, hide_addresses
    from core.monitoring.hiding import hide_values
    from core.monitoring.private_values import named_values
    from core.monitoring.sql import hide_query_values
    from core.monitoring.transactions import tell_disconnect

    try:
        if private is None:
            raise ValueError
        hide_query_values(event)
        named = named_values(event, scrubber)
        # What they show is hidden elsewhere, too; then they go, before remarks on them are made.
        if drop_variables(event, scrubber.private_modules):
            named = Counter({**dict.fromkeys(named, 0), **named_values(event, scrubber)})
        event = hide_values(event, {**dict.fromkeys(named, FILTERED), **private}, named)
        hide_addresses(event)
        drop_content(event)
        if kind == "transaction":
            tell_disconnect(event)
        if not event.get("release"):
            event.pop("release", None)
    except Exception as error:
        scrubber.report(error)
        event = skeleton(event)
    return scrubber.scrub(event, kind)


def attach_request(request: HttpRequest) -> None:
    """Let every event of the current request know its user, tenant and route. Costs one closure; never raises."""
    import sentry_sdk

    from core.monitoring.admission import note_event
    from core.monitoring.context import add_private, describe_request
    from core.monitoring.current import enter_request
    from core.monitoring.private_values import private_values
    from core.monitoring.transactions import describe_transaction

    tenant, scrubber = _active.config.tenant, cast(Scrubber, _active.scrubber)

    def describe(event: Any, hint: dict[str, Any]) -> Any:
        try:
            add_private(hint, private_values(request))
        except Exception as error:  # without them only a skeleton may leave
            add_private(hint, None)
            scrubber.report(error)
        describe_request(event, hint, request, tenant)
        if event.get("type") == "transaction":
            describe_transaction(event, request)
        note_event(event, hint, request)
        return event

    enter_request(request)
    # Under WSGI an answer is streamed with the request's isolation scope, and with another current one.
    sentry_sdk.get_isolation_scope().add_event_processor(describe)
    if _active.config.findings:
        from core.monitoring.findings import watch_request

        watch_request(request, _active.config.slow_query_ms)
