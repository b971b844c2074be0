"""How fast an audit of stored files is and what it needs, beside `sha256sum -c` on the same files in the same run.

    python benchmarks/audit.py [--files 1000000] [--json | --write]

Makes real files and their rows in a scratch folder (SQLite, unless DATABASE_URL names an empty database): one
organization with many small files, one with a few large ones. Each is audited by `manage.py audit_storage`, between two
runs of `sha256sum`, of which the faster counts. A million files take about 5 GB and a million inodes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from document import write

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SMALL, LARGE = 1024, 32 * 1024**2  # bytes
LARGE_FILES = 64
IN_A_DIRECTORY = 1000


class Cost(NamedTuple):
    """Seconds on the clock, and of the processor's time."""

    seconds: float
    cpu: float


def generate(organization: str, count: int, size: int, media: Path, sums: Path) -> int:
    """Store `count` files of `size` bytes for a new user, and list them for sha256sum. Returns the organization."""
    from django.db import connection, transaction

    from accounts.models import User
    from core.files import key_of
    from core.models import Quota

    user = User.objects.create_user(organization, f"{organization}@example.org", "x")
    home = media / key_of(user)
    block = os.urandom(size)[8:]

    def rows() -> Iterator[tuple[Any, ...]]:
        for number in range(count):
            path = f"{number // IN_A_DIRECTORY:04}/{number:07}"
            if number % IN_A_DIRECTORY == 0:
                (home / path).parent.mkdir(parents=True, mode=0o700)
            content = number.to_bytes(8, "big") + block
            file = os.open(f"{home}/{path}", os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(file, content)
            nanoseconds = os.fstat(file).st_mtime_ns
            os.close(file)
            checksum = hashlib.sha256(content).hexdigest()
            listing.write(f"{checksum}  {home}/{path}\n")
            written = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=nanoseconds // 1000)
            stored = connection.ops.adapt_datetimefield_value(written)
            yield uuid.uuid4().hex, user.pk, path, size, checksum, stored, stored

    # A million model instances would take most of the time.
    insert = (
        "INSERT INTO core_storedfile (id, owner_id, path, size, checksum, content_type, created_at, modified_at) "
        "VALUES (%s, %s, %s, %s, %s, 'application/octet-stream', %s, %s)"
    )
    old = os.umask(0o077)
    made, generated = 0, rows()
    with sums.open("w") as listing, transaction.atomic(), connection.cursor() as cursor:
        while batch := list(islice(generated, 10_000)):
            cursor.executemany(insert, batch)
            made += len(batch)
            print(f"\r\033[K{made:,} of {count:,} files made", end="", file=sys.stderr, flush=True)
    os.umask(old)
    print(file=sys.stderr)
    Quota.objects.create(organization_id=user.organization_id, used_bytes=count * size)
    return user.organization_id


def run(command: list[str], env: dict[str, str] | None = None) -> tuple[Cost, str]:
    """Run a command to its end, which must be good; return its cost and what it printed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ended = subprocess.run(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds, cpu), ended.stdout


def measure(organization_id: int, sums: Path) -> dict[str, Any]:
    """Audit an organization between two runs of sha256sum."""
    peer = ["sha256sum", "--check", "--quiet", str(sums)]
    command = [sys.executable, "manage.py", "audit_storage", "--json", "--organization", str(organization_id)]
    first, _ = run(peer)
    cost, printed = run(command, dict(os.environ))
    second, _ = run(peer)
    answer = json.loads(printed)
    assert answer["seen"] == 0, "nobody has tampered with these files"
    return {"audit": cost._asdict(), "sha256sum": min(first, second)._asdict(), "figures": answer["figures"]}


def table(results: dict[str, dict[str, Any]], threads: int) -> str:
    """Return the results in Markdown."""
    lines = [
        "| | files/s | MB/s | clock | processor | peak memory | `sha256sum -c`: clock | processor | times its clock |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, result in results.items():
        figures, ours, peer = result["figures"], Cost(**result["audit"]), Cost(**result["sha256sum"])
        lines.append(
            f"| {name} | {figures['files'] / ours.seconds:,.0f} | {figures['total_bytes'] / ours.seconds / 1e6:,.0f} "
            f"| {ours.seconds:,.1f} s | {ours.cpu:,.1f} s | {figures['peak_memory_bytes'] / 2**20:.0f} MiB "
            f"| {peer.seconds:,.1f} s | {peer.cpu:,.1f} s | {ours.seconds / peer.seconds:.2f} |"
        )
    python = ".".join(map(str, sys.version_info[:2]))
    engine = "PostgreSQL" if os.environ["DATABASE_URL"].startswith("postgres") else "SQLite"
    return "\n".join([*lines, "", f"Python {python}, {engine}, {threads} threads, files in the page cache."])


def main() -> None:
    """Print the table that docs/PERFORMANCE.md shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--files", type=int, default=1_000_000, help="how many small files (default: a million)")
    parser.add_argument("--folder", type=Path, help="where to put the scratch folder")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON")
    parser.add_argument("--write", action="store_true", help="write the table to docs/PERFORMANCE.md, too")
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="storm-cloud-audit-", dir=options.folder))
    try:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "_core.settings.dev",
            "DATABASE_URL": os.environ.get("DATABASE_URL") or f"sqlite:///{scratch / 'db.sqlite3'}",
            "STORMCLOUD_STORAGE_ROOT": str(scratch / "media"),
            "STORMCLOUD_LOG_DIR": str(scratch),
            "STORMCLOUD_AUDIT_MB_PER_SECOND": "0",
            "SENTRY_DSN": "",
            "CELERY_BROKER_URL": "",
            "REDIS_URL": "",
        }
        results = everything(scratch, options.files)
    finally:
        shutil.rmtree(scratch)
    if options.json:
        print(json.dumps(results, indent=1))
        return
    from django.conf import settings

    text = table(results, settings.STORMCLOUD_AUDIT_THREADS)
    print(text)
    if options.write:
        write("audit", text)


def everything(scratch: Path, files: int) -> dict[str, dict[str, Any]]:
    """Make the files, and measure both organizations."""
    import django

    free = os.statvfs(scratch)
    if free.f_favail < files + 10_000 or free.f_bavail * free.f_frsize < files * 6000 + LARGE_FILES * LARGE:
        raise SystemExit(f"Not enough room or inodes in {scratch.parent}. Take another --folder, or fewer --files.")
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    kinds = {
        f"{LARGE_FILES} files of {LARGE // 2**20} MiB": (LARGE_FILES, LARGE),
        f"{files:,} files of {SMALL // 1024} KiB": (files, SMALL),
    }
    results = {}
    for number, (name, (count, size)) in enumerate(kinds.items()):
        sums = scratch / f"sums-{number}"
        organization_id = generate(f"organization{number}", count, size, scratch / "media", sums)
        results[name] = measure(organization_id, sums)
    return results


if __name__ == "__main__":
    main()
