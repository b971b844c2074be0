"""What breaks below Storm Cloud: databases, disks, caches, mail servers, connections. All of it outside of the SDK."""

from __future__ import annotations

import contextlib
import os
import resource
import socketserver
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from io import BytesIO, FileIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache.backends.locmem import LocMemCache
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection
from django.dispatch import Signal

from core.storage import local


@contextlib.contextmanager
def refused(action: str, table: str) -> Iterator[None]:
    """The database itself refuses one action ("INSERT", "READ", "UPDATE") on a table: its driver raises, in C.

    https://docs.python.org/3/library/sqlite3.html#sqlite3.Connection.set_authorizer
    """
    connection.ensure_connection()
    if connection.vendor == "postgresql":
        _refuse_in_postgresql(action, table)  # undone with the test's transaction
        yield
        return
    refused_action = getattr(sqlite3, f"SQLITE_{action}")

    def authorize(asked: int, subject: str | None, *_: str | None) -> int:
        return sqlite3.SQLITE_DENY if (asked, subject) == (refused_action, table) else sqlite3.SQLITE_OK

    connection.connection.set_authorizer(authorize)
    try:
        yield
    finally:
        connection.connection.set_authorizer(None)


def _refuse_in_postgresql(action: str, table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        if action == "READ":
            cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_lost")
            return
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE EXCEPTION USING MESSAGE = 'not authorized', ERRCODE = 'insufficient_privilege'; END $$"
        )
        cursor.execute(f"CREATE TRIGGER refuse BEFORE {action} ON {table} EXECUTE FUNCTION refuse()")


@contextlib.contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: the kernel answers EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class UnreachableCache(LocMemCache):
    """Names the key that it could not ask for, as clients of cache servers do."""

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        raise ConnectionError(f"Error 111 connecting to cache:6379. GET {self.make_key(key, version)} failed.")


# Stands in for `FileIO`: a C function that fails for a file (OSError 25), so that its error adds no frame of ours.
unopenable = os.ttyname


def unseekable(descriptor: int) -> FileIO:
    """A file that turns out to be a pipe: OSError 29 when a part of it is asked for."""
    os.close(descriptor)
    reading, writing = os.pipe()
    os.close(writing)
    return FileIO(reading)


def unreadable(descriptor: int) -> FileIO:
    """A file of which no byte can be read (OSError 5), as on a failing disk: address 0 of this process."""
    os.close(descriptor)
    return FileIO("/proc/self/mem")


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written goes to /dev/full (man 4 full): the kernel answers ENOSPC."""

    def fdopen(descriptor: int, mode: str) -> FileIO:
        os.close(descriptor)
        return FileIO("/dev/full", mode)

    monkeypatch.setattr(local, "os", SimpleNamespace(**vars(os) | {"fdopen": fdopen}))


class PlainStorage(local.LocalStorage):
    """Opens files by their whole path and lets the kernel's errors through, as a host's own backend may."""

    def read(self, key: str) -> local.LocalReader:
        entry = self.stat(key)
        path = Path(self.root, key)
        path.unlink()
        return local.LocalReader(FileIO(path), entry)


class FromTheFolder(local.LocalStorage):
    """Opens a file relative to its folder, so that the kernel's error holds its bare name."""

    def read(self, key: str) -> local.LocalReader:
        parents, filename = os.path.split(key)
        with self.directory(parents.split("/")) as folder:
            os.unlink(filename, dir_fd=folder)
            return local.LocalReader(FileIO(os.open(filename, os.O_RDONLY, dir_fd=folder)), self.stat(key))


class BrokenConnection(BytesIO):
    """A client's connection that fails inside the web server, after what it had sent."""

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        if not content:
            raise RuntimeError("the worker lost its socket")
        return content


@contextlib.contextmanager
def mail_server(refuses: str) -> Iterator[int]:
    """An SMTP server (RFC 5321) that refuses at the command `refuses`, "RCPT" or "DATA"; yields its port.

    Like real ones, it repeats the recipient, or what it did not like in the text.
    """

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 mail.example")
            while line := self.rfile.readline().decode().strip():
                command = line[:4].upper()
                if command == "DATA":
                    self._say("354 go ahead")
                    text = [*iter(lambda: self.rfile.readline().decode().strip(), ".")]
                    self._say(f"554 5.7.1 this looks like spam: {' '.join(text)}")
                elif command == refuses:
                    self._say(f"550 5.1.1 {line[8:]} is unknown here")
                elif command == "QUIT":
                    self._say("221 bye")
                    break
                else:
                    self._say("250 ok")

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@contextlib.contextmanager
def failing_receiver(signal: Signal) -> Iterator[None]:
    """Somebody else's handler of a Django signal, which raises."""

    def tell_the_crm(**said: Any) -> None:
        raise LookupError("the CRM knows no such customer")

    signal.connect(tell_the_crm)
    try:
        yield
    finally:
        signal.disconnect(tell_the_crm)


class TalkativeHasher(MD5PasswordHasher):
    """Repeats in its error what it was given."""

    def verify(self, password: str, encoded: str) -> bool:
        raise ValueError(f"can't compare {password!r} with {encoded!r}")


class BrokenMail(BaseEmailBackend):
    """A mail service's own backend, which does not know how to send this."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            recipients, text = message.recipients(), message.body
            raise ValueError(f"can't send {text!r} to {recipients}")
        return 0
