from pathlib import Path

import pytest
from django.conf import settings

from accounts.models import User


@pytest.fixture
def user(db) -> User:
    return User.objects.create_user("ada", "ada@example.org", "correct horse battery staple")


class LogTail:
    """The lines of the real security log since the test began, without their time and level."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.start = file.stat().st_size if file.exists() else 0

    @property
    def lines(self) -> list[str]:
        text = self.file.read_bytes()[self.start :].decode("utf-8") if self.file.exists() else ""
        return [line.split(" ", 3)[3] for line in text.splitlines()]


@pytest.fixture
def security_log() -> LogTail:
    return LogTail(Path(settings.SECURITY_LOG))
