"""Where the user is: IP addresses in headers and in cache keys."""

import pytest
from rest_framework.throttling import AnonRateThrottle

from api.v1.auth import Login
from tests.what_never_leaves.faults import refused
from tests.what_never_leaves.planted import ADDRESS, ADDRESS_6, PASSWORD

LOGIN = {"username": "rosa", "password": PASSWORD}


class TenAMinute(AnonRateThrottle):
    """Django REST framework's own throttle: its cache key holds the address as it is."""

    rate = "10/minute"


@pytest.mark.parametrize(
    ("address", "with_port"), [(ADDRESS, f"{ADDRESS}:50123"), (ADDRESS_6, f"[{ADDRESS_6}]:50123")], ids=["IPv4", "IPv6"]
)
def test_an_address_that_proxies_pass_on_does_not_leave(server, key, settings, address, with_port) -> None:
    """Every header that names the client: https://developers.cloudflare.com/fundamentals/reference/http-headers/,
    RFC 7239, and those of nginx, Akamai, Fastly and Azure."""
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
    headers = dict.fromkeys(
        "CF-Connecting-IP CF-Connecting-IPv6 CF-Pseudo-IPv4 True-Client-Ip X-Real-Ip X-Client-Ip X-Cluster-Client-Ip "
        "Fastly-Client-Ip X-Original-Forwarded-For X-Azure-ClientIP".split(),
        address,
    )
    headers |= {
        "X-Forwarded-For": f"{address}, 10.0.0.1",
        "Forwarded": f'for="{with_port}";proto=https;by=10.0.0.1, for={address}',
        "X-Envoy-External-Address": with_port,
        "X-Request-Id": "17",
        "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0.0.0",
    }
    with refused("READ", "accounts_apikey"):
        assert server.request("GET", "auth/me/", key=key, headers=headers).status == 500
    event = server.event()
    kept = {name.lower(): value for name, value in event.payload["request"]["headers"].items()}
    assert kept["x-request-id"] == "17"
    assert kept["user-agent"] == headers["User-Agent"]
    assert {"authenticate", "_execute"} <= event.functions


@pytest.mark.parametrize("address", [ADDRESS, ADDRESS_6])
def test_an_address_in_the_cache_keys_of_a_successful_request_does_not_leave(
    server, user, settings, monkeypatch, address
) -> None:
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
    monkeypatch.setattr(Login, "throttle_classes", (TenAMinute,))
    assert server.request("POST", "auth/login/", LOGIN, headers={"X-Forwarded-For": address}).status == 200
    spans = server.traced("/api/v1/auth/login/")["spans"]
    asked = [span for span in spans if span["op"] == "cache.get"]
    assert asked[0]["description"].startswith("throttle_anon_")
    assert {"cache.put", "db"} <= {span["op"] for span in spans}


def test_the_servers_own_throttles_keep_no_address_and_no_name(server, user) -> None:
    assert server.request("POST", "auth/login/", LOGIN).status == 200
    keys = [span["description"] for span in server.traced("/api/v1/auth/login/")["spans"] if "cache" in span["op"]]
    assert len(keys) >= 2
    assert not any("rosa" in key for key in keys)


@pytest.mark.parametrize("address", [ADDRESS, ADDRESS_6])
def test_an_address_in_the_key_of_a_cache_that_fails_does_not_leave(server, settings, monkeypatch, address) -> None:
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
    settings.CACHES = {"default": {"BACKEND": "tests.what_never_leaves.faults.UnreachableCache"}}
    monkeypatch.setattr(Login, "throttle_classes", (TenAMinute,))
    assert server.request("POST", "auth/login/", LOGIN, headers={"X-Forwarded-For": address}).status == 500
    event = server.event()
    assert event.error.startswith("ConnectionError: Error 111 connecting to cache:6379. GET ")
    assert {"check_throttles", "allow_request", "get"} <= event.functions


def test_an_address_in_the_sql_of_a_database_cache_does_not_leave(server, settings, monkeypatch) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "never_created"}
    }
    monkeypatch.setattr(Login, "throttle_classes", (TenAMinute,))
    assert server.request("POST", "auth/login/", LOGIN).status == 500
    event = server.event()
    assert "never_created" in event.error
    assert {"allow_request", "get_many", "_execute"} <= event.functions
    assert 'FROM "never_created"' in event.sql
