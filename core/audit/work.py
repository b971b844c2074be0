"""What the phases of an audit share."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain, islice
from typing import Any, TypeVar

from django.db import transaction
from django.utils import timezone

from core.audit.compare import Finding
from core.audit.figures import Figures
from core.audit.history import History
from core.audit.pace import Pace
from core.models import AuditRun, Quota
from core.storage.base import StorageBackend

T = TypeVar("T")

# Files, and bytes, between two checkpoints. So many files are in memory at once.
BATCH, BATCH_BYTES = 2000, 10 * 10**9
# Spans that a phase is cut into at most; the SDK keeps 1,000 of a transaction.
_SPANS = 100


class OutOfTime(Exception):
    """The run ends before its end, and the next one goes on."""


@contextmanager
def unchanging(organization_id: int) -> Iterator[Quota | None]:
    """Hold the lock under which the server changes files of the organization, so that nobody does.

    Yields the locked row; None if there is none, because the organization is gone or never stored anything.
    """
    with transaction.atomic():
        yield Quota.objects.select_for_update().filter(organization_id=organization_id).first()


class Work:
    """A run at work. It goes on counting where the run's last checkpoint was."""

    def __init__(
        self,
        run: AuditRun,
        storage: StorageBackend,
        bytes_per_second: float,
        tick: Callable[[Figures], None],
        time_limit: float | None = None,
    ) -> None:
        self.run, self.storage = run, storage
        self.figures = Figures.of(run.figures)
        self.pace = Pace(bytes_per_second, self.figures)
        self.history = History(run)
        self._tick = tick
        self._began = time.monotonic() - self.figures.seconds
        self._deadline = math.inf if time_limit is None else time.monotonic() + time_limit

    def tick(self) -> None:
        """Show how far it came. Called every now and then."""
        self.figures.seconds = time.monotonic() - self._began
        self._tick(self.figures)

    def keep(self, findings: Sequence[Finding] = (), **checkpoint: Any) -> None:
        """Remember what was found and, in the same transaction, how far the run came."""
        self.tick()
        self.figures.measure_memory()
        checkpoint |= {"checkpoint_at": timezone.now(), "figures": asdict(self.figures)}
        with transaction.atomic():
            self.history.record(findings)
            for name, value in checkpoint.items():
                setattr(self.run, name, value)
            self.run.save(update_fields=list(checkpoint))

    def require_time(self) -> None:
        """Raise `OutOfTime` if the run must end here, at its last checkpoint."""
        if time.monotonic() >= self._deadline:
            raise OutOfTime


def slices(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut `items` into lists of `size`, the last one perhaps shorter."""
    items = iter(items)
    while part := list(islice(items, size)):
        yield part


def stretches(batches: Iterable[T], expected: float) -> Iterator[Iterator[T]]:
    """Put `batches`, of which about `expected` will come, together to a hundred stretches at most, a span for each."""
    batches = iter(batches)
    for first in batches:
        yield chain([first], islice(batches, int(expected) // _SPANS))
