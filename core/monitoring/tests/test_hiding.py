"""What is private is taken out wherever it turns up, and the code's own names stay."""

from copy import deepcopy

import pytest

from core.monitoring.hiding import MOST, hide_values
from core.monitoring.scrubber import Scrubber
from core.monitoring.sdk import outgoing


@pytest.mark.parametrize(
    "written",
    [
        "übung's plan.pdf",
        repr("/x/übung's plan.pdf"),
        "%C3%BCbung%27s%20plan.pdf",
        "%C3%BCbung's+plan.pdf",
        r"\u00fcbung's plan.pdf",
        "übung's plan.pdf".encode().decode("latin-1"),
        "u\u0308bung's plan.pdf",
        "%c3%bcbung%27s%20plan.pdf",
        "%25C3%25BCbung%2527s%2520plan.pdf",
        "<title>übung&#x27;s plan.pdf</title>",
    ],
)
def test_every_way_of_writing_a_name_is_found(written: str) -> None:
    event = {"exception": {"values": [{"value": f"no space for {written}!"}]}}
    hidden = repr(hide_values(event, {"übung's plan.pdf": "{path}"}))
    assert "plan" not in hidden
    assert "{path}" in hidden


def test_a_name_that_came_decomposed_is_found_composed() -> None:
    hidden = hide_values({"message": "no resum\u00e9.pdf"}, {"resume\u0301.pdf": "{path}"})
    assert hidden["message"] == "no {path}"


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
    stack = {"stacktrace": {"frames": [frame]}}
    hidden = hide_values({**stack, "exception": {"values": [stack]}}, {"views": "{path}"})
    assert hidden["stacktrace"]["frames"] == [{**frame, "vars": {"p": "{path}"}}]
    assert hidden["exception"]["values"][0]["stacktrace"]["frames"] == hidden["stacktrace"]["frames"]


def test_a_local_variable_and_a_field_of_a_form_are_searched_though_they_are_called_as_a_frames_fields_are() -> None:
    found = dict.fromkeys(("filename", "module", "type", "level", "release", "function", "tags"), "no salary.pdf")
    gone = dict.fromkeys(found, "no {path}")
    stack = {"stacktrace": {"frames": [{"vars": {**found, "item": found}}]}}
    event = {"exception": {"values": [stack]}, "extra": found, "request": {"data": [found]}, "contexts": {"job": found}}
    hidden = hide_values({**event, "fingerprint": ["no salary.pdf"]}, {"salary.pdf": "{path}"})
    assert hidden["fingerprint"] == ["no {path}"]
    assert hidden["exception"]["values"][0]["stacktrace"]["frames"] == [{"vars": {**gone, "item": gone}}]
    assert (hidden["extra"], hidden["request"]["data"], hidden["contexts"]["job"]) == (gone, [gone], gone)


def test_an_event_keeps_its_form_when_folders_are_called_as_its_fields_are() -> None:
    event = {
        "user": {"id": "7"},
        "transaction": "/api/v1/files/{path}",
        "exception": {"values": [{"type": "OSError", "mechanism": {"type": "django"}}]},
        "breadcrumbs": {"values": [{"level": "info", "message": "done", "data": {"status_code": 200}}]},
        "request": {"method": "GET", "headers": {"Host": "cloud.example.org"}, "data": {}},
        "tags": {"request_path": "/api/v1/files/{path}"},
    }
    folders = "user data values exception breadcrumbs message headers files request Host OSError info type".split()
    assert hide_values(event, dict.fromkeys(folders, "{path}")) == event


def test_a_short_name_does_not_eat_into_words() -> None:
    assert hide_values({"message": "cat concatenated"}, {"cat": "{path}"})["message"] == "{path} concatenated"


def test_what_came_in_is_not_changed() -> None:
    event = {"extra": {"a": ["salary.pdf"]}, "_meta": {"extra": {"a": {"0": {"": {"len": 9}}}}}}
    before = deepcopy(event)
    hide_values(event, {"salary.pdf": "{path}"})
    assert event == before


def test_a_remark_says_why_a_value_is_gone_beside_those_that_the_sdk_left() -> None:
    cut = {"": {"len": 2000, "rem": [["!limit", "x", 10, 13]]}}
    extra = {"a": ["x", "salary.pdf"], "b": {"c": "d"}}
    event = {"message": "no salary.pdf", "extra": extra, "_meta": {"message": cut, "user": cut}}
    assert hide_values(event, {"salary.pdf": "{path}"})["_meta"] == {
        "message": {"": {"len": 2000, "rem": [["!limit", "x", 10, 13], ["request", "s"]]}},
        "extra": {"a": {"1": {"": {"len": 10, "rem": [["request", "s"]]}}}},
        "user": cut,
    }


def test_a_value_that_stands_only_where_it_is_redacted_anyway_costs_nothing_more() -> None:
    event = {"extra": {"password": "hunter2-x", "list": [{"token": "hunter2-x"}]}}
    assert hide_values(event, {"hunter2-x": "{path}"}, {"hunter2-x": 2}) is event
    once_more = {**event, "message": "no hunter2-x"}
    assert hide_values(once_more, {"hunter2-x": "{path}"}, {"hunter2-x": 2})["message"] == "no {path}"


def test_a_text_that_is_one_object_in_two_places_is_found_in_both() -> None:
    secret = "-".join(["hunter2", "x"])
    event = {"extra": {"password": secret, "note": secret}}
    assert hide_values(event, {secret: "{path}"}, {secret: 1})["extra"]["note"] == "{path}"


def test_what_a_dropped_variable_showed_to_be_private_is_taken_out_elsewhere() -> None:
    frames = [
        {"module": "shop.files", "vars": {"password": "'hunter2-x'", "token": "'hunter2-x'"}},
        {"module": "shop.files", "vars": {"password": "'hunter2-x'"}},
    ]
    event = {"exception": {"values": [{"value": "no hunter2-x", "stacktrace": {"frames": frames}}]}}
    after = outgoing(event, Scrubber(private_modules=["shop.files"]))
    assert after["exception"]["values"][0]["value"] == "no [Filtered]"


def test_only_a_skeleton_leaves_if_more_private_values_are_spread_than_can_be_looked_for() -> None:
    tokens = [f"t0ken-{number}" for number in range(MOST + 1)]
    event = {"message": "failed", "level": "error", "request": {"data": {"token": tokens}}}
    assert outgoing(event, Scrubber())["message"] == "failed"
    assert outgoing({**event, "extra": {"list": tokens}}, Scrubber()) == {"level": "error"}


def test_a_folder_called_query_does_not_hide_that_a_breadcrumb_is_one() -> None:
    crumb = {"category": "query", "message": "SELECT * FROM files WHERE owner = 'jane'"}
    after = outgoing({"breadcrumbs": {"values": [crumb]}}, Scrubber(), private={"query": "{path}"})
    assert "jane" not in str(after)


def test_a_parameter_of_a_message_that_is_too_long_for_the_scrubber_is_taken_out() -> None:
    logentry = {"message": "x " * 1500 + "password=%s", "params": ["hunter2-x"]}
    assert "hunter2-x" not in str(outgoing({"logentry": logentry}, Scrubber()))
