"""Large and broken transfers, through the real servers."""

import hashlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
BLOCK = bytes(range(256)) * 256
# `STREAMING_TEST_MIB=1024` repeats the measurement with a large file.
BLOCKS = int(os.environ.get("STREAMING_TEST_MIB", "64")) * 16
SIZE = BLOCKS * len(BLOCK)
# What a worker may need on top of its idle size. Loading the file once would be 64 MiB.
MAX_GROWTH = 16 * 1024**2

SERVERS = {
    "gunicorn": "gunicorn _core.wsgi --worker-class gthread --threads 4 --no-control-socket --bind 127.0.0.1:{port}",
    "uvicorn": "uvicorn _core.asgi:application --host 127.0.0.1 --port {port} --log-level warning",
}


@dataclass
class Server:
    process: subprocess.Popen
    port: int
    media: Path
    key: str

    def send(self, method: str, path: str, body=None, headers: dict | None = None, chunked: bool = False):
        """The status and the open response, whose `read` streams."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.key}"} | (headers or {})
        connection.request(method, f"/api/v1/{path}", body, headers, encode_chunked=chunked)
        response = connection.getresponse()
        response.connection = connection  # or it is closed
        return response

    def peak_memory(self) -> int:
        """Bytes of the worker that has needed the most so far."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        status = [Path(f"/proc/{pid}/status").read_text() for pid in [*children, str(self.process.pid)]]
        return max(int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) * 1024 for text in status)

    def scratch(self) -> list[Path]:
        return list((self.media / ".stormcloud-tmp").glob("*"))


def wait_until(happened: Callable[[], object], what: str) -> None:
    for _ in range(400):
        if happened():
            return
        time.sleep(0.05)
    pytest.fail(f"waited in vain: {what}")


@pytest.fixture(scope="module", params=SERVERS)
def server(request, tmp_path_factory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp(request.param)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SENTRY", "COV_"))} | {
        "DJANGO_SETTINGS_MODULE": "_core.settings.production",
        "SECRET_KEY": "only-for-this-test" * 4,
        "ALLOWED_HOSTS": "127.0.0.1",
        "STORMCLOUD_HTTPS": "False",
        "STORMCLOUD_STORAGE_ROOT": str(home / "media"),
        "STORMCLOUD_LOG_DIR": str(home),
        "STORMCLOUD_QUOTA_BYTES": str(SIZE * 3 // 2),
        "DATABASE_URL": f"sqlite:///{home / 'db.sqlite3'}",
        "SENTRY_DSN": "",
        "TMPDIR": str(home),
    }

    def manage(*arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, env=env, cwd=REPO, check=True, capture_output=True, text=True).stdout

    manage("migrate", "--verbosity", "0")
    user = "from accounts.models import User; User.objects.create_user('ada', 'ada@example.org', 'x')"
    manage("shell", "--verbosity", "0", "-c", user)
    key = manage("generate_api_key", "ada", "--name", "tests").strip()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = SERVERS[request.param].format(port=port).split()
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], env=env, cwd=REPO, stdout=log, stderr=subprocess.STDOUT
        )
    server = Server(process, port, home / "media", key)
    try:

        def answers() -> bool:
            try:
                return server.send("GET", "dirs/").status == 200
            except OSError:
                return False

        wait_until(answers, "the server's first answer")
        yield server
    finally:
        process.terminate()
        process.wait()


def blocks() -> Iterator[bytes]:
    for _ in range(BLOCKS):
        yield BLOCK


def whole_checksum() -> str:
    checksum = hashlib.sha256()
    for block in blocks():
        checksum.update(block)
    return checksum.hexdigest()


FORM_HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
FORM_TAIL = b"\r\n--x--\r\n"


def form_blocks() -> Iterator[bytes]:
    yield FORM_HEAD
    yield from blocks()
    yield FORM_TAIL


UPLOADS = {
    "raw body": ("PUT", blocks, {"Content-Length": str(SIZE)}),
    "raw body of unknown length": ("PUT", blocks, {"Transfer-Encoding": "chunked"}),
    "form": (
        "POST",
        form_blocks,
        {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(SIZE + len(FORM_HEAD + FORM_TAIL))},
    ),
    "form of unknown length": (
        "POST",
        form_blocks,
        {"Content-Type": "multipart/form-data; boundary=x", "Transfer-Encoding": "chunked"},
    ),
}  # fmt: skip


def test_a_large_file_needs_no_more_memory_than_a_small_one(server):
    small = server.send("PUT", "files/small/upload/", b"small")
    assert small.status == 201
    server.send("GET", "files/small/download/").read()
    before = server.peak_memory()
    for kind, (method, body, headers) in UPLOADS.items():
        response = server.send(method, "files/large/upload/", body(), headers, "Transfer-Encoding" in headers)
        answer = response.read()
        assert response.status in (200, 201), (kind, answer)
        assert whole_checksum().encode() in answer, kind
    after_uploads = server.peak_memory()
    checksum = hashlib.sha256()
    download = server.send("GET", "files/large/download/")
    while chunk := download.read(len(BLOCK)):
        checksum.update(chunk)
    assert checksum.hexdigest() == whole_checksum()
    part = server.send("GET", "files/large/download/", headers={"Range": f"bytes={SIZE - 3}-"})
    assert (part.status, part.read()) == (206, BLOCK[-3:])
    after_downloads = server.peak_memory()
    # Shown by `pytest -s`.
    print(f"peak MiB: {before / 2**20:.1f} idle, {after_uploads / 2**20:.1f}, {after_downloads / 2**20:.1f}")  # noqa: T201
    assert after_downloads - before < MAX_GROWTH


def half(server: Server, path: str, head: str, body: bytes) -> socket.socket:
    """A connection on which an upload has begun."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    request = (
        f"{head} /api/v1/files/{path}/upload/ HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server.key}\r\n"
    )
    connection.sendall(request.encode() + body)
    return connection


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n10000\r\n" + BLOCK + b"\r\n"
LONG = b"Content-Length: 9000000\r\n\r\n"
BROKEN = {
    "raw body": ("PUT", LONG + BLOCK * 8),
    "raw body of unknown length": ("PUT", CHUNKED + b"10000\r\nhalf"),
    "unknown length, cut between two chunks": ("PUT", CHUNKED),
    "form": ("POST", b"Content-Type: multipart/form-data; boundary=x\r\n" + LONG + FORM_HEAD + BLOCK * 8),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_upload_that_the_client_aborts_leaves_the_old_file_and_nothing_else(server, kind):
    assert server.send("PUT", "files/kept/upload/", b"old").status in (200, 201)
    method, body = BROKEN[kind]
    for path in ("kept", "never/made"):
        connection = half(server, path, method, body)
        if server.process.args[2] == "gunicorn":
            wait_until(server.scratch, "the upload's beginning")
        connection.close()
        wait_until(lambda: not server.scratch(), "the upload's end")
    # Whatever the server still had to do for it comes before this answer or not at all.
    assert server.send("GET", "files/kept/download/").read() == b"old"
    assert server.send("GET", "dirs/never/").status == 404
    assert server.scratch() == []


def test_a_download_that_the_client_aborts_is_closed(server):
    assert server.send("PUT", "files/large/upload/", blocks(), {"Content-Length": str(SIZE)}).status in (200, 201)
    for _ in range(3):
        download = server.send("GET", "files/large/download/")
        download.read(1000)
        download.connection.close()
        download.close()

    def open_files() -> list[str]:
        pids = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        links = [link for pid in [*pids, str(server.process.pid)] for link in Path(f"/proc/{pid}/fd").iterdir()]
        return [link.name for link in links if link.is_symlink() and str(os.path.realpath(link)).endswith("/large")]

    wait_until(lambda: not open_files(), "closed files")


def test_a_client_reads_why_its_upload_was_refused_while_it_is_still_sending(server):
    connection = half(server, "too-large", "PUT", f"Content-Length: {2 * SIZE}\r\n\r\n".encode())
    answer = b""
    with suppress(OSError):
        for _ in range(2 * BLOCKS):
            connection.sendall(BLOCK)
    while chunk := connection.recv(65536):
        answer += chunk
    connection.close()
    assert answer.startswith(b"HTTP/1.1 413"), answer
    assert b"quota_exceeded" in answer


def test_the_documented_curl_lines_store_the_file(server, tmp_path):
    schema = json.load(server.send("GET", "schema/", headers={"Accept": "application/vnd.oai.openapi+json"}))
    described = [operation["description"] for path in schema["paths"].values() for operation in path.values()]
    lines = [line for text in described for line in re.findall("`(curl [^`]+)`", text)]
    assert len(lines) == 2
    for number, line in enumerate(lines):
        content = f"version {number}"
        (tmp_path / "2026.pdf").write_text(content)
        env = {"PATH": os.environ["PATH"], "KEY": server.key, "SERVER": f"http://127.0.0.1:{server.port}"}
        curl = subprocess.run(line, shell=True, cwd=tmp_path, env=env, check=True, capture_output=True)
        assert json.loads(curl.stdout)["path"] == "reports/2026.pdf", line
        stored = server.send("GET", "files/reports/2026.pdf/download/")
        assert stored.read() == content.encode(), line
