"""Start a server as a child, wait until it answers, and never leave it behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from environment import SetupError

HOST = "127.0.0.1"
# Ports below those that Linux, macOS and IANA give to whoever asks for any.
NEVER_GIVEN = range(20_000, 32_000)
START_SECONDS = 60


def choose_port(wanted: int, option: str) -> int:
    """Return `wanted`, or any free port for 0. Raises SetupError that names `option` if it is taken."""
    # Not one that the system gives to others: until the server listens there, somebody might get it.
    candidates = [wanted] if wanted else random.sample(NEVER_GIVEN, 20)
    for port in candidates:
        with socket.socket() as probe:
            # As servers do: a port whose last connections are still closing counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
                return port
            except (OSError, OverflowError):
                continue
    raise SetupError(
        f"Port {wanted} can't be used, most likely because another program listens there. "
        f"Choose another one with {option}, or {option} 0 for any that is free."
    )


class Server:
    """A child process that answers HTTP: `with Server("Storm Cloud", command, env=..., log=..., url=...):`.

    It has a session of its own, so that Ctrl-C reaches only the parent, which then ends it in order.
    """

    def __init__(self, name: str, command: list[str], *, env: dict[str, str], cwd: Path, log: Path, url: str) -> None:
        self.name, self.command, self.env, self.cwd, self.log, self.url = name, command, env, cwd, log, url

    def __enter__(self) -> Server:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("w", encoding="utf-8") as output:
            self.process = subprocess.Popen(
                self.command,
                env=self.env,
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server and what it started: politely, after ten seconds without asking."""
        for number, seconds in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=seconds)
                return

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with without_proxy().open(self.url, timeout=2):
                    return
            except urllib.error.HTTPError:  # an answer, if not a friendly one
                return
            except OSError:
                time.sleep(0.1)
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        raise SetupError(f"{self.name} did not start. The end of {self.log}:\n\n    " + "\n    ".join(lines))


def without_proxy(*handlers: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    """Return a URL opener that asks loopback directly, whatever HTTP_PROXY says."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), *handlers)


def _end_with_parent() -> None:
    # PR_SET_PDEATHSIG, prctl(2): not even `kill -9` of the parent leaves a server that holds its port.
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
