"""Any storage, seen by the monitoring: a span and a breadcrumb for each operation, with bytes and time but no names."""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from core.monitoring import add_breadcrumb, start_span
from core.storage.base import Entry, Reader, Staged, StorageBackend


@dataclass
class _Operation:
    """`size`: how many bytes it moved, if any."""

    size: int | None = None

    def count(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass `chunks` on."""
        self.size = 0
        for chunk in chunks:
            self.size += len(chunk)
            yield chunk


@contextmanager
def _operation(name: str) -> Iterator[_Operation]:
    operation, started, error = _Operation(), time.perf_counter(), ""
    with ExitStack() as span_ends:
        span = span_ends.enter_context(start_span(f"storage.{name}", name))
        try:
            yield operation
        except BaseException as caught:
            error = type(caught).__name__
            if not isinstance(caught, OSError):
                span_ends.close()  # before it passes: refusals and clients that left are no failure of the storage
            raise
        finally:
            data = {"bytes": operation.size} if operation.size is not None else {}
            for field, value in data.items():
                span.set_data(field, value)
            if error:
                data["error"] = error
            add_breadcrumb(name, "storage", duration_ms=round((time.perf_counter() - started) * 1000, 3), **data)


class _ObservedReader(Reader):
    """A download lasts from opening to closing, long after the view has returned."""

    def __init__(self, reader: Reader, operation: _Operation, ends: ExitStack) -> None:
        self.entry = reader.entry
        self._reader, self._operation, self._ends = reader, operation, ends
        self._operation.size = 0

    def select(self, offset: int, length: int) -> None:
        self._reader.select(offset, length)

    def __next__(self) -> bytes:
        chunk = next(self._reader)
        self._operation.size += len(chunk)
        return chunk

    def close(self) -> None:
        self._reader.close()
        self._ends.close()


class _ObservedStaged(Staged):
    def __init__(self, staged: Staged) -> None:
        self._staged = staged

    @_operation("commit")
    def commit(self) -> Entry:
        return self._staged.commit()


# Not here: probes, and searches through everything. They are many, and no request's.
OBSERVED = {"stat", "list", "make_directory", "remove_directory", "move", "delete", "delete_tree"}


class ObservedStorage:
    """Does what `backend` does, a `StorageBackend`."""

    def __init__(self, backend: StorageBackend) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._backend, name)
        return _operation(name)(attribute) if name in OBSERVED else attribute

    @contextmanager
    def stage(self, key: str, chunks: Iterable[bytes]) -> Iterator[Staged]:
        with ExitStack() as staging:
            with _operation("put") as put:
                staged = staging.enter_context(self._backend.stage(key, put.count(chunks)))
            yield _ObservedStaged(staged)

    def read(self, key: str) -> Reader:
        with ExitStack() as ends:
            operation = ends.enter_context(_operation("get"))
            return _ObservedReader(self._backend.read(key), operation, ends.pop_all())
