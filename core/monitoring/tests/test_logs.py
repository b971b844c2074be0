"""Structured logs: off unless asked for, and as private as everything else."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
import sentry_sdk

from core.monitoring.testing import Receiver

Start = Callable[..., bool]
Call = Callable[..., tuple[int, dict[str, str], bytes]]
CANARIES = {
    "an e-mail address": "jane.doe@example.com",
    "an address": "203.0.113.9",
    "a key": "sk_live_" + "0123456789abcdefghijklmn",
    "a password": "hunter2-secret",
}
logger = logging.getLogger("app.logs")


@pytest.fixture(autouse=True)
def every_line_counts() -> None:
    logger.setLevel(logging.DEBUG)


def logs(receiver: Receiver) -> list[dict[str, Any]]:
    sentry_sdk.flush(timeout=10)
    return [entry for batch in receiver.items("log") for entry in batch["items"]]


def test_without_the_variable_no_line_leaves(start: Start, receiver: Receiver) -> None:
    start()
    logger.warning("a step")
    assert logs(receiver) == []


def test_lines_from_info_on_leave_with_their_trace(start: Start, call: Call, receiver: Receiver) -> None:
    start(SENTRY_ENABLE_LOGS="true")
    logger.debug("too fine")
    logger.info("a step of %s", "7")
    (line,) = logs(receiver)
    assert line["body"] == "a step of 7"
    assert line["level"] == "info"
    assert line["attributes"]["logger.name"]["value"] == "app.logs"
    assert line["trace_id"]


def test_what_is_private_leaves_in_no_part_of_a_line(start: Start, receiver: Receiver) -> None:
    start(SENTRY_ENABLE_LOGS="true")
    address, ip, key, password = CANARIES.values()
    logger.info(f"{address} came from {ip} with {key} and password={password}")
    logger.warning("%s came from %s with %s, %s", address, ip, key, {"password": password})
    logger.error("further", extra={"email": address, "client": {"ip": ip, "key": key}, "password": password})
    logger.warning("signing in with %(password)s from %(ip)s", {"password": password, "ip": ip})
    assert len(logs(receiver)) == 4
    for what, canary in CANARIES.items():
        assert canary.encode() not in receiver.bytes, what


def test_a_line_does_not_tell_the_file_that_its_request_names(start: Start, call: Call, receiver: Receiver) -> None:
    start(SENTRY_ENABLE_LOGS="true")
    call("/files/salary.pdf/42/12345678-1234-5678-1234-567812345678/word/")
    lines = logs(receiver)
    assert any("{path}" in line["body"] for line in lines)
    assert b"salary" not in receiver.bytes


def test_ignored_loggers_and_access_logs_are_no_lines(start: Start, receiver: Receiver) -> None:
    start({"ignore_loggers": ["someone.security"]}, SENTRY_ENABLE_LOGS="true")
    for name in ("someone.security", "django.security.DisallowedHost", "gunicorn.access", "uvicorn.access"):
        logging.getLogger(name).warning("not for others")
    logger.warning("for the tracker")
    assert [line["body"] for line in logs(receiver)] == ["for the tracker"]


def test_a_line_that_cannot_be_scrubbed_does_not_leave(
    start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(SENTRY_ENABLE_LOGS="true")

    def broken(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("core.monitoring.logs.private_values_here", broken)
    logger.warning("signing in with hunter2-secret")
    assert logs(receiver) == []
    assert b"hunter2" not in receiver.bytes


def canary(day: str) -> str:
    """Make a secret that stands in no source line and no local variable of a stack trace."""
    return f"{day}day weather"


def test_what_a_lines_own_names_show_to_be_private_leaves_in_no_breadcrumb_and_no_event(
    start: Start, receiver: Receiver
) -> None:
    start()
    logger.info("signing in with %(password)s from %(place)s", {"password": canary("Tue"), "place": "the office"})
    logger.error("no such account: %(password)s", {"password": canary("Mon")})
    logger.error(f"{canary('Sun')} is wrong", extra={"password": canary("Sun")})
    sentry_sdk.flush(timeout=10)
    of_arguments, of_extra = receiver.items("event")
    assert of_arguments["breadcrumbs"]["values"][-1]["message"] == "signing in with [Filtered] from the office"
    assert of_arguments["logentry"]["formatted"] == "no such account: [Filtered]"
    assert of_extra["logentry"]["message"] == "[Filtered] is wrong"
    for day in ("Tue", "Mon", "Sun"):
        assert canary(day).encode() not in receiver.bytes


def test_a_line_about_a_mapping_with_other_keys_than_texts_is_a_breadcrumb_and_leaves(
    start: Start, receiver: Receiver
) -> None:
    start(SENTRY_ENABLE_LOGS="true")
    logger.info("counts are %s", {1: 2, None: 3})
    sentry_sdk.capture_message("look")
    assert logs(receiver)[0]["body"] == "counts are {1: 2, None: 3}"
    (event,) = receiver.wait_for("event")
    assert event["breadcrumbs"]["values"][-1]["message"] == "counts are {1: 2, None: 3}"
