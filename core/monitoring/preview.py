"""What would leave of a payload, field by field: before, after, and the rule that made the difference.

Takes and returns data, sends nothing. `manage.py sentry_preview` shows it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from core.monitoring import rules
from core.monitoring.hiding import RULE as REQUEST
from core.monitoring.hiding import hide_values
from core.monitoring.private_values import named_values
from core.monitoring.scrubber import Scrubber, skeleton
from core.monitoring.scrubbing.names import Verdict
from core.monitoring.sdk import outgoing

# What redacts, by its id in `_meta`. What is not here is a pattern of the host.
ABOUT: Mapping[str, str] = {
    **{rule.id: rule.about for rule in rules.VALUE_RULES},
    REQUEST: "known to be private here: named by the request's path, a credential, or under a sensitive name elsewhere",
    "route": "the request's address becomes its route, and of the linking page only the origin stays",
    "content": "the body of a PUT, which is a user's file",
    "gone": "does not leave at all",
    "path": "what follows a private folder",
    "!limit": "more than one event may carry",
    "!raw": "a body that the SDK did not read",
    "!config": "what the SDK itself leaves out",
}
OWN_PATTERN = "a pattern of this server's settings"

_ABSENT = object()
_PLAIN_STEP = re.compile(r"[A-Za-z_]\w*", re.ASCII)
Path = tuple[str | int, ...]


class Redaction(NamedTuple):
    """A field that changed. `rule` is the rule's id; if there were several, all of them, as in "email, ipv4".

    `path` leads to the field in what leaves; " (name)" behind it says that it is the field's name that changed.
    `before` and `after` are JSON values; `after` is None where nothing leaves.
    """

    path: str
    rule: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Preview:
    """A payload as it is and as it would leave; `after` is None if it would not leave at all.

    `stay` counts the fields that leave unchanged. `failed` says that only the scrubber's skeleton would leave.
    """

    before: dict[str, Any]
    after: dict[str, Any] | None
    redactions: tuple[Redaction, ...]
    stay: int = 0
    failed: bool = False

    @property
    def by_rule(self) -> dict[str, int]:
        """How many fields each rule changed, by its id, the busiest first."""
        return dict(Counter(rule for found in self.redactions for rule in found.rule.split(", ")).most_common())


def preview(payload: dict[str, Any], scrubber: Scrubber, kind: str = "event") -> Preview:
    """Return what would leave of `payload`, a JSON object; `kind` is one that `Scrubber.scrub` takes."""
    copy = json.loads(json.dumps(payload))
    after = outgoing(copy, scrubber, kind) if kind in ("event", "transaction") else scrubber.scrub(copy, kind)
    return compare(payload, after, scrubber, kind)


def compare(
    before: dict[str, Any],
    after: dict[str, Any],
    scrubber: Scrubber,
    kind: str = "event",
    private: Mapping[str, str] | None = None,
) -> Preview:
    """Say what became of each field. `private` are the values that the event's request showed to be private."""
    try:
        # Once more, because the scrubber's remark on a field takes the place of this step's.
        known = hide_values(
            before, {**dict.fromkeys(named_values(before, scrubber), rules.FILTERED), **(private or {})}
        )
    except Exception:
        known = {}
    fields = _Fields(scrubber, before)
    old, new = _without_meta(before), _without_meta(after)
    fields.compare((), old, new, tuple(event.get("_meta") for event in (before, known, after)))
    failed = bool(fields.redactions) and new == _without_meta(scrubber.scrub(skeleton(before), kind))
    return Preview(before, after, tuple(fields.redactions), fields.stay, failed)


def withheld(description: dict[str, Any]) -> Preview:
    """Return the preview of a payload that would not leave at all; `description` stands for it."""
    return Preview(description, None, (Redaction("", "gone", description, None),))


def about(rule: str) -> str:
    """Say in words what the rule of this id redacts."""
    return ABOUT.get(rule, OWN_PATTERN)


class _Fields:
    """Goes through both versions of an event at once and keeps what differs."""

    def __init__(self, scrubber: Scrubber, event: Mapping[str, Any]) -> None:
        self.redactions: list[Redaction] = []
        self.stay = 0
        self._scrubber = scrubber
        request = event.get("request")
        self._is_put = isinstance(request, dict) and request.get("method") == "PUT"

    def compare(self, path: Path, before: Any, after: Any, metas: tuple[Any, ...]) -> None:
        """Compare a field; `metas` are the `_meta` remarks at and below it: the original's, then each step's."""
        if isinstance(before, dict) and isinstance(after, dict):
            for old_name, name in self._names(before, after):
                old, new = before.get(old_name, _ABSENT), after.get(name, _ABSENT)
                if name == rules.CUT and old_name is None:
                    old = {key: value for key, value in before.items() if key not in after}
                self.compare((*path, name), old, new, tuple(_below(meta, name) for meta in metas))
                if old_name is not None and old_name != name:
                    self._note((*path, name), old_name, name, (), suffix=" (name)")
        elif isinstance(before, list) and isinstance(after, list):
            together = len(before)
            if len(before) != len(after):  # cut, which the last item says
                together = max(min(together, len(after) - 1), 0)
                self._note((*path, together), before[together:], after[-1] if after else _ABSENT, ("!limit",))
            for index in range(together):
                below = tuple(_below(meta, str(index)) for meta in metas)
                self.compare((*path, index), before[index], after[index], below)
        elif before == after:
            self.stay += 1
        elif after is not _ABSENT or before:
            original, *steps = map(_rule_ids, metas)
            found = [rule for step in steps for rule in step if rule not in original]
            # A password is first found by its name, then known, and hidden as known in its own place too.
            self._note(path, before, after, ["name"] if self._is_named(path, after) else found)

    def _names(self, before: dict[str, Any], after: dict[str, Any]) -> Iterator[tuple[str | None, str]]:
        """Yield each field's name before and after. Names are scrubbed too; those that changed keep their order."""
        gone = [name for name in before if name not in after]
        new = dict.fromkeys(name for name in after if name not in before)
        if len(gone) == len(new):
            renamed = dict(zip(gone, new, strict=True))
        else:
            renamed = {name: shown for name in gone if (shown := self._scrubber.name(name)[0]) in new}
        for name in before:
            if name in after or name in renamed or rules.CUT not in new:
                yield name, renamed.get(name, name)
        for name in new.keys() - renamed.values():
            yield None, name

    def _note(self, path: Path, before: Any, after: Any, ids: Iterable[str], suffix: str = "") -> None:
        rule = ", ".join(dict.fromkeys(ids)) or ", ".join(dict.fromkeys(self._guess(path, before, after)))
        before, after = (None if value is _ABSENT else value for value in (before, after))
        self.redactions.append(Redaction(written(path) + suffix, rule, before, after))

    def _is_named(self, path: Path, after: Any) -> bool:
        last = path[-1] if path else 0
        is_marker = isinstance(after, str) and after.strip("'") in (rules.FILTERED, rules.CARD)
        return is_marker and isinstance(last, str) and self._scrubber.verdict(last) is Verdict.SENSITIVE

    def _guess(self, path: Path, before: Any, after: Any) -> Iterable[str]:
        """Return the rules behind a change on which no remark was left."""
        if after is _ABSENT:
            return ["content" if self._is_put and path == ("request", "data") else "gone"]
        if path == ("request", "url") or (path[:2] == ("request", "headers") and str(path[-1]).lower() == "referer"):
            return ["route"]
        if rules.CUT in (after, path[-1]):
            return ["!limit"]
        remarks = self._scrubber.rules.redact(before)[1] if isinstance(before, str) else []
        return [remark.rule for remark in remarks] or ["name"]


def written(path: Path) -> str:
    """Write a path as one reads it in code: `request.headers["X-Api-Key"]`."""
    steps = (f".{step}" if _PLAIN_STEP.fullmatch(str(step)) else f"[{json.dumps(step)}]" for step in path)
    return "".join(steps).removeprefix(".")


def _without_meta(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "_meta"}


def _below(meta: Any, name: str) -> Any:
    return meta.get(name) if isinstance(meta, dict) else None


def _rule_ids(meta: Any) -> list[str]:
    remarks = _below(_below(meta, ""), "rem")
    return [str(remark[0]) for remark in remarks if remark] if isinstance(remarks, list) else []
