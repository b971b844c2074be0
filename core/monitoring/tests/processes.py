"""A process of its own that reports messages, for tests of what several processes do to one folder."""

import os
import subprocess
import sys
from pathlib import Path

from core.monitoring.testing import Receiver

PROGRAM = """
import os, sys
from pathlib import Path
from django.conf import settings
settings.configure(INSTALLED_APPS=["core.monitoring"], LOGGING_CONFIG=None)
import django
django.setup()
import sentry_sdk
from core.monitoring import init_sentry, ledger
folder, count, name = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
ledger.MAX_BYTES = int(os.environ.get("TEST_MAX_BYTES", ledger.MAX_BYTES))
assert init_sentry(log_dir=folder)

def report(name):
    for number in range(count):
        sentry_sdk.capture_message(f"{name} {number} for jane.doe@example.com")
    sentry_sdk.flush(20)

report(name)
if "fork" in sys.argv:
    child = os.fork()
    if not child:
        report("child")
        os._exit(0)
    os.waitpid(child, 0)
print("sent", flush=True)
sys.stdin.read()
"""


def reporting(
    folder: Path, receiver: Receiver, count: int, name: str, *more: str, **environment: str
) -> subprocess.Popen[str]:
    """Start a process that sends `count` messages, prints "sent", and waits until its standard input is closed."""
    env = {
        **{variable: value for variable, value in os.environ.items() if not variable.startswith("SENTRY_")},
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
        "SENTRY_DSN": receiver.dsn,
        "SENTRY_MAX_EVENTS_PER_MINUTE": "0",
        **environment,
    }
    command = [sys.executable, "-c", PROGRAM, str(folder), str(count), name, *more]
    return subprocess.Popen(
        command, env=env, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished(process: subprocess.Popen[str]) -> None:
    """Let `process` end, and see that it did so well."""
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.strip()) == (0, "sent"), err
