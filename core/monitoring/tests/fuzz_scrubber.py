"""Coverage-guided fuzzing of the scrubber with atheris (pip install atheris).

    python -m core.monitoring.tests.fuzz_scrubber [corpus-folder] [-max_total_time=60]

Each input is read as a text and, if it is JSON, as a payload. A crash is a failure of the scrubber, a text that a
second look changes, or a payload that can't be sent.
"""

from __future__ import annotations

import json
import sys

import atheris

# `-m` has imported the package, and only what is imported now is instrumented.
for _name in [name for name in sys.modules if name.startswith("core.monitoring.")]:
    del sys.modules[_name]
with atheris.instrument_imports(include=["core.monitoring"]):
    from core.monitoring.scrubber import Scrubber

SCRUBBER = Scrubber(private_paths=["/srv/files"])


def check(data: bytes) -> None:
    """Scrub one input; raises AssertionError if a property does not hold."""
    text = data.decode("utf-8", "surrogateescape")
    once = SCRUBBER.text(text)
    assert SCRUBBER.text(once) == once
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        payload = {"extra": {"text": text, text: data}, "message": text}
    after = SCRUBBER.scrub(payload if isinstance(payload, dict) else {"extra": {"body": payload}})
    json.dumps(after, allow_nan=False)
    assert SCRUBBER.failures == 0


if __name__ == "__main__":
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
