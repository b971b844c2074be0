"""What REST framework answers with a 5xx is one event, with the exception and where it came from."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
import sentry_sdk
from django.http import HttpRequest
from django.urls import path

pytest.importorskip("rest_framework")

from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import APIView

from core.monitoring import event_id
from core.monitoring.rest_framework import watch_rest_framework
from core.monitoring.testing import Receiver

Start = Callable[..., bool]
Call = Callable[..., tuple[int, dict[str, str], bytes]]


class Unavailable(exceptions.APIException):
    status_code = 503


def unexpected() -> None:
    raise RuntimeError("nobody expected this")


def expected() -> None:
    raise Unavailable("try again")


def from_a_cause() -> None:
    try:
        raise OSError("no route to the mail server")
    except OSError as error:
        raise Unavailable("no mail today") from error


def logged_before() -> None:
    try:
        raise OSError("no route to the mail server")
    except OSError as error:
        logging.getLogger("app").exception("check the mail server")
        raise Unavailable("no mail today") from error


def refused() -> None:
    raise exceptions.PermissionDenied


class View(APIView):
    authentication_classes = ()
    permission_classes = ()

    def get(self, request: Any, way: str) -> Response:
        globals()[way]()
        return Response({})


class Translating(View):
    """Answers with another exception than it caught, which it never raises."""

    def handle_exception(self, exc: Exception) -> Response:
        return super().handle_exception(Unavailable("the disk is full"))


class AnsweringByItself(View):
    """A host's EXCEPTION_HANDLER may answer with a 5xx what knows no status."""

    def get_exception_handler(self) -> Callable[..., Response]:
        return lambda error, context: Response({"reference": event_id(context["request"])}, status=502)


urlpatterns = [
    path("translating/<str:way>/", Translating.as_view()),
    path("by-itself/<str:way>/", AnsweringByItself.as_view()),
    path("<str:way>/", View.as_view()),
]


requests: list[HttpRequest] = []


def remember(get_response: Any) -> Any:
    """A middleware."""
    return lambda request: requests.append(request) or get_response(request)


@pytest.fixture
def answer(start: Start, call: Call, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[int, str | None]]:
    """Ask for a view; return the status and what the request knows of its event."""
    start()
    monkeypatch.setattr(APIView, "handle_exception", APIView.handle_exception)  # puts it back afterwards
    watch_rest_framework()
    middleware = ["core.middleware.SentryContextMiddleware", f"{__name__}.remember"]
    return lambda way: (call(f"/{way}/", middleware=middleware, urls=__name__)[0], event_id(requests.pop()))


def events(receiver: Receiver) -> list[dict[str, Any]]:
    sentry_sdk.flush(timeout=10)
    return receiver.items("event")


def chain(event: dict[str, Any]) -> list[str]:
    return [value["type"] for value in event["exception"]["values"]]


@pytest.mark.parametrize(
    ("way", "status", "told"),
    [
        ("unexpected", 500, ["RuntimeError"]),
        ("expected", 503, ["Unavailable"]),
        ("from_a_cause", 503, ["OSError", "Unavailable"]),
        ("logged_before", 503, ["OSError"]),
        ("translating/unexpected", 503, ["RuntimeError", "Unavailable"]),
        ("translating/logged_before", 503, ["OSError"]),
        ("by-itself/unexpected", 502, ["RuntimeError"]),
    ],
)
def test_each_failed_request_is_one_event_that_the_request_knows(
    way: str, status: int, told: list[str], answer: Callable[[str], tuple[int, str | None]], receiver: Receiver
) -> None:
    assert answer(way)[0] == status
    (event,) = events(receiver)
    assert chain(event) == told
    assert event["exception"]["values"][0]["stacktrace"]["frames"][-1]["function"] == way.rpartition("/")[2]
    assert event["tags"]["request_path"].endswith("{way}/")


def test_the_request_knows_the_event_for_the_answer(
    answer: Callable[[str], tuple[int, str | None]], receiver: Receiver
) -> None:
    known = [answer(way)[1] for way in ("expected", "unexpected", "logged_before")]
    assert known == [event["event_id"] for event in events(receiver)]


def test_what_the_caller_did_wrong_is_no_event(
    answer: Callable[[str], tuple[int, str | None]], receiver: Receiver
) -> None:
    assert answer("refused") == (403, None)
    assert events(receiver) == []


def test_an_error_while_answering_another_is_an_event_of_its_own(
    answer: Callable[[str], tuple[int, str | None]], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        try:
            expected()
        except Unavailable:
            logging.getLogger("app").exception("logged")
            raise ValueError("the handler has a bug itself") from None

    monkeypatch.setitem(globals(), "expected_and_worse", fail)
    assert answer("expected_and_worse")[0] == 500
    assert [chain(event)[-1] for event in events(receiver)] == ["Unavailable", "ValueError"]
