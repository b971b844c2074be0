"""Who, which tenant, which route: looked up when an event is made, and only then."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import sentry_sdk
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser, Permission
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.db import OperationalError, connection, connections
from django.db.backends.signals import connection_created
from django.http import HttpRequest
from django.test import RequestFactory
from django.urls import resolve
from django.utils.functional import SimpleLazyObject

from core.monitoring import capture_message
from core.monitoring.context import (
    UNMATCHED,
    current_user,
    describe_request,
    drop_content,
    drop_variables,
    hide_addresses,
    request_path,
    sentry_context,
)
from core.monitoring.testing import Receiver

KEY = "12345678-1234-5678-1234-567812345678"


class Person(SimpleNamespace):
    is_authenticated = True

    def get_username(self) -> str:
        return self.username


PERSON = Person(pk=7, username="jane", is_staff=False, email="jane.doe@example.com", organization_id=3)


def described(
    request: HttpRequest, event: dict[str, Any] | None = None, hint: Any = None, tenant: str = "user.organization_id"
) -> dict[str, Any]:
    event = {} if event is None else event
    describe_request(event, hint or {}, request, tenant)
    return event


@pytest.fixture
def request_() -> HttpRequest:
    return RequestFactory().get("/fail/")


def lazily(user: Any, asked: list[int]) -> SimpleLazyObject:
    def load() -> Any:
        asked.append(1)
        if isinstance(user, Exception):
            raise user
        return user

    return SimpleLazyObject(load)


def test_an_error_knows_its_user_by_id_and_name_and_never_by_address(request_: HttpRequest) -> None:
    request_.user = PERSON
    event = described(request_)
    assert event["user"] == {"id": "7", "username": "jane", "is_staff": False}
    assert event["tags"]["tenant_id"] == "3"
    assert event["tags"]["auth_method"] == "session"
    assert "example.com" not in repr(event)


def test_a_key_user_is_told_from_a_session_user(request_: HttpRequest) -> None:
    request_.user, request_.auth = PERSON, object()
    assert described(request_)["tags"]["auth_method"] == "api_key"


def test_nobody_signed_in_means_no_user(request_: HttpRequest) -> None:
    for nobody in (AnonymousUser(), None):
        request_.user = nobody
        event = described(request_)
        assert "user" not in event
        assert {"tenant_id", "auth_method"}.isdisjoint(event["tags"])


def test_a_lazy_user_is_resolved_for_an_error_and_not_for_a_transaction(request_: HttpRequest) -> None:
    asked: list[int] = []
    request_.user = lazily(PERSON, asked)
    assert "user" not in described(request_, {"type": "transaction"})
    assert asked == []
    assert described(request_)["user"]["id"] == "7"


def test_a_lazy_user_is_left_alone_when_the_database_is_the_trouble(request_: HttpRequest) -> None:
    asked: list[int] = []
    request_.user = lazily(PERSON, asked)
    try:
        try:
            raise OperationalError("server closed the connection")
        except OperationalError as cause:
            raise RuntimeError("wrapped") from cause
    except RuntimeError as error:
        hint = {"exc_info": (type(error), error, error.__traceback__)}
    assert "user" not in described(request_, hint=hint)
    assert asked == []


def test_a_lazy_user_is_left_alone_inside_an_event_loop(request_: HttpRequest) -> None:
    asked: list[int] = []
    request_.user = lazily(PERSON, asked)

    async def fail() -> dict[str, Any]:
        return described(request_)

    assert "user" not in asyncio.run(fail())
    assert asked == []


def test_a_user_that_cannot_be_loaded_costs_only_the_user(request_: HttpRequest) -> None:
    request_.user = lazily(RuntimeError("no such table"), [])
    event = described(request_)
    assert "user" not in event
    assert event["tags"]["request_path"] == UNMATCHED


def test_looking_up_the_user_leaves_no_trace_in_the_session(request_: HttpRequest) -> None:
    request_.session = SessionStore()
    AuthenticationMiddleware(lambda r: r)(request_)
    assert request_.session.accessed is False
    assert current_user(request_, may_query=True) is None
    assert request_.session.accessed is False, "the response would get a Vary: Cookie header"


def test_the_tenant_is_found_by_the_way_the_host_names(request_: HttpRequest) -> None:
    request_.tenant = SimpleNamespace(id="acme")
    assert described(request_, tenant="tenant.id")["tags"]["tenant_id"] == "acme"
    assert "tenant_id" not in described(request_, tenant="tenant.owner.id")["tags"]
    assert described(request_, tenant="request.tenant.id")["tags"]["tenant_id"] == "acme"
    assert "tenant_id" not in described(request_, tenant="customer.id")["tags"]


@pytest.mark.parametrize("tenant", ["user.organization_id", "request.user.organization_id"])
def test_the_tenant_of_the_user_is_that_of_the_user_as_far_as_known(request_: HttpRequest, tenant: str) -> None:
    asked: list[int] = []
    request_.user = lazily(PERSON, asked)
    assert "tenant_id" not in described(request_, {"type": "transaction"}, tenant=tenant)["tags"]
    assert asked == []
    assert described(request_, tenant=tenant)["tags"]["tenant_id"] == "3"


@pytest.mark.django_db
def test_no_query_is_made_for_a_transaction_whatever_the_host_asks_for(request_: HttpRequest) -> None:
    answered: list[Any] = []

    def look_up() -> Any:
        answered.append(Permission.objects.count())
        return SimpleNamespace(id="acme", plan="pro")

    def plan(request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        return {"tags": {"plan": request.tenant.plan}}

    request_.tenant = SimpleLazyObject(look_up)
    sentry_context.connect(plan)
    try:
        traced = described(request_, {"type": "transaction"}, tenant="request.tenant.id")["tags"]
        assert answered == []
        assert {"tenant_id", "plan"}.isdisjoint(traced)
        failed = described(request_, tenant="request.tenant.id")["tags"]
        assert (len(answered), failed["tenant_id"], failed["plan"]) == (1, "acme", "pro")
    finally:
        sentry_context.disconnect(plan)


@pytest.mark.urls("core.monitoring.tests.urls")
def test_file_names_and_tokens_in_the_path_become_their_names_and_ids_stay() -> None:
    path = f"/files/private/salary 2026.pdf/42/{KEY}/a-token/"
    request = RequestFactory().get(path)
    request.resolver_match = resolve(path)
    assert request.resolver_match.captured_kwargs["key"] == UUID(KEY)
    assert request_path(request) == f"/files/{{path}}/42/{KEY}/{{word}}/"


def test_a_path_without_a_route_is_not_told() -> None:
    assert request_path(RequestFactory().get("/salary-2026.pdf")) == UNMATCHED


def test_the_url_of_an_event_shows_its_route_and_never_the_path() -> None:
    event = {
        "tags": {"request_path": "/files/{path}/"},
        "request": {
            "url": "https://files.example.org/files/salary.pdf/",
            "headers": {
                "Referer": "https://me:secret@files.example.org/public/the-token/?t=1",
                "Accept": "*/*",
                "baggage": "a=b",
            },
        },
    }
    hide_addresses(event)
    assert event["request"]["url"] == "https://files.example.org/files/{path}/"
    assert event["request"]["headers"] == {"Referer": "https://files.example.org/", "Accept": "*/*"}


def test_the_headers_of_a_downloaded_event_are_pairs() -> None:
    event = {
        "request": {"headers": [["Referer", "https://h/public/the-token/"], ["baggage", "a=b"], ["Accept", "*/*"]]}
    }
    hide_addresses(event)
    assert [list(pair) for pair in event["request"]["headers"]] == [["Referer", "https://h/"], ["Accept", "*/*"]]


def test_an_event_from_before_our_middleware_takes_the_route_from_its_transaction() -> None:
    event = {
        "transaction": "/files/{path}/",
        "transaction_info": {"source": "route"},
        "request": {"url": "http://h/files/a/"},
    }
    hide_addresses(event)
    assert event["request"]["url"] == "http://h/files/{path}/"


def test_a_transaction_without_a_route_loses_its_raw_path() -> None:
    event = {
        "transaction": "/salary.pdf",
        "transaction_info": {"source": "url"},
        "request": {"url": "http://h/salary.pdf?x=1"},
    }
    hide_addresses(event)
    assert event["transaction"] == UNMATCHED
    assert event["request"]["url"] == "http://h" + UNMATCHED


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"request": None},
        {"request": {"url": 5}},
        {"request": {"headers": [None, 5, ["Referer"]]}},
        {"request": {"url": "http://[::1/x"}},
        {"tags": [], "request": {"url": "http://h/x"}},
    ],
)
def test_odd_events_do_not_break_it(event: dict[str, Any]) -> None:
    hide_addresses(event)
    drop_content(event)


def test_what_a_put_carries_is_content_and_does_not_leave() -> None:
    put = {"request": {"method": "PUT", "data": {"a": "file that happens to be JSON"}}}
    post = {"request": {"method": "POST", "data": {"a": 1}}}
    drop_content(put)
    drop_content(post)
    assert put == {"request": {"method": "PUT"}}
    assert post["request"]["data"] == {"a": 1}


def test_a_host_adds_its_own_tags_and_contexts_and_a_failing_receiver_is_left_out(request_: HttpRequest) -> None:
    def plan(request: HttpRequest, **kwargs: Any) -> dict[str, Any]:
        assert request is request_
        return {"tags": {"plan": "pro"}, "contexts": {"storage": {"backend": "local"}}}

    def broken(**kwargs: Any) -> None:
        raise RuntimeError

    def odd(**kwargs: Any) -> dict[str, Any]:
        return {"tags": None, "contexts": ["storage"], "user": {"email": "jane.doe@example.com"}}

    receivers = (plan, broken, odd, lambda **kwargs: "odd")
    for receiver in receivers:
        sentry_context.connect(receiver)
    try:
        event = described(request_, {"contexts": {"trace": {}}})
    finally:
        for receiver in receivers:
            sentry_context.disconnect(receiver)
    assert event["tags"]["plan"] == "pro"
    assert event["contexts"] == {"trace": {}, "storage": {"backend": "local"}}


def test_a_receiver_that_fails_or_reports_by_itself_makes_no_event_of_its_own(
    start: Callable[..., bool], call: Callable[..., Any], receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**kwargs: Any) -> None:
        logging.getLogger("app").error("about to fail")
        capture_message("about to fail")
        raise RuntimeError

    sentry_context.connect(broken)
    try:
        start(SENTRY_TRACES_SAMPLE_RATE="1")
        assert call("/fail/")[0] == 500
    finally:
        sentry_context.disconnect(broken)
    sentry_sdk.flush(timeout=10)
    (event,) = receiver.items("event")
    assert event["exception"]["values"][0]["value"] == "failed on purpose"
    assert "broken of sentry_context is left out: RuntimeError" in caplog.text


def test_a_user_without_djangos_methods_costs_neither_tenant_nor_tags(request_: HttpRequest) -> None:
    request_.user = SimpleNamespace(is_authenticated=True, organization_id=3)
    event = described(request_)
    assert event["tags"]["tenant_id"] == "3"
    assert event["tags"]["auth_method"] == "session"


def in_a_thread(work: Callable[[], Any]) -> Any:
    """Run `work` where no connection is open yet."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("event", "opened"), [({}, 1), ({"type": "transaction"}, 0)])
def test_a_connection_is_opened_for_an_error_only(request_: HttpRequest, event: dict[str, Any], opened: int) -> None:
    request_.tenant = SimpleLazyObject(Permission.objects.count)
    openings: list[int] = []

    def count(**_: Any) -> None:
        openings.append(1)

    connection_created.connect(count)
    try:
        in_a_thread(lambda: described(request_, event, tenant="request.tenant.real"))
    finally:
        connection_created.disconnect(count)
    assert len(openings) == opened


@pytest.mark.django_db(transaction=True)
def test_a_thread_that_reports_an_error_keeps_no_connection_for_it(
    request_: HttpRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.databases["default"], "NAME", str(tmp_path / "db.sqlite3"))
    monkeypatch.setitem(connections.databases["default"], "ENGINE", "django.db.backends.sqlite3")
    request_.user = SimpleLazyObject(lambda: connection.cursor().execute("SELECT 1") and PERSON)

    def report() -> tuple[Any, Any]:
        return described(request_)["user"]["id"], connection.connection

    assert in_a_thread(report) == ("7", None)


def test_an_event_whose_private_values_cannot_be_found_out_leaves_as_a_skeleton(
    start: Callable[..., bool], call: Callable[..., Any], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: HttpRequest) -> dict[str, str]:
        raise RuntimeError

    start()
    monkeypatch.setattr("core.monitoring.private_values.private_values", broken)
    call("/content/ottilies-diagnosis/")
    sentry_sdk.flush(timeout=10)
    (error,) = [event for event in receiver.wait_for("event") if "exception" in event]
    assert error["exception"]["values"][-1]["type"] == "RuntimeError"
    assert b"ottilie" not in receiver.bytes


def test_a_receiver_that_ends_the_process_does_not_silence_the_next_event(
    start: Callable[..., bool], call: Callable[..., Any], receiver: Receiver
) -> None:
    def leave(**_: Any) -> None:
        raise SystemExit

    start()
    sentry_context.connect(leave)
    try:
        with suppress(SystemExit):
            call("/fail/")
    finally:
        sentry_context.disconnect(leave)
    call("/fail/")
    assert receiver.wait_for("event")[-1]["exception"]["values"][-1]["type"] == "RuntimeError"


def test_no_variables_but_sql_leave_of_a_private_module_and_of_what_it_calls():
    def stack() -> dict:
        modules = ("shop.views", "shop.files.names", "django.db", None)
        frames = [{"module": module, "vars": {"name": "x", "sql": "SELECT 1"}} for module in modules]
        return {"stacktrace": {"frames": [*frames, {"module": "shutil"}]}}

    event = {"exception": {"values": [stack()]}, "threads": [stack()], **stack()}
    drop_variables(event, ("shop.files",))
    for holder in (*event["exception"]["values"], *event["threads"], event):
        first, *others, last = [frame.get("vars") for frame in holder["stacktrace"]["frames"]]
        assert first == {"name": "x", "sql": "SELECT 1"}
        assert others == [{"sql": "SELECT 1"}] * 3
        assert last is None
    other = stack()
    drop_variables(other, ("shop.file",))
    assert all("name" in frame["vars"] for frame in other["stacktrace"]["frames"][:-1])
