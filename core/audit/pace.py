"""How fast an audit reads, and how patient it is with the storage. Shared by its threads."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from core.audit.errors import StorageUnreachable
from core.audit.figures import Figures
from core.storage.base import StorageBackend

T = TypeVar("T")

# Seconds to wait before trying again what failed; a network storage is away for that long now and then.
RETRY_AFTER = (0.5, 2.0)
# Failures one after the other that make it the storage's fault and not the files'.
_TOO_MANY = 10
# Seconds whose worth of bytes may come at once, so that a storage which stays below the limit is never held back.
_BURST = 0.1


class Stopped(Exception):
    """The audit ends before its end."""


class Pace:
    """Lets `bytes_per_second` pass, 0 for as many as there are, and adds what it cost to `figures`."""

    def __init__(self, bytes_per_second: float, figures: Figures) -> None:
        self._rate = bytes_per_second
        self._figures = figures
        self._free_at = 0.0
        self._failures = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def take(self, count: int) -> None:
        """Count bytes that were read, and wait until so many may have been. Raises `Stopped` after `stop()`."""
        with self._lock:
            self._figures.hashed_bytes += count
            if self._rate:
                began = time.monotonic()
                self._free_at = max(self._free_at, began - _BURST) + count / self._rate
                delay = self._free_at - began
            else:
                delay = 0.0
        if delay > 0:
            self._stop.wait(delay)
            with self._lock:
                self._figures.throttled_seconds += time.monotonic() - began
        if self._stop.is_set():
            raise Stopped

    def stop(self) -> None:
        """Make every thread end at its next chunk."""
        self._stop.set()

    def with_patience(self, storage: StorageBackend, look: Callable[[], T]) -> T:
        """Return what `look` returns, trying it again when the storage fails.

        Raises what it raised last, or `StorageUnreachable` when one file after the other fails and nothing can be
        written either.
        """
        for delay in (*RETRY_AFTER, None):
            try:
                seen = look()
            except PermissionError:
                raise
            except OSError as error:
                self._failures += 1
                if self._failures >= _TOO_MANY:
                    if not storage.healthy():
                        raise StorageUnreachable("The storage fails for one file after the other.") from error
                    raise
                if delay is None:
                    raise
                with self._lock:
                    self._figures.retries += 1
                    self._figures.retry_seconds += delay
                if self._stop.wait(delay):
                    raise Stopped from None
            else:
                self._failures = 0
                return seen
        raise AssertionError("the last delay is None")
