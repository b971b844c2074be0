"""How far an audit came, and what it cost."""

import re
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self


@dataclass
class Figures:
    """Numbers of files, bytes and seconds. A run that is taken up goes on counting."""

    total_files: int = 0
    total_bytes: int = 0  # according to the database
    files: int = 0  # compared, of total_files
    stored: int = 0  # found in the storage
    busy: int = 0  # changed each time they were looked at, and left to the next audit
    hashed_bytes: int = 0
    seconds: float = 0.0
    throttled_seconds: float = 0.0  # waited for the rate limit, summed over the threads
    retries: int = 0
    retry_seconds: float = 0.0  # waited for a storage that failed, summed over the threads
    peak_memory_bytes: int = 0  # of the whole process
    resolved: int = 0

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Self:
        """Those that a run saved; another version of the server may have had others."""
        return cls(**{field.name: saved[field.name] for field in fields(cls) if field.name in saved})

    @property
    def files_per_second(self) -> float:
        """The rate so far."""
        return self.files / self.seconds if self.seconds else 0.0

    @property
    def share_done(self) -> float:
        """0 to 1. Opening a file costs about as much as reading 64 KiB of one."""
        total = self.total_bytes + 65536 * self.total_files
        return min((self.hashed_bytes + 65536 * self.files) / total, 1.0) if total else 1.0

    def measure_memory(self) -> None:
        """Note how much memory the process had at most until now."""
        self.peak_memory_bytes = _peak_memory()


def _peak_memory() -> int:
    try:
        # Unlike getrusage(2), not that of the process which started this one.
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        found = None
    if found:
        return int(found[1]) * 1024
    # macOS counts bytes, the others kibibytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
