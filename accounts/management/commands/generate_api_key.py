"""Make an API key for a user, for scripts and first set-up."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import api_keys
from accounts.models import ApiKey, User


class Command(BaseCommand):
    help = (
        "Makes an API key and prints it on stdout, once and never again; everything else goes to stderr. "
        "Exit code 0: made; 1: not, stderr says why."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="whose key it will be")
        parser.add_argument("--name", required=True, help="what it is for, for example 'nightly backup'")
        parser.add_argument(
            "--json",
            action="store_true",
            dest="as_json",
            help="print an object: id, name, prefix, key, username",
        )

    def handle(self, *, username: str, name: str, as_json: bool, **options: Any) -> None:
        user = User.objects.filter(username__iexact=username).first()
        if user is None:
            raise CommandError("There is no such user. `manage.py createsuperuser` makes one.")
        if not user.is_active or not user.email_verified_at:
            raise CommandError("This account is deactivated or its e-mail address not confirmed: a key would not help.")
        longest = ApiKey._meta.get_field("name").max_length
        if not name.strip() or len(name) > longest or "\0" in name:
            raise CommandError(f"--name takes 1 to {longest} characters.")
        try:
            key, secret = api_keys.create(user, name.strip())
        except api_keys.KeyLimitReached as error:
            raise CommandError(f"{error} `manage.py revoke_api_key` does that.") from error
        self.stderr.write(f"The API key {key.prefix}... of {user.get_username()}; it is shown only now:")
        answer = {
            "id": str(key.pk),
            "name": key.name,
            "prefix": key.prefix,
            "key": secret,
            "username": user.get_username(),
        }
        self.stdout.write(json.dumps(answer) if as_json else secret)
