"""The commands that a newcomer types, run as the newcomer runs them."""

import ast
import base64
import json
import os
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import bugsink
import environment
import pytest
import servers
import storm_cloud
from environment import REPO, SetupError

from core.monitoring.config import FALLBACKS, SentryConfig
from tests.bugsink_service import require_bugsink

SCRIPTS = REPO / "scripts"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout in a path with spaces and without git, on the environments that are installed already."""
    require_bugsink()
    copy = tmp_path / "a fresh copy"
    skipped = shutil.ignore_patterns(".*", "__pycache__", "media", "staticfiles", "db.sqlite3*", "*.log")
    shutil.copytree(REPO, copy, ignore=skipped)
    (copy / ".venv").symlink_to(sys.prefix)
    (copy / ".demo").mkdir()
    (copy / ".demo" / "bugsink").symlink_to(bugsink.HOME)
    return copy


def command(*arguments: object, cwd: Path = REPO, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script to its end, without a terminal."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )


def interruptible() -> None:
    """In a child: let Ctrl-C work also where these tests run in the background of a shell, which switches it off."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((servers.HOST, port)) == 0


def eventually(condition, seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


class TestDemo:
    def test_a_scrubbed_error_with_its_user_is_read_back_from_the_tracker(self, checkout: Path):
        # What stands in .env for daily work must neither be used nor changed.
        settings = (
            "SENTRY_DSN=http://key@127.0.0.1:9/1\nSENTRY_RELEASE=from-env-file\nDATABASE_URL=sqlite:////nowhere/x\n"
        )
        (checkout / ".env").write_text(settings)
        result = command("scripts/demo", "--once", "--json", "--port", 0, "--tracker-port", 0, cwd=checkout)
        assert result.returncode == 0, result.stderr
        report = json.loads(result.stdout)
        assert report["issue"].startswith("ValueError: ")
        assert report["user"] == {"id": "1", "username": "ada", "is_staff": False}
        assert report["tags"]["tenant_id"] == "1"
        assert report["tags"]["auth_method"] == "api_key"
        assert report["environment"] == "demo"
        assert report["release"] is None
        assert "exception.values[0].value" in report["redacted"]
        assert report["leaked"] == []
        assert len(report["looked_for"]) == 5
        log = " ".join(report["security_log"])
        for event in ("USER_REGISTERED", "LOGIN_FAILED", "LOGIN ", "API_KEY_CREATED"):
            assert event in log
        assert "ada.lovelace@example.org" in log
        assert "203.0.113.7" in log
        assert (checkout / ".env").read_text() == settings

    def test_ctrl_c_ends_both_servers_and_is_no_failure(self, checkout: Path, tmp_path: Path):
        output = tmp_path / "output"
        with output.open("w") as file:
            demo = subprocess.Popen(
                [sys.executable, "scripts/demo", "--port", "0", "--tracker-port", "0"],
                cwd=checkout,
                stdout=file,
                stderr=subprocess.STDOUT,
                preexec_fn=interruptible,
            )
            try:
                assert eventually(lambda: "Ctrl-C ends both" in output.read_text() or demo.poll() is not None, 120)
                text = output.read_text()
                ports = {int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", text)}
                assert len(ports) == 2, text
                assert all(answers(port) for port in ports)
                again = command("scripts/demo", "--once", cwd=checkout)
                assert again.returncode == 1
                assert "Another scripts/demo runs" in again.stderr
            finally:
                demo.send_signal(signal.SIGINT)
            assert demo.wait(timeout=60) == 0
        assert not any(answers(port) for port in ports)

    @pytest.mark.parametrize("option", ["--port", "--tracker-port"])
    def test_a_taken_port_is_refused_with_the_option_that_helps(self, checkout: Path, option: str):
        with socket.create_server((servers.HOST, 0)) as other:
            port = other.getsockname()[1]
            free = {"--port": "--tracker-port", "--tracker-port": "--port"}[option]
            result = command("scripts/demo", "--once", option, port, free, 0, cwd=checkout)
        assert result.returncode == 1
        assert f"Port {port} can't be used" in result.stderr
        assert f"Choose another one with {option}" in result.stderr
        assert "Traceback" not in result.stderr

    def test_json_is_refused_where_it_would_never_end(self):
        result = command("scripts/demo", "--json")
        assert result.returncode == 2
        assert "--json goes with --once" in result.stderr

    def test_every_monitoring_variable_of_env_is_hidden_from_the_demo(self):
        variables = {
            field.metadata["variable"] for field in SentryConfig.__dataclass_fields__.values() if field.metadata
        }
        sources = {source for names in FALLBACKS.values() for source in names}
        read = {name for name in variables | sources if name.startswith("SENTRY_")}
        assert read <= {"SENTRY_DSN", "SENTRY_ENVIRONMENT", "SENTRY_FINDINGS", *storm_cloud.HIDDEN}


class TestRun:
    def test_it_serves_says_what_to_do_next_and_monitors_nothing(self, checkout: Path, tmp_path: Path):
        port = servers.choose_port(0, "")
        output = tmp_path / "output"
        url = f"http://{servers.HOST}:{port}/api/v1/health/status/"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SENTRY_", "DJANGO_"))}
        with output.open("w") as file:
            run = subprocess.Popen(
                [sys.executable, "scripts/run", str(port), "--noreload"],
                cwd=checkout,
                env=inherited,
                stdout=file,
                stderr=subprocess.STDOUT,
                preexec_fn=interruptible,
            )
            try:
                assert eventually(lambda: answers(port) or run.poll() is not None, 120)
                with servers.without_proxy().open(url, timeout=20) as response:
                    assert json.load(response)["monitoring"] is False
                assert f"http://127.0.0.1:{port}/api/v1/schema/swagger-ui/" in output.read_text()
                assert "createsuperuser" in output.read_text()
            finally:
                run.send_signal(signal.SIGINT)
                run.wait(timeout=30)
        assert not answers(port)
        assert (checkout / "db.sqlite3").exists()


class TestProduction:
    """README's chapter, as it stands."""

    BLOCKS = re.findall(
        r"```sh\n(.*?)```", (REPO / "README.md").read_text().partition("### In production")[2], re.DOTALL
    )

    @pytest.fixture
    def configured(self, checkout: Path) -> Path:
        settings = self.BLOCKS[0].replace("SECRET_KEY=\n", f"SECRET_KEY={'k3y' * 20}\n")
        (checkout / ".env").write_text(settings)
        return checkout

    @staticmethod
    def shell(line: str, checkout: Path) -> subprocess.CompletedProcess[str]:
        env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
        return subprocess.run(line, shell=True, cwd=checkout, env=env, capture_output=True, text=True, timeout=120)

    def test_its_lines_serve_pages_with_their_styles(self, configured: Path):
        install, *prepare, serve = self.BLOCKS[1].splitlines()
        assert install.endswith("-m venv .venv && .venv/bin/pip install -r requirements.txt"), "done for us"
        for line in prepare:
            done = self.shell(line, configured)
            assert done.returncode == 0, done.stderr
        port = servers.choose_port(0, "")
        command = serve.replace("127.0.0.1:8000", f"127.0.0.1:{port}").split()
        url = f"http://127.0.0.1:{port}"
        env = {"PATH": os.environ["PATH"]}
        log = configured / "server.log"
        with servers.Server("Storm Cloud", command, env=env, cwd=configured, log=log, url=f"{url}/api/v1/health/"):
            for address in ("/api/v1/schema/swagger-ui/", "/admin/login/"):
                page = self.get(url + address)
                style = re.search(r'href="(/static/[^"]+\.css)"', page)
                assert style, page
                assert "{" in self.get(url + style[1])
        assert "gthread" in log.read_text(), "other workers are killed with uploads of more than 30 seconds"

    @staticmethod
    def get(url: str) -> str:
        headers = {"Host": "files.example.org", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
        with servers.without_proxy().open(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            return answer.read().decode()

    @pytest.mark.parametrize("debug", [False, True])
    def test_a_worker_finds_the_settings_of_env(self, configured: Path, debug: bool):
        if debug:
            (configured / ".env").write_text("DJANGO_SETTINGS_MODULE=_core.settings.dev\n")
        for line in self.BLOCKS[2].splitlines():
            program = line.rpartition(" ")[0]
            assert program == ".venv/bin/celery -A _core"
        told = self.shell(f"{program} report", configured)
        assert told.returncode == 0, told.stderr
        assert f"\nDEBUG: {debug}\n" in told.stdout

    def test_the_image_serves_in_the_same_way(self):
        (serve,) = (line for line in self.BLOCKS[1].splitlines() if "gunicorn" in line)
        image = re.sub(r'[",\\\[\]\s]+', " ", (REPO / "Dockerfile").read_text().rpartition("\nCMD")[2])
        for option in ("--worker-class gthread", "--threads 8", "--no-control-socket"):
            assert option in serve
            assert option in image


class TestTracker:
    def test_it_alerts_on_the_terminal_and_keeps_what_it_has_across_starts(self, checkout: Path, tmp_path: Path):
        port = servers.choose_port(0, "")
        dsn = self.started(checkout, tmp_path / "first", port, while_up=self.send_and_see_the_alert)
        assert not answers(port)
        (checkout / ".tracker" / "settings.py").write_text("print('a setting of my own')\n")
        assert self.started(checkout, tmp_path / "second", port, while_up=self.see_the_same_issue) == dsn
        log = (checkout / ".tracker" / "bugsink" / "bugsink.log").read_text()
        assert "a setting of my own" in log

    @staticmethod
    def started(checkout: Path, output: Path, port: int, *, while_up) -> str:
        """Run `while_up(checkout, output, dsn)` between a start and Ctrl-C; return the DSN that was printed."""
        with output.open("w") as file:
            tracker = subprocess.Popen(
                [sys.executable, "scripts/tracker", "--port", str(port)],
                cwd=checkout,
                stdout=file,
                stderr=subprocess.STDOUT,
                preexec_fn=interruptible,
            )
            try:
                assert eventually(lambda: "Ctrl-C ends" in output.read_text() or tracker.poll() is not None, 120)
                dsn = re.findall(r"^SENTRY_DSN=(\S+)$", output.read_text(), re.MULTILINE)[0]
                while_up(checkout, output, dsn)
            finally:
                tracker.send_signal(signal.SIGINT)
            assert tracker.wait(timeout=60) == 0
        return dsn

    @staticmethod
    def issues(checkout: Path, dsn: str) -> list[str]:
        account = json.loads((checkout / ".tracker" / "bugsink" / "account.json").read_text())
        url = f"http://{dsn.partition('@')[2].partition('/')[0]}/api/canonical/0/issues/?project={account['project']}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {account['token']}"})
        with servers.without_proxy().open(request, timeout=20) as response:
            return [issue["calculated_value"] for issue in json.load(response)["results"]]

    def send_and_see_the_alert(self, checkout: Path, output: Path, dsn: str) -> None:
        settings = "_core.settings.dev"
        sent = command("manage.py", "sentry_test", cwd=checkout, SENTRY_DSN=dsn, DJANGO_SETTINGS_MODULE=settings)
        assert sent.returncode == 0, sent.stderr
        assert eventually(lambda: 'Alert mail: "Test event from sentry_test"' in output.read_text())
        assert eventually(lambda: re.search(r"^ +http://[\d.:]+/issues/issue/\S+$", output.read_text(), re.MULTILINE))
        assert "Alert mails appear here" in output.read_text()
        self.no_other_user_can_look_into(checkout / ".tracker")
        assert len(self.issues(checkout, dsn)) == 1
        again = command("scripts/tracker", cwd=checkout)
        assert again.returncode == 1
        assert "Another scripts/tracker runs" in again.stderr

    @staticmethod
    def no_other_user_can_look_into(folder: Path) -> None:
        for name in (".", "bugsink", "../.demo/bugsink"):
            assert (folder / name).stat().st_mode & 0o077 == 0, name
        assert (folder / "bugsink" / "account.json").stat().st_mode & 0o077 == 0

    def see_the_same_issue(self, checkout: Path, output: Path, dsn: str) -> None:
        assert self.issues(checkout, dsn) == ["Test event from sentry_test"]
        # An old mail is no news.
        assert "Alert mail:" not in output.read_text()

    @pytest.mark.parametrize(
        ("settings", "why"),
        [
            (b"EMAIL_PORT = 25\nEMAIL_HOST = (\n", "line 2, is no Python: '(' was never closed"),
            (b"# gr\xfc\xdfe\n", "can't be read as text in UTF-8"),
            (b"EMAIL_PORT = 25\nEMAIL_HOST = nonsense\n", 'settings.py", line 2'),
        ],
    )
    def test_what_is_wrong_in_its_settings_is_told_with_file_and_line(self, checkout: Path, settings: bytes, why: str):
        file = checkout / ".tracker" / "settings.py"
        file.parent.mkdir()
        file.write_bytes(settings)
        result = command("scripts/tracker", "--port", 0, cwd=checkout)
        assert result.returncode == 1
        assert str(file) in result.stderr
        assert why in result.stderr
        assert "scripts/" not in result.stderr, "no traceback of the script itself"

    def test_a_mail_is_shown_without_what_would_steer_the_terminal(self, tmp_path: Path):
        tracker = runpy.run_path(str(SCRIPTS / "tracker"))
        file = tmp_path / "mail.log"
        subject = base64.b64encode("\x1b]0;owned\x07 größe".encode()).decode()
        head = f"Subject: =?utf-8?b?{subject}?=\nContent-Type: text/plain; charset=utf-8\n"
        file.write_text(head + "Content-Transfer-Encoding: 8bit\n\nView it:\n\x1b[2Jhttp://127.0.0.1/issues/issue/7/\n")
        assert tracker["mail"](file) == "", "it is not complete"
        with file.open("a") as end:
            end.write("\n" + "-" * 79 + "\n")
        said = tracker["mail"](file)
        assert said == (
            "Alert mail: \\x1b]0;owned\\x07 größe\n    View it:\n    \\x1b[2Jhttp://127.0.0.1/issues/issue/7/"
        )

    @pytest.mark.parametrize("content", ["", '{"username": "demo"}', "[]"])
    def test_a_damaged_account_is_named_and_an_unchanged_one_is_not_written_again(self, tmp_path: Path, content: str):
        require_bugsink()
        state = tmp_path / "tracker"
        bugsink.Bugsink(state, keep=True)
        file = state / "account.json"
        file.chmod(0o400)
        before = file.stat()
        bugsink.Bugsink(state, keep=True)
        assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        file.chmod(0o600)
        file.write_text(content)
        with pytest.raises(SetupError, match=r"account\.json is damaged"):
            bugsink.Bugsink(state, keep=True)

    def test_a_taken_port_is_refused_with_the_option_that_helps(self, checkout: Path):
        with socket.create_server((servers.HOST, 0)) as other:
            port = other.getsockname()[1]
            result = command("scripts/tracker", "--port", port, cwd=checkout)
        assert result.returncode == 1
        assert f"Port {port} can't be used" in result.stderr
        assert "Choose another one with --port" in result.stderr
        assert "Traceback" not in result.stderr


class TestTest:
    def test_arguments_reach_pytest_and_its_status_comes_back(self, checkout: Path):
        result = command("scripts/test", "-n0", "--collect-only", "no-such-folder", cwd=checkout)
        assert result.returncode == 4  # pytest's status for a usage error
        assert "no-such-folder" in result.stderr + result.stdout

    def test_an_unknown_python_is_refused_with_advice(self):
        result = command("scripts/test", "--python", "python2.99")
        assert result.returncode == 1
        assert "python2.99 is not a Python that runs here" in result.stderr


class TestEnvironment:
    @pytest.mark.parametrize(
        "name", ["demo", "run", "screenshots", "test", "tracker", *(file.name for file in SCRIPTS.glob("*.py"))]
    )
    def test_an_old_python_gets_far_enough_to_give_advice(self, name: str):
        ast.parse((SCRIPTS / name).read_text(), feature_version=(3, 8))

    def test_an_old_python_is_told_what_to_do(self):
        program = "import sys; sys.version_info = (3, 10, 4); import environment; environment.run(lambda: 0)"
        result = command("-c", program, PYTHONPATH=str(SCRIPTS), PATH="/nowhere")
        assert result.returncode == 1
        assert "This is Python 3.10, and Storm Cloud needs 3.11 or newer. Install Python" in result.stderr

    def test_without_venv_the_package_to_install_is_named(self, tmp_path: Path):
        crippled = tmp_path / "python"
        crippled.write_text(f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"\n')
        crippled.chmod(0o755)
        with pytest.raises(SetupError, match="apt install python3-venv"):
            environment.prepare(tmp_path / "venv", ["x"], interpreter=str(crippled), title="x")

    def test_it_installs_only_when_requirements_changed(self, tmp_path: Path, monkeypatch, capfd):
        monkeypatch.setattr(environment, "REPO", tmp_path)
        requirements = tmp_path / "requirements.txt"

        def prepare() -> str:
            environment.prepare(tmp_path / "venv", ["-r", "requirements.txt"], title="Installing")
            return capfd.readouterr().err

        requirements.write_text("# nothing\n")
        assert "Installing" in prepare()
        assert prepare() == ""
        requirements.write_text("# nothing, but another line\n")
        assert "Installing" in prepare()

    def test_a_failing_pip_shows_its_last_lines_and_is_tried_again(self, tmp_path: Path, monkeypatch):
        monkeypatch.setattr(environment, "REPO", tmp_path)
        for variable, value in (("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", str(tmp_path))):
            monkeypatch.setenv(variable, value)
        for _ in range(2):
            with pytest.raises(SetupError, match=r"(?s)No matching distribution.*Run the same command again"):
                environment.prepare(tmp_path / "venv", ["storm-cloud-needs-this"], title="Installing")


class TestServers:
    PARENT = """\
import sys, time, pathlib
import environment, servers
port = int(sys.argv[1])
def main():
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    folder = pathlib.Path(sys.argv[2])
    with servers.Server("child", command, env={}, cwd=folder, log=folder / "log", url=f"http://127.0.0.1:{port}/"):
        print("up", flush=True)
        time.sleep(60)
environment.run(main)
"""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
    def test_a_server_never_outlives_the_command_that_started_it(self, tmp_path: Path, number: signal.Signals):
        if number == signal.SIGKILL and sys.platform != "linux":
            pytest.skip("only Linux can end a child when its parent was killed")
        port = servers.choose_port(0, "")
        parent = subprocess.Popen(
            [sys.executable, "-c", self.PARENT, str(port), str(tmp_path)],
            env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
            stdout=subprocess.PIPE,
            preexec_fn=interruptible,
        )
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        assert answers(port)
        parent.send_signal(number)
        # In order where that is possible: the shell's convention for "ended by a signal".
        assert parent.wait(timeout=30) == (-number if number == signal.SIGKILL else 128 + number)
        parent.stdout.close()
        assert eventually(lambda: not answers(port))

    def test_a_server_that_does_not_start_shows_the_end_of_its_log(self, tmp_path: Path):
        broken = [sys.executable, "-c", "raise RuntimeError('no such table: users')"]
        server = servers.Server("Broken", broken, env={}, cwd=tmp_path, log=tmp_path / "log", url="http://127.0.0.1:9/")
        with pytest.raises(SetupError, match=r"(?s)Broken did not start.*no such table: users"), server:
            pass
