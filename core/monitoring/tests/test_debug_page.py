"""The endpoint of test errors for scripts, and what its page makes of a payload."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.http import Http404, HttpRequest
from django.test import RequestFactory

from core.monitoring.failures import FAILURES, Failure
from core.monitoring.shown import Piece, event_link, pieces
from core.monitoring.views import sentry_test

ID = "0123456789abcdef0123456789abcdef"
Make = Callable[..., HttpRequest]


@pytest.fixture(autouse=True)
def debug(settings: Any) -> None:
    settings.DEBUG = True


@pytest.fixture
def rf() -> RequestFactory:
    return RequestFactory()


def test_scripts_get_the_choices_and_a_browser_would_not(rf: RequestFactory) -> None:
    for accept in ("*/*", "application/json"):
        answer = sentry_test(rf.get("/", headers={"Accept": accept}))
        assert json.loads(answer.content)["types"].keys() == FAILURES.keys()
    answer = sentry_test(rf.get("/?type=nonsense"))
    assert answer.status_code == 400
    assert "division" in json.loads(answer.content)["error"]["message"]


@pytest.mark.parametrize("method", ["get", "post"])
def test_without_debug_nothing_fails_and_nothing_is_there(rf: RequestFactory, settings: Any, method: str) -> None:
    settings.DEBUG = False
    with pytest.raises(Http404):
        sentry_test(getattr(rf, method)("/?type=division"))


def test_another_site_can_not_press_a_button(rf: RequestFactory) -> None:
    assert sentry_test(rf.post("/", {"type": "division"})).status_code == 403


def test_a_form_without_the_script_fails_in_its_request(rf: RequestFactory) -> None:
    token = "a" * 32
    rf.cookies["csrftoken"] = token
    with pytest.raises(ZeroDivisionError):
        sentry_test(rf.post("/", {"type": "division", "csrfmiddlewaretoken": token}))


def test_a_host_adds_failures_of_its_own_and_one_that_raises_nothing_leads_back(rf: RequestFactory) -> None:
    run = []
    own = {"fire": Failure("Fire", "the server burns", lambda request: run.append(request.path))}
    answer = sentry_test(rf.get("/page/?type=fire", headers={"Accept": "text/html"}), own)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/page/")
    assert json.loads(sentry_test(rf.get("/page/?type=fire"), own).content) == {"type": "fire", "raised": False}
    assert run == ["/page/", "/page/"]


def shown(payload: dict[str, Any]) -> list[tuple[str, str]]:
    return [(piece.text, piece.rule) for piece in pieces(json.dumps(payload)) if piece.rule]


def test_only_the_redacted_part_of_a_text_is_marked_where_the_remark_says_which() -> None:
    text = 'by "jo***@example.com" from XXX.XXX.XXX.XXX'
    placed = [["ipv4", "s", 28, 43], ["email", "s", 4, 21]]
    payload = {"message": text, "_meta": {"message": {"": {"rem": placed}}}}
    assert shown(payload) == [("jo***@example.com", "email"), ("XXX.XXX.XXX.XXX", "ipv4")]
    assert json.loads("".join(piece.text for piece in pieces(json.dumps(payload)))) == {"message": text}


def test_a_redacted_value_is_marked_whole_and_only_the_first_of_a_rule_has_an_anchor() -> None:
    rem = {"": {"rem": [["name", "s"]]}}
    payload = {"a": ["[Filtered]", 1], "b": {"c": None}, "_meta": {"a": {"0": rem}, "b": {"c": rem}}}
    marked = [piece for piece in pieces(json.dumps(payload)) if piece.rule]
    assert marked == [Piece('"[Filtered]"', "name", "redacted-name"), Piece("null", "name")]


@pytest.mark.parametrize("rem", [None, [], [[]], [["name"]], [["name", "s", "x", 2]], [["name", "s", 90, 95]], "name"])
def test_odd_remarks_leave_the_payload_readable(rem: Any) -> None:
    payload = {"a": "text", "_meta": {"a": {"": {"rem": rem}}}}
    assert json.loads("".join(piece.text for piece in pieces(json.dumps(payload)))) == {"a": "text"}


@pytest.mark.parametrize(
    ("dsn", "link"),
    [
        (
            "https://key@o1.ingest.de.sentry.io/42",
            f"https://sentry.io/orgredirect/organizations/:orgslug/issues/?project=42&query={ID}",
        ),
        ("https://key@acme.bugsink.com/3", f"https://acme.bugsink.com/issues/event/{UUID(ID)}/"),
        ("http://key@127.0.0.1:9001/1", f"http://127.0.0.1:9001/issues/event/{UUID(ID)}/"),
        ("http://spotlight@localhost:8969/0", ""),
        ("https://key@errors.example.org/1", ""),
        ("https://key@sentry.io.example.org/1", ""),
        ("", ""),
    ],
)
def test_the_link_to_an_event_is_that_of_its_tracker_and_never_holds_the_key(dsn: str, link: str) -> None:
    assert event_link(dsn, ID) == link
