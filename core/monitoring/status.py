"""How monitoring is doing: what is configured and why, what it does, and what became of what it sent.

Returns data that a template and JSON can both show, without the DSN's key. Works whether monitoring is on or off and
whether the SDK is installed, and never imports it by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from importlib import metadata
from urllib.parse import urlsplit

from core.monitoring import rules
from core.monitoring.checks import problems_in_force
from core.monitoring.config import Problem, SentryConfig
from core.monitoring.counters import ProcessCounts, read_processes
from core.monitoring.ignored import IGNORED
from core.monitoring.ledger import Entry, ledger_file
from core.monitoring.scrubber import pattern_problems
from core.monitoring.sdk import REFUSED_REQUEST_LOGGERS, active, is_enabled

NOT_CONFIGURED = "SENTRY_DSN is not set."


@dataclass(frozen=True)
class Setting:
    """A variable, the value in force, and where it came from: a variable's name, "settings", "default", ...

    The value of SENTRY_DSN is the DSN without its key.
    """

    name: str
    value: str | int | float | bool | tuple[str, ...]
    source: str

    @property
    def shown(self) -> str:
        """Return the value as text, "-" where there is none."""
        return (", ".join(self.value) if isinstance(self.value, tuple) else str(self.value)) or "-"


@dataclass(frozen=True)
class Traffic:
    """What became of payloads: `sent` by kind, `held_back` copies of one error, `lost` by reason.

    `failed_scrubs` counts the events of which only a skeleton left.
    """

    sent: Mapping[str, int]
    held_back: int
    lost: Mapping[str, int]
    failed_scrubs: int


@dataclass(frozen=True)
class Status:
    """All of it. `host` and `project` are the DSN's, "" if there is none; `sdk_version` is "" if it is missing.

    `ignored` and `scrubbing` are names and counts by what they are of; what a variable adds to them is in `settings`.
    `ledger` is the path of the ledger, "" if none is kept. `processes` are those that run and those that ended within
    the last day, the latest first, and `traffic` is their sum.
    """

    enabled: bool
    reason: str
    host: str
    project: str
    sdk_version: str
    settings: tuple[Setting, ...]
    integrations: tuple[str, ...]
    ignored: Mapping[str, tuple[str, ...]]
    scrubbing: Mapping[str, int | tuple[str, ...]]
    ledger: str
    processes: tuple[ProcessCounts, ...]
    traffic: Traffic
    problems: tuple[Problem, ...]


def status() -> Status:
    """Return how monitoring is doing on this server, seen from this process."""
    config = active().config
    problems = tuple(problems_in_force())
    processes = _processes()
    dsn = urlsplit(config.dsn)
    file = ledger_file(config)
    return Status(
        enabled=is_enabled(),
        reason=_reason(config, problems).removeprefix("Monitoring is off: "),
        host=f"{dsn.hostname or ''}:{dsn.port}" if dsn.port else dsn.hostname or "",
        project=dsn.path.rpartition("/")[2],
        sdk_version=_sdk_version(),
        settings=tuple(_settings(config)),
        integrations=_integrations(),
        ignored={"loggers": (*REFUSED_REQUEST_LOGGERS, *config.ignore_loggers), "errors": tuple(IGNORED)},
        scrubbing={
            "sensitive names": len(rules.SENSITIVE_WORDS) + len(rules.SENSITIVE_PHRASES),
            "rules for values": len(rules.VALUE_RULES),
            "patterns of this server": tuple(n for n, p in config.patterns.items() if not pattern_problems({n: p})),
            "names that this server keeps": config.keep_fields,
        },
        ledger=str(file or ""),
        processes=processes,
        traffic=_sum(processes),
        problems=problems,
    )


def recent() -> tuple[Entry, ...]:
    """Return the last payloads that left this process, with their texts, the latest first; none unless DEBUG is on."""
    ledger = active().ledger
    return ledger.recent if ledger else ()


def _reason(config: SentryConfig, problems: Iterable[Problem]) -> str:
    if is_enabled():
        return f"{config.sources.get('dsn')} is set."
    if config.dsn:  # the SDK is missing or could not be started
        return next((p.message for p in problems if p.id in ("monitoring.W003", "monitoring.W006")), NOT_CONFIGURED)
    return next((p.message for p in problems if p.id in ("monitoring.W001", "monitoring.W005")), NOT_CONFIGURED)


def _settings(config: SentryConfig) -> Iterable[Setting]:
    for spec in fields(config):
        value = getattr(config, spec.name)
        if spec.name == "dsn":
            value = urlsplit(value)._replace(netloc=urlsplit(value).netloc.rpartition("@")[2]).geturl()
        if spec.metadata:
            yield Setting(spec.metadata["variable"], value, config.sources.get(spec.name, "default"))


def _sdk_version() -> str:
    try:
        return metadata.version("sentry-sdk")
    except metadata.PackageNotFoundError:
        return ""


def _integrations() -> tuple[str, ...]:
    if not is_enabled():
        return ()
    import sentry_sdk

    return tuple(sorted(sentry_sdk.get_client().integrations))


def _processes() -> tuple[ProcessCounts, ...]:
    folder, counters = active().config.log_dir, active().counters
    found = read_processes(folder) if folder else []
    own = counters.current if counters else None
    if own and (own.sent or own.lost or own.held_back):
        found = [own, *(other for other in found if (other.host, other.pid) != (own.host, own.pid))]
    return tuple(found)


def _sum(processes: Iterable[ProcessCounts]) -> Traffic:
    sent: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    held_back = failed_scrubs = 0
    for process in processes:
        sent.update(process.sent)
        lost.update(process.lost)
        held_back += process.held_back
        failed_scrubs += process.failed_scrubs
    return Traffic(dict(sent.most_common()), held_back, dict(lost.most_common()), failed_scrubs)
