"""Repeated and slow queries of real requests, asserted on what arrives: found, told once, and nothing invented."""

import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.backends.django import DjangoTemplates
from django.template.response import TemplateResponse
from django.urls import path
from django.views import View

from core.monitoring import findings
from core.monitoring.testing import Receiver

Start = Callable[..., bool]
Call = Callable[..., tuple[int, dict[str, str], bytes]]
SECRET = "salary of jane"


def ask_one_by_one(count: int, of: str = "permissions") -> int:
    total = 0
    for group in Group.objects.order_by("pk")[:count]:
        total += getattr(group, of).count()  # the line that asks
    return total


def many(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    count, of = int(request.GET.get("count", "12")), request.GET.get("of", "permissions")
    return HttpResponse(str(ask_one_by_one(count, of)))


class AsClass(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return many(request)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(str(group.permissions.count()) for group in Group.objects.all())


def in_template(request: HttpRequest) -> TemplateResponse:
    engine = DjangoTemplates({"NAME": "plain", "DIRS": [], "APP_DIRS": False, "OPTIONS": {}})
    template = engine.from_string("{% for group in groups %}{{ group.permissions.count }}{% endfor %}")
    return TemplateResponse(request, template, {"groups": Group.objects.all()})


def raw(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        for number in range(12):
            cursor.execute(f"SELECT id FROM auth_group WHERE name = '{SECRET} {number}' AND id > {number}")
    return HttpResponse()


def slow(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT doze(0.02, 'a' || %s, 4711)", [SECRET])
    return HttpResponse()


def broken(request: HttpRequest) -> HttpResponse:
    Group.objects.create(name=SECRET)
    with transaction.atomic():
        Group.objects.create(name=SECRET)
    return HttpResponse()


def error(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("the last event")


def tidy_up(note: str) -> None:
    """Run a task in this process, as a worker does."""
    import celery

    @celery.Celery("findings", set_as_current=False).task(name="tidy.up")
    def task(note: str) -> int:
        return ask_one_by_one(15)

    assert task.apply(args=[note]).get() == 0


def with_task(request: HttpRequest) -> HttpResponse:
    tidy_up(SECRET)
    return many(request)


def on_lines_of_their_own(request: HttpRequest) -> None:
    get = Group.objects.get
    one = Group.objects.first()
    assert one
    get(pk=one.pk)
    get(pk=one.pk)
    get(pk=one.pk)
    get(pk=one.pk)
    get(pk=one.pk)
    get(pk=one.pk)
    get(pk=one.pk)
    get(pk=one.pk)
    get(pk=one.pk)
    get(pk=one.pk)
    get(pk=one.pk)


def page_by_page(request: HttpRequest) -> None:
    last = 0
    for _ in range(12):
        last = [group.pk for group in Group.objects.filter(pk__gt=last).order_by("pk")[:100]][-1:] and last


def save_each(request: HttpRequest) -> None:
    for group in Group.objects.all():
        group.name += "!"
        group.save()


def save_in_savepoints(request: HttpRequest) -> None:
    for group in Group.objects.all():
        with transaction.atomic():
            group.permissions.add(*Permission.objects.none())
            connection.cursor().execute("UPDATE auth_group SET name = name WHERE id = %s", [group.pk])


# What looks like an N+1 and is none.
MEANT: dict[str, Callable[[HttpRequest], Any]] = {
    "a short loop": lambda request: ask_one_by_one(findings.REPEATS - 1),
    "one query for many": lambda request: [
        list(g.permissions.all()) for g in Group.objects.prefetch_related("permissions")
    ],
    "a join": lambda request: [
        str(permission.content_type) for permission in Permission.objects.select_related("content_type")
    ],
    "batches of a prefetch": lambda request: list(
        Group.objects.prefetch_related("permissions").order_by("pk").iterator(chunk_size=2)
    ),
    "batches by id": lambda request: [
        list(Group.objects.filter(pk__in=[first, first + 1, first + 2])) for first in range(0, 60, 3)
    ],
    "a bulk insert in batches": lambda request: Group.objects.bulk_create(
        [Group(name=f"new {number}") for number in range(24)], batch_size=2
    ),
    "one insert for many rows": lambda request: connection.cursor().executemany(
        "INSERT INTO auth_group (name) VALUES (%s)", [[f"row {number}"] for number in range(24)]
    ),
    "saving each": save_each,
    "savepoints": save_in_savepoints,
    "a walk through a table": page_by_page,
    "the same from many lines": on_lines_of_their_own,
}


def meant(request: HttpRequest, case: str) -> HttpResponse:
    MEANT[case](request)
    return HttpResponse()


urlpatterns = [
    path("many/<str:name>/", many),
    path("other/", many),
    path("class/", AsClass.as_view()),
    path("stream/", stream),
    path("template/", in_template),
    path("raw/", raw),
    path("slow/", slow),
    path("broken/", broken),
    path("error/", error),
    path("with-task/", with_task),
    path("meant/<str:case>/", meant),
]


@pytest.fixture(autouse=True)
def groups(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.monitoring.tests.urls.urlpatterns", urlpatterns)
    Group.objects.bulk_create([Group(name=f"group {number}") for number in range(30)])


@pytest.fixture
def watch(start: Start, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Turn findings on. This connection was opened earlier than in a server, where they are on from the beginning."""
    monkeypatch.setattr(findings, "_told", set())
    connection.ensure_connection()
    connection.connection.create_function("doze", 3, lambda seconds, *_: time.sleep(seconds))

    def watch(**environment: str) -> None:
        start(SENTRY_FINDINGS="true", SENTRY_SLOW_QUERY_MS=environment.pop("SENTRY_SLOW_QUERY_MS", "0"), **environment)
        findings.look_at(connection)

    yield watch
    connection.execute_wrappers.clear()
    connection_created.disconnect(dispatch_uid="monitoring.findings")


def found(call: Call, receiver: Receiver) -> list[dict[str, Any]]:
    """Return the findings that have arrived; an error that is sent after them is waited for."""
    call("/error/")
    events: list[dict[str, Any]] = []
    while not any("exception" in event for event in events):
        events = receiver.wait_for("event", len(events) + 1)
    return [event for event in events if "exception" not in event]


def line_of(text: str, function: Callable[..., Any]) -> int:
    lines, first = inspect.getsourcelines(function)
    return first + next(number for number, line in enumerate(lines) if text in line)


def test_a_query_for_each_row_is_told_with_view_shape_and_line(watch: Any, call: Call, receiver: Receiver) -> None:
    watch(SENTRY_RELEASE="1.2.3")
    assert call(f"/many/{SECRET}/")[0] == 200
    (event,) = found(call, receiver)
    asked = event["contexts"]["finding"]
    line = line_of("the line that asks", ask_one_by_one)
    assert asked["view"] == "/many/{name}/"
    assert asked["line"] == f"core/monitoring/tests/test_findings.py:{line} in ask_one_by_one"
    assert asked["sql"].startswith('SELECT COUNT(*) AS "__count" FROM "auth_permission" INNER JOIN')
    assert asked["sql"].endswith('WHERE "auth_group_permissions"."group_id" = %s')
    assert asked["times"] == 12
    assert event["message"] == f"N+1 query in /many/{{name}}/, asked at {asked['line']}"
    assert event["level"] == "warning"
    assert event["tags"]["finding"] == "n_plus_one"
    assert event["tags"]["request_path"] == "/many/{name}/"
    assert event["release"] == "1.2.3"
    frames = event["threads"]["values"][0]["stacktrace"]["frames"]
    assert [frame["function"] for frame in frames] == ["many", "ask_one_by_one"]
    assert "the line that asks" in frames[-1]["context_line"]
    assert not any("vars" in frame for frame in frames)
    assert SECRET.encode() not in receiver.bytes


def test_it_is_told_once_a_view_and_all_processes_make_one_issue_whichever_query_is_the_worst(
    watch: Any, call: Call, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch()
    for _ in range(3):
        call("/many/a/")
    call("/other/")
    monkeypatch.setattr(findings, "_told", set())  # as in another process
    call("/many/b/?count=20&of=user_set")
    first, other, again = found(call, receiver)
    assert first["contexts"]["finding"]["view"] == "/many/{name}/"
    assert other["contexts"]["finding"]["view"] == "/other/"
    assert first["fingerprint"] == again["fingerprint"] != other["fingerprint"]
    assert again["contexts"]["finding"]["times"] == 20
    assert first["contexts"]["finding"]["sql"] != again["contexts"]["finding"]["sql"]


@pytest.mark.parametrize("case", MEANT)
def test_what_is_meant_is_no_finding(watch: Any, call: Call, receiver: Receiver, case: str) -> None:
    watch()
    assert call(f"/meant/{case}/")[0] == 200
    assert found(call, receiver) == []


def test_what_every_request_asks_is_no_finding(watch: Any, call: Call, receiver: Receiver) -> None:
    watch()
    middleware = [
        "core.middleware.SentryContextMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    for _ in range(findings.REPEATS + 1):
        assert call("/other/?count=1", middleware=middleware, HTTP_COOKIE="sessionid=abcdefgh0123456789")[0] == 200
    assert found(call, receiver) == []


def test_a_class_view_is_told_by_the_line_too(watch: Any, call: Call, receiver: Receiver) -> None:
    watch()
    call("/class/")
    (event,) = found(call, receiver)
    assert event["contexts"]["finding"]["line"].endswith("in ask_one_by_one")


def test_what_a_stream_asks_while_it_is_read_counts(watch: Any, call: Call, receiver: Receiver) -> None:
    watch()
    call("/stream/")
    (event,) = found(call, receiver)
    assert event["contexts"]["finding"]["times"] == 30
    assert event["contexts"]["finding"]["view"] == "/stream/"


def test_where_only_a_library_asks_the_view_is_named(watch: Any, call: Call, receiver: Receiver) -> None:
    watch()
    call("/template/")
    (event,) = found(call, receiver)
    line = line_of("def in_template", in_template)
    assert event["contexts"]["finding"]["line"] == f"core/monitoring/tests/test_findings.py:{line} in in_template"


def test_values_that_are_written_into_the_sql_do_not_leave(watch: Any, call: Call, receiver: Receiver) -> None:
    watch()
    call("/raw/")
    (event,) = found(call, receiver)
    assert event["contexts"]["finding"]["sql"] == "SELECT id FROM auth_group WHERE name = %s AND id > %s"
    assert event["contexts"]["finding"]["times"] == 12
    assert b"salary" not in receiver.bytes


def test_a_query_slower_than_the_setting_is_told(watch: Any, call: Call, receiver: Receiver) -> None:
    watch(SENTRY_SLOW_QUERY_MS="10")
    call("/slow/")
    call("/slow/")
    (event,) = found(call, receiver)
    asked = event["contexts"]["finding"]
    assert event["tags"]["finding"] == "slow_query"
    assert event["message"] == f"Slow query in /slow/, asked at {asked['line']}"
    assert asked["sql"] == "SELECT doze(%s, %s || %s, %s)"
    assert asked["line"].endswith(f":{line_of('doze', slow)} in slow")
    assert asked["slowest_milliseconds"] >= 10
    assert b"salary" not in receiver.bytes


@pytest.mark.parametrize("setting", ["0", "600000"])
def test_a_query_faster_than_the_setting_is_not_told(watch: Any, call: Call, receiver: Receiver, setting: str) -> None:
    watch(SENTRY_SLOW_QUERY_MS=setting)
    call("/slow/")
    assert found(call, receiver) == []


def test_a_finding_asks_the_database_nothing(
    watch: Any, call: Call, receiver: Receiver, django_assert_num_queries: Any
) -> None:
    middleware = [
        "core.middleware.SentryContextMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    watch()
    with django_assert_num_queries(13):
        call("/many/a/", middleware=middleware, HTTP_COOKIE="sessionid=abcdefgh0123456789")
    assert len(found(call, receiver)) == 1


def test_it_is_off_unless_it_is_asked_for(start: Start, call: Call, receiver: Receiver) -> None:
    start()
    call("/many/a/")
    assert found(call, receiver) == []
    assert not connection_created.disconnect(dispatch_uid="monitoring.findings")


def test_an_error_of_the_database_passes_through_and_no_frame_of_ours_shows_its_values(
    watch: Any, call: Call, receiver: Receiver
) -> None:
    watch()
    assert call("/broken/")[0] == 500
    (event,) = receiver.wait_for("event")
    assert event["exception"]["values"][-1]["type"] == "IntegrityError"
    modules = {frame["module"] for value in event["exception"]["values"] for frame in value["stacktrace"]["frames"]}
    assert "core.monitoring.findings" not in modules


@pytest.mark.parametrize("step", ["_judged", "host_frames", "_is_first", "_tell"])
def test_a_failure_of_its_own_changes_no_answer(
    watch: Any, call: Call, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: Any, step: str
) -> None:
    def fail(*args: Any) -> Any:
        raise RuntimeError(SECRET)

    watch()
    monkeypatch.setattr(findings, step, fail)
    assert call("/many/a/")[::2] == (200, b"0")
    assert "failed with RuntimeError" in caplog.text
    assert SECRET not in caplog.text
    assert found(call, receiver) == []


def test_a_request_with_any_number_of_queries_needs_bounded_memory(watch: Any) -> None:
    watch()
    watched = findings.Watch(lambda: "view", lambda: None, slow=1.0)
    for number in range(findings.MAX_QUERIES * 3):
        watched.note(f"SELECT column_{number} FROM things", 0.0)
    assert len(watched.queries) == findings.MAX_QUERIES
    watched = findings.Watch(lambda: "view", lambda: None, slow=1.0)
    watched.note("SELECT " + "x, " * 1_000_000, 0.0)
    assert [len(asked.sql) for asked in watched.queries.values()] == [findings.MAX_SQL]


def test_slow_inserts_are_slow_and_no_repeated_question(watch: Any) -> None:
    watch()
    watched = findings.Watch(lambda: "view", lambda: None, slow=1.0)
    for _ in range(findings.REPEATS * 2):
        watched.note("INSERT INTO things VALUES (1)", 9.0)
    assert [kind for kind, _ in watched.findings()] == ["slow_query"]


def test_a_connection_that_is_opened_while_the_host_wraps_its_queries_keeps_our_wrapper_and_loses_the_hosts(
    watch: Any,
) -> None:
    watch()
    connection.execute_wrappers.clear()

    def refuse(*args: Any) -> None:
        raise RuntimeError("no queries here")

    with connection.execute_wrapper(refuse):
        connection_created.send(sender=type(connection), connection=connection)
    assert Group.objects.count() == 30
    assert connection.execute_wrappers == [findings._execute]


def test_nothing_is_kept_of_a_request_that_is_over(watch: Any, call: Call) -> None:
    watch()
    call("/many/a/")
    assert findings._watch.get() is None


def test_a_task_is_watched_like_a_request(watch: Any, call: Call, receiver: Receiver) -> None:
    pytest.importorskip("celery")
    watch()
    tidy_up(SECRET)
    (event,) = found(call, receiver)
    assert event["contexts"]["finding"]["view"] == "tidy.up"
    assert event["contexts"]["finding"]["times"] == 15


def test_a_request_that_runs_its_task_itself_is_watched_further(watch: Any, call: Call, receiver: Receiver) -> None:
    pytest.importorskip("celery")
    watch()
    call("/with-task/")
    assert [event["contexts"]["finding"]["view"] for event in found(call, receiver)] == ["tidy.up", "/with-task/"]
