"""What the request shows to be private is taken out wherever it turns up, and the code's own names stay."""

from copy import deepcopy
from types import SimpleNamespace

import pytest
from django.test import RequestFactory
from django.utils.datastructures import MultiValueDict

from core.monitoring.private_values import hide_values, named_values, private_values
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
        "passport.jpg": "{file}",
        "visa.jpg": "{file}",
        "the-key-of-jane": "[Filtered]",
        "abcdefgh12345": "[Filtered]",
    }


def test_a_path_that_no_route_matched_is_private_as_a_whole() -> None:
    assert private_values(RequestFactory().get("/jane/salary.pdf")) == {"jane/salary.pdf": "{unmatched}"}


@pytest.mark.parametrize(
    "written",
    [
        "übung's plan.pdf",
        repr("/x/übung's plan.pdf"),
        "%C3%BCbung%27s%20plan.pdf",
        "%C3%BCbung's+plan.pdf",
        r"\u00fcbung's plan.pdf",
        "übung's plan.pdf".encode().decode("latin-1"),
    ],
)
def test_every_way_of_writing_a_name_is_found(written: str) -> None:
    event = {"exception": {"values": [{"value": f"no space for {written}!"}]}}
    hidden = repr(hide_values(event, {"übung's plan.pdf": "{path}"}))
    assert "plan" not in hidden
    assert "{path}" in hidden


def test_dictionary_keys_are_searched_too() -> None:
    assert hide_values({"extra": {"salary.pdf": 1}}, {"salary.pdf": "{path}"}) == {"extra": {"{path}": 1}}


def test_what_only_python_can_read_is_searched_too() -> None:
    class Odd(str):
        pass

    event = {"extra": {"a": Odd("salary.pdf"), "b": ["no salary.pdf", "\ud800"], "c": object}}
    assert hide_values(event, {"salary.pdf": "{path}"})["extra"] == {
        "a": "{path}",
        "b": ["no {path}", "\ud800"],
        "c": object,
    }
    surrogate = {"extra": {"a": "\ud800.pdf", "b": "x"}}
    assert hide_values(surrogate, {"\ud800.pdf": "{path}"})["extra"] == {"a": "{path}", "b": "x"}


def test_the_code_keeps_its_names_when_a_file_is_called_alike() -> None:
    frame = {
        "module": "shop.views",
        "function": "views",
        "filename": "views",
        "context_line": "views()",
        "vars": {"p": "views"},
    }
    hidden = hide_values({"frames": [frame]}, {"views": "{path}"})
    assert hidden["frames"] == [{**frame, "vars": {"p": "{path}"}}]


def test_a_short_name_does_not_eat_into_words() -> None:
    assert hide_values({"message": "cat concatenated"}, {"cat": "{path}"})["message"] == "{path} concatenated"


def test_what_came_in_is_not_changed() -> None:
    event = {"extra": {"a": ["salary.pdf"]}, "_meta": {"extra": {"a": {"0": {"": {"len": 9}}}}}}
    before = deepcopy(event)
    hide_values(event, {"salary.pdf": "{path}"})
    assert event == before


def test_a_remark_says_why_a_value_is_gone_beside_those_that_the_sdk_left() -> None:
    cut = {"": {"len": 2000, "rem": [["!limit", "x", 10, 13]]}}
    event = {"message": "no salary.pdf", "extra": {"a": ["x", "salary.pdf"]}, "_meta": {"message": cut, "user": cut}}
    assert hide_values(event, {"salary.pdf": "{path}"})["_meta"] == {
        "message": {"": {"len": 2000, "rem": [["!limit", "x", 10, 13], ["request", "s"]]}},
        "extra": {"a": {"1": {"": {"len": 10, "rem": [["request", "s"]]}}}},
        "user": cut,
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
    message = hide_values(event, values)["exception"]["values"][0]["value"]
    assert message == "can't sign in with [Filtered] and [Filtered], theme dark-blue-7"


@pytest.mark.parametrize("value", ["session", "django.contrib.auth", "12345", "None", "<Token: 5>", "", "a_b"])
def test_a_word_or_a_number_under_a_sensitive_name_does_not_spoil_the_rest(value: str) -> None:
    assert named_values({"request": {"data": {"token": value}}}, Scrubber()) == {}
