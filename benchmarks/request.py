"""What monitoring costs a request: off, on at three rates, and beside a plain `sentry_sdk.init()`, taking turns.

    python benchmarks/request.py [--rounds 20] [--json | --write]

Each way of running is a process of its own with the whole server in it, in production settings on SQLite, which sends
to a tracker on this machine. All take turns, so that a busy machine is unfair to all of them alike. A cost is the CPU
time of a request, sending included, the median of all rounds, as a multiple of that without monitoring in the code.
`--write` puts the table into docs/PERFORMANCE.md.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, NamedTuple

from document import write

ROOT = Path(__file__).resolve().parents[1]
CONTENT = b"x" * 65536
# Requests in a round: enough that at a rate of 0.1 some are traced, and few enough for the SDK's queue.
REQUESTS = {"trivial": 90, "upload": 30}


class Way(NamedTuple):
    """How a server is monitored: by what, and the share of requests that are traced."""

    by: Literal["nothing", "ours, off", "ours", "plain SDK", "plain SDK with spans"]
    rate: float = 0.0


WAYS = {
    "without it in the settings": Way("nothing"),
    "off: no `SENTRY_DSN`": Way("ours, off"),
    "on, rate 0": Way("ours", 0.0),
    "on, rate 0.1": Way("ours", 0.1),
    "on, rate 1": Way("ours", 1.0),
    "plain SDK, rate 0": Way("plain SDK", 0.0),
    "plain SDK, rate 0.1": Way("plain SDK", 0.1),
    "plain SDK, rate 1": Way("plain SDK", 1.0),
    "plain SDK with our spans, rate 0.1": Way("plain SDK with spans", 0.1),
    "plain SDK with our spans, rate 1": Way("plain SDK with spans", 1.0),
}


def serve(way: str, dsn: str) -> None:
    """Set the server up in one of the `WAYS`; then, for each line of stdin, print the µs of a request of that kind."""
    by, rate = WAYS[way]
    os.environ["SENTRY_DSN"] = dsn if by == "ours" else ""
    os.environ["SENTRY_TRACES_SAMPLE_RATE"] = str(rate)
    sys.path.insert(0, str(ROOT))
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.http import HttpRequest, HttpResponse
    from django.urls import include, path

    if by.startswith("plain"):
        import sentry_sdk
        from sentry_sdk.integrations.django import DjangoIntegration

        spans = by.endswith("spans")
        django_integration = DjangoIntegration(middleware_spans=spans, cache_spans=spans)
        sentry_sdk.init(dsn=dsn, traces_sample_rate=rate, integrations=[django_integration])
    if not by.startswith("ours"):
        settings.MIDDLEWARE.remove("core.middleware.SentryContextMiddleware")
    django.setup()
    call_command("migrate", verbosity=0)

    from accounts import api_keys
    from accounts.models import User

    key = api_keys.create(User.objects.create_user("ada", "ada@example.org", "x"), "benchmark")[1]

    def trivial(request: HttpRequest) -> HttpResponse:
        return HttpResponse("fine")

    urls: Any = type(sys)("benchmark_urls")
    urls.urlpatterns = [path("trivial/", trivial), path("", include(settings.ROOT_URLCONF))]
    sys.modules["benchmark_urls"] = urls
    settings.ROOT_URLCONF = "benchmark_urls"
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()
    environ = {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http"}
    kinds = {
        "trivial": {"REQUEST_METHOD": "GET", "PATH_INFO": "/trivial/"},
        "upload": {
            "REQUEST_METHOD": "PUT",
            "PATH_INFO": "/api/v1/files/reports/2026.pdf/upload/",
            "CONTENT_LENGTH": str(len(CONTENT)),
            "HTTP_AUTHORIZATION": f"Bearer {key}",
        },
    }

    def request(kind: str) -> None:
        body = io.BytesIO(CONTENT if kind == "upload" else b"")
        status: list[str] = []
        answer = application(
            {**environ, **kinds[kind], "wsgi.input": body, "wsgi.errors": sys.stderr},
            lambda line, headers, *_: status.append(line),
        )
        list(answer)
        answer.close()
        if not status[0].startswith("20"):
            raise SystemExit(f"{way}: {kind} was answered with {status[0]}")

    def sent() -> None:
        if "sentry_sdk" in sys.modules:
            sys.modules["sentry_sdk"].flush()

    for kind in REQUESTS:  # what is made once in a process
        request(kind)
    print("ready", flush=True)
    for line in sys.stdin:
        kind = line.strip()
        sent()
        started = time.process_time_ns()
        for _ in range(REQUESTS[kind]):
            request(kind)
        sent()
        print((time.process_time_ns() - started) / 1000 / REQUESTS[kind], flush=True)


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Return the µs of a request by kind and way."""
    sys.path.insert(0, str(ROOT))
    from core.monitoring.testing import Receiver

    took: dict[str, dict[str, list[float]]] = {kind: {way: [] for way in WAYS} for kind in REQUESTS}
    with ExitStack() as ends:
        # A process of its own would be fairer still, but its CPU time is counted nowhere.
        tracker = ends.enter_context(Receiver())
        servers = {way: ends.enter_context(_server(way, tracker.dsn, ends)) for way in WAYS}
        ask: Callable[[str, str], float] = lambda way, kind: _ask(servers[way], kind)  # noqa: E731
        for number in range(-2, rounds):
            print(f"\rround {max(number + 1, 0)} of {rounds}", end="", file=sys.stderr, flush=True)
            for kind in REQUESTS:
                for way in WAYS:
                    spent = ask(way, kind)
                    if number >= 0:
                        took[kind][way].append(spent)
    print(file=sys.stderr)
    return {kind: {way: statistics.median(all_) for way, all_ in ways.items()} for kind, ways in took.items()}


def _server(way: str, dsn: str, ends: ExitStack) -> subprocess.Popen[str]:
    state = ends.enter_context(tempfile.TemporaryDirectory(prefix="storm-cloud-benchmark-"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SENTRY_", "STORMCLOUD_"))}
    environment = kept | {
        "DJANGO_SETTINGS_MODULE": "_core.settings.production",
        "SECRET_KEY": "x" * 50,
        "ALLOWED_HOSTS": "localhost",
        "STORMCLOUD_HTTPS": "false",
        "STORMCLOUD_STORAGE_ROOT": f"{state}/media",
        "STORMCLOUD_LOG_DIR": state,
        "DATABASE_URL": f"sqlite:///{state}/db.sqlite3",
        "REDIS_URL": "",
        "CELERY_BROKER_URL": "",
        # No peer of ours profiles.
        "SENTRY_PROFILES_SAMPLE_RATE": "0",
    }
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve", way, dsn],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    if server.stdout is None or server.stdout.readline().strip() != "ready":
        server.kill()
        raise SystemExit(f"The server did not start: {way}. See why: {sys.executable} {__file__} --serve {way!r} {dsn}")
    return server


def _ask(server: subprocess.Popen[str], kind: str) -> float:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(f"{kind}\n")
    server.stdin.flush()
    return float(server.stdout.readline())


def table(costs: dict[str, dict[str, float]]) -> str:
    """Return the results as a table in Markdown."""
    base = next(iter(WAYS))
    lines = [f"| | {' | '.join(costs)} |", f"| --- | {' | '.join('---:' for _ in costs)} |"]
    for way in WAYS:
        lines.append(f"| {way} | {' | '.join(f'{cost[way] / cost[base]:.2f}' for cost in costs.values())} |")
    took = " and ".join(f"{cost[base]:.0f} µs" for cost in costs.values())
    python = ".".join(map(str, sys.version_info[:2]))
    return "\n".join([*lines, "", f"1.00 is {took} of CPU time, with Python {python}."])


def main() -> None:
    """Print the table that docs/PERFORMANCE.md shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="print the microseconds as JSON")
    parser.add_argument("--write", action="store_true", help="write the table to docs/PERFORMANCE.md, too")
    parser.add_argument("--serve", nargs=2, metavar=("WAY", "DSN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(*options.serve)
        return
    costs = measure(options.rounds)
    if options.json:
        print(json.dumps(costs, indent=1))
        return
    results = table(costs)
    print(results)
    if options.write:
        write("request", results)


if __name__ == "__main__":
    main()
