"""The examples in docs/MONITORING.md are run as they stand; what the tracker gets of each is what the text says."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
from django.test import RequestFactory

from core import monitoring
from core.monitoring.testing import Receiver
from core.monitoring.tests.conftest import start  # noqa: F401 (a fixture)

GUIDE = (Path(__file__).resolve().parents[1] / "docs" / "MONITORING.md").read_text(encoding="utf-8")
SECTION = GUIDE.partition("\n## Helpers\n")[2].partition("\n## ")[0]
EXAMPLES = re.findall(r"^```python\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)

# What no example has to show.
NO_HELPERS = {"SentryConfig", "init_sentry", "is_enabled"}


def messages(names: dict[str, Any], receiver: Receiver) -> None:
    message, error = receiver.items("event")
    assert (message["message"], message["level"]) == ("The quota is nearly used up", "warning")
    assert message["contexts"]["details"] == {"used_percent": 95}
    assert message["tags"]["component"] == "quota"
    assert error["event_id"] == names["event_id"]
    assert error["exception"]["values"][0]["type"] == "ValueError"
    assert error["contexts"]["details"] == {"setting": "MAX_KEYS"}


def who(names: dict[str, Any], receiver: Receiver) -> None:
    (event,) = receiver.items("event")
    assert event["user"] == {"id": "7", "username": "jane", "is_staff": False}
    assert event["tags"]["tenant_id"] == "3"
    monitoring.capture_message("afterwards")
    sentry_sdk.flush(timeout=10)
    assert "user" not in receiver.items("event")[-1]


def said_besides(names: dict[str, Any], receiver: Receiver) -> None:
    (event,) = receiver.items("event")
    assert event["tags"]["component"] == "index"
    assert event["contexts"]["index"] == {"folders": 3, "files": 120}
    crumb = event["breadcrumbs"]["values"][-1]
    assert (crumb["message"], crumb["category"], crumb["data"]) == ("Folder read", "index", {"files": 40})


def time(names: dict[str, Any], receiver: Receiver) -> None:
    (transaction,) = receiver.items("transaction")
    assert (transaction["transaction"], transaction["contexts"]["trace"]["op"]) == ("nightly import", "import")
    read, render = transaction["spans"]
    assert (read["op"], read["description"], read["data"]["bytes"]) == ("import.read", "local", 512)
    assert (render["op"], render["description"]) == ("thumbnail.render", "jpeg")


def whether_it_ran(names: dict[str, Any], receiver: Receiver) -> None:
    began, ended = receiver.items("check_in")
    assert (began["status"], ended["status"]) == ("in_progress", "ok")
    assert began["check_in_id"] == ended["check_in_id"]
    assert began["monitor_slug"] == "nightly-report"
    assert began["monitor_config"]["schedule"] == {"type": "crontab", "value": "0 4 * * *"}


def reference(names: dict[str, Any], receiver: Receiver) -> None:
    page = names["error_page"](RequestFactory().get("/")).content.decode()
    assert re.fullmatch(r"Tell us None; our log has [0-9a-f]{32}\.", page)


ARRIVES = [messages, who, said_besides, time, whether_it_ran, reference]


@pytest.mark.parametrize(("example", "arrives"), list(zip(EXAMPLES, ARRIVES, strict=True)), ids=lambda value: "")
def test_the_example_does_what_the_text_says(
    example: str,
    arrives: Callable[[dict[str, Any], Receiver], None],
    start: Callable[..., bool],  # noqa: F811
    receiver: Receiver,
) -> None:
    start(SENTRY_TRACES_SAMPLE_RATE="1")
    names: dict[str, Any] = {"__name__": "example"}
    with sentry_sdk.isolation_scope():
        exec(compile(example, "docs/MONITORING.md", "exec"), names)
        sentry_sdk.flush(timeout=10)
        arrives(names, receiver)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda value: "")
def test_the_example_does_nothing_while_monitoring_is_off(example: str, receiver: Receiver) -> None:
    exec(compile(example, "docs/MONITORING.md", "exec"), {"__name__": "example"})
    assert receiver.bytes == b""


def test_every_helper_has_an_example() -> None:
    shown = "".join(EXAMPLES)
    helpers = set(monitoring.__all__) - NO_HELPERS
    assert [name for name in sorted(helpers) if not re.search(rf"\b{name}\(", shown)] == []
