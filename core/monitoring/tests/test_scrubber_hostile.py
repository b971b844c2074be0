# ruff: noqa: E501  # a case stays on one line
"""Odd and hostile payloads: bounded in depth, size and length, linear, and no half secret where something is cut."""

from __future__ import annotations

import json
import math
import signal
import sys

import pytest

from core.monitoring import rules
from core.monitoring.scrubber import Scrubber
from core.monitoring.scrubbing.names import Verdict
from core.monitoring.scrubbing.text import LIMIT

# One text per shape that makes a careless pattern backtrack.
CATASTROPHIC = {
    "@": "a" * 50 + "@", "dots": "a.", "mail": "a@b.", "percent": "%40", "octets": "1.", "ip": "1.1.1.1.", "colons": "a:",
    "ipv6": "::1:", "digits": "1", "spaced digits": "1 ", "groups": "1234-", "plus": "+1 ", "paren": "(555) ", "iban": "DE89 3704 ",
    "word": "aB3-", "url": "a://b:", "userinfo": "://a:b", "pem": "-----BEGIN A-----", "dashes": "-", "quotes": "'", "b": " b'",
    "name": "password", "assign": "password=", "pass quote": "password='", "json": '"password":', "escaped": '\\"password\\": \\"',
    "brackets": "password=[", "angle": "<password>", "commas": "token=a,", "flags": "--password ", "cookie": "cookie: a;", "bearer": "Bearer ",
    "basic": "Basic a", "key": "Key (a)=(", "row": "Failing row contains (", "values": "VALUES (", "entry": "Duplicate entry '",
    "filename": 'filename="', "uploaded": "UploadedFile: ", "errno": "[Errno 2] a: '", "path": "/srv/files/a ", "dollars": "md5$", "jwt": "eyJ",
    "backslashes": "\\", "name backslashes": 'password\\\\\\\\', "curl": " -u a", "spaces": " ", "code": "password=a.", "call": "token=f(",
    "annotation": "token: a[", "eq": "=", "multipart": 'name="password"\r\n\r\n', "hex": "ab", "under": "_", "camel": "aA", "lt": "<", "is": " password is ",
    "command": "unzip a ", "command options": "ldapsearch -w", "element": "<password a", "plist": "<key>password</key>",
    "columns": "password,a\n", "cells": '"password",', "said": "token from a to ", "said for": "password for user ", "dotted": "password....",
    "phrase": "one time code ", "wrapped": 'password=A("', "segment": "/token/a1",
    "azure": "Q~", "telegram": ":A", "block": "  token: |\n  ", "lines": "token: |\n  b1\n",
}  # fmt: skip


@pytest.fixture
def scrubber():
    return Scrubber(private_paths=["/srv/files"])


def steps(scrubber: Scrubber, text: str) -> int:
    """Return how many functions, Python's and C's, are called to scrub a text."""
    count = 0

    def step(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(step)
    try:
        scrubber.rules.redact(text)
    finally:
        sys.setprofile(None)
    return count


@pytest.fixture
def hang_guard():
    """Raise in a test that uses 30 seconds of CPU, a hundred times what it needs. No test depends on less.

    Patterns in C are interrupted, too: `re` looks for signals now and then.
    """

    def stop(*_: object) -> None:
        raise AssertionError("this takes forever")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, 30)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("shape", CATASTROPHIC)
def test_work_grows_with_the_length_and_not_faster(shape, scrubber):
    unit = CATASTROPHIC[shape]
    short, long = ((unit * LIMIT)[: LIMIT // 8], (unit * LIMIT)[:LIMIT])
    # Eight times the text. Quadratic work would be 64 times as much.
    assert steps(scrubber, long) < 12 * steps(scrubber, short) + 500
    assert scrubber.failures == 0


@pytest.mark.parametrize("shape", CATASTROPHIC)
def test_no_text_makes_a_pattern_backtrack(shape, scrubber, hang_guard):
    # Four times as long as any text that a finder is given: 10 ms for most, at least a minute where a pattern of a
    # finder, of the gates or of the names backtracks.
    text = (CATASTROPHIC[shape] * LIMIT)[: 4 * LIMIT]
    for find in scrubber.rules.finders.values():
        assert sum(span.end - span.start for span in find(text)) <= len(text) * 2
    assert scrubber.gates.needs([text[at : at + LIMIT] for at in range(0, len(text), LIMIT)]).keys() <= set(range(4))
    assert scrubber.verdict(text) in Verdict


def test_a_hundred_thousand_words_like_keys_are_searched_for_at_once(scrubber):
    words = [f"AKIA{number:016}" for number in range(100_000)]
    searches = 0

    def count(frame: object, event: str, called: object) -> None:
        nonlocal searches
        searches += event == "c_call" and getattr(called, "__name__", "") == "find"

    sys.setprofile(count)
    try:
        needs = scrubber.gates.needs([" ".join(words[at : at + 1000]) for at in range(0, len(words), 1000)])
    finally:
        sys.setprofile(None)
    assert searches < 1000  # each is one of the whole batch
    assert all("token" in needs[index] for index in range(100))


def test_a_hundred_thousand_names_with_the_same_ending_are_one_search(scrubber):
    letters = str.maketrans("0123456789", "abcdefghij")
    names = {f"{number:05}password".translate(letters) for number in range(100_000)}
    assert scrubber.names.telling(names) == {"password"}


@pytest.mark.parametrize("size", [100, 200])
def test_a_list_that_contains_itself_twice_ends(size, scrubber, hang_guard):
    knot: list = []
    knot += [knot, knot]
    ladder: list = ["x"]
    for _ in range(size):
        ladder = [ladder, ladder]
    after = scrubber.scrub({"extra": {"knot": knot, "ladder": ladder, "note": "jo.doe@example.com"}})
    assert "jo.doe" not in json.dumps(after["extra"]["note"])
    assert scrubber.failures == 0


def test_ten_megabytes_cost_no_more_than_what_leaves_of_them(scrubber):
    after = scrubber.text("word " * 2_000_000)
    assert len(after) <= LIMIT
    assert after.endswith("[cut]")


@pytest.mark.parametrize(
    "secret", ["hunter2", "4111111111111111", "john.doe@example.com", "aB3_x9-Q" * 40, "4532-1234-5678-9010"]
)
@pytest.mark.parametrize("shift", range(0, 48, 3))
def test_no_half_secret_survives_where_a_text_is_cut(secret, shift, scrubber):
    lead = f"password={secret}" if secret == "hunter2" else secret
    filler = "word " * LIMIT
    text = filler[: LIMIT - 50 + shift].rsplit(" ", 1)[0] + " " + lead + " and more" * 100
    after = scrubber.text(text)
    assert len(after) <= LIMIT
    assert after.endswith("[cut]")
    assert secret[:4] not in after.replace("john", "")[-400:] or secret.startswith("john")
    assert "john" not in after


def test_more_text_than_can_be_read_in_time_is_cut_and_an_error_is_read_first(scrubber):
    texts = [f"{number}: call 555-123-4567 " + "x " * 1000 for number in range(1990)]
    out = scrubber.scrub({"extra": {"texts": texts}, "message": "from 203.0.113.9"})
    assert out["message"] == "from XXX.XXX.XXX.XXX"
    assert rules.CUT in out["extra"]["texts"]
    assert "555-123-4567" not in str(out)


def test_a_hundred_thousand_keys_and_a_thousand_levels_are_cut_and_marked(scrubber):
    deep: dict = {}
    for _ in range(1000):
        deep = {"a": deep}
    wide = {f"k{i}": "v" for i in range(100_000)}
    after = scrubber.scrub(
        {"extra": {"deep": deep, "wide": wide, "list": list(range(100_000))}, "exception": {"values": [{"type": "E"}]}}
    )
    assert scrubber.failures == 0
    assert "[cut]" in json.dumps(after["extra"]["deep"])
    assert len(after["extra"]["wide"]) < 3000
    assert "98000 more" in after["extra"]["wide"].values()
    assert after["extra"]["list"][-1] == "[cut]"
    assert after["exception"] == {"values": [{"type": "E"}]}


def test_what_cannot_be_serialized_becomes_something_that_can(scrubber):
    class Odd(str):
        def __str__(self) -> str:
            raise RuntimeError

    class Broken:
        def __repr__(self) -> str:
            return "<Broken password='hunter2'>"

    cycle: dict = {}
    cycle["self"] = cycle
    odd = {"cycle": cycle, "nan": math.nan, "huge": 10**5000, "odd": Odd("jo.doe@example.com"), "surrogate": "\ud800",
           5: "x", None: "y", ("a",): "z", "broken": Broken(), "set": {1}, "inf": [math.inf], "bytes": b"x"}  # fmt: skip
    after = scrubber.scrub({"extra": odd})["extra"]
    assert scrubber.failures == 0
    assert "jo.doe" not in json.dumps(after, allow_nan=False)
    assert "hunter2" not in json.dumps(after)


def test_structure_that_is_no_structure_is_text(scrubber):
    event = {"event_id": {"x": "a@example.com password=hunter2"}, "exception": "jo.doe@example.com", "level": ["Bearer hunter2"],
             "request": "password=hunter2", "contexts": ["jo.doe@example.com"], "breadcrumbs": [{"message": "ssn=hunter2"}]}  # fmt: skip
    after = json.dumps(scrubber.scrub(event))
    assert "hunter2" not in after
    assert "jo.doe" not in after
