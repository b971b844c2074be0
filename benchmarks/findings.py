"""What SENTRY_FINDINGS costs a query: the same queries of one request, with it and without, taking turns.

On SQLite in memory, the fastest database there is: anywhere else the query takes longer and the share is smaller.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from document import write

REPO = Path(__file__).resolve().parents[1]
QUERIES = 1000


def prepare() -> None:
    """Set up Django with one table, and the monitoring with a tracker that is not there."""
    import django
    from django.conf import settings
    from django.core.management import call_command

    settings.configure(
        SECRET_KEY="benchmark",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    )
    django.setup()
    call_command("migrate", verbosity=0)


def by_the_host() -> None:
    """Ask from a line of the host."""
    from django.contrib.auth.models import Group

    for number in range(QUERIES):
        Group.objects.filter(pk=number).exists()


def by_a_library() -> None:
    """Ask from a library at the end of a deep stack, as a serializer or a template does."""
    from django.contrib.auth.models import Group
    from django.template import Context, Engine

    template = Engine().from_string("{% for number in numbers %}{% if groups.exists %}{% endif %}{% endfor %}")
    template.render(Context({"numbers": range(QUERIES), "groups": Group.objects.all()}))


def with_many_shapes() -> None:
    """Ask something else each time, so that nothing is known of a query."""
    from django.db import connection

    with connection.cursor() as cursor:
        for number in range(QUERIES):
            cursor.execute(f"SELECT {number}, id, name FROM auth_group WHERE id = {number} AND name <> 'x {number}'")


CASES: dict[str, Callable[[], None]] = {
    "ORM, asked by the host's own line": by_the_host,
    "ORM, asked by a library": by_a_library,
    "raw SQL that differs each time": with_many_shapes,
}


def seconds(case: Callable[[], None], *, watched: bool) -> float:
    """Return the CPU time of one request that makes the queries of `case`."""
    from core.monitoring import findings

    token = findings._watch.set(findings.Watch(lambda: "view", lambda: None, slow=60.0) if watched else None)
    begun = time.process_time()
    case()
    took = time.process_time() - begun
    findings._watch.reset(token)
    return took


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Return the microseconds of a query by case: without findings, with them, and with them outside of a request."""
    from django.db import connection

    from core.monitoring import findings

    best: dict[str, dict[str, float]] = {name: {} for name in CASES}
    for number in range(rounds):
        print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
        for name, case in CASES.items():
            for way in ("off", "on", "on, no request"):
                connection.execute_wrappers[:] = [] if way == "off" else [findings._execute]
                took = seconds(case, watched=way == "on") / QUERIES * 1e6
                best[name][way] = min(took, best[name].get(way, took))
    print(file=sys.stderr)
    return best


def table(costs: dict[str, dict[str, float]]) -> str:
    """Return the results as a table in Markdown."""
    lines = ["| query | off | on | on, outside of a request |", "| --- | ---: | ---: | ---: |"]
    for name, cost in costs.items():
        ways = (1.0, cost["on"] / cost["off"], cost["on, no request"] / cost["off"])
        lines.append(f"| {name} | {' | '.join(f'{way:.2f}' for way in ways)} |")
    took = ", ".join(f"{cost['off']:.0f}" for cost in costs.values())
    python = ".".join(map(str, sys.version_info[:2]))
    return "\n".join([*lines, "", f"Off, a query took {took} µs of CPU time, with Python {python}."])


def main() -> None:
    """Print the table that docs/PERFORMANCE.md shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print the microseconds as JSON")
    parser.add_argument("--write", action="store_true", help="write the table to docs/PERFORMANCE.md, too")
    options = parser.parse_args()
    sys.path.insert(0, str(REPO))
    prepare()
    costs = measure(options.rounds)
    if options.json:
        print(json.dumps(costs, indent=1))
        return
    results = table(costs)
    print(results)
    if options.write:
        write("findings", results)


if __name__ == "__main__":
    main()
