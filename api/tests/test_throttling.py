import pytest
from django.core import mail
from django.core.cache import cache
from rest_framework.settings import api_settings

from accounts.models import User
from api.tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
LOGIN = "/api/v1/auth/login/"


def attempt(client, username="ada", address="192.0.2.1", password="wrong", **meta) -> int:
    return client.post(LOGIN, {"username": username, "password": password}, REMOTE_ADDR=address, **meta).status_code


def test_the_eleventh_attempt_from_an_address_has_to_wait_and_is_told_how_long(anonymous, ada):
    assert [attempt(anonymous, f"user{number}") for number in range(10)] == [401] * 10
    refused = anonymous.post(LOGIN, {"username": "ada", "password": PASSWORD}, REMOTE_ADDR="192.0.2.1")
    assert refused.status_code == 429
    seconds = refused.json()["error"]["details"]["retry_after"]
    assert 0 < seconds <= 60
    assert f"{seconds} seconds" in refused.json()["error"]["message"]
    assert 0 < int(refused["Retry-After"]) <= 60
    assert attempt(anonymous, password=PASSWORD, address="192.0.2.2") == 200, "others are not concerned"


def test_the_eleventh_attempt_on_a_name_has_to_wait_wherever_it_comes_from(anonymous, ada):
    spellings = ["ada", "ADA", " ada ", "\uff41da"]
    codes = [attempt(anonymous, spellings[number % 4], f"192.0.2.{number}") for number in range(12)]
    assert codes == [401] * 10 + [429] * 2
    assert attempt(anonymous, "eve", "192.0.2.99") == 401


def test_the_addresses_of_one_ipv6_network_count_together(anonymous):
    codes = [attempt(anonymous, f"user{number}", f"2001:db8::{number:x}") for number in range(11)]
    assert codes[-1] == 429
    assert attempt(anonymous, "other", "2001:db8:0:1::1") == 401


def test_ipv4_clients_of_a_socket_for_both_families_count_one_by_one(anonymous):
    codes = [attempt(anonymous, f"user{number}", f"::ffff:198.51.100.{number}") for number in range(11)]
    assert codes == [401] * 11
    codes = [
        attempt(anonymous, f"name{number}", "::ffff:203.0.113.9" if number % 2 else "203.0.113.9")
        for number in range(11)
    ]
    assert codes[-1] == 429


def sign_in_at_admin(client, password="wrong", username="boss", address="192.0.2.1"):
    return client.post("/admin/login/", {"username": username, "password": password}, REMOTE_ADDR=address)


def test_the_admin_site_counts_passwords_together_with_the_api(client, anonymous):
    User.objects.create_superuser("boss", "boss@example.org", PASSWORD)
    assert [attempt(anonymous, "boss", f"192.0.2.{number}") for number in range(5)] == [401] * 5
    codes = [sign_in_at_admin(client, username="BOSS", address=f"192.0.3.{number}").status_code for number in range(6)]
    assert codes == [200] * 5 + [429]
    refused = sign_in_at_admin(client, PASSWORD)
    assert 0 < int(refused["Retry-After"]) <= 60
    assert f"Try again in {refused['Retry-After']} seconds" in refused.text
    assert attempt(anonymous, "boss", password=PASSWORD, address="192.0.2.99") == 429
    assert client.get("/admin/login/").status_code == 200, "looking is not counted"


def test_the_admin_site_counts_by_address_too(client, db):
    User.objects.create_superuser("boss", "boss@example.org", PASSWORD)
    codes = [sign_in_at_admin(client, username=f"user{number}").status_code for number in range(11)]
    assert codes == [200] * 10 + [429]
    assert sign_in_at_admin(client, PASSWORD, address="192.0.2.2").status_code == 302


def test_a_header_of_the_client_does_not_make_it_another_client(anonymous):
    codes = [attempt(anonymous, f"user{n}", HTTP_X_FORWARDED_FOR=f"203.0.113.{n}") for n in range(11)]
    assert codes[-1] == 429


def test_behind_a_proxy_the_clients_count_one_by_one(anonymous, monkeypatch):
    monkeypatch.setattr(api_settings, "NUM_PROXIES", 1, raising=False)
    codes = [attempt(anonymous, f"user{n}", HTTP_X_FORWARDED_FOR=f"10.0.0.{n}, 203.0.113.{n}") for n in range(11)]
    assert codes[-1] == 401
    codes = [attempt(anonymous, f"name{n}", HTTP_X_FORWARDED_FOR=f"10.0.0.{n}, 203.0.113.9") for n in range(11)]
    assert codes[-1] == 429


def test_nobody_can_flood_a_mailbox(anonymous):
    for number in range(21):
        answer = anonymous.post(
            "/api/v1/auth/resend-verification/",
            {"email": "Ada@example.org" if number % 2 else "ada@example.org"},
            REMOTE_ADDR=f"192.0.2.{number}",
        )
    assert answer.status_code == 429
    assert len(mail.outbox) == 20


def test_registrations_from_one_address_are_limited(anonymous):
    codes = [
        anonymous.post("/api/v1/auth/register/", {"username": f"u{n}", "email": f"u{n}@example.org"}).status_code
        for n in range(21)
    ]
    assert codes == [400] * 20 + [429]


def test_the_cache_holds_neither_names_nor_addresses(anonymous):
    attempt(anonymous, "ada-lovelace", "203.0.113.9")
    held = repr(cache._cache)
    assert "throttle_login" in held
    assert "lovelace" not in held
    assert "203.0.113.9" not in held
