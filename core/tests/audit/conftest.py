from collections.abc import Callable

import pytest

from accounts.tests.conftest import security_log  # noqa: F401
from core import files, storage
from core.models import StoredFile
from core.tests.audit.memory_storage import MemoryStorage
from core.tests.audit.tampering import TamperedDisk, TamperedMemory, Tree


@pytest.fixture(params=["local", "memory"])
def tree(request, root, settings, monkeypatch) -> Tree:
    """Each storage in turn."""
    if request.param == "local":
        return TamperedDisk(root)
    memory = MemoryStorage()
    monkeypatch.setitem(storage.BACKENDS, "memory", lambda: memory)
    settings.STORMCLOUD_STORAGE_BACKEND = "memory"
    return TamperedMemory(memory)


@pytest.fixture
def disk(root) -> TamperedDisk:
    return TamperedDisk(root)


@pytest.fixture
def stored(user) -> Callable[..., StoredFile]:
    """Store a file as a user would: `stored("a", b"content")`."""
    return lambda path, content=b"0123456789", owner=user: files.save(owner, path, [content])[0]
