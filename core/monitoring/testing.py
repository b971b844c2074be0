"""For tests, the host's too: a loopback tracker that keeps what it receives, byte for byte.

with Receiver() as tracker:
    run_my_server(SENTRY_DSN=tracker.dsn)
    assert tracker.wait_for("event")[0]["user"] == {"id": "7", ...}
    assert b"hunter2" not in tracker.bytes
"""

from __future__ import annotations

import gzip
import json
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, cast

# An envelope item's type and its bytes.
Item = tuple[str, bytes]


class Receiver:
    """An HTTP server on 127.0.0.1 that accepts envelopes like a tracker and keeps them decompressed.

    `status` and `headers` are what it answers with; set them to play a tracker that refuses or limits.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self._bodies: list[bytes] = []
        self._arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else each answer waits 40 ms for the client's acknowledgement

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                head = f"{self.command} {self.path}\n{self.headers}\n".encode()
                receiver._keep(head, _decompress(body, self.headers.get("Content-Encoding", "")))
                answer = b'{"id": ""}'
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.dsn = f"http://publickey@{host}:{self.port}/1"
        self._heads: list[bytes] = []

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _keep(self, head: bytes, body: bytes) -> None:
        with self._arrived:
            self._heads.append(head)
            self._bodies.append(body)
            self._arrived.notify_all()

    @property
    def bytes(self) -> bytes:
        """Everything that arrived: request lines, headers and decompressed envelopes."""
        with self._arrived:
            return b"\n".join([*self._heads, *self._bodies])

    def items(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the JSON payloads that arrived, of one item type ("event", "transaction", "session", ...) or all."""
        return [_parsed(payload) for name, payload in self.payloads() if kind in (None, name)]

    def payloads(self) -> list[Item]:
        """Return the type and the bytes of every item that arrived, in order."""
        with self._arrived:
            bodies = list(self._bodies)
        return [item for body in bodies for item in _items(body)]

    def wait_for(self, kind: str, count: int = 1, timeout: float = 20.0) -> list[dict[str, Any]]:
        """Return the payloads of `kind` once there are `count`; raise TimeoutError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while len(found := self.items(kind)) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} of {count} payloads of type {kind} within {timeout} s")
            with self._arrived:
                self._arrived.wait(0.1)
        return found


def _decompress(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "deflate":
        return zlib.decompress(body)
    if encoding == "br":
        import brotli

        return bytes(brotli.decompress(body))
    return body


def _items(envelope: bytes) -> list[Item]:
    """Split an envelope (https://develop.sentry.dev/sdk/data-model/envelopes/) into its items."""
    _, _, rest = envelope.partition(b"\n")
    items = []
    while rest.strip():
        head, _, rest = rest.partition(b"\n")
        header = json.loads(head)
        length = header.get("length")
        if length is None:
            payload, _, rest = rest.partition(b"\n")
        else:
            payload, rest = rest[:length], rest[length:].removeprefix(b"\n")
        items.append((header["type"], payload))
    return items


def _parsed(payload: bytes) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], json.loads(payload))
    except ValueError:
        return {"raw": payload.decode("utf-8", "replace")}
