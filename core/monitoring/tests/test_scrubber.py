# ruff: noqa: E501  # a case stays on one line
"""What the scrubber does with whole payloads: every secret in every position, and what must stay."""

from __future__ import annotations

import copy
import json
import logging
import sys

import pytest

from core.monitoring.scrubber import Scrubber, pattern_problems, skeleton
from core.monitoring.scrubbing.gates import Gates
from core.monitoring.scrubbing.memory import Judged, Memory
from core.monitoring.scrubbing.shapes import Shapes
from core.monitoring.tests import corpus


def dumped(payload) -> str:
    return json.dumps(payload, ensure_ascii=False)


@pytest.fixture(scope="module")
def scrubber():
    return Scrubber(sensitive_keys=["tax_number"], private_paths=["/srv/files", "/api/v1/files"])


@pytest.mark.parametrize("position", corpus.POSITIONS)
@pytest.mark.parametrize("kind", corpus.SECRETS)
def test_a_secret_leaves_from_no_position(kind, position, scrubber):
    text, secret = corpus.SECRETS[kind]
    payload = corpus.POSITIONS[position](text)
    assert secret in dumped(copy.deepcopy(payload) if "tuple" not in position else str(payload)) or "\\" in repr(text)
    for payload_kind in ("event", "transaction", "check_in", "log", "metric", "span", "profile", "session"):
        assert secret not in dumped(scrubber.scrub(payload, payload_kind))
    assert scrubber.failures == 0


@pytest.mark.parametrize("position", sorted(set(corpus.POSITIONS) - {"tuple and set"}))
def test_harmless_texts_stay_in_every_position(position, scrubber):
    for text in corpus.HARMLESS:
        payload = corpus.POSITIONS[position](text)
        assert scrubber.scrub(payload) == payload


def event_of_frames(*frames):
    return {"exception": {"values": [{"type": "E", "value": "v", "stacktrace": {"frames": list(frames)}}]}}


# What really left a server like this one, with send_default_pii=False and a hand-written filter.
LEFT = {
    "API key in a header's local": corpus.frame(auth_header="'Bearer Zk3_aB9-xY7qZk3_S3CRET9x'"),
    "API key in kwargs of the ORM": corpus.frame(kwargs={"key_hash": "'S3CRET9x'", "pk": "1"}),
    "API key in SQL parameters": {
        "module": "django.db.backends.utils", "function": "_execute",
        "vars": {"sql": "'SELECT 1'", "params": ["'S3CRET9x'", "5"], "ignored": "x"},
    },
    "API key in the parameters of a host's own execute_wrapper": corpus.frame(sql="'SELECT 1'", params=["'S3CRET9x'"]),
    "session key in SQL parameters": {"module": "django.db.models.sql.compiler", "vars": {"params": "('S3CRET9x',)"}},
    "session key in kwargs": corpus.frame(kwargs={"session_key": "'S3CRET9x'"}),
    "password in a serializer's repr": corpus.frame(s="LoginSerializer(data={'username': 'x', 'password': 'S3CRET9x'})"),
    "nested password": corpus.frame(body={"a": {"b": [{"new_password": "S3CRET9x"}]}}),
    "recipients": corpus.frame(recipient_list=["'S3CRET9x.name@example.com'"]),
    "verification token in a request's repr": corpus.frame(r="<WSGIRequest: GET '/verify-email/?token=S3CRET9x'>"),
    "share token in kwargs": corpus.frame(kwargs={"token": "'S3CRET9x'"}),
    "file below the storage root": corpus.frame(e="FileNotFoundError(2, 'x', '/srv/files/org/jo/S3CRET9x tax.pdf')"),
    "multipart repr": corpus.frame(f="<InMemoryUploadedFile: S3CRET9x.pdf (application/pdf)>"),
    "PostgreSQL detail": corpus.frame(e="DETAIL:  Key (username)=(S3CRET9x) already exists."),
    "id that is a secret by its name": corpus.frame(reset_token="550e8400-e29b-41d4-S3CRET9x"),
}  # fmt: skip


@pytest.mark.parametrize("what", LEFT)
def test_what_really_left_a_server_like_this_does_not_leave(what, scrubber):
    assert "S3CRET9x" not in dumped(scrubber.scrub(event_of_frames(LEFT[what])))


@pytest.mark.parametrize(
    "payload",
    [
        {"request": {"url": "https://x.test/api/v1/files/S3CRET9x.pdf/download/"}},
        {"request": {"query_string": "token=S3CRET9x"}},
        {"request": {"headers": {"Referer": "https://x.test/verify?token=S3CRET9x", "x-share-password": "S3CRET9x"}}},
        {"request": {"headers": {"CF-Connecting-IP": "S3CRET9x", "Forwarded": "for=S3CRET9x", "cf-ipcountry": "DE"}}},
        {"request": {"cookies": {"theme": "S3CRET9x"}}},
        {"extra": {"sys.argv": ["manage.py", "x", "--password", "S3CRET9x"]}},
        {"extra": {"sys.argv": ["manage.py", "x", "--password=S3CRET9x"]}},
        {"breadcrumbs": {"values": [{"message": "LOGIN email=S3CRET9x@example.com ip=203.0.113.5"}]}},
        {"extra": {"headers": [["X-Api-Key", "S3CRET9x"]]}},
        {"spans": [{"op": "cache.get", "description": ":1:user:S3CRET9x@example.com"}]},
        {"tags": {"tax-number": "S3CRET9x"}},
        {"extra": {"x": b"S3CRET9x", "y": bytearray(b"S3CRET9x"), "z": memoryview(b"S3CRET9x")}},
        {"_meta": {"request": {"data": {"": {"val": "S3CRET9x", "len": 6}}}}},
    ],
)
def test_what_left_by_another_road_does_not_leave(payload, scrubber):
    assert "S3CRET9x" not in dumped(scrubber.scrub(payload))


def test_what_an_error_report_is_worthless_without_stays(scrubber):
    frame = {
        "filename": "core/storage/local.py", "abs_path": "/app/core/storage/local.py", "function": "read_token",
        "module": "core.storage.local", "lineno": 12, "in_app": True, "vars": {"size": "10", "self": "<Local object>"},
        "pre_context": ["def check(password: str) -> bool:", "    token = request.headers.get('X')"],
        "context_line": "    if not user.check_password(password):", "post_context": ["        raise Denied(b'no')"],
    }  # fmt: skip
    event = {
        "event_id": "9f8a" * 8, "timestamp": "2024-01-02T03:04:05Z", "level": "error", "platform": "python",
        "release": "a" * 40, "environment": "production", "modules": {"django": "5.2.19.1"}, "transaction": "/api/v1/files/{path}/",
        "contexts": {"trace": {"trace_id": "a" * 32, "span_id": "b" * 16, "op": "http.server", "status": "ok"},
                     "runtime": {"name": "CPython", "version": "3.11.7.1"}},
        "tags": {"auth_method": "api_key", "request_method": "GET"}, "user": {"id": "7", "username": "jo", "is_staff": False},
        **event_of_frames(frame),
    }  # fmt: skip
    assert scrubber.scrub(event) == event


def test_a_literal_in_a_source_line_goes_and_the_code_stays(scrubber):
    event = event_of_frames(
        {"context_line": 'PASSWORD = "hunter2"  # db', "pre_context": ["api_key = get_key()"], "vars": {}}
    )
    frame = scrubber.scrub(event)["exception"]["values"][0]["stacktrace"]["frames"][0]
    assert frame["context_line"] == 'PASSWORD = "[Filtered]"  # db'
    assert frame["pre_context"] == ["api_key = get_key()"]


def test_a_value_goes_whatever_its_type_is(scrubber):
    values = ["x", 5, 5.5, ["x"], {"a": "x"}, ("x",), 10**40]
    after = scrubber.scrub({"extra": {f"password{i}": value for i, value in enumerate(values)}})["extra"]
    assert set(after.values()) == {"[Filtered]"}


def test_a_card_is_marked_as_a_card_under_any_name_and_as_a_number(scrubber):
    card = "XXXX-XXXX-XXXX-XXXX"
    extra = {
        "card_number": "4532-1234-5678-9010",
        "n": 4111111111111111,
        "f": 4111111111111111.0,
        "x": "4111 1111 1111 1111",
    }
    assert scrubber.scrub({"extra": extra})["extra"] == dict.fromkeys(extra, card)


def test_remarks_tell_which_rule_replaced_what(scrubber):
    after = scrubber.scrub(
        {"message": "mail jo.doe@example.com", "extra": {"password": "x"}, "_meta": {"a": {"": {"len": 3}}}}
    )
    assert after["message"] == "mail jo***@example.com"
    assert after["_meta"] == {
        "a": {"": {"len": 3}},
        "message": {"": {"rem": [["email", "s", 5, 10]], "len": 23}},
        "extra": {"password": {"": {"rem": [["name", "s"]]}}},
    }


def test_nothing_that_came_in_is_changed(scrubber):
    payload = {
        "extra": {"password": "x", "a": ["jo.doe@example.com", {"b": (1, 2), "secret": "x"}]},
        "_meta": {"x": {"": {"val": "y"}}},
        "user": {"ip_address": "10.0.0.5", "jo.doe@example.com": {"token": ["x"]}},
    }
    before = copy.deepcopy(payload)
    for _ in range(4):  # from the third on, the parts are known
        scrubber.scrub(payload)
        assert payload == before


def test_the_sdks_own_remarks_are_kept_each_time_and_ours_are_added_to_a_copy():
    scrubber = Scrubber()
    payload = {"extra": {"password": "x", "a": "cut"}, "_meta": {"extra": {"a": {"": {"len": 99}}}}}
    before = copy.deepcopy(payload)
    ours = {"password": {"": {"rem": [["name", "s"]]}}}
    for _ in range(4):
        assert scrubber.scrub(payload)["_meta"] == {"extra": {"a": {"": {"len": 99}}, **ours}}
        assert payload == before
    odd = {"extra": {}, "_meta": {"a@b.example": {"": {"val": "s3cr-et"}}}}
    assert [dumped(scrubber.scrub(odd)).count("s3cr-et") for _ in range(3)] == [0, 0, 0]


def test_what_a_caller_calls_its_transaction_is_text_and_its_ids_are_not(scrubber):
    ids = {"trace_id": "d3a3d4e7d3ca47498f18edcf7078d150", "sample_rate": "0.1", "public_key": "a" * 32}
    trace = {**ids, "dynamic_sampling_context": {**ids, "transaction": "/users/jo.doe@example.com"}}
    after = scrubber.scrub({"contexts": {"trace": trace}}, "transaction")["contexts"]["trace"]
    assert after["dynamic_sampling_context"] == {**ids, "transaction": "/users/jo***@example.com"}


def test_a_secret_between_equal_rows_goes(scrubber):
    plain, secret = {"rows": 1, "host": "db"}, {"rows": 1, "mail": "jo.doe@example.com"}
    spans = [{"op": "db", "data": dict(data)} for data in (plain, plain, secret, secret, plain, secret)]
    for _ in range(4):  # from the third on, the parts are known
        after = scrubber.scrub({"type": "transaction", "spans": spans}, "transaction")
        assert "jo.doe" not in dumped(after)
        assert [span["data"] == plain for span in after["spans"]] == [True, True, False, False, True, False]


def test_what_was_seen_before_is_redacted_all_the_same():
    scrubber = Scrubber()
    rows = [{"id": 1, "email": "jo.doe@example.com", "password": "x", "argv": ["run", "--token", "x"]}]
    event = {
        **event_of_frames(corpus.frame(rows=rows, note="plain")),
        "extra": {"rows": rows},
        "message": "a@b.example",
    }
    first = scrubber.scrub(event)
    assert "jo.doe" not in dumped(first)
    assert scrubber.parts.changed == {}
    for _ in range(3):
        assert scrubber.scrub(copy.deepcopy(event)) == first
    assert scrubber.parts.changed


def test_a_known_frame_keeps_the_sdks_own_remarks_and_nobody_can_change_what_is_remembered_of_it():
    scrubber = Scrubber()
    frame = corpus.frame(payload={"password": "x", "jo.doe@example.com": 1}, rows=["1", "2"])
    cut = {"vars": {"rows": {"": {"len": 20}}, "payload": {"password": {"": {"len": 1}}}}}
    meta = {"exception": {"values": {"0": {"stacktrace": {"frames": {"0": cut}}}}}}
    event = {**event_of_frames(frame, {"function": "f"}), "_meta": meta}
    first = scrubber.scrub(copy.deepcopy(event))
    noted = first["_meta"]["exception"]["values"]["0"]["stacktrace"]["frames"]["0"]["vars"]
    assert noted["rows"] == {"": {"len": 20}}
    assert noted["payload"]["password"] == {"": {"len": 1, "rem": [["name", "s"]]}}
    again = scrubber.scrub(copy.deepcopy(event))
    assert again == first
    again["exception"]["values"][0]["stacktrace"]["frames"][0]["vars"]["payload"].clear()
    assert scrubber.parts.changed
    for _ in range(2):
        assert scrubber.scrub(copy.deepcopy(event)) == first


def test_what_is_in_one_payload_twice_is_redacted_in_both_places(scrubber):
    inner = {"mail": "jo.doe@example.com", "odd": (b"x", {"password": "x"}), "a@b.example": 1}
    frames = [corpus.frame(inner=copy.deepcopy(inner), outer=[copy.deepcopy(inner)]) for _ in range(3)]
    after = scrubber.scrub(event_of_frames(*frames))
    first, *others = after["exception"]["values"][0]["stacktrace"]["frames"]
    assert "jo.doe" not in dumped(first)
    assert "'a@b.example'" not in repr(first)
    assert others == [first, first]
    noted = after["_meta"]["exception"]["values"]["0"]["stacktrace"]["frames"]
    assert noted["0"] == noted["1"] == noted["2"]


@pytest.mark.parametrize("value", [b"x", b"", bytearray(b"x"), float("-inf"), float("nan"), object, "x9"])
@pytest.mark.parametrize("before", [["Pass"], ["run", "--password"], ["--password"]])
def test_the_value_of_a_name_in_a_list_goes_whatever_its_type_and_once_is_enough(before, value, scrubber):
    once = scrubber.scrub({"extra": {"a": [*before, value]}})["extra"]
    assert scrubber.scrub({"extra": once})["extra"] == once
    if isinstance(value, bytes):
        assert once["a"][-1] == "[Filtered]"


@pytest.mark.parametrize(
    "payload",
    [
        # Local variables come as reprs.
        {
            "exception": {
                "values": [{"stacktrace": {"frames": [{"vars": {"argv": ["'x'", "'--password'", "'s3cr-et'"]}}]}}]
            }
        },
        {"exception": {"values": [{"stacktrace": {"frames": [{"vars": {"pairs": [["'password'", "'s3cr-et'"]]}}]}}]}},
        {"extra": {"d": {b"password": "s3cr-et"}}},
        {"tags": [["a", "b"], ["password", "s3cr-et"]]},
        {"logentry": {"message": "password=%s for %s", "params": ["s3cr-et", "jane"]}},
        {"logentry": {"message": "%s: Set-Cookie: %s", "params": ["x", "s3cr-et"]}},
        {"logentry": {"message": "password=%(new)s", "params": {"new": "s3cr-et"}}},
        {"logentry": {"message": "password %s refused", "params": ["s3cr-et"]}},
        {"extra": {"change": {"field": "password", "old": "s3cr-et", "new": "s3cr-et"}}},
        {"extra": {"contraseña": "s3cr-et", "пароль": "s3cr-et"}},
        {"_meta": {"extra": {"": {"rem": [["password=s3cr-et", "s", 1, 2]]}}}},
        {"_meta": {"extra": {"": {"rem": [["!limit", "s", "s3cr-et"]]}}}},
        {"breadcrumbs": {"values": [{"category": "password=s3cr-et"}]}},
        {"extra": {"sys.argv": ["mysql", "-u", "root", "-ps3cr-et", "shop"]}},
        {
            "exception": {
                "values": [
                    {"stacktrace": {"frames": [{"vars": {"command": ["'/usr/bin/unzip'", "'-P'", "'s3cr-et'", "7"]}}]}}
                ]
            }
        },
        {"extra": {"command": ["curl", "--user", "jane:s3cr-et", 5, None]}},
        {"exception": {"values": [{"mechanism": {"help_link": "https://x/?password=s3cr-et"}}]}},
        {
            "exception": {
                "values": [{"stacktrace": {"frames": [{"context_line": 'connect("host=db password=s3cr-et")'}]}}]
            }
        },
    ],
)
def test_a_secret_goes_where_its_name_stands_apart_from_it(payload, scrubber):
    assert "s3cr-et" in str(payload)
    assert "s3cr-et" not in dumped(scrubber.scrub(payload))


def test_parameters_of_a_log_line_stay_if_no_sensitive_name_stands_before_them(scrubber):
    logentry = {"message": "%s of %d%% stored, token was refused: %s", "params": ["part 7", 50, "expired"]}
    assert scrubber.scrub({"logentry": logentry})["logentry"] == logentry


@pytest.mark.parametrize("cut", [{f"k{number}": "v" for number in range(2500)}, ["v"] * 2500])
def test_what_is_cut_is_cut_each_time_it_is_seen(cut, scrubber):
    whole = {**cut, "z": "jo.doe@example.com"} if isinstance(cut, dict) else [*cut, "jo.doe@example.com"]
    first = scrubber.scrub({"extra": {"a": whole, "b": whole}})
    assert "jo.doe" not in dumped(first)
    for _ in range(3):
        assert scrubber.scrub({"extra": {"a": whole, "b": whole}}) == first


def test_a_part_known_as_structure_is_not_known_as_text():
    scrubber = Scrubber()
    for _ in range(4):
        assert scrubber.scrub({"modules": {"token": "1.2"}})["modules"] == {"token": "1.2"}
    assert scrubber.scrub({"extra": {"x": {"token": "1.2"}}})["extra"]["x"] == {"token": "[Filtered]"}


def test_bytes_are_not_taken_for_the_known_text_of_the_same_hash(scrubber):
    assert hash(b"plain text") == hash("plain text")
    for _ in range(4):
        after = scrubber.scrub({"extra": {"a": ["plain text"], "b": [b"plain text"], "c": b"plain text"}})
        assert after["extra"] == {"a": ["plain text"], "b": ["[bytes]"], "c": "[bytes]"}


def test_names_that_become_the_same_lose_no_value(scrubber):
    after = scrubber.scrub({"extra": {"jo.doe@example.com": 1, "jonas@example.com": 2, "jo***@example.com": 3}})
    assert sorted(after["extra"].values()) == [1, 2, 3]
    assert "doe" not in dumped(after)


def test_a_name_that_most_events_have_goes_if_the_host_says_so():
    after = Scrubber(sensitive_keys=["signal"]).scrub({"extra": {"signal": "hunter2", "number": "7"}})
    assert after["extra"] == {"signal": "[Filtered]", "number": "7"}


def test_a_host_adds_names_patterns_and_fields_to_keep():
    scrubber = Scrubber(
        sensitive_keys=["caseNumber"], patterns={"case": r"CASE-\d+", "bad": "("}, keep_fields=["csrf_state"]
    )
    extra = {"case-number": "x", "note": "in CASE-12", "csrf_state": "plain"}
    after = scrubber.scrub({"extra": extra})["extra"]
    assert after == {"case-number": "[Filtered]", "note": "in [Filtered]", "csrf_state": "plain"}


def test_a_name_of_one_letter_is_one_inside_a_text_too():
    scrubber = Scrubber(sensitive_keys=["q"])
    assert scrubber.text("GET /admin/?page=2&q=tax+return") == "GET /admin/?page=2&q=[Filtered]"
    assert scrubber.text("iq=one80, seq: four, q4=payslip") == "iq=one80, seq: four, q4=[Filtered]"


@pytest.mark.parametrize("pattern", ["(", "", ".*", "(a+)+b", "(a|aa)+$", r"\[Filtered\]"])
def test_a_bad_pattern_is_a_sentence_that_names_it(pattern):
    (problem,) = pattern_problems({"mine": pattern})
    assert "'mine'" in problem
    assert problem.endswith(".")
    assert Scrubber(patterns={"mine": pattern}).text("aaaa c") == "aaaa c"


def test_a_failing_rule_lets_only_the_skeleton_leave_and_says_so_once(monkeypatch, caplog):
    scrubber = Scrubber()
    monkeypatch.setattr(scrubber.gates, "needs", lambda _: 1 / 0)
    frame = {"module": "app.views", "function": "f", "lineno": 3, "vars": {"a": "SECRET"}, "context_line": "SECRET"}
    event = {"event_id": "e" * 32, "level": "error", "message": "SECRET", **event_of_frames(frame)}
    with caplog.at_level(logging.ERROR, "core.monitoring"):
        first, second = scrubber.scrub(event), scrubber.scrub(event)
    assert first == second == {
        "event_id": "e" * 32,
        "level": "error",
        "exception": {
            "values": [{"type": "E", "module": "None", "stacktrace": {"frames": [{"module": "app.views", "function": "f", "lineno": 3}]}}]
        },
    }  # fmt: skip
    assert scrubber.failures == 2
    assert [record.getMessage() for record in caplog.records] == [
        "Scrubbing failed (ZeroDivisionError): only a skeleton of such events leaves."
    ]
    assert scrubber.text("SECRET") == "[Filtered]"


@pytest.mark.parametrize(
    "payload", [None, [], {}, {"exception": 5}, {"exception": {"values": [None, {"stacktrace": 5}]}}, {"sdk": []}]
)
def test_a_skeleton_is_made_of_anything(payload):
    assert isinstance(skeleton(payload), dict)


def test_what_is_remembered_holds_no_secret(scrubber):
    seen = Scrubber()
    seen.scrub(
        {"message": "password=hunter2secret", "extra": {"token": "hunter2secret", "a": "jo.hunter2secret@example.com"}}
    )
    assert seen.texts.changed
    for _ in range(4):
        seen.scrub(event_of_frames(corpus.frame(a={"password": "hunter2secret", "b": ["token=hunter2secret"]})))
    assert seen.parts.changed
    parts = [(change.value, change.remarks, change.below, change.names) for change in seen.parts.changed.values()]
    held = [vars(seen.texts), vars(seen.lines), parts, seen.plain_names, vars(seen.gates), vars(seen.names)]
    assert "hunter2secret" not in repr(held)


def test_the_memory_is_bounded():
    memory = Memory()
    for key in range(0, 10 * memory.CLEAN, 100):
        memory.remember_clean(set(range(key, key + 100)))
        memory.remember_changed(key, Judged("x", []))
    memory.remember_changed(-1, Judged("x" * 5000, []))
    assert len(memory.clean) <= memory.CLEAN
    assert memory._bytes <= memory.CHANGED_BYTES
    assert -1 not in memory.changed


def test_a_text_that_differs_from_a_quiet_one_in_digits_alone_is_not_looked_through_again(scrubber):
    def searches(text: str) -> int:
        calls = 0

        def count(frame, event, arg):
            nonlocal calls
            calls += event == "call" and frame.f_code is Gates._search.__code__

        sys.setprofile(count)
        try:
            assert scrubber.text(text) == text
        finally:
            sys.setprofile(None)
        return calls

    assert searches("stored part 34 of 50 in 4.857 s") == 1
    assert searches("stored part 17 of 61 in 0.002 s") == 0
    assert searches("stored part 1 of 61 in 0.002 s") == 1


def test_the_memory_of_shapes_is_bounded():
    shapes = Shapes([])
    for number in range(0, 3 * shapes.MOST, 100):
        shapes.remember_quiet(dict.fromkeys(range(number, number + 100), "stored part 34"))
        assert len(shapes.quiet) <= shapes.MOST


def test_the_memory_of_parts_is_bounded_and_takes_in_only_what_comes_again():
    scrubber = Scrubber()
    for number in range(2 * scrubber.parts.MOST_SEEN // 1000):
        scrubber.scrub({"extra": {f"k{index}": [number, index] for index in range(1000)}})
    assert scrubber.parts.clean == set()
    assert len(scrubber.parts._seen_once) <= scrubber.parts.MOST_SEEN + 1000
    scrubber.parts.CHANGED_BYTES = 200_000
    scrubber.parts.CLEAN = 100
    for number in range(300):
        for _ in range(2):
            scrubber.scrub({"extra": {"part": {"n": number, "password": "x"}}})
    assert 0 < len(scrubber.parts.changed) < 200
    for number in range(300):
        for _ in range(2):
            scrubber.scrub({"extra": {"part": {"n": number, "note": "x"}}})
    assert 0 < len(scrubber.parts.clean) <= 100
