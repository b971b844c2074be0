"""What is no error of the server makes no event; and what only looks like it does."""

import asyncio
import errno
import logging
from collections.abc import Callable
from typing import Any

import pytest
import sentry_sdk
from django.core.exceptions import (
    DisallowedHost,
    PermissionDenied,
    RequestAborted,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.core.management import CommandError
from django.db import IntegrityError
from django.http import Http404
from django.http.request import UnreadablePostError

from core.monitoring import capture_exception
from core.monitoring.config import SentryConfig
from core.monitoring.ignored import is_ignored
from core.monitoring.testing import Receiver
from core.monitoring.tests import urls
from core.monitoring.tests.test_transactions import call_async

Start = Callable[..., bool]
Call = Callable[..., tuple[int, dict[str, str], bytes]]


class SoldOut(LookupError):
    pass


class SoldOutToday(SoldOut):
    pass


ADDRESS = "/x/ottilies diagnosis.pdf?find=grace%20h"
PRIVATE = (b"ottilie", b"grace")

NO_ERRORS = [
    DisallowedHost("evil.example"),
    SuspiciousOperation(),
    RequestDataTooBig(),
    BrokenPipeError(),
    ConnectionResetError(),
    ConnectionAbortedError(),
    RequestAborted(),
    UnreadablePostError(),
    Http404(),
    PermissionDenied(),
]


def types(receiver: Receiver) -> list[str]:
    sentry_sdk.flush(timeout=10)
    return [event["exception"]["values"][-1]["type"] for event in receiver.items("event")]


def test_what_clients_do_is_no_event(start: Start, call: Call, receiver: Receiver) -> None:
    start()
    for error in NO_ERRORS:
        urls.next_error.append(error)
        assert call("/raise/")[0] >= 400
    urls.next_error.append(SoldOut())
    call("/raise/")
    assert types(receiver) == ["SoldOut"]


def test_what_clients_do_is_no_event_in_an_event_loop_either(start: Start, receiver: Receiver) -> None:
    start()
    for error in NO_ERRORS:
        urls.next_error.append(error)
        call_async("raise-async/")
    urls.next_error.append(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        call_async("raise-async/")
    urls.next_error.append(SoldOut())
    call_async("raise-async/")
    assert types(receiver) == ["SoldOut"]


def test_a_part_of_the_server_that_hangs_up_is_an_error(start: Start, call: Call, receiver: Receiver) -> None:
    start()
    assert call("/hang-up/")[0] == 500
    (kind,) = types(receiver)
    assert kind in ("RemoteDisconnected", "ConnectionResetError", "BrokenPipeError")


@pytest.mark.parametrize(
    "names", ["SoldOut", f"{__name__}.SoldOut", "LookupError", "builtins.LookupError", "TypeError, SoldOut"]
)
def test_the_operator_names_further_classes_and_their_subclasses_count(
    names: str, start: Start, call: Call, receiver: Receiver
) -> None:
    start(SENTRY_IGNORE_ERRORS=names)
    for error in (SoldOutToday(), SoldOut(), RuntimeError()):
        urls.next_error.append(error)
        call("/raise/")
    assert types(receiver) == ["RuntimeError"]


def test_what_the_operator_names_adds_to_what_the_host_names(start: Start, receiver: Receiver) -> None:
    start({"ignore_errors": ["builtins.KeyError"]}, SENTRY_IGNORE_ERRORS="SoldOut")
    for error in (KeyError(), SoldOut(), ValueError()):
        capture_exception(error)
    assert types(receiver) == ["ValueError"]


@pytest.mark.parametrize("names", ["no.such.module.Error", "NoSuchError", "logging.NoSuchError", "logging"])
def test_a_name_that_nothing_has_ignores_nothing(names: str, start: Start, receiver: Receiver) -> None:
    start(SENTRY_IGNORE_ERRORS=names)
    capture_exception(SoldOut())
    assert types(receiver) == ["SoldOut"]


@pytest.mark.parametrize("names", ["not a name", "a..b", "Sold*", "<class 'KeyError'>", ".KeyError"])
def test_what_is_no_name_of_a_class_is_told_and_stops_nothing(names: str) -> None:
    config = SentryConfig.from_env({"SENTRY_IGNORE_ERRORS": names}.get)
    (problem,) = config.problems
    assert "SENTRY_IGNORE_ERRORS is ignored: it holds something that is no name of a class" in str(problem)
    assert config.ignore_errors == ()


def test_a_class_is_known_by_each_path_that_it_can_be_imported_by() -> None:
    for name in ("IntegrityError", "django.db.IntegrityError", "django.db.utils.IntegrityError", "django.db.Error"):
        assert is_ignored(IntegrityError(), [name]), name
    assert not is_ignored(IntegrityError(), ["django.db.OperationalError"])


@pytest.mark.parametrize("error", [CommandError("wrong usage"), KeyboardInterrupt(), asyncio.CancelledError()])
def test_what_a_person_or_the_event_loop_ends_is_no_error(error: BaseException) -> None:
    assert is_ignored(error)


def test_an_error_that_a_disconnect_led_to_is_one(start: Start, receiver: Receiver) -> None:
    start()
    try:
        try:
            raise ConnectionResetError
        except ConnectionResetError as cause:
            raise SoldOut from cause
    except SoldOut as error:
        capture_exception(error)
    assert types(receiver) == ["SoldOut"]


def test_a_log_line_with_such_an_exception_is_no_event_either(start: Start, call: Call, receiver: Receiver) -> None:
    start()
    urls.next_error.append(BrokenPipeError())
    call("/handled/?next")
    assert types(receiver) == []


def test_what_breaks_where_no_request_is_answered_is_no_client(start: Start, call: Call, receiver: Receiver) -> None:
    start()
    call("/fine/")
    for error in (BrokenPipeError(), ConnectionResetError()):
        capture_exception(error)
    assert types(receiver) == ["BrokenPipeError", "ConnectionResetError"]


def test_a_clients_connection_that_breaks_under_gunicorn_is_no_event(start: Start, receiver: Receiver) -> None:
    start()
    try:
        raise OSError(errno.EHOSTUNREACH, "No route to host")
    except OSError:
        logging.getLogger("gunicorn.error").exception("Socket error processing request.")
    capture_exception(SoldOut())
    assert types(receiver) == ["SoldOut"]


def test_the_address_of_a_request_that_fails_outside_of_django_does_not_leave(start: Start, receiver: Receiver) -> None:
    start()
    logging.getLogger("gunicorn.error").error("Error handling request %s", ADDRESS)
    assert receiver.wait_for("event")[0]["logentry"]["message"] == "Error handling request %s"
    for private in PRIVATE:
        assert private not in receiver.bytes


def test_transactions_are_not_asked_for_their_exception(start: Start, call: Call, receiver: Receiver) -> None:
    start(SENTRY_TRACES_SAMPLE_RATE="1")
    urls.next_error.append(BrokenPipeError())
    call("/raise/")
    transaction: dict[str, Any]
    (transaction,) = receiver.wait_for("transaction")
    assert transaction["transaction"] == "/raise/"
