"""Delete what has expired. Meant for a daily timer."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts import registration


class Command(BaseCommand):
    help = (
        "Deletes accounts that registered and did not confirm their e-mail address in time, and their links. "
        "Their user names are free again. Run it daily; running it twice is harmless. "
        "Exit code 0 unless the database fails."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--json",
            action="store_true",
            dest="as_json",
            help="print an object: accounts, tokens (numbers deleted)",
        )

    def handle(self, *, as_json: bool, **options: Any) -> None:
        deleted = registration.forget_expired()
        if as_json:
            self.stdout.write(json.dumps(deleted))
        else:
            self.stdout.write(
                f"Deleted: {deleted['accounts']} unconfirmed accounts, {deleted['tokens']} further expired links."
            )
