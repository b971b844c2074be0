from pathlib import Path

import pytest

from accounts.models import User
from core.storage.local import LocalStorage


@pytest.fixture(autouse=True)
def root(tmp_path, settings) -> Path:
    """Where files are stored during one test."""
    settings.STORMCLOUD_STORAGE_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


@pytest.fixture
def storage(root) -> LocalStorage:
    return LocalStorage(str(root))


@pytest.fixture
def user(db) -> User:
    return User.objects.create_user("ada", "ada@example.org", "correct horse battery staple")


@pytest.fixture
def home(root, user) -> Path:
    """The user's own directory on the disk."""
    home = root / str(user.organization_id) / str(user.pk)
    home.mkdir(parents=True)
    return home
