"""`manage.py sentry_preview` shows what would leave, why, and sends nothing."""

import io
import json
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from core.monitoring import rules
from core.monitoring.config import SentryConfig
from core.monitoring.failures import ERRORS
from core.monitoring.management.commands.sentry_preview import NOTHING_TO_SHOW, SCRUBBER_FAILED
from core.monitoring.preview_request import PLANTED
from core.monitoring.scrubber import Scrubber
from core.monitoring.testing import Receiver

Start = Callable[..., bool]
ROOT = Path(__file__).resolve().parents[3]
LEAK = {"message": "mail to jane.doe@example.com", "extra": {"api_key": "hunter2", "shelf": 7}}


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("sentry_preview", *arguments, stdout=out)
    return out.getvalue()


def shown(event: Any, tmp_path: Path, *arguments: str) -> str:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))
    return run("--file", str(file), *arguments)


def preview(event: Any, tmp_path: Path) -> Any:
    return json.loads(shown(event, tmp_path, "--json"))


def changes(preview: dict[str, Any]) -> dict[str, tuple[str, Any, Any]]:
    return {found["path"]: (found["rule"], found["before"], found["after"]) for found in preview["redactions"]}


@pytest.mark.parametrize("error", ERRORS)
def test_everything_private_in_the_request_is_in_the_original_and_none_of_it_would_leave(error: str) -> None:
    found = json.loads(run("--type", error, "--json"))
    before, after = json.dumps(found["before"]), json.dumps(found["after"])
    assert [value for value in PLANTED if value not in before] == []
    assert [value for value in PLANTED if value in after] == []
    assert found["after"]["exception"]["values"][-1]["type"] == found["before"]["exception"]["values"][-1]["type"]
    assert found["after"]["tags"]["request_path"] == "/files/{path}/"


def test_the_default_error_is_the_one_with_an_api_key() -> None:
    found = json.loads(run("--json"))
    assert found["after"]["exception"]["values"][-1]["value"].startswith("The key [Filtered] was refused")
    assert "not-a-real-key" in json.dumps(found["before"])
    assert "not-a-real-key" not in json.dumps(found["after"])


def test_each_redaction_of_the_request_says_where_and_by_which_rule() -> None:
    found = changes(json.loads(run("--type", "value", "--json")))
    assert found["request.data.username"] == ("email", "jane.doe@example.com", "ja***@example.com")
    assert found["request.data.password"][0] == "name"
    assert found["request.query_string"][0] == "request"
    assert found["breadcrumbs.values[0].message"][0] == "request, email, ipv4"
    assert found["user.username"][2] == "ja***@example.com"


def test_nothing_is_sent_though_monitoring_is_on(start: Start, receiver: Receiver) -> None:
    start()
    assert "would leave of a made-up request" in run()
    import sentry_sdk

    sentry_sdk.capture_message("after the preview")
    receiver.wait_for("event")
    (event,) = receiver.items()
    assert event["message"] == "after the preview"
    assert " opens " not in json.dumps(event["breadcrumbs"]), "the request's breadcrumb stays with the request"


def test_it_works_while_monitoring_is_off_and_says_so() -> None:
    assert run().startswith("Nothing is sent. Monitoring is off. If it were on, this would leave")


def test_it_says_no_such_thing_while_monitoring_is_on(start: Start) -> None:
    start()
    assert run().startswith("Nothing is sent. This would leave")


def test_what_the_host_configured_is_in_force(start: Start, tmp_path: Path) -> None:
    start({"sensitive_keys": ["shelf"], "patterns": {"badge": r"BADGE-\d{4}"}})
    found = preview({"extra": {"shelf": "A 7", "note": "of BADGE-1234"}}, tmp_path)
    assert changes(found) == {
        "extra.shelf": ("name", "A 7", "[Filtered]"),
        "extra.note": ("badge", "of BADGE-1234", "of [Filtered]"),
    }
    assert "badge: a pattern of this server's settings" in shown({"message": "BADGE-1234"}, tmp_path)


@pytest.mark.parametrize("debug", [True, False])
def test_the_failed_request_is_reported_to_nobody(debug: bool, capfd: Any, mailoutbox: list[Any]) -> None:
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        with override_settings(DEBUG=debug, ADMINS=["root@example.com"]):
            run()
    finally:
        logging.getLogger().removeHandler(handler)
    assert records == []
    assert mailoutbox == []
    assert capfd.readouterr().err == ""
    assert not logging.getLogger("django.request").disabled


def test_an_event_is_shown_before_and_after_with_the_rule_of_each_change(tmp_path: Path) -> None:
    found = preview(LEAK, tmp_path)
    assert found["before"] == LEAK
    assert found["after"]["message"] == "mail to ja***@example.com"
    assert found["redactions"] == [
        {"path": "message", "rule": "email", "before": LEAK["message"], "after": "mail to ja***@example.com"},
        {"path": "extra.api_key", "rule": "name", "before": "hunter2", "after": "[Filtered]"},
    ]
    assert found["by_rule"] == {"email": 1, "name": 1}


def test_a_person_sees_only_what_changes_and_how_much_stays(tmp_path: Path) -> None:
    said = shown(LEAK, tmp_path)
    assert "message  (email)\n  - mail to jane.doe@example.com\n  + mail to ja***@example.com\n" in said
    assert "extra.api_key  (name)\n  - hunter2\n  + [Filtered]\n" in said
    assert "shelf" not in said
    assert "     1  email: e-mail addresses" in said
    assert "     1  fields stay as they are" in said


def test_the_whole_event_is_shown_on_request(tmp_path: Path) -> None:
    said = shown(LEAK, tmp_path, "--all")
    assert '"shelf": 7' in said
    assert '"message": "mail to ja***@example.com"' in said


@pytest.mark.parametrize(
    ("event", "path", "rule"),
    [
        ({"request": {"url": "http://x/tax.pdf"}}, "request.url", "route"),
        ({"request": {"headers": {"Referer": "http://x/tax.pdf"}}}, "request.headers.Referer", "route"),
        ({"request": {"method": "PUT", "data": "diary"}}, "request.data", "content"),
        ({"user": {"ip_address": "203.0.113.9"}}, "user.ip_address", "gone"),
        ({"extra": {"a": [0] * 3000}}, "extra.a[2000]", "!limit"),
        ({"extra": {f"n{n}": n for n in range(3000)}}, 'extra["[cut]"]', "!limit"),
        ({"extra": {"of jane.doe@example.com": 1}}, 'extra["of ja***@example.com"] (name)', "email"),
        ({"message": "x fa7-1c", "request": {"data": {"password": "fa7-1c"}}}, "message", "request"),
        ({"type": "transaction", "spans": [{"description": "GET 203.0.113.9"}]}, "spans[0].description", "ipv4"),
    ],
)
def test_a_change_that_leaves_no_remark_in_the_event_has_a_rule_all_the_same(
    event: dict[str, Any], path: str, rule: str, tmp_path: Path
) -> None:
    assert changes(preview(event, tmp_path))[path][0] == rule


def test_names_that_become_alike_are_told_apart(tmp_path: Path) -> None:
    event = {"extra": {"jane@example.com": 1, "james@example.com": 2, "shelf": 3}}
    found = preview(event, tmp_path)
    assert {one["before"] for one in found["redactions"]} >= {"jane@example.com", "james@example.com"}


def test_a_list_gives_a_list(tmp_path: Path) -> None:
    first, second = preview([{"message": "a"}, LEAK], tmp_path)
    assert first["redactions"] == []
    assert second["by_rule"] == {"email": 1, "name": 1}
    assert "Event 2 of 2" in shown([{"message": "a"}, LEAK], tmp_path)


def test_of_an_envelope_each_item_is_shown_and_what_would_be_dropped_is_said(tmp_path: Path) -> None:
    log = {"items": [{"body": "by jane.doe@example.com", "attributes": {}}]}
    lines = [{"event_id": "1"}, {"type": "event"}, LEAK, {"type": "attachment", "filename": "tax.pdf"}, {}]
    lines += [{"type": "log", "item_count": 1, "content_type": "application/vnd.sentry.items.log+json"}, log]
    file = tmp_path / "envelope"
    file.write_text("\n".join(map(json.dumps, lines)))
    event, attachment, entry = json.loads(run("--file", str(file), "--json"))
    assert event["by_rule"] == {"email": 1, "name": 1}
    assert attachment["after"] is None
    assert attachment["before"]["filename"] == "tax.pdf"
    assert changes(entry) == {"body": ("email", "by jane.doe@example.com", "by ja***@example.com")}
    assert "(does not leave)" in run("--file", str(file))


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(json.dumps(LEAK).encode())))
    assert json.loads(run("--file", "-", "--json"))["by_rule"] == {"email": 1, "name": 1}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "can't be read: No such file"),
        (b"", "neither JSON nor an envelope"),
        (b"message: x", "neither JSON nor an envelope .*line 1 column 1"),
        (b'{"a": 1}\n{"type": "event"}\n{"message', "neither JSON nor an envelope"),
        (b'{"a": 1}\n{"type": "event"}\n["message"]', "neither JSON nor an envelope"),
        (b"5", "holds no event: what is in it"),
        (b"[{}, 5]", "holds no event: item 2"),
        (b"[]", "empty list"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    ],
)
def test_bad_input_is_explained_and_fails(content: bytes | None, why: str, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CommandError, match=why) as raised:
        run("--file", str(file))
    assert raised.value.returncode == NOTHING_TO_SHOW


@pytest.mark.parametrize("arguments", [("--type", "nonsense"), ("--type", "value", "--file", "x"), ("--all", "--json")])
def test_options_that_make_no_sense_are_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)


def test_a_failing_scrubber_is_seen_and_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*args: Any, **options: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Scrubber, "judge", broken)
    with pytest.raises(CommandError, match="The scrubber failed") as raised:
        shown({**LEAK, "level": "error"}, tmp_path)
    assert raised.value.returncode == SCRUBBER_FAILED


def test_without_the_sdk_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "core.monitoring.preview_request", None)
    with pytest.raises(CommandError, match="pip install sentry-sdk"):
        run()
    assert preview(LEAK, tmp_path)["by_rule"] == {"email": 1, "name": 1}


def test_a_long_value_is_shown_around_what_changes(tmp_path: Path) -> None:
    said = shown({"message": "word " * 1000 + "jane.doe@example.com" + " word" * 1000}, tmp_path)
    assert "jane.doe@example.com" in said
    assert max(map(len, said.splitlines())) < 200


def test_an_event_can_not_steer_the_terminal(tmp_path: Path) -> None:
    event = {"extra": {"\x1b[2J": "\x1b]0;x\x07 \x9b31m \u202e \ud800 jane@example.com \n now"}}
    for said in (shown(event, tmp_path), shown(event, tmp_path, "--all")):
        assert [char for char in said if not char.isprintable() and char != "\n"] == []
        assert "\n now" not in said


def test_json_has_no_number_that_is_none_in_json(tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text('{"extra": {"shelf": 1e999, "row": NaN}}')

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads(run("--file", str(file), "--json"), parse_constant=refuse)
    assert found["after"]["extra"] == {"shelf": "1e999", "row": "NaN"}


def test_every_rule_is_explained() -> None:
    from core.monitoring.preview import ABOUT, OWN_PATTERN, about

    assert {rule.id for rule in rules.VALUE_RULES} < ABOUT.keys()
    assert about("badge") == OWN_PATTERN
    assert SentryConfig().patterns == {}


def in_terminal(*arguments: str, **environment: str) -> bytes:
    """Run the command as an operator does, with a pseudo-terminal as its standard output."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "django", "sentry_preview", "--type", "value", *arguments]
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "DJANGO_COLORS")}
    process = subprocess.Popen(
        command, stdout=theirs, stderr=subprocess.PIPE, env={**env, "PYTHONPATH": str(ROOT), **environment}
    )
    os.close(theirs)
    said = b""
    try:
        while part := os.read(ours, 65536):
            said += part
    except OSError:  # how Linux says that the other end was closed
        pass
    finally:
        os.close(ours)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    return said


def test_a_terminal_gets_colours() -> None:
    assert b"\x1b[" in in_terminal()


@pytest.mark.parametrize(("arguments", "environment"), [((), {"NO_COLOR": "1"}), (("--no-color",), {})])
def test_colours_can_be_refused(arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    said = in_terminal(*arguments, **environment)
    assert b"(request" in said
    assert b"\x1b[" not in said


def test_what_is_no_terminal_gets_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" not in run()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert "\x1b[" not in run(), "the terminal is not where this was written to"
    assert "\x1b[" in run("--force-color")
