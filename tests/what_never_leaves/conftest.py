"""A monitored Storm Cloud in this process, with a user, a file and a share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from storm_cloud import HIDDEN

from accounts import api_keys
from accounts.models import User
from core import files, shares
from core.models import Share
from core.monitoring.testing import Receiver
from core.monitoring.tests.conftest import start  # noqa: F401 (a fixture)
from tests.what_never_leaves.planted import CONTENT, EMAIL, PASSWORD, PATH, SHARE_PASSWORD
from tests.what_never_leaves.server import Server


@pytest.fixture(params=["wsgi", "asgi"])
def server(
    request: pytest.FixtureRequest,
    db: None,
    start: Callable[..., bool],  # noqa: F811
    receiver: Receiver,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Server:
    """Started as production is, with each request traced."""
    for name in HIDDEN:
        monkeypatch.setenv(name, "")
    cache.clear()
    settings.STORMCLOUD_STORAGE_ROOT = str(tmp_path / "media")
    host = django_settings.MONITORING | {"private_paths": [settings.STORMCLOUD_STORAGE_ROOT]}
    host.pop("base_dir")
    assert start(host, SENTRY_TRACES_SAMPLE_RATE="1", SENTRY_PROFILES_SAMPLE_RATE="0", GIT_COMMIT="")
    return Server(request.param, receiver)


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("rosa", EMAIL, PASSWORD)


@pytest.fixture
def key(user: User, server: Server) -> str:
    """An API key of the user."""
    stored, key = api_keys.create(user, "backup")
    server.secrets |= {"the API key": key, "the API key's hash": stored.key_hash}
    return key


@pytest.fixture
def stored(user: User, server: Server) -> str:
    """The path of a file of the user."""
    files.save(user, PATH, [CONTENT.encode()])
    return PATH


@pytest.fixture
def share(user: User, stored: str, server: Server) -> Share:
    """A link to the file, with a password."""
    share = shares.create(user, stored, SHARE_PASSWORD)
    server.secrets |= {"the share's token": share.token, "the share's password hash": share.password_hash}
    return share
