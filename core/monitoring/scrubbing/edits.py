"""What is to change in a payload: found first, then made in a copy that shares with the original all that stays."""

from __future__ import annotations

from typing import Any, Final

from core.monitoring.scrubbing.text import Remark

# Where a container stands: the path of its own container and its key there.
Path = tuple[Any, Any] | None

_KEPT: Final = object()
_GONE: Final = object()


class Change:
    """What becomes of one value: `value` stands in its place, or `below` it something changes.

    `remark` has the format of Sentry's `_meta`; None stands for a change that hides nothing. `names` are the keys of
    a mapping that change, each with what it becomes. Where `value` was found for an equal one in an earlier payload,
    `remarks` are those of all that changed below it.
    """

    __slots__ = ("below", "names", "remark", "remarks", "value")

    def __init__(
        self, value: Any = _KEPT, remark: dict[str, Any] | None = None, remarks: dict[str, Any] | None = None
    ) -> None:
        """Take the new value and the reason for it."""
        self.value = value
        self.remark = remark
        self.remarks = remarks
        self.names: dict[Any, str] = {}
        self.below: dict[Any, Change] = {}


class Edits:
    """The changes to one payload, as a tree with its shape."""

    def __init__(self) -> None:
        """Change nothing yet."""
        self._root = Change()
        # By the id of the path, which has to stay alive for that.
        self._changes: dict[int, tuple[Path, Change]] = {}

    def hide(self, path: Path, key: Any, rule: str, marker: str) -> None:
        """Put a marker in the place of a whole value."""
        self._at(path).below[key] = Change(marker, {"rem": [[rule, "s"]]})

    def hide_parts(self, path: Path, key: Any, text: str, remarks: list[Remark], length: int) -> None:
        """Put a text in the place of one of `length` characters of which parts were replaced."""
        rem = [[rule, "s"] if start < 0 else [rule, "s", start, end] for rule, start, end in remarks]
        self._at(path).below[key] = Change(text, {"rem": rem, "len": length})

    def convert(self, path: Path, key: Any, value: Any) -> None:
        """Put a value that can be sent in the place of one that can't."""
        self._at(path).below[key] = Change(value)

    def rename(self, path: Path, key: Any, name: str) -> None:
        """Move the value at `key` to `name`, where further changes to it are then made."""
        self._at(path).names[key] = name

    def drop(self, path: Path, key: Any) -> None:
        """Drop the value at `key`."""
        self._at(path).below[key] = Change(_GONE)

    def graft(self, path: Path, changes: dict[Any, Change]) -> None:
        """Make below `path` the changes that were found for equal values. They must not grow any more."""
        self._at(path).below.update(changes)

    def found(self, path: Path) -> Change | None:
        """Return what was found below `path`, which must be the very path that was given with it."""
        known = self._changes.get(id(path))
        return known[1] if known else None

    def apply(self, root: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a copy of `root` with the changes made, and the remarks on them."""
        return _changed(root, self._root), remarks_of(self._root)

    def _at(self, path: Path) -> Change:
        """Return the change to the container at `path`."""
        if path is None:
            return self._root
        known = self._changes.get(id(path))
        if known is None:
            below = self._at(path[0]).below
            change = below.get(path[1])
            if change is None:
                change = below[path[1]] = Change()
            self._changes[id(path)] = path, change
            return change
        return known[1]


def _changed(container: Any, change: Change) -> Any:
    copy = container.copy()
    if change.names:
        for key, name in change.names.items():
            copy[name] = copy.pop(key)
    for key, each in change.below.items():
        if each.value is _KEPT:
            copy[key] = _changed(copy[key], each)
        elif each.value is _GONE:
            del copy[key]
        elif each.below or each.names:
            copy[key] = _changed(each.value, each)
        else:
            copy[key] = each.value
    return copy


def remarks_of(change: Change) -> dict[str, Any]:
    """Return the remarks on all that changes below a value, in the format of Sentry's `_meta`."""
    remarks: dict[str, Any] = {}
    for key, each in change.below.items():
        name = key if type(key) is str else str(key)
        if each.remark is not None:
            remarks[name] = {"": each.remark}
        elif below := remarks_of(each) if each.remarks is None else each.remarks:
            remarks[name] = below
    return remarks
