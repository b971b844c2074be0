"""The wait in front of the workers, as each kind of proxy writes it, and as nobody should believe it."""

import pytest

from core.monitoring.queue_time import queue_time

NOW = 1_700_000_000.5


@pytest.mark.parametrize(
    "value",
    [
        "t=1700000000.123",  # nginx: proxy_set_header X-Request-Start "t=${msec}"
        "1700000000.123",
        "1700000000123",  # Heroku
        "t=1700000000123",
        "1700000000123.0",
        "t=1700000000123000",  # Apache: RequestHeader set X-Request-Start "%t"; Render
        "1700000000123000",
        "1700000000123000000",
        "  t=1700000000.123 ",
    ],
)
def test_every_proxys_unit_is_understood(value: str) -> None:
    assert queue_time({"HTTP_X_REQUEST_START": value}, NOW) == pytest.approx(377, abs=0.01)
    assert queue_time({"HTTP_X_QUEUE_START": value}, NOW) == pytest.approx(377, abs=0.01)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "t=",
        "now",
        "t=t=1700000000.1",
        "1700000001",  # the future
        "t=1700000000.6",
        "1699990000",  # hours ago: another clock
        "0",
        "17000000",
        "170000000000",  # of no unit
        "1700000000,1700000000",
        "-1700000000",
        "1.7e9",
        "nan",
        "inf",
        "１７００００００００",  # noqa: RUF001 - digits, but not these
        "1700000000." + "1" * 500,
        "9" * 100_000,
        "1700000000'; DROP TABLE users",
    ],
)
def test_what_a_hostile_client_sends_is_ignored(value: str) -> None:
    assert queue_time({"HTTP_X_REQUEST_START": value}, NOW) is None


def test_the_first_believable_header_counts() -> None:
    meta = {"HTTP_X_REQUEST_START": "rubbish", "HTTP_X_QUEUE_START": "1700000000"}
    assert queue_time(meta, NOW) == 500
    assert queue_time({**meta, "HTTP_X_REQUEST_START": "1700000000.25"}, NOW) == 250
    assert queue_time({}, NOW) is None
