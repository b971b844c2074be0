"""What an operator of a real server with several processes sees: its status, and the ledger of what left."""

import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable

import pytest
from storm_cloud import StormCloud

from core.monitoring.counters import read_processes
from core.monitoring.testing import Receiver
from tests.conftest import manage

ERRORS = 6


@pytest.fixture(scope="module")
def server(storm_cloud: Callable[..., StormCloud], tracker: Receiver) -> StormCloud:
    """A server with two processes, after some errors have left it and been counted."""
    server = storm_cloud("gunicorn", workers=2, SENTRY_DSN=tracker.dsn, SENTRY_LEDGER="full", SENTRY_RELEASE="1.2.3")
    for _ in range(ERRORS):
        with pytest.raises(urllib.error.HTTPError, match="500"):
            urllib.request.urlopen(f"{server.base_url}/api/v1/debug/sentry-test/?type=value", timeout=20)
    tracker.wait_for("event", ERRORS)
    # The tracker has them a moment before they are counted.
    deadline = time.monotonic() + 20
    while counted(server) < ERRORS and time.monotonic() < deadline:
        time.sleep(0.05)
    return server


def counted(server: StormCloud) -> int:
    return sum(process.sent.get("event", 0) for process in read_processes(server.security_log.parent))


def test_the_status_sums_up_the_processes_of_the_server(server: StormCloud, tracker: Receiver) -> None:
    result = manage(server.env, "sentry_status", "--json")
    assert result.returncode == 0, result.stderr
    status = json.loads(result.stdout)
    assert status["enabled"] is True
    assert (status["host"], status["project"]) == (f"127.0.0.1:{tracker.port}", "1")
    assert status["traffic"]["sent"]["event"] == ERRORS
    serving = [process for process in status["processes"] if process["sent"].get("event")]
    assert {(process["program"], process["state"]) for process in serving} == {("gunicorn", "running")}
    assert {"name": "SENTRY_RELEASE", "value": "1.2.3", "source": "SENTRY_RELEASE"} in status["settings"]
    assert "publickey" not in result.stdout


def test_the_ledger_proves_what_left_byte_for_byte(server: StormCloud, tracker: Receiver) -> None:
    result = manage(server.env, "sentry_ledger", "--kind", "event", "--json")
    assert result.returncode == 0, result.stderr
    entries = json.loads(result.stdout)["entries"]
    arrived = Counter(payload for kind, payload in tracker.payloads() if kind == "event")
    assert Counter(entry["payload"].encode() for entry in entries) == arrived
    assert {entry["issue"].partition(":")[0] for entry in entries} == {"ValueError in core.monitoring.failures._value"}
