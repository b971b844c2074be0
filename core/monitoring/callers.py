"""Which line of the host asks: the frames of its own code, from wherever a library is."""

from __future__ import annotations

import asyncio
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

# Frames that are looked at, at most.
MAX_DEPTH = 150

HOST, LIBRARY, END = "host", "library", "end"
PYTHON = (sysconfig.get_path("stdlib"), "<frozen ")
THIS = Path(__file__).parent


def host_frames(task: asyncio.Task[Any] | None) -> Iterator[FrameType]:
    """Return the frames of the host's own code that led here, innermost first, no further out than the view.

    A query of an async view runs in a thread; its stack is then that of `task`, which waits for it.
    """
    frame: FrameType | None = sys._getframe(1)
    found = False
    for _ in range(MAX_DEPTH):
        if frame is None:
            break
        role = _role(frame.f_code.co_filename)
        if role == END:
            return
        if role == HOST:
            found = True
            yield frame
        frame = frame.f_back
    if found or task is None:
        return
    waiting: list[FrameType] = []
    awaited: Any = task.get_coro()
    while (inner := getattr(awaited, "cr_frame", None)) is not None and len(waiting) < MAX_DEPTH:
        waiting.append(inner)
        awaited = awaited.cr_await
    for inner in reversed(waiting):
        role = _role(inner.f_code.co_filename)
        if role == END:
            return
        if role == HOST:
            yield inner


@lru_cache(maxsize=4096)
def _role(filename: str) -> str:
    """Tell the host's own files from libraries, and from the handler that calls the view: beyond it is middleware."""
    file = Path(filename)
    if file.parts[-4:-1] == ("django", "core", "handlers"):
        return END
    installed = "site-packages" in file.parts or "dist-packages" in file.parts
    return LIBRARY if installed or filename.startswith(PYTHON) or file.parent == THIS else HOST


def serialized(frames: Iterator[FrameType]) -> list[dict[str, Any]]:
    """Return frames as an event holds them, innermost last, without local variables."""
    from sentry_sdk.utils import serialize_frame

    return [serialize_frame(frame, include_local_variables=False) | {"in_app": True} for frame in frames][::-1]


def definition(function: Callable[..., Any]) -> list[dict[str, Any]]:
    """Return one frame that says where a view or task is defined, for queries that a library asks on its behalf."""
    function = inspect.unwrap(function)
    _, line = inspect.getsourcelines(function)
    return [
        {
            "abs_path": inspect.getsourcefile(function),
            "filename": "/".join(function.__module__.split(".")) + ".py",
            "module": function.__module__,
            "function": function.__qualname__,
            "lineno": line,
            "in_app": True,
        }
    ]
