"""The remarks that the SDK itself has left in `_meta`, in the format that Relay writes."""

from __future__ import annotations

import marshal
import re
from collections.abc import Callable
from typing import Any

from core.monitoring.scrubbing.judge import Judge

_RULE = re.compile(r"[@!#]?[a-z][a-z_.:-]{0,39}")


def clean_meta(meta: Any, judge: Judge, depth: int, most: int) -> dict[str, Any]:
    """Keep of the SDK's remarks what Sentry defines: lengths and rules, but no originals (`val`).

    Goes down `depth` levels with `most` fields each. The result may be `meta` itself.
    """
    if not meta:
        return {}
    try:
        written = marshal.dumps(("_meta", meta))
    except ValueError:  # no remarks of an SDK
        return _clean(meta, judge.name, depth, most)
    # In most events they are the same: `Cookie` was filtered.
    if hash(written) in judge.parts.clean:
        known: dict[str, Any] = meta
        return known
    cleaned = _clean(meta, judge.name, depth, most)
    if cleaned == meta:
        judge.parts.remember_clean(hash(written))
    return cleaned


def merged(known: Any, remarks: dict[str, Any]) -> dict[str, Any]:
    """Return the remarks `known` with further `remarks`, as a copy. Lengths that are known are the original ones."""
    if not known or not isinstance(known, dict):
        return remarks
    both = {**known}
    for name, note in remarks.items():
        before = known.get(name)
        if "" in note and isinstance(before, dict):
            # What was known below a replaced value would tell the names of its keys.
            own = before.get("", {})
            both[name] = {"": {**note[""], **own, "rem": [*own.get("rem", ()), *note[""]["rem"]]}}
        else:
            both[name] = merged(before, note)
    return both


def _clean(meta: Any, scrub_name: Callable[[str], tuple[str, Any]], depth: int, most: int) -> dict[str, Any]:
    if not isinstance(meta, dict) or not depth:
        return {}
    out: dict[str, Any] = {}
    for name, item in list(meta.items())[:most]:
        if name == "" and isinstance(item, dict):
            kept: dict[str, Any] = {"len": item["len"]} if type(item.get("len")) is int else {}
            if isinstance(remarks := item.get("rem"), list):
                kept["rem"] = [
                    remark
                    for remark in remarks
                    if isinstance(remark, list) and all(type(p) is int or _RULE.fullmatch(str(p)) for p in remark)
                ]
            out[name] = kept
        else:
            out[scrub_name(str(name))[0]] = _clean(item, scrub_name, depth - 1, most)
    return out
