import hashlib
import re
from datetime import timedelta

import pytest
from django.core import serializers
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts import api_keys, signals
from accounts.authentication import ApiKeyAuthentication
from accounts.models import ApiKey

pytestmark = pytest.mark.django_db


def authenticate(header: str):
    request = Request(APIRequestFactory().get("/", headers={"authorization": header}))
    return ApiKeyAuthentication().authenticate(request)


def test_a_key_is_64_characters_of_url_safe_base64_and_the_database_holds_only_its_hash_and_prefix(user):
    key, secret = api_keys.create(user, "backup")
    assert re.fullmatch(r"[A-Za-z0-9_-]{64}", secret)
    stored = serializers.serialize("json", ApiKey.objects.all())
    assert hashlib.sha256(secret.encode()).hexdigest() in stored
    assert key.prefix == secret[:8]
    assert secret[:9] not in stored


def test_authenticating_costs_one_query_and_sets_user_and_key(user, django_assert_num_queries):
    key, secret = api_keys.create(user, "backup")
    authenticate(f"Bearer {secret}")  # writes last_used_at
    with django_assert_num_queries(1):
        found, auth = authenticate(f"bearer {secret}")
    assert (found, auth) == (user, key)
    with django_assert_num_queries(0):
        assert found.organization_id == user.organization_id, "the tenant costs no query"


@pytest.mark.parametrize("header", ["", "Basic YTpi", "Token abc", "Bearerabc"])
def test_other_schemes_are_left_to_others(header):
    assert authenticate(header) is None


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer a b", "Bearer short", "Bearer " + "x" * 65, "Bearer " + "é" * 64, "Bearer \0"],
)
def test_what_cannot_be_a_key_is_refused_without_a_query(header, django_assert_num_queries):
    with django_assert_num_queries(0), pytest.raises(AuthenticationFailed):
        authenticate(header)


def test_a_well_formed_but_unknown_key_is_refused():
    with pytest.raises(AuthenticationFailed, match="unknown"):
        authenticate("Bearer " + "A" * 64)


def test_the_key_of_a_deactivated_user_does_not_work(user):
    _, secret = api_keys.create(user, "backup")
    user.is_active = False
    user.save()
    with pytest.raises(AuthenticationFailed, match="deactivated"):
        authenticate(f"Bearer {secret}")


def test_a_revoked_key_does_not_work_and_its_use_is_announced(user):
    key, secret = api_keys.create(user, "backup")
    api_keys.revoke(key)
    seen = []
    receiver = lambda api_key, request, **_: seen.append((api_key, request.META["REMOTE_ADDR"]))  # noqa: E731
    signals.api_key_used_revoked.connect(receiver)
    try:
        with pytest.raises(AuthenticationFailed, match="revoked"):
            authenticate(f"Bearer {secret}")
    finally:
        signals.api_key_used_revoked.disconnect(receiver)
    assert seen == [(key, "127.0.0.1")]


def test_revoking_twice_is_one_event_and_keeps_the_first_time(user):
    key, _ = api_keys.create(user, "backup")
    stale = ApiKey.objects.select_related("user").get()
    seen = []
    receiver = lambda api_key, **_: seen.append(api_key)  # noqa: E731
    signals.api_key_revoked.connect(receiver)
    try:
        assert api_keys.revoke(key)
        assert not api_keys.revoke(stale)
    finally:
        signals.api_key_revoked.disconnect(receiver)
    assert seen == [key]
    assert stale.revoked_at == ApiKey.objects.get().revoked_at == key.revoked_at


def test_last_used_is_written_once_a_minute_and_not_with_each_request(user, django_assert_num_queries):
    _, secret = api_keys.create(user, "backup")
    with django_assert_num_queries(2):
        authenticate(f"Bearer {secret}")
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    with django_assert_num_queries(1):
        authenticate(f"Bearer {secret}")
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(minutes=1, seconds=1))
    with django_assert_num_queries(2):
        authenticate(f"Bearer {secret}")
    assert ApiKey.objects.get().last_used_at > first


def test_only_working_keys_count_towards_the_limit(user, settings):
    settings.STORMCLOUD_MAX_API_KEYS = 2
    key, _ = api_keys.create(user, "one")
    api_keys.create(user, "two")
    with pytest.raises(api_keys.KeyLimitReached, match=r"2 API keys\. Revoke one"):
        api_keys.create(user, "three")
    assert ApiKey.objects.count() == 2
    api_keys.revoke(key)
    api_keys.create(user, "three")
