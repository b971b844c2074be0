"""What scrubbing costs and what it catches, beside its peers, interleaved in one run.

    python benchmarks/scrubber.py [--rounds 60] [--json | --write]

The events are captured from a real Django request through the SDK. A cost is CPU time as a multiple of that of
`json.dumps` for the same event, each the best of all rounds: another program on the machine can only add to it. A
peer that is not installed is left out. `--write` puts the table into docs/PERFORMANCE.md.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import logging
import math
import os
import random
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from document import write

ROOT = Path(__file__).resolve().parent.parent
# All that happens to an event of a running server: what its request shows to be private is looked for, too.
WHOLE = "ours with private values, steady"
WARM_UP = 5  # rounds, after which the steady one has seen similar events
sys.path.insert(0, str(ROOT))
os.environ.pop("SENTRY_DSN", None)

Event = dict[str, Any]

# Where a name tells what the text is. The corpus plants its texts under harmless names, so only these positions
# show what a scrubber does that looks at names alone.
NAMED: list[Callable[[str], Event]] = [
    lambda text: {"request": {"headers": {"Cookie": text}}},
    lambda text: {"request": {"headers": {"Authorization": text}}},
    lambda text: {"request": {"data": {"password": text}}},
    lambda text: {"extra": {"settings": {"api_key": text}}},
    lambda text: {"exception": {"values": [{"stacktrace": {"frames": [{"vars": {"password": text}}]}}]}},
    lambda text: {"exception": {"values": [{"stacktrace": {"frames": [{"vars": {"data": {"token": text}}}]}}]}},
]


class Rates(NamedTuple):
    """Shares, 0 to 1: secrets gone from texts, secrets gone from under a telling name, harmless texts changed."""

    texts: float
    named: float
    spoilt: float


def capture() -> tuple[Event, Event]:
    """Return an error event and a transaction of one request to a Django view, as the SDK would send them."""
    import django
    import sentry_sdk
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpRequest, HttpResponse
    from django.test import RequestFactory
    from django.urls import path
    from sentry_sdk.integrations.django import DjangoIntegration

    events: list[Event] = []

    def fail(depth: int, payload: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        note = f"step {depth} of the upload of object {depth * 7919}"
        limits = {"size": depth * 1024, "name": note, "checksum": f"{depth:040x}", "retries": 3}
        if depth == 0:
            raise ValueError(f"upload of {len(rows)} rows failed: {note} {limits}")
        fail(depth - 1, payload, rows)

    def view(request: HttpRequest, name: str) -> HttpResponse:
        from django.db import connection

        for number in range(50):
            logging.getLogger("app.upload").info("stored part %d of %d in %.3f s", number, 50, number / 7)
        for number in range(30):
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT %s AS part, name, type FROM sqlite_master WHERE name = %s", [number, f"n{number}"]
                )
        fail(
            16,
            {"user": "jo", "password": "hunter2", "parts": list(range(8))},
            [{"id": i, "name": f"part {i}"} for i in range(9)],
        )
        return HttpResponse()

    settings.configure(
        DEBUG=False,
        SECRET_KEY="benchmark",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="scrubber_urls",
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        LOGGING_CONFIG=None,
    )
    urls = type(sys)("scrubber_urls")
    urls.urlpatterns = [path("api/v1/files/<path:name>/", view)]  # type: ignore[attr-defined]
    sys.modules["scrubber_urls"] = urls
    django.setup()
    logging.getLogger("app.upload").setLevel(logging.INFO)
    logging.disable(logging.NOTSET)

    def keep(event: Any, hint: Any) -> None:
        events.append(copy.deepcopy(event))

    # The request is meant to fail; nobody has to read the traceback.
    logging.getLogger("django.request").propagate = False
    logging.getLogger("django.request").addHandler(logging.NullHandler())
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        before_send=keep,
        before_send_transaction=keep,
        traces_sample_rate=1.0,
        max_breadcrumbs=50,
        integrations=[DjangoIntegration(transaction_style="url")],
        auto_enabling_integrations=False,
    )
    request = RequestFactory().get(
        "/api/v1/files/a/?page=2",
        HTTP_AUTHORIZATION="Bearer abc123",
        REMOTE_ADDR="203.0.113.9",
        HTTP_USER_AGENT="curl/8.1",
    )
    statuses: list[str] = []
    list(get_wsgi_application()(request.environ, lambda status, headers, *_: statuses.append(status)))
    sentry_sdk.get_client().options.update(before_send=None, before_send_transaction=None)
    sentry_sdk.init()
    error = next(event for event in events if event.get("type") != "transaction")
    transaction = next(event for event in events if event.get("type") == "transaction")
    return error, transaction


_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
_ID = re.compile(r"(?<=_id\": \")[0-9a-f]{16,32}(?=\")")


def next_event(event: Event, number: int) -> Event:
    """Return the event as the next request would raise it: other ids, times, and numbers in messages and locals.

    Source lines, names, code locations and most locals stay as they are.
    """
    text = json.dumps(event)
    text = _TIME.sub(lambda _: f"2026-01-02T03:{random.randrange(60):02}:{random.uniform(10, 59):.6f}Z", text)
    text = _ID.sub(lambda found: f"{random.getrandbits(4 * len(found[0])):0{len(found[0])}x}", text)
    # Locals are reprs, so their quotes tell them from the source lines.
    text = text.replace("of the upload of object 7919", f"of the upload of object {number}7919")
    text = text.replace("stored part 1", f"stored part {number}1").replace(
        "rows failed: step", f"rows {number} failed: step"
    )
    return json.loads(text)


def peers() -> dict[str, Callable[[Event], Any]]:
    """Return each scrubber as a function of one event, ready to run. It may change the event."""
    from sentry_sdk.scrubber import EventScrubber

    from core.monitoring.scrubber import Scrubber

    found: dict[str, Callable[[Event], Any]] = {
        "ours, steady": Scrubber(private_paths=["/srv/storage"]).scrub,
        WHOLE: _whole(Scrubber(private_paths=["/srv/storage"])),
        "ours, hot": Scrubber(private_paths=["/srv/storage"]).scrub,
        "EventScrubber": _in_place(EventScrubber().scrub_event),
        "EventScrubber(recursive=True)": _in_place(EventScrubber(recursive=True).scrub_event),
    }
    try:
        from fillmore.scrubber import Rule, build_scrub_query_string
        from fillmore.scrubber import Scrubber as Fillmore

        # The rules of its README. It is a tool to write one's own, so only its cost is compared.
        frames = "exception.values.[].stacktrace.frames.[].vars"
        fillmore = Fillmore(
            rules=[
                Rule(path="request.headers", keys=["Auth-Token", "Cookie"], scrub="scrub"),
                Rule(path="request", keys=["query_string"], scrub=build_scrub_query_string(params=["code", "state"])),
                Rule(path=frames, keys=["username", "password"], scrub="scrub"),
            ]
        )
        # It logs each path that an event does not have.
        logging.getLogger("fillmore").setLevel(logging.CRITICAL)
        found["fillmore"] = lambda event: fillmore(event, {})
    except ImportError as error:
        print(f"fillmore left out: {error}", file=sys.stderr)
    try:
        from logfire._internal.scrubbing import Scrubber as Logfire

        found["logfire"] = lambda event: Logfire(None).scrub_value((), event)[0]
        found["logfire"]({"a": "b"})
    except Exception as error:
        found.pop("logfire", None)
        print(f"logfire left out: {error}", file=sys.stderr)
    try:
        from sentry_relay.processing import convert_datascrubbing_config, pii_strip_event

        config = convert_datascrubbing_config(
            {
                "scrubData": True,
                "scrubDefaults": True,
                "scrubIpAddresses": True,
                "sensitiveFields": [],
                "excludeFields": [],
            }
        )
        found["Relay"] = lambda event: pii_strip_event(config, event)
    except ImportError as error:
        print(f"Relay left out: {error}", file=sys.stderr)
    return found


def _whole(scrubber: Any) -> Callable[[Event], Event]:
    from core.monitoring.sdk import outgoing

    def leaves(event: Event) -> Event:
        # The name of an uploaded file, as the request shows it to be private.
        return outgoing(event, scrubber, event.get("type", "event"), private={"part 7": "{file}"})

    return leaves


def _in_place(scrub: Callable[[Any], None]) -> Callable[[Event], Event]:
    def scrubbed(event: Event) -> Event:
        scrub(event)
        return event

    return scrubbed


def measure(event: Event, rounds: int) -> dict[str, float]:
    """Return the cost of each scrubber as a multiple of that of json.dumps, and the latter in µs."""
    from core.monitoring.scrubber import Scrubber

    found = {"json.dumps": json.dumps, "ours, cold": json.dumps, **peers()}
    best = dict.fromkeys(found, math.inf)
    for number in range(-WARM_UP, rounds):
        fresh = json.dumps(next_event(event, number + WARM_UP))
        gc.enable()
        gc.collect()
        gc.disable()
        # Each is the first after the collection once in a while, which empties the processor's caches.
        first = number % len(found)
        for name, scrub in [*found.items()][first:] + [*found.items()][:first]:
            if name == "ours, cold":
                scrub = Scrubber(private_paths=["/srv/storage"]).scrub
            # As the SDK does, each gets an event of its own.
            given = json.loads(json.dumps(event) if name == "ours, hot" else fresh)
            started = time.process_time_ns()
            scrub(given)
            spent = time.process_time_ns() - started
            if number >= 0:
                best[name] = min(best[name], spent)
    gc.enable()
    base = best["json.dumps"]
    return {"json.dumps (µs)": base / 1000, **{name: spent / base for name, spent in best.items()}}


def catch_rates() -> dict[str, Rates]:
    """Return what each scrubber does with our own corpus, in every position of an event."""
    from core.monitoring.tests import corpus

    positions = [make for name, make in corpus.POSITIONS.items() if name != "tuple and set"]
    base = {"event_id": "9f8a" * 8, "timestamp": 1700000000.0, "platform": "python"}
    rates: dict[str, Rates] = {}
    for name, scrub in peers().items():
        if name in ("ours, hot", WHOLE, "fillmore"):
            continue

        def share_gone(makes: list[Callable[[str], Event]], scrub: Callable[[Event], Any] = scrub) -> float:
            left = [
                secret in json.dumps(scrub({**base, **make(text)}), default=str)
                for make in makes
                for text, secret in corpus.SECRETS.values()
            ]
            return 1 - sum(left) / len(left)

        spoilt = [
            json.dumps(text) not in json.dumps(scrub({**base, **make(text)}), default=str)
            for make in positions
            for text in corpus.HARMLESS
        ]
        rates[name.split(",")[0]] = Rates(share_gone(positions), share_gone(NAMED), sum(spoilt) / len(spoilt))
    return rates


def table(costs: dict[str, dict[str, float]], sizes: dict[str, int], rates: dict[str, Rates]) -> str:
    """Return the results as one table in Markdown."""
    heads = (f"{kind} ({size // 1024} KB)" for kind, size in sizes.items())
    lines = [
        f"| | {' | '.join(heads)} | secrets gone from texts | under telling names | harmless texts spoilt |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    first = ["json.dumps", "ours, cold", "ours, steady", "ours, hot", WHOLE]
    for name in [*first, *(name for name in costs["error"] if name not in (*first, "json.dumps (µs)"))]:
        rate = rates.get(name if name != "ours, steady" else "ours")
        shares = [f"{share:.0%}" for share in rate] if rate else [""] * 3
        lines.append(f"| {name} | {' | '.join([f'{cost[name]:.2f}' for cost in costs.values()] + shares)} |")
    took = " and ".join(f"{cost['json.dumps (µs)']:.0f} µs" for cost in costs.values())
    python = ".".join(map(str, sys.version_info[:2]))
    return "\n".join([*lines, "", f"`json.dumps` took {took} of CPU time, with Python {python}."])


def main() -> None:
    """Print the table that docs/PERFORMANCE.md shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", action="store_true", help="print every figure as JSON")
    parser.add_argument("--write", action="store_true", help="write the table to docs/PERFORMANCE.md, too")
    options = parser.parse_args()
    events = dict(zip(("error", "transaction"), capture(), strict=True))
    costs = {kind: measure(event, options.rounds) for kind, event in events.items()}
    sizes = {kind: len(json.dumps(event)) for kind, event in events.items()}
    rates = catch_rates()
    if options.json:
        print(json.dumps({"bytes": sizes, "costs": costs, "rates": rates}, indent=1))
        return
    results = table(costs, sizes, rates)
    print(results)
    if options.write:
        write("scrubber", results)


if __name__ == "__main__":
    main()
