"""What a request shows to be private, and what the names in an event do."""

from types import SimpleNamespace

import pytest
from django.test import RequestFactory
from django.utils.datastructures import MultiValueDict

from core.monitoring.hiding import hide_values
from core.monitoring.private_values import named_values, private_values
from core.monitoring.scrubber import Scrubber


def test_the_captured_path_the_credentials_and_the_uploads_are_private() -> None:
    request = RequestFactory().get(
        "/x/", headers={"Authorization": "Bearer the-key-of-jane", "Cookie": "sessionid=abcdefgh12345; theme=dark"}
    )
    request.resolver_match = SimpleNamespace(captured_kwargs={"path": "tax/2025 return.pdf", "number": 7})
    request._files = MultiValueDict({"file": [SimpleNamespace(name=name) for name in ("passport.jpg", "visa.jpg")]})
    assert private_values(request) == {
        "tax/2025 return.pdf": "{path}",
        "tax": "{path}",
        "2025 return.pdf": "{path}",
        "2025 return": "{path}",
        "passport.jpg": "{file}",
        "visa.jpg": "{file}",
        "the-key-of-jane": "[Filtered]",
        "abcdefgh12345": "[Filtered]",
    }


def test_the_password_of_basic_authentication_is_private_and_a_credential_that_is_none_is_no_error() -> None:
    request = RequestFactory().get("/", headers={"Authorization": "Basic amFuZTpodW50ZXIy"})
    request.resolver_match = SimpleNamespace(captured_kwargs={})
    assert private_values(request) == {"amFuZTpodW50ZXIy": "[Filtered]", "hunter2": "[Filtered]"}
    for odd in ("Basic", "Basic \xff", "basic amFuZTpodW50ZXIyX", "Basic /////w=="):
        request.META["HTTP_AUTHORIZATION"] = odd
        assert "hunter2" not in private_values(request)


def test_an_address_that_no_route_matched_is_private_as_a_whole() -> None:
    assert private_values(RequestFactory().get("/jane/salary.pdf?of=jane")) == {
        "jane/salary.pdf": "{unmatched}",
        "of=jane": "{unmatched}",
    }


def test_a_password_of_the_request_is_known_by_its_name_and_hidden_wherever_else_it_stands() -> None:
    event = {
        "request": {"data": {"user": {"password": "hunter2-secret"}, "theme": "dark-blue-7"}},
        "exception": {
            "values": [
                {
                    "value": "can't sign in with hunter2-secret and s3cret-of-the-frame, theme dark-blue-7",
                    "stacktrace": {"frames": [{"vars": {"pin_code": "'s3cret-of-the-frame'"}}]},
                }
            ]
        },
    }
    values = named_values(event, Scrubber())
    assert set(values) == {"hunter2-secret", "s3cret-of-the-frame"}
    message = hide_values(event, dict.fromkeys(values, "[Filtered]"), values)["exception"]["values"][0]["value"]
    assert message == "can't sign in with [Filtered] and [Filtered], theme dark-blue-7"


@pytest.mark.parametrize("value", ["session", "django.contrib.auth", "12345", "None", "<Token: 5>", "", "a_b"])
def test_a_word_or_a_number_under_a_sensitive_name_does_not_spoil_the_rest(value: str) -> None:
    assert not named_values({"request": {"data": {"token": value}}}, Scrubber())


def test_each_name_of_a_path_under_a_sensitive_name_is_private_and_so_is_a_parameter_of_the_address() -> None:
    request = {"data": {"destination": "archive/bonus table.xlsx"}, "query_string": "page=2&token=q7w2e5r4&sort=name-9"}
    values = named_values({"request": request}, Scrubber(sensitive_keys=["destination"]))
    assert set(values) == {"archive/bonus table.xlsx", "bonus table.xlsx", "q7w2e5r4"}


def test_a_local_variable_of_a_messages_stack_shows_what_is_private_too() -> None:
    stack = {"stacktrace": {"frames": [{"vars": {"password": "'hunter2-x'"}}]}}
    assert set(named_values({"threads": {"values": [stack]}}, Scrubber())) == {"hunter2-x"}
    assert set(named_values(stack, Scrubber())) == {"hunter2-x"}
