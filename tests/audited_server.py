"""A server with stored files in a folder of its own, for audits that `manage.py` runs."""

import shutil
import subprocess
from pathlib import Path

from tests.conftest import environment, manage

FILES = 70
STORE = f"""
from accounts.models import User
from core import files
ada = User.objects.create_user("ada", "ada@example.org", "x")
for number in range({FILES}):
    files.save(ada, f"salary of jane {{number:02}}.txt", [b"0123456789"])
print(files.key_of(ada))
"""


# One process for several audits, each after so many further files were deleted behind the server's back.
ROUNDS = """
from pathlib import Path
from django.core.management import call_command
for count in {counts}:
    for path in sorted(Path({home!r}).iterdir())[:count]:
        path.unlink()
    try:
        call_command("audit_storage")
    except SystemExit as end:
        assert end.code == 3
"""


class Server:
    """Storm Cloud in a folder of its own, with stored files in `home`."""

    def __init__(self, folder: Path, home: Path, **variables: str) -> None:
        self.folder, self.home = folder, home
        self._variables = {"SENTRY_TRACES_SAMPLE_RATE": "1", "SENTRY_RELEASE": "4711abc", **variables}

    def env(self, **variables: str) -> dict[str, str]:
        return environment(self.folder, **{**self._variables, **variables})

    def audit(self, dsn: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return manage(self.env(SENTRY_DSN=dsn, **variables), "audit_storage", *arguments)

    def audit_after_deleting(self, dsn: str, counts: list[int]) -> None:
        code = ROUNDS.format(counts=counts, home=str(self.home))
        ended = manage(self.env(SENTRY_DSN=dsn), "shell", "-c", code)
        assert ended.returncode == 0, ended.stderr


def new_server(folder: Path, **variables: str) -> Server:
    env = environment(folder, **variables)
    assert manage(env, "migrate", "--verbosity", "0").returncode == 0
    stored = manage(env, "shell", "-c", STORE)
    assert stored.returncode == 0, stored.stderr
    return Server(folder, folder / "media" / stored.stdout.split()[-1], **variables)


def copy_of(template: Server, folder: Path) -> Server:
    shutil.copytree(template.folder, folder)
    return Server(folder, folder / template.home.relative_to(template.folder))
