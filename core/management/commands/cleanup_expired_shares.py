"""`manage.py cleanup_expired_shares`: delete links that expired long ago. Meant for a daily timer."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from core import shares


class Command(BaseCommand):
    help = (
        f"Deletes share links that expired {shares.KEEP_EXPIRED.days} or more days ago; the files stay. Run it daily, "
        "unless `celery beat` runs; running it twice is harmless. Exit code 0 unless the database fails."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print an object: shares (number deleted)")

    def handle(self, *args: Any, **options: Any) -> None:
        deleted = shares.forget_expired()
        self.stdout.write(json.dumps({"shares": deleted}) if options["json"] else f"Deleted: {deleted} expired links.")
