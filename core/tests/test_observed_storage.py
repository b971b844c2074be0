"""What observes a storage changes nothing of what it does, whether anybody listens or not."""

import pytest

from core.monitoring import sdk
from core.storage import get_storage
from core.storage.base import Conflict, NotFound, StorageBackend
from core.storage.local import LocalStorage
from core.storage.observed import OBSERVED, ObservedStorage


@pytest.fixture
def observed(storage: LocalStorage) -> StorageBackend:
    return ObservedStorage(storage)


def test_it_can_all_that_a_storage_can(observed: StorageBackend) -> None:
    assert all(callable(getattr(observed, name)) for name in StorageBackend.__abstractmethods__)
    assert StorageBackend.__abstractmethods__ >= OBSERVED
    assert observed.name == "local"


def test_files_go_in_and_out_as_they_are(observed: StorageBackend) -> None:
    with observed.stage("1/1/a", [b"one", b"two"]) as staged:
        assert staged.commit().size == 6
    reader = observed.read("1/1/a")
    assert reader.entry.size == 6
    reader.select(2, 3)
    assert b"".join(reader) == b"etw"
    reader.close()
    reader.close()
    assert observed.move("1/1/a", "1/1/b").size == 6
    assert [entry.name for entry in observed.list("1/1")] == ["b"]
    assert list(observed.walk()) == ["1/1/b"]
    observed.delete("1/1/b")
    with pytest.raises(NotFound):
        observed.stat("1/1/b")


def test_refusals_pass_and_leave_nothing_behind(observed: StorageBackend) -> None:
    observed.make_directory("1/1/a")
    with pytest.raises(Conflict), observed.stage("1/1/a", [b"one"]) as staged:
        staged.commit()

    def broken():
        yield b"one"
        raise ValueError("the client's")

    with pytest.raises(ValueError, match="the client's"), observed.stage("1/1/b", broken()):
        pytest.fail("nothing is staged")
    with pytest.raises(NotFound):
        observed.read("1/1/b")
    assert list(observed.walk(".stormcloud-tmp")) == []


def test_while_monitoring_is_off_nobody_observes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(get_storage()) is LocalStorage
    monkeypatch.setattr("core.storage.is_enabled", lambda: True)
    assert type(get_storage()) is ObservedStorage
    assert not sdk.is_enabled()
