# ruff: noqa: E501  # a case stays on one line
"""Every rule proves itself with the examples beside it."""

from __future__ import annotations

import random
import re
import string
from re import _parser  # type: ignore[attr-defined]  # also what Hypothesis reads patterns with
from typing import Any

import pytest

from core.monitoring import rules
from core.monitoring.scrubber import Scrubber
from core.monitoring.scrubbing import vendors
from core.monitoring.tests import corpus

HITS = [(rule.id, before, after) for rule in rules.VALUE_RULES for before, after in rule.hits]
MISSES = [(rule.id, text) for rule in rules.VALUE_RULES for text in rule.misses]


@pytest.mark.parametrize(("rule", "before", "after"), HITS)
def test_what_a_rule_is_for_is_replaced_and_nothing_else(rule, before, after):
    scrubber = Scrubber()
    assert scrubber.text(before) == after
    assert scrubber.text(after) == after, "scrubbing twice is scrubbing once"


@pytest.mark.parametrize(("rule", "text"), MISSES)
def test_what_only_looks_like_it_stays(rule, text):
    assert Scrubber().text(text) == text


@pytest.mark.parametrize("text", corpus.HARMLESS)
def test_a_harmless_text_stays_word_for_word(text):
    assert Scrubber().text(text) == text


@pytest.mark.parametrize(("vendor", "literal", "shape", "example"), vendors.INSIDE)
def test_a_vendor_key_with_a_literal_inside_is_recognised(vendor, literal, shape, example):
    assert literal in example
    key = re.search(shape, example, re.ASCII)[0]
    assert key not in Scrubber().text(f"sent to {example} today")
    assert Scrubber().text(f"sent to {literal} alone, which is nothing") == f"sent to {literal} alone, which is nothing"


@pytest.mark.parametrize(("vendor", "shape", "example", "near_miss"), vendors.WORDS)
def test_a_word_that_is_a_key_as_a_whole_is_recognised(vendor, shape, example, near_miss):
    assert Scrubber().text(f"used {example} today") == f"used {rules.TOKEN} today"
    assert Scrubber().text(f"used {near_miss} today") == f"used {near_miss} today"


def some_text(pattern: str, seed: str) -> str:
    """Return a text that matches `pattern`, always the same for the same seed: long, and of every alphabet's signs."""
    chance = random.Random(seed)

    def choices(of: Any) -> str:
        ranges = {_parser.RANGE: lambda each: "".join(map(chr, range(each[0], each[1] + 1))), _parser.LITERAL: chr}
        categories = {_parser.CATEGORY_DIGIT: string.digits, _parser.CATEGORY_WORD: string.ascii_letters + "_"}
        return "".join(categories[each] if kind is _parser.CATEGORY else ranges[kind](each) for kind, each in of)

    def written(parsed: Any) -> str:
        out = ""
        for kind, of in parsed:
            if kind is _parser.LITERAL:
                out += chr(of)
            elif kind is _parser.IN:
                out += " " if of[0][1] is _parser.CATEGORY_SPACE else chance.choice(choices(of))
            elif kind is _parser.SUBPATTERN:
                out += written(of[-1])
            elif kind is _parser.BRANCH:
                out += written(of[1][0])
            else:
                assert kind is _parser.MAX_REPEAT, kind
                out += "".join(written(of[2]) for _ in range(max(of[0], min(of[1], 1))))
        return out

    return written(_parser.parse(pattern))


def with_other_digits(text: str, seed: int) -> str:
    chance = random.Random(f"{seed} {text}")
    return re.sub(r"\d", lambda _: chance.choice(string.digits), text)


@pytest.mark.parametrize("vendor", sorted({shape.vendor for shape in vendors.SHAPES}))
def test_a_vendor_key_is_recognised_without_a_name_and_its_beginning_is_none(vendor):
    scrubber = Scrubber()
    for _, beginning, rest in (shape for shape in vendors.SHAPES if shape.vendor == vendor):
        key = beginning + some_text(rest, seed=vendor)
        assert re.fullmatch(rest, key.removeprefix(beginning), re.ASCII), "the sample is none"
        for text in (
            key,
            f"error: {key} was refused",
            f'["{key}"]',
            f"x={key}&y=1",
            f"/a/{key}/b",
            f"cut\\n{key}",
            f"%22{key}%22",
        ):
            for seed in range(3):  # what is quiet with one year or port is not with every number
                scrubber.text(with_other_digits(text, seed))
            assert key not in scrubber.text(text), text
        for text in (
            f"a key begins with {beginning}, which is no secret",
            f"{beginning}of_the_customers_in_this_database_and_of_all_others",
            f"{beginning}x1",
        ):
            assert scrubber.text(text) == text


def test_about_two_hundred_services_are_known():
    assert len({vendor for vendor, *_ in (*vendors.SHAPES, *vendors.INSIDE, *vendors.WORDS)}) >= 200


@pytest.mark.parametrize(
    "name",
    """password Passwd PWD user_password2 passwordConfirm X-Api-Key apiKey API_KEY api.key HTTP_AUTHORIZATION user[password]
    user%5Bpassword%5D csrfmiddlewaretoken X-CSRFToken sessionid JSESSIONID PHPSESSID connect.sid refreshToken privateKey ssn
    cvv cardNumber credit_card x_forwarded_for X-Real-IP CF-Connecting-IP True-Client-IP Forwarded REMOTE_ADDR ip_address
    SENTRY_DSN jwt otp pin passphrase sid key aws_secret_access_key clientSecret X-Share-Password session_key key_hash
    webhook_secret password_salt nonce hmac invite_token activation_code reset_link backup_codes totp_secret mfa_token tax_id
    date_of_birth passport_number nationalId bank_account stripe_key api_keys two_factor_code cc_num privkey
    set-cookie Cookie auth_header encryption_key social_security access_token dbpassword DATABASE_URL""".split(),
)
def test_a_sensitive_name_is_sensitive_in_every_spelling(name):
    assert Scrubber().scrub({"extra": {name: "value-1"}})["extra"] == {name: "[Filtered]"}


@pytest.mark.parametrize(
    "name",
    """author authors keyboard tokenizer monkey keys compass bypass passed secretary turkey primary_key foreign_key cache_key
    sort_key key_id webhook_id passenger_count basalt seedling birthplace saltwater keyword_args stop_token username email_verified shipping spinner opinion obsidian inside president assessment donkey keynote
    function_signature description""".split(),
)
def test_a_name_that_only_looks_sensitive_is_not(name):
    assert Scrubber().scrub({"extra": {name: "value-1"}})["extra"] == {name: "value-1"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_tokens", 4096),
        ("auth_method", "api_key"),
        ("session_timeout", "3600"),
        ("token_type", "Bearer"),
        ("password_changed_at", "2024-01-02"),
    ],
)
def test_a_name_that_describes_a_secret_keeps_a_description_and_hides_anything_else(name, value):
    scrubber = Scrubber()
    assert scrubber.scrub({"extra": {name: value}})["extra"] == {name: value}
    assert scrubber.scrub({"extra": {name: "9f8A7b6c"}})["extra"] == {name: "[Filtered]"}


@pytest.mark.parametrize("text", [before for _, before, _ in HITS] + [text for text, _ in corpus.SECRETS.values()])
def test_no_gate_stops_what_a_rule_is_for(text):
    assert Scrubber(private_paths=["/srv/files"]).gates.needs(["", "x", text, "y"]).keys() >= {2}


@pytest.mark.parametrize("name", ["SessionMiddleware\u00b9", "\u00e9SessionMiddleware", "SessionMiddleware\u00e9"])
def test_a_gate_reads_a_name_with_foreign_signs_as_the_rule_does(name):
    scrubber = Scrubber()
    text = f"x.{name}=abc123x"
    assert bool(scrubber.rules.redact(text)[1]) == bool(scrubber.gates.needs([text]))


@pytest.mark.parametrize("text", [before for _, before, _ in HITS] + [text for text, _ in corpus.SECRETS.values()])
def test_what_is_quiet_with_other_digits_is_read_all_the_same(text):
    scrubber = Scrubber(private_paths=["/srv/files"])
    for seed in range(5):
        scrubber.text(with_other_digits(text, seed))
    assert scrubber.text(text) == Scrubber(private_paths=["/srv/files"]).text(text)
