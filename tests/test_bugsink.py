"""Errors of Storm Cloud in a real tracker: what a person would see there."""

import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest
from bugsink import Bugsink
from servers import without_proxy
from storm_cloud import StormCloud

from tests.bugsink_service import require_bugsink


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Bugsink]:
    require_bugsink()
    with Bugsink(state=tmp_path / "tracker") as tracker:
        yield tracker


def fail(server: StormCloud, kind: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="500"):
        without_proxy().open(f"{server.base_url}/api/v1/debug/sentry-test/?type={kind}", timeout=20)


def count_by_type(tracker: Bugsink) -> dict[str, int]:
    return {issue["calculated_type"]: issue["digested_event_count"] for issue in tracker.issues()}


def test_ten_equal_errors_are_one_issue_with_count_ten(tracker: Bugsink, tmp_path: Path) -> None:
    wanted = {"ZeroDivisionError": 10, "ValueError": 1}
    with StormCloud(Path(sys.executable), state=tmp_path / "server", SENTRY_DSN=tracker.dsn) as server:
        for _ in range(10):
            fail(server, "division")
        fail(server, "value")
        tracker.wait_for(lambda tracker: count_by_type(tracker) == wanted)
        assert count_by_type(tracker) == wanted
        assert len(tracker.issues()) == 2


def test_without_a_dsn_the_same_error_reaches_no_tracker(tracker: Bugsink, tmp_path: Path) -> None:
    with StormCloud(Path(sys.executable), state=tmp_path / "off") as server:
        fail(server, "division")
    # The server has ended, and with it whatever it could still have been sending.
    assert tracker.issues() == []
    # The same tracker does take the error of a server that has its DSN.
    with StormCloud(Path(sys.executable), state=tmp_path / "on", SENTRY_DSN=tracker.dsn) as server:
        fail(server, "division")
        assert tracker.wait_for(lambda tracker: tracker.issues())
