# ruff: noqa: E501  # a case stays on one line
"""Properties that hold for any payload. HYPOTHESIS_PROFILE=nightly tries 100,000 of each, ci a thousand."""

from __future__ import annotations

import copy
import faulthandler
import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.monitoring.scrubber import Scrubber
from core.monitoring.tests import corpus

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "laptop")
tried = settings(
    max_examples={"nightly": 100_000, "ci": 1_000, "laptop": 200}[PROFILE],
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
SCRUBBER = Scrubber(private_paths=["/srv/files"])
SECRET = "Q7hunterZ2"
PIECES = st.sampled_from(
    [text for text, _ in corpus.SECRETS.values()]
    + list(corpus.HARMLESS)
    + list(" =:&;,'\"\\[]{}()<>@%\n-./")
    + [
        "password",
        "token",
        "key",
        "a1b2c3d4",
        " from ",
        " to ",
        "</key><string>",
        "name,password\nx,y\n",
        "unzip -P ",
        "one time code",
        "пароль",
    ]
)
NOISE = st.text(max_size=12) | PIECES
TEXT = st.lists(NOISE, max_size=5).map("".join)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.binary(max_size=5)
PAYLOADS = st.dictionaries(
    st.sampled_from(["extra", "request", "message", "exception", "tags", "user", "breadcrumbs", "contexts", "spans"])
    | TEXT,
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
    ),
    max_size=4,
)
NAMES = st.sampled_from(
    "password Passwd api_key X-Api-Key apiKey API_KEY newPassword password2 access_token HTTP_X_AUTH_TOKEN secret sessionid".split()
)
FORMS = st.sampled_from(
    ["{n}={s}", "{n}: {s}", "{n} = {s}", "{n}='{s}'", '{n}="{s}"', '"{n}": "{s}"', "'{n}': '{s}'", "--{n} {s}", "--{n}={s}", "a=1&{n}={s}&b=2", "user[{n}]={s}", "user%5B{n}%5D={s}",
     '{{\\"{n}\\": \\"{s}\\"}}', "<{n}>{s}</{n}>", "{n}:={s}", "{n}=>{s}", "{n}%3D{s}", "%22{n}%22%3A%22{s}%22", "('{n}', '{s}')", "{n}=[{s}]"]
)  # fmt: skip
AROUND = st.sampled_from(["", " ", "\n", "GET /x?", "error: ", "{", "(", "\t", "x; ", "x, "])


@pytest.fixture(autouse=True)
def as_long_as_it_takes():
    if PROFILE == "nightly":  # no other test may take ten minutes
        faulthandler.cancel_dump_traceback_later()


@tried
@given(payload=PAYLOADS)
def test_scrubbing_twice_is_scrubbing_once_and_nothing_is_mutated(payload):
    before = copy.deepcopy(payload)
    once = SCRUBBER.scrub(payload)
    assert repr(payload) == repr(before)
    json.dumps(once, allow_nan=False)
    twice = SCRUBBER.scrub(once)
    once.pop("_meta", None), twice.pop("_meta", None)
    assert twice == once
    assert SCRUBBER.failures == 0


@tried
@given(name=NAMES, form=FORMS, before=AROUND, after=AROUND)
def test_a_named_secret_survives_in_no_spelling_and_no_separator(name, form, before, after):
    text = before + form.format(n=name, s=SECRET) + after
    assert SECRET not in SCRUBBER.text(text), text


@tried
@given(
    payload=PAYLOADS,
    kind=st.sampled_from(sorted(corpus.SECRETS)),
    where=st.lists(st.sampled_from(["list", "x", "items"]), max_size=6),
)
def test_a_planted_secret_survives_in_no_nesting(payload, kind, where):
    value, secret = corpus.SECRETS[kind]
    planted: object = value
    for step in where:
        planted = [planted] if step == "list" else {step: planted}
    assert secret not in json.dumps(SCRUBBER.scrub({"extra": {"planted": planted}, "a": payload})["extra"])


@tried
@given(texts=st.lists(TEXT, min_size=1, max_size=6))
def test_the_gates_stop_nothing_that_a_rule_would_redact(texts):
    needs = SCRUBBER.gates.needs(texts)
    for index, text in enumerate(texts):
        everything = SCRUBBER.rules.redact(text)
        assert (SCRUBBER.rules.redact(text, only=needs[index]) if index in needs else (text, [])) == everything, text
