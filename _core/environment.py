"""What the operator configures: the environment, then `.env` in this folder and in none above it.

A variable that is blank is unset. What makes no sense is an ImproperlyConfigured that names the variable.
"""

import math
from pathlib import Path
from typing import Any

from celery.schedules import ParseException, crontab
from decouple import Config, Csv, RepositoryEmpty, RepositoryEnv
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parents[1]

_file = BASE_DIR / ".env"
_config = Config(RepositoryEnv(_file) if _file.is_file() else RepositoryEmpty())


def text(name: str, default: str = "") -> str:
    """The variable's text, without blanks around it."""
    return str(_config(name, default="")).strip() or default


def required(name: str, example: str) -> str:
    """The variable's text. Raises ImproperlyConfigured with the example when there is none."""
    value = text(name)
    if not value:
        raise ImproperlyConfigured(
            f"{name} is not set. Put it into .env or the environment, for example {name}={example}"
        )
    return value


def items(name: str) -> list[str]:
    """What the variable lists, separated by commas."""
    return Csv()(text(name))


def number(name: str, default: float) -> Any:
    """A number from 0 up, whole if the default is. Raises ImproperlyConfigured."""
    try:
        value = type(default)(text(name, str(default)))
    except ValueError:
        value = -1
    if not 0 <= value < math.inf:
        kind = "whole number" if isinstance(default, int) else "number"
        raise ImproperlyConfigured(f"{name} is not a {kind} from 0 up. Set it to one, for example {name}={default}")
    return value


def flag(name: str, default: bool) -> bool:
    """A yes or no. Raises ImproperlyConfigured."""
    try:
        return bool(_config(name, default=default, cast=bool)) if text(name) else default
    except ValueError:
        raise ImproperlyConfigured(f"{name} is neither True nor False. Set it to one of them.") from None


def schedule(name: str, value: str) -> crontab:
    """When a task of the beat runs, from the variable's text. Raises ImproperlyConfigured."""
    try:
        return crontab.from_string(value)
    except (ValueError, ParseException) as error:
        raise ImproperlyConfigured(f"{name} is no schedule as in crontab, for example 0 1 * * *: {error}") from None


def redis_url(name: str, *schemes: str) -> str:
    """The address of a Redis, or "", with redis, rediss or one of `schemes` before it. Raises ImproperlyConfigured."""
    value = text(name)
    if value and value.partition("://")[0] not in ("redis", "rediss", *schemes):
        raise ImproperlyConfigured(f"{name} is no address of a Redis. Write it as redis://host:6379/0.")
    return value


def folder(name: str, default: Path) -> Path:
    """A folder, which is made if it is missing. Raises ImproperlyConfigured."""
    path = Path(text(name, str(default)))
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"The folder {path} of {name} can't be made: {error.strerror}.") from None
    return path
