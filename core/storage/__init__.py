"""Where the bytes of stored files live."""

from typing import cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from core.monitoring import is_enabled
from core.storage.base import StorageBackend
from core.storage.local import LocalStorage
from core.storage.observed import ObservedStorage

BACKENDS = {"local": lambda: LocalStorage(settings.STORMCLOUD_STORAGE_ROOT)}


def get_storage(observe: bool = True) -> StorageBackend:
    """The storage that the settings name; `ImproperlyConfigured` if there is none.

    While monitoring is on, it tells of each operation, unless `observe` is False, as for work on every single file.
    """
    try:
        backend = BACKENDS[settings.STORMCLOUD_STORAGE_BACKEND]
    except KeyError:
        raise ImproperlyConfigured(
            f"STORMCLOUD_STORAGE_BACKEND is {settings.STORMCLOUD_STORAGE_BACKEND!r}. "
            f"Set it to one of: {', '.join(BACKENDS)}."
        ) from None
    return cast(StorageBackend, ObservedStorage(backend())) if observe and is_enabled() else backend()
