"""Virtual environments for this checkout, and how the commands beside this file talk while they make them.

Standard library only, and readable by old Pythons: it is what runs when nothing is installed yet.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

OLDEST_PYTHON = (3, 11)
REPO = Path(__file__).resolve().parent.parent
VENV = REPO / ".venv"


class SetupError(Exception):
    """Something outside the program is not as needed; the text says what, and what to do."""


def require_python() -> None:
    """Leave with advice unless this interpreter is new enough to run Storm Cloud."""
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return
    newer = [name for name in (f"python3.{minor}" for minor in range(20, 10, -1)) if _ask(name, "print(1)")]
    advice = (
        f"Run it with a newer one: {newer[0]} {' '.join(sys.argv)}"
        if newer
        else "Install Python 3.11 or newer (https://www.python.org/downloads/) and run this again with it."
    )
    mine = f"{sys.version_info[0]}.{sys.version_info[1]}"
    sys.exit(f"This is Python {mine}, and Storm Cloud needs 3.11 or newer. {advice}")


def run(main: Callable[[], int]) -> None:
    """Call `main()` and leave with the exit status it returns; a SetupError or Ctrl-C shows no traceback."""
    require_python()
    # Whoever closes the terminal or ends the command (systemd, CI, `kill`) gets the same clean-up as Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    try:
        status = main()
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    sys.exit(status)


def printable(text: str) -> str:
    """Return `text` with control characters, but for line breaks, as escapes: a terminal would obey them."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


class Step:
    """A line of progress: `with Step("Installing") as step: step.show("django")`.

    On a terminal the detail is rewritten in place; elsewhere each detail is a line, so that a log shows
    where it hangs.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.on_terminal = sys.stderr.isatty()

    def __enter__(self) -> Step:
        self.begun = time.monotonic()
        self._write(f"  {self.title} ...")
        return self

    def show(self, detail: str) -> None:
        """Show what is being done right now, in a few words."""
        width = shutil.get_terminal_size().columns
        self._write(f"  {self.title} ... {detail}"[: width - 1] if self.on_terminal else f"    {detail}")

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        took = time.monotonic() - self.begun
        self._write(f"  {self.title}: {'done' if error is None else 'stopped'} ({took:.1f} s)")
        if self.on_terminal:
            print(file=sys.stderr)

    def _write(self, text: str) -> None:
        print(
            f"\r\033[K{text}" if self.on_terminal else text,
            end="" if self.on_terminal else "\n",
            file=sys.stderr,
            flush=True,
        )


@contextlib.contextmanager
def locked(file: Path, *, wait: bool, complaint: str = "") -> Iterator[None]:
    """Hold `file` as a lock that ends with this process; unless `wait`, raise SetupError if it is taken."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(complaint) from None
        yield


def prepare(venv: Path, requirements: list[str], *, interpreter: str = sys.executable, title: str) -> Path:
    """Make the virtual environment `venv` with `requirements` in it; return its python. Quick if it exists.

    `requirements` are pip's arguments (`["-r", "requirements.txt"]`, `["bugsink==2.5.1"]`), relative to the
    checkout. They are installed again whenever they, a requirements file of the checkout or the interpreter
    changed. Raises SetupError.
    """
    with locked(REPO / ".demo" / "install.lock", wait=True):
        python = _make(venv, interpreter)
        stamp = venv / f".installed-{hashlib.sha256(repr(requirements).encode()).hexdigest()[:8]}"
        version = _ask(python, "import sys; print(sys.version)")
        wanted = _fingerprint(version, requirements)
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
            _install(python, requirements, title)
            stamp.write_text(wanted, encoding="utf-8")
        return python


def version_of(interpreter: str) -> str:
    """Return an interpreter's version, such as "3.13", or "" if it does not run."""
    return _ask(interpreter, "import sys; print('%d.%d' % sys.version_info[:2])")


def python_in(venv: Path) -> Path:
    """Return where the interpreter of a virtual environment is, made or not."""
    return venv / "bin" / "python"


def is_prepared(venv: Path) -> bool:
    """Whether `prepare()` has finished there before."""
    return python_in(venv).exists() and any(venv.glob(".installed-*"))


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what leads a child to other packages or settings."""
    misleading = {"PYTHONPATH", "PYTHONHOME", "DJANGO_SETTINGS_MODULE", "VIRTUAL_ENV"}
    return {name: value for name, value in os.environ.items() if name not in misleading}


def _fingerprint(version: str, requirements: list[str]) -> str:
    files = sorted(REPO.glob("**/requirements*.txt")) if "-r" in requirements else []
    files = [file for file in files if not file.relative_to(REPO).parts[0].startswith(".")]
    digest = hashlib.sha256("\n".join([version, *requirements]).encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _make(venv: Path, interpreter: str) -> Path:
    python = python_in(venv)
    if not _ask(python, "print('alive')"):
        if not _ask(interpreter, "import ensurepip, venv; print('both')"):
            raise SetupError(
                f"{interpreter} has no complete `venv` module, which makes virtual environments.\n"
                "On Debian and Ubuntu: sudo apt install python3-venv   Then run this again."
            )
        # --clear: an environment whose interpreter is gone (Python was upgraded) can only be made anew.
        _run_quietly([interpreter, "-m", "venv", "--clear", str(venv)], f"Can't make a virtual environment in {venv}.")
    if not _ask(python, "import sys; print(sys.version_info >= (3, 11) or '')"):
        raise SetupError(f"{venv} is an environment of a Python older than 3.11. Move it away and run this again.")
    if not _ask(python, "import pip; print('there')"):  # made by uv, or interrupted
        _run_quietly(
            [str(python), "-m", "ensurepip"],
            f"Can't install pip into {venv}. Remove that folder and run this again.",
        )
    return python


def _install(python: Path, requirements: list[str], title: str) -> None:
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar",
        "off",
    ]
    last_lines: deque[str] = deque(maxlen=15)
    with Step(title) as step:
        pip = subprocess.Popen(
            command + requirements,
            cwd=REPO,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert pip.stdout is not None
        for line in pip.stdout:
            last_lines.append(line.rstrip())
            verb, _, rest = line.strip().partition(" ")
            if verb in ("Collecting", "Building", "Installing"):
                step.show(f"{verb.lower()} {rest.split(' (from')[0]}"[:70])
        if pip.wait() != 0:
            raise SetupError(
                "Installing did not work. The last lines of pip:\n\n    "
                + "\n    ".join(last_lines)
                + "\n\nIs the network there, and does pip need a proxy (HTTPS_PROXY) or an index of your own"
                " (PIP_INDEX_URL)?\nRun the same command again: what is already downloaded is kept."
            )


def _ask(python: Path | str, program: str) -> str:
    """Return what `program` prints under that interpreter, or "" if either does not work."""
    try:
        answer = subprocess.run([str(python), "-c", program], env=clean_environment(), capture_output=True, text=True)
    except OSError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _run_quietly(command: list[str], complaint: str) -> None:
    result = subprocess.run(
        command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if result.returncode != 0:
        raise SetupError(f"{complaint}\n\n{result.stdout.strip()[-2000:]}")
