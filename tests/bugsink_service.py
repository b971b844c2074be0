"""Bugsink for tests: there, or a clear word on why not."""

import os

import bugsink
import pytest


def require_bugsink() -> None:
    """Skip the test where Bugsink is not installed; fail it there in CI."""
    if not bugsink.is_installed():
        reason = "Bugsink is not installed: run scripts/test, or scripts/demo once"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
