"""What the commands share: text that a terminal can't obey, colours where they are wanted, readers that may leave."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand


def printable(text: str, keep: str = "") -> str:
    """Return `text` with control characters, but for those in `keep`, as escapes: a terminal would obey them."""
    return "".join(char if char.isprintable() or char in keep else ascii(char)[1:-1] for char in text)


class MonitoringCommand(BaseCommand):
    """A command that a server with a broken database can still be asked, and whose reader may stop reading."""

    requires_system_checks: list[str] = []

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command. What the output's encoding has no character for is printed as its escape."""
        out = options.get("stdout") or self.stdout
        if hasattr(out, "reconfigure"):
            out.reconfigure(errors="backslashreplace")
        # https://no-color.org; Django itself looks at sys.stdout and --no-color only.
        is_plain = os.environ.get("NO_COLOR") or not out.isatty()
        options["no_color"] = options["no_color"] or (bool(is_plain) and not options["force_color"])
        try:
            return super().execute(*args, **options)
        except BrokenPipeError:  # `| head` has seen enough
            return None
        finally:
            try:
                self.stdout.flush()
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stdout.fileno())
