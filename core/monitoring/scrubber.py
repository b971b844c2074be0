"""Scrub a payload of the SDK: what leaves is a copy without secrets and personal data.

Pure Python, no Django and no SDK. In scrubbing/, walk.py goes through the schema of payload.py and asks judge.py, where
names.py decides about whole values, text.py about every text, and what is known from earlier payloads is not judged
again. If anything fails, only a skeleton leaves.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from core.monitoring import rules
from core.monitoring.scrubbing.judge import Judge
from core.monitoring.scrubbing.payload import skeleton
from core.monitoring.scrubbing.walk import Walk

__all__ = ["Scrubber", "pattern_problems", "skeleton"]

logger = logging.getLogger("core.monitoring")


def pattern_problems(patterns: Mapping[str, str]) -> list[str]:
    """Return a sentence for each of a host's patterns that can't be used. `Scrubber` leaves those out."""
    return [problem for name, pattern in patterns.items() if (problem := _problem(name, pattern))]


def _problem(name: str, pattern: str) -> str | None:
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError, RecursionError, OverflowError) as error:
        return f"Pattern {name!r} is not a regular expression ({error}). Correct it."
    if compiled.search("") or (compiled.search(" ") and compiled.search("a")):
        return f"Pattern {name!r} matches any text. Make it more specific."
    if compiled.search(rules.FILTERED):
        return f"Pattern {name!r} matches {rules.FILTERED!r}, the marker itself. Make it more specific."
    if re.search(r"\([^()]*[+*|][^()]*\)[+*{]", pattern):
        return (
            f"Pattern {name!r} repeats a repetition or a choice, which takes forever on some texts. Write it without,"
            " such as [ab]+ for (a|b)+."
        )
    return None


class Scrubber(Judge):
    """Removes secrets and personal data from payloads; `failures` counts those of which only a skeleton left."""

    def __init__(
        self,
        *,
        sensitive_keys: Iterable[str] = (),
        private_paths: Iterable[str] = (),
        patterns: Mapping[str, str] | None = None,
        keep_fields: Iterable[str] = (),
        private_modules: Iterable[str] = (),
    ) -> None:
        """Take what a host adds to the rules.

        `sensitive_keys` are further names to redact, `keep_fields` names that stay (their values are still read by the
        value rules), both in any spelling. What follows one of `private_paths` is user content. `patterns` maps a name
        to a regular expression whose hits become `[Filtered]`; `pattern_problems` says which are left out. Of stack
        frames within `private_modules` no local variables leave, see `context.drop_variables`.
        """
        good = {name: re.compile(text) for name, text in (patterns or {}).items() if not _problem(name, text)}
        roots = tuple(root.rstrip("/\\") for root in private_paths if root.strip("/\\ "))
        super().__init__(sensitive_keys, keep_fields, roots, good)
        self.private_modules = tuple(private_modules)
        self.failures = 0

    def scrub(self, payload: dict[str, Any], kind: str = "event") -> dict[str, Any]:
        """Return what of `payload` may leave, as a new dict; never raises and never changes what came in.

        What stays as it is is shared with `payload`, what was known already with the memory: change neither in place.
        `kind` is one of event, transaction, span, log, metric, check_in, profile and session.
        """
        try:
            return Walk(self, kind).run(payload)
        except Exception as error:
            self.report(error)
            return skeleton(payload)

    def text(self, value: str) -> str:
        """Return one string scrubbed by the value rules. Never raises: what can't be scrubbed is `[Filtered]`."""
        try:
            text = str(value)
            judged = self.judge({hash(text): text})
            return judged[hash(text)].text if judged else text
        except Exception as error:
            self.report(error)
            return rules.FILTERED

    def report(self, error: Exception) -> None:
        """Count a failure of which only a skeleton leaves; the first is one line in the log."""
        self.failures += 1
        if self.failures == 1:
            logger.error("Scrubbing failed (%s): only a skeleton of such events leaves.", type(error).__name__)
