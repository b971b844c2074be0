"""Revoke an API key, for example one that was found where it should not be."""

import json
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from accounts import api_keys
from accounts.models import ApiKey


class Command(BaseCommand):
    help = (
        "Makes an API key useless, at once and for good. "
        "Exit code 0: it is revoked now (or was before); 1: no key or several keys fit."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", help="its id, its first 8 characters, or the whole key")
        parser.add_argument(
            "--json",
            action="store_true",
            dest="as_json",
            help="print an object: id, prefix, username, revoked_at, changed",
        )

    def handle(self, *, key: str, as_json: bool, **options: Any) -> None:
        fitting = list(self._find(key)[:2])
        if not fitting:
            raise CommandError("No API key fits. /api/v1/admin/keys/ lists all of them with their ids.")
        if len(fitting) > 1:
            raise CommandError(
                "Several API keys begin like this. Give the id of the one: /api/v1/admin/keys/ lists them."
            )
        found = fitting[0]
        changed = api_keys.revoke(found)
        if as_json:
            answer = {
                "id": str(found.pk),
                "prefix": found.prefix,
                "username": found.user.get_username(),
                "revoked_at": found.revoked_at.isoformat(),
                "changed": changed,
            }
            self.stdout.write(json.dumps(answer))
        else:
            self.stdout.write(f"The API key {found.prefix}... {'is revoked.' if changed else 'was revoked before.'}")

    def _find(self, key: str) -> QuerySet[ApiKey]:
        keys = ApiKey.objects.select_related("user")
        try:
            return keys.filter(pk=UUID(key))
        except ValueError:
            pass
        whole = api_keys.find(key)
        return keys.filter(pk=whole.pk) if whole else keys.filter(prefix=key.replace("\0", ""))
