"""Storm Cloud's real WSGI and ASGI applications in this process, and what arrived from them."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote

import sentry_sdk
from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections

from core.monitoring.testing import Receiver
from tests.what_never_leaves.planted import ADDRESS, PLANTED, leaks


@dataclass
class Server:
    """Answers requests through the whole middleware chain, as `kind` "wsgi" or "asgi".

    `secrets` is what must not be in anything that arrives at the tracker; a test adds those that it makes.
    """

    kind: str
    tracker: Receiver
    secrets: dict[str, str] = field(default_factory=PLANTED.copy)

    def __post_init__(self) -> None:
        self._application = WSGIHandler() if self.kind == "wsgi" else ASGIHandler()

    def request(
        self,
        method: str,
        path: str,
        content: Any = None,
        *,
        content_type: str = "application/json",
        query: str = "",
        key: str = "",
        cookies: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        stream: Any = None,
    ) -> Answer:
        """Send a request from `ADDRESS` to `path`, below /api/v1/ unless it is absolute.

        `content` is bytes, or what JSON can say. `stream` stands in for the connection that WSGI reads.
        """
        body = b"" if content is None else content if isinstance(content, bytes) else json.dumps(content).encode()
        sent = {"Host": "testserver", "Content-Length": str(len(body)), "Content-Type": content_type}
        if key:
            sent["Authorization"] = f"Bearer {key}"
        if cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
            sent["X-CSRFToken"] = cookies.get("csrftoken", "")
        sent |= headers or {}
        path = path if path.startswith("/") else f"/api/v1/{path}"
        call = self._wsgi if self.kind == "wsgi" else self._asgi
        return _in_a_thread(lambda: call(method, path, query, sent, stream or io.BytesIO(body)))

    def sign_in(self, username: str, password: str) -> dict[str, str]:
        """Return the cookies of a new session."""
        answer = self.request("POST", "auth/login/", {"username": username, "password": password})
        assert answer.status == 200, answer.content
        self.secrets |= {"the session key": answer.cookies["sessionid"], "the CSRF token": answer.cookies["csrftoken"]}
        return answer.cookies

    def event(self) -> Event:
        """Return the first error that was reported, after a look for secrets in everything that arrived."""
        return Event(self._arrived("event")[0])

    def traced(self, route: str) -> dict[str, Any]:
        """Return the newest transaction of that route, after a look for secrets in everything that arrived."""
        return [transaction for transaction in self._arrived("transaction") if transaction["transaction"] == route][-1]

    def _arrived(self, kind: str) -> list[dict[str, Any]]:
        sentry_sdk.flush(timeout=10)
        found = leaks(self.tracker, self.secrets)
        assert not found, "\n".join(found)
        return self.tracker.items(kind)

    def _wsgi(self, method: str, path: str, query: str, headers: dict[str, str], stream: Any) -> Answer:
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path.encode().decode("latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "REMOTE_ADDR": ADDRESS,
            "wsgi.url_scheme": "http",
            "wsgi.input": stream,
            "wsgi.errors": io.StringIO(),
        }
        for name, value in headers.items():
            name = name.upper().replace("-", "_")
            environ[name if name.startswith("CONTENT_") else f"HTTP_{name}"] = value.encode().decode("latin-1")
        answered: list[Any] = []
        response = self._application(environ, lambda status, headers, *_: answered.extend([status, headers]))
        content = b"".join(response)
        response.close()
        return Answer(int(answered[0].split()[0]), answered[1], content)

    def _asgi(self, method: str, path: str, query: str, headers: dict[str, str], stream: Any) -> Answer:
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": (ADDRESS, 50123),
            "server": ("testserver", 80),
        }
        answered: list[dict[str, Any]] = []
        asked: list[dict[str, Any]] = [{"type": "http.request", "body": stream.read(), "more_body": False}]

        async def receive() -> dict[str, Any]:
            if not asked:
                await asyncio.Event().wait()  # the client stays until it has its answer
            return asked.pop()

        async def send(message: dict[str, Any]) -> None:
            answered.append(message)

        async_to_sync(self._application)(scope, receive, send)
        start, *parts = answered
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        return Answer(start["status"], pairs, b"".join(part.get("body", b"") for part in parts))


@dataclass
class Answer:
    """What the client gets."""

    status: int
    headers: list[tuple[str, str]]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def cookies(self) -> dict[str, str]:
        jar = SimpleCookie()
        for name, value in self.headers:
            if name.lower() == "set-cookie":
                jar.load(value)
        return {name: morsel.value for name, morsel in jar.items()}


@dataclass
class Event:
    """An error as it arrived, with what a developer reads in it."""

    payload: dict[str, Any]

    @property
    def error(self) -> str:
        """The exception that ended the request, as in the last line of a traceback."""
        last = self.payload["exception"]["values"][-1]
        return f"{last['type']}: {last['value']}"

    @property
    def route(self) -> str:
        return self.payload["tags"]["request_path"]

    @property
    def frames(self) -> list[dict[str, Any]]:
        """Those of all exceptions of the chain."""
        return [frame for value in self.payload["exception"]["values"] for frame in value["stacktrace"]["frames"]]

    @property
    def user(self) -> str:
        return self.payload["user"]["id"]

    @property
    def functions(self) -> set[str]:
        return {frame["function"] for frame in self.frames}

    def local(self, function: str, name: str) -> Any:
        """A variable of the innermost frame of that function."""
        return [frame for frame in self.frames if frame["function"] == function][-1]["vars"][name]

    @property
    def sql(self) -> str:
        """The statement that failed."""
        return self.local("_execute", "sql").strip("'")


def _in_a_thread(call: Callable[[], Answer]) -> Answer:
    """As a server does it, so that no stack trace shows the test; with the test's database connection, left open."""

    def run() -> Answer:
        connections["default"] = shared
        return call()

    shared = connections["default"]
    shared.inc_thread_sharing()
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    try:
        with ThreadPoolExecutor(1) as threads:
            return threads.submit(run).result()
    finally:
        for signal in signals:
            signal.connect(close_old_connections)
        shared.dec_thread_sharing()
