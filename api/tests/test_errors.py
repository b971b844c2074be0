import json

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.http import Http404
from django.test import RequestFactory
from django.urls import path
from rest_framework import exceptions
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny

from api import errors
from api.v1.urls import urlpatterns as api_urls

RAISED: dict[str, Exception] = {}


@api_view(["GET"])
@permission_classes([AllowAny])
def raising(request):
    raise RAISED["next"]


def plain(request):
    raise RAISED["next"]


urlpatterns = [path("api/raise/", raising), path("api/plain/", plain), path("page/", plain), *api_urls]
handler400 = "api.errors.bad_request"
handler403 = "api.errors.permission_denied"
handler404 = "api.errors.not_found"
handler500 = "api.errors.server_error"
pytestmark = pytest.mark.urls(__name__)

EXPECTED = [
    (Http404("row 5 of table x"), 404, "not_found", "swagger-ui"),
    (PermissionDenied("inner reasons"), 403, "permission_denied", "Ask the staff"),
    (exceptions.NotFound(), 404, "not_found", "swagger-ui"),
    (exceptions.NotFound("No file is there. List the folder."), 404, "not_found", "List the folder"),
    (exceptions.NotAuthenticated(), 401, "not_authenticated", "Authorization: Bearer"),
    (exceptions.Throttled(wait=7.2), 429, "throttled", "Try again in 8 seconds"),
    (exceptions.Throttled(), 429, "throttled", "Try again in 1 second"),
    (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed", "Allow header"),
    (exceptions.UnsupportedMediaType("a/b"), 415, "unsupported_media_type", "application/json"),
    (exceptions.ParseError("JSON parse error - line 1"), 400, "parse_error", "line 1. Correct the body"),
    (exceptions.ValidationError({"a": {"b": ["Too long."]}}), 400, "invalid", "a.b: Too long."),
    (exceptions.ValidationError([{}, {"a": ["Bad."]}]), 400, "invalid", "a: Bad."),
    (exceptions.ValidationError("Choose another.", "taken"), 400, "taken", "Choose another."),
    (errors.Conflict("It exists. Send overwrite.", "exists"), 409, "exists", "Send overwrite"),
    (errors.Unavailable(), 503, "unavailable", "Try again"),
    (RequestDataTooBig("x"), 413, "too_large", "Send less"),
]


@pytest.mark.parametrize(("raised", "status", "code", "says"), EXPECTED, ids=lambda value: type(value).__name__)
def test_every_error_has_the_one_shape_and_says_what_to_do(anonymous, raised, status, code, says):
    RAISED["next"] = raised
    answer = anonymous.get("/api/raise/", headers={"accept": "application/json"})
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "details"} | ({"reference"} if status >= 500 else set())
    assert error["code"] == code
    assert says in error["message"]
    assert isinstance(error["details"], dict)
    for inner in ("row 5", "inner reasons"):
        assert inner not in answer.content.decode()


@pytest.mark.parametrize("address", ["/api/raise/", "/api/plain/", "/page/"])
def test_an_unexpected_error_reaches_djangos_signal_and_shows_nothing_of_itself(anonymous, address):
    RAISED["next"] = ZeroDivisionError("password=hunter2")
    seen = []
    receiver = lambda sender, request, **_: seen.append(request.path)  # noqa: E731
    got_request_exception.connect(receiver)
    try:
        answer = anonymous.get(address)
    finally:
        got_request_exception.disconnect(receiver)
    assert seen == [address]
    assert answer.status_code == 500
    assert b"hunter2" not in answer.content
    if address.startswith("/api/"):
        assert json.loads(answer.content)["error"]["code"] == "server_error"
    else:
        assert answer["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (Http404(), 404, "not_found"),
        (PermissionDenied(), 403, "permission_denied"),
        (SuspiciousOperation(), 400, "bad_request"),
        (RequestDataTooBig(), 413, "too_large"),
    ],
)
def test_djangos_own_errors_are_json_below_api_and_a_page_elsewhere(anonymous, raised, status, code):
    RAISED["next"] = raised
    answer = anonymous.get("/api/plain/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert anonymous.get("/page/")["Content-Type"].startswith("text/html")


def test_a_body_that_is_too_large_is_json_for_a_developer_too(anonymous, settings):
    settings.DEBUG = True
    RAISED["next"] = RequestDataTooBig()
    answer = anonymous.get("/api/raise/", headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_a_foreign_host_name_is_a_bad_request_in_json(anonymous):
    answer = anonymous.get("/api/plain/", headers={"host": "evil.example"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


def test_rendering_a_500_touches_neither_session_nor_database():
    answer = errors.server_error(RequestFactory().get("/api/v1/auth/me/"))
    assert answer.status_code == 500
