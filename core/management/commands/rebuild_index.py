"""`manage.py rebuild_index`: make the database agree with the files on the disk."""

import json
import time
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.index import EmptyStorage, Rebuilt, rebuild
from core.locks import AlreadyRunning


class Command(BaseCommand):
    help = (
        "Index files that were added, changed or deleted on the disk, remove what interrupted uploads left behind, "
        "and count each organization's quota anew. Files are never changed. Works while the server does."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
        parser.add_argument(
            "--allow-empty",
            action="store_true",
            help="forget all files and shares if the storage is empty (otherwise an error: is the disk mounted?)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = rebuild(options["allow_empty"], self._progress())
        except EmptyStorage as error:
            raise CommandError(f"{error} (--allow-empty)") from None
        except AlreadyRunning:
            raise CommandError(
                "Another rebuild or an audit is running. Wait until it is done, then look whether you need a rebuild."
            ) from None
        if self.stderr.isatty():
            self.stderr.write("\r\033[K", ending="")
        if options["json"]:
            self.stdout.write(json.dumps(asdict(done)))
            return
        self.stdout.write(
            f"{done.seen:,} files: {done.added:,} added, {done.updated:,} updated, {done.removed:,} removed; "
            f"{done.leftovers:,} leftovers of interrupted writes and deletions removed."
        )
        if done.held:
            self.stdout.write(
                f"{done.held:,} files are as an audit found them: acknowledge their violations, and the next rebuild "
                "takes them as they are."
            )
        if done.without_owner:
            self.stdout.write(
                f"{done.without_owner:,} files belong to no user: their directory is not <organization id>/<user id>."
            )
        if done.unusable_names:
            self.stdout.write(f"{done.unusable_names:,} files have a name that cannot be addressed. Rename them.")

    def _progress(self) -> Any:
        shown = 0.0

        def show(done: Rebuilt) -> None:
            nonlocal shown
            if self.stderr.isatty() and time.monotonic() - shown > 0.2:
                shown = time.monotonic()
                self.stderr.write(f"\r\033[K{done.seen:,} files, {done.hashed_bytes / 1e6:,.0f} MB hashed", ending="")
                self.stderr.flush()

        return show
