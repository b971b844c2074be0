# ruff: noqa: E501  # a case stays on one line
"""Sentry's own normalizer accepts what leaves: a redaction is never an invalid value."""

from __future__ import annotations

import json
import os

import pytest

from core.monitoring.scrubber import Scrubber
from core.monitoring.tests import corpus

try:
    from sentry_relay.processing import StoreNormalizer
except ImportError:
    if os.environ.get("CI"):
        raise
    StoreNormalizer = None

pytestmark = pytest.mark.skipif(StoreNormalizer is None, reason="pip install sentry-relay")


def errors(node, path="") -> list[str]:
    if not isinstance(node, dict):
        return []
    here = [f"{path}: {error}" for error in node.get("", {}).get("err", [])] if isinstance(node.get(""), dict) else []
    return here + [error for name, child in node.items() if name for error in errors(child, f"{path}/{name}")]


def problems_of(event) -> list[str]:
    base = {"event_id": "9f8a" * 8, "timestamp": 1700000000.0, "platform": "python", "level": "error"}
    normalized = StoreNormalizer(project_id=1, client_ip=None).normalize_event({**base, **event})
    return errors(
        json.loads(normalized).get("_meta", {}) if isinstance(normalized, str) else normalized.get("_meta", {})
    )


@pytest.mark.parametrize("position", sorted(set(corpus.POSITIONS) - {"unknown field", "logger"}))
def test_every_scrubbed_payload_is_a_valid_one(position):
    scrubber = Scrubber()
    for text, _ in corpus.SECRETS.values():
        payload = json.loads(json.dumps(corpus.POSITIONS[position](text), default=list))
        # The position alone is no whole event: what counts is that scrubbing adds no error.
        assert set(problems_of(scrubber.scrub(payload))) <= set(problems_of(payload))


def test_a_whole_request_is_valid_after_scrubbing():
    request = {
        "url": "https://x.test/verify?token=abc", "method": "POST", "query_string": "token=abc", "cookies": {"a": "b"},
        "headers": {"Cookie": "a=b", "X-Forwarded-For": "10.0.0.5"}, "env": {"REMOTE_ADDR": "10.0.0.5"}, "data": {"password": "x"},
    }  # fmt: skip
    event = {"request": request, "user": {"id": "1", "ip_address": "10.0.0.5", "email": "jo.doe@example.com"}}
    assert problems_of(Scrubber().scrub(event)) == []
