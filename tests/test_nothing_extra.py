"""A request without an error costs no query and answers no header more for being monitored and traced."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import api_keys
from accounts.models import User
from core.monitoring.testing import Receiver
from core.monitoring.tests.conftest import start  # noqa: F401 (a fixture)
from tests.what_never_leaves.server import Server

PASSWORD = "correct horse battery staple"
# What differs from request to request.
OWN = {"X-Request-ID", "Set-Cookie", "Content-Length", "Expires"}
ADDRESSES = ["/api/v1/health/", "/api/v1/auth/me/", "/api/v1/dirs/", "/api/v1/schema/swagger-ui/", "/admin/login/"]


def observed(server: Server, address: str, credentials: dict[str, Any]) -> tuple[int, int, dict[str, str]]:
    """Status, number of queries, headers."""
    with CaptureQueriesContext(connection) as queries:
        answer = server.request("GET", address, **credentials)
    return answer.status, len(queries), {name: value for name, value in answer.headers if name not in OWN}


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_queries_and_headers_are_those_of_a_server_without_monitoring(
    kind: str,
    start: Callable[..., bool],  # noqa: F811
    receiver: Receiver,
    settings: Any,
    tmp_path: Any,
) -> None:
    settings.STORMCLOUD_STORAGE_ROOT = str(tmp_path)
    user = User.objects.create_user("ada", "ada@example.org", PASSWORD)
    plain = Server(kind, receiver)
    ways = {
        "nobody": {},
        "key": {"key": api_keys.create(user, "tests")[1]},
        "session": {"cookies": plain.sign_in("ada", PASSWORD)},
    }
    requests = [(address, way) for address in ADDRESSES for way in ways]
    for address, way in requests:  # what only the first request does
        observed(plain, address, ways[way])
    before = [observed(plain, address, ways[way]) for address, way in requests]
    start({"tenant": "user.organization_id"}, SENTRY_TRACES_SAMPLE_RATE="1")
    monitored = Server(kind, receiver)
    after = [observed(monitored, address, ways[way]) for address, way in requests]
    assert dict(zip(requests, after, strict=True)) == dict(zip(requests, before, strict=True))

    told = {}
    for transaction in receiver.wait_for("transaction", len(requests)):
        told.setdefault(transaction["transaction"], []).append(
            (transaction.get("user", {}).get("username"), transaction["tags"].get("tenant_id"))
        )
    ada = ("ada", str(user.organization_id))
    assert sorted(told["/api/v1/auth/me/"], key=str) == sorted([ada, ada, (None, None)], key=str)
    assert told["/api/v1/health/"] == [(None, None)] * 3, "nobody asked who it is, so nobody was looked up"
