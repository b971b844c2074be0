"""Work that must not overlap, whichever process or thread does it."""

import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection


class AlreadyRunning(Exception):
    """Somebody else does it at this moment."""


@contextmanager
def only_one(work: str) -> Iterator[None]:
    """Hold the lock called `work`, or raise `AlreadyRunning` at once. A process that is killed holds none.

    On PostgreSQL the lock is the database's and holds across machines; SQLite serves one machine, as a file does.
    """
    with (_database_lock if connection.vendor == "postgresql" else _file_lock)(work):
        yield


@contextmanager
def _database_lock(work: str) -> Iterator[None]:
    # https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
    key = zlib.crc32(f"storm-cloud {work}".encode())
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        if not cursor.fetchone()[0]:
            raise AlreadyRunning(work)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [key])


@contextmanager
def _file_lock(work: str) -> Iterator[None]:
    # The folder of the logs is the same for all processes of a server, as a temporary one need not be (PrivateTmp of
    # systemd), and is no user's as the storage is. Who may only read the file, because root made it, can lock it.
    file = os.open(settings.SECURITY_LOG.parent / f"{work}.lock", os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(work) from None
        yield
    finally:
        os.close(file)
