"""What the operator configures: one declaration per variable, read from the environment, then `.env`.

Reading never raises. A value that makes no sense becomes a `Problem` and its default stands, so that a typo in
monitoring can't stop the server.
"""

from __future__ import annotations

import errno
import math
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core.monitoring.release import checkout_head

Lookup = Callable[[str], str | None]

# What build systems write where a value is missing; as a release it would only mislead.
NOT_A_RELEASE = {"unknown", "none", "null", "undefined"}
# Where a value came from, if not from a variable.
HOST, HEAD = "settings", "HEAD of the checkout"
# What is read of a file that holds a value, in characters; no DSN is that long.
MAX_FILE = 4096
TRUE = {"1", "true", "yes", "on", "y", "t"}
FALSE = {"0", "false", "no", "off", "n", "f"}


class BadValue(ValueError):
    """A variable's text makes no sense; the message completes "SENTRY_X is ignored: ..." and holds no value."""


@dataclass(frozen=True)
class Problem:
    """A finding about the configuration: `message` says what is wrong, `hint` names the variable and the fix.

    `id` is the id of the Django system check that shows it. Neither text ever holds the DSN.
    """

    id: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"


def parse_dsn(value: str) -> str:
    """Return `value` if the SDK would accept it as a DSN, else raise BadValue with what is wrong.

    The rules are those of `sentry_sdk.utils.Dsn`, without importing the SDK, and what it makes of the host is usable.
    """
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:  # its text can hold the host or the key
        raise BadValue("its host or port is malformed") from None
    if parts.scheme not in ("http", "https"):
        raise BadValue("it does not begin with http:// or https://")
    if not parts.hostname or port == 0:
        raise BadValue("it names no host")
    if ":" in parts.hostname:  # the SDK would leave out the brackets, and reach nobody
        raise BadValue("it has an IPv6 address where the SDK takes a name only")
    if not parts.username:
        raise BadValue("it has no public key before the @")
    project = parts.path.rpartition("/")[2]
    if not (project.isascii() and project.isdigit()):
        raise BadValue("it does not end in a project number")
    return value


def parse_rate(value: str) -> float:
    """Return a share from 0.0 to 1.0, else raise BadValue."""
    try:
        rate = float(value)
    except ValueError:
        rate = math.nan
    if not 0.0 <= rate <= 1.0:
        raise BadValue("it is not a number from 0.0 to 1.0")
    return rate


def parse_count(value: str) -> int:
    """Return a whole number from 0 up, else raise BadValue."""
    if not (value.isascii() and value.isdigit()) or len(value) > 9:
        raise BadValue("it is not a whole number from 0 up")
    return int(value)


def parse_flag(value: str) -> bool:
    """Return a yes or no, else raise BadValue."""
    if value.lower() not in TRUE | FALSE:
        raise BadValue("it is neither true nor false")
    return value.lower() in TRUE


def parse_ledger(value: str) -> str:
    """Return "off", "on" or "full", else raise BadValue."""
    if value.lower() not in ("off", "on", "full"):
        raise BadValue("it is neither off, on nor full")
    return value.lower()


def parse_list(value: str) -> tuple[str, ...]:
    """Return the comma-separated items, without blanks."""
    return tuple(item.strip() for item in value.split(",") if item.strip())


def parse_classes(value: str) -> tuple[str, ...]:
    """Return the comma-separated names, `TimeoutError` or `ssl.SSLError`, else raise BadValue."""
    names = parse_list(value)
    if not all(part.isidentifier() for name in names for part in name.split(".")):
        raise BadValue("it holds something that is no name of a class")
    return names


def variable(name: str, default: Any, parse: Callable[[str], Any] = str, *, wants: str = "", adds: bool = False) -> Any:
    """Declare a field that is read from the variable `name`.

    `wants` completes "Set NAME to ...". What the variable says replaces the host's own default, or `adds` to it where
    less would protect less.
    """
    return field(default=default, metadata={"variable": name, "parse": parse, "wants": wants, "adds": adds})


@dataclass(frozen=True)
class SentryConfig:
    """The configuration in force. Build it with `from_env()`."""

    dsn: str = variable("SENTRY_DSN", "", parse_dsn, wants="the DSN that your tracker shows for the project")
    environment: str = variable("SENTRY_ENVIRONMENT", "production")
    release: str = variable("SENTRY_RELEASE", "")
    traces_sample_rate: float = variable("SENTRY_TRACES_SAMPLE_RATE", 0.1, parse_rate, wants="a number from 0.0 to 1.0")
    profiles_sample_rate: float = variable(
        "SENTRY_PROFILES_SAMPLE_RATE", 0.1, parse_rate, wants="a number from 0.0 to 1.0"
    )
    max_events_per_minute: int = variable(
        "SENTRY_MAX_EVENTS_PER_MINUTE", 20, parse_count, wants="a whole number; 0 means no limit"
    )
    ignore_paths: tuple[str, ...] = variable("SENTRY_IGNORE_PATHS", (), parse_list)
    ignore_errors: tuple[str, ...] = variable(
        "SENTRY_IGNORE_ERRORS", (), parse_classes, wants="names of exception classes, separated by commas", adds=True
    )
    sensitive_keys: tuple[str, ...] = variable("SENTRY_SENSITIVE_KEYS", (), parse_list, adds=True)
    private_paths: tuple[str, ...] = variable("SENTRY_PRIVATE_PATHS", (), parse_list, adds=True)
    enable_logs: bool = variable("SENTRY_ENABLE_LOGS", False, parse_flag, wants="true or false")
    findings: bool = variable("SENTRY_FINDINGS", False, parse_flag, wants="true or false")
    slow_query_ms: int = variable(
        "SENTRY_SLOW_QUERY_MS", 500, parse_count, wants="a whole number of milliseconds; 0 means none is slow"
    )
    ledger: str = variable("SENTRY_LEDGER", "off", parse_ledger, wants="off, on or full")
    debug: bool = variable("SENTRY_DEBUG", False, parse_flag, wants="true or false")

    # Set by the host in code, never by the operator.
    tenant: str = "user.organization_id"
    ignore_loggers: tuple[str, ...] = ()
    # Where the ledger and the processes' counts are written; without one, `logs` below base_dir if it exists.
    log_dir: Path | None = None
    # Modules ("shop.files" with all within) whose local variables never leave, nor those of what they call.
    private_modules: tuple[str, ...] = ()
    # What is added to the configuration of each cron monitor: {"checkin_margin": 15, "max_runtime": 30}, in minutes.
    monitor_config: Mapping[str, int] = field(default_factory=dict)
    # Names whose values stay although they look sensitive, and regular expressions, by name, for what else must go.
    keep_fields: tuple[str, ...] = ()
    patterns: Mapping[str, str] = field(default_factory=dict)

    problems: tuple[Problem, ...] = ()
    # Where each field's value came from: a variable's name, HOST or HEAD. What is not here is the default.
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def enabled(self) -> bool:
        """Whether there is a usable DSN."""
        return bool(self.dsn)

    @classmethod
    def from_env(cls, lookup: Lookup, *, base_dir: Path | None = None, **host: Any) -> SentryConfig:
        """Read every variable through `lookup` (name -> text or None).

        `host` holds the host's own defaults by field name (`environment="development"`, `private_paths=[...]`); a
        variable that is set wins over them, or adds to them. `base_dir` is the checkout whose HEAD serves as the
        release when neither SENTRY_RELEASE nor GIT_COMMIT is set. Never raises: what can't be read is in `problems`.
        """
        values: dict[str, Any] = {
            name: tuple(map(str, v)) if isinstance(v, list | tuple) else v for name, v in host.items()
        }
        problems: list[Problem] = []
        sources = dict.fromkeys(values, HOST)
        for spec in fields(cls):
            if not spec.metadata:
                continue
            text, source = _text(spec.metadata["variable"], lookup, problems)
            if not text:
                continue
            try:
                read = spec.metadata["parse"](text)
                values[spec.name] = values.get(spec.name, ()) + read if spec.metadata["adds"] else read
                sources[spec.name] = f"{HOST}, {source}" if spec.metadata["adds"] and spec.name in host else source
            except BadValue as error:
                problems.append(_bad_value(spec.name, source, spec.metadata["wants"], values, error))
        if "release" not in values or values["release"].lower() in NOT_A_RELEASE:
            values["release"] = checkout_head(base_dir) if base_dir else ""
            if values["release"]:
                sources["release"] = HEAD
        if "log_dir" not in values and base_dir and (base_dir / "logs").is_dir():
            values["log_dir"] = base_dir / "logs"
        return cls(**values, problems=tuple(problems), sources=sources)


# Where a variable has further sources, in their order: a fallback name, or a file that holds the value.
FALLBACKS: Mapping[str, tuple[str, ...]] = {
    "SENTRY_DSN": ("SENTRY_DSN_FILE",),
    "SENTRY_ENVIRONMENT": ("ENVIRONMENT",),
    "SENTRY_RELEASE": ("GIT_COMMIT",),
}


def _text(name: str, lookup: Lookup, problems: list[Problem]) -> tuple[str, str]:
    """Return the variable's text ("" means unset) and the name of the source it came from."""
    for source in (name, *FALLBACKS.get(name, ())):
        try:
            text = (lookup(source) or "").strip()
            if text and source.endswith("_FILE"):
                text = _content(Path(text))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            problems.append(
                Problem(
                    "monitoring.W005",
                    f"{source} can't be read: {reason}.",
                    f"Let {source} name a readable file, or unset it.",
                )
            )
            continue
        if text and not (name == "SENTRY_RELEASE" and text.lower() in NOT_A_RELEASE):
            return text, source
    return "", name


def _content(file: Path) -> str:
    # Reading a pipe could wait without end, and a device never ends.
    if not stat.S_ISREG(file.stat().st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    with file.open(encoding="utf-8") as opened:
        return opened.read(MAX_FILE).strip()


def _bad_value(field_name: str, source: str, wants: str, values: Mapping[str, Any], error: BadValue) -> Problem:
    if field_name == "dsn":
        return Problem(
            "monitoring.W001",
            f"Monitoring is off: {source} is not a DSN, {error}.",
            f"Set {source} to {wants} (https://<public key>@<host>/<project>), or leave it empty.",
        )
    default = values.get(field_name, SentryConfig.__dataclass_fields__[field_name].default)
    return Problem(
        "monitoring.W002",
        f"{source} is ignored: {error}. The default {default} stands.",
        f"Set {source} to {wants}.",
    )
