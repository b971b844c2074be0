"""`.env.template` and what else is configured by files: complete, and true when copied."""

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from decouple import RepositoryEnv
from environment import REPO

from core.monitoring.config import FALLBACKS, SentryConfig

TEMPLATE = REPO / ".env.template"
# Set by the image and by build systems, not by people.
NOT_FOR_PEOPLE = {"GIT_COMMIT", "ENVIRONMENT"}
PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "_core.settings.production",
    "SECRET_KEY": "k3y-" + "0123456789abcdefghijklmnopqrstuvwxyz" * 2,
    "ALLOWED_HOSTS": "files.example.org",
}


def template() -> dict[str, str]:
    return dict(RepositoryEnv(TEMPLATE).data)


def variables_that_are_read() -> set[str]:
    sources = "".join(file.read_text() for file in (REPO / "_core").rglob("*.py"))
    in_settings = set(re.findall(r"\b(?:text|number|flag|items|required|folder|redis_url)\(\s*\"(\w+)\"", sources))
    assert len(in_settings) > 25
    monitoring = {field.metadata["variable"] for field in SentryConfig.__dataclass_fields__.values() if field.metadata}
    fallbacks = {name for names in FALLBACKS.values() for name in names}
    in_compose = set(re.findall(r"\$\{(\w+)", (REPO / "docker-compose.yml").read_text()))
    return (in_settings | monitoring | fallbacks | in_compose) - NOT_FOR_PEOPLE


def test_the_template_has_every_variable_that_is_read_and_no_other():
    assert set(template()) == variables_that_are_read()


def test_every_variable_is_explained_on_the_line_above_and_nothing_stands_behind_a_value():
    lines = TEMPLATE.read_text().splitlines()
    for above, line in itertools.pairwise(lines):
        if line and not line.startswith("#"):
            assert above.startswith("# "), line
            assert "#" not in line


@pytest.mark.parametrize("settings", [{"DJANGO_SETTINGS_MODULE": "_core.settings.dev"}, PRODUCTION])
def test_a_copy_of_the_template_is_a_working_configuration(settings):
    # The environment wins over a .env, so these values count whatever this checkout's own .env says.
    result = subprocess.run(
        [sys.executable, "manage.py", "check", "--fail-level", "WARNING"],
        cwd=REPO,
        env=os.environ | template() | settings,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def test_its_values_are_the_defaults():
    program = (
        "import decouple, pprint\n"
        "decouple.config = decouple.Config(decouple.RepositoryEmpty())\n"  # this checkout's .env
        "from _core.settings import production\n"
        "pprint.pprint({name: value for name, value in vars(production).items() if name.isupper()})\n"
    )
    bare = {name: value for name, value in os.environ.items() if name not in template()} | PRODUCTION
    copied, unset = (
        subprocess.run([sys.executable, "-c", program], cwd=REPO, env=env, capture_output=True, text=True)
        for env in (bare | template() | PRODUCTION, bare)
    )
    assert unset.returncode == 0, unset.stderr
    assert copied.stdout.splitlines() == unset.stdout.splitlines()


def test_development_answers_to_the_names_of_the_template_as_well():
    result = subprocess.run(
        [sys.executable, "-c", "from _core.settings.dev import ALLOWED_HOSTS; print(*ALLOWED_HOSTS)"],
        cwd=REPO,
        env=os.environ | {"ALLOWED_HOSTS": "files.example.org,192.0.2.7"},
        capture_output=True,
        text=True,
    )
    assert result.stdout.split() == ["localhost", "127.0.0.1", "[::1]", "files.example.org", "192.0.2.7"]


def test_production_says_which_variable_the_copy_still_lacks():
    settings = {"DJANGO_SETTINGS_MODULE": "_core.settings.production"}
    result = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=REPO,
        env=os.environ | template() | settings,
        capture_output=True,
        text=True,
    )
    assert result.returncode != 0
    assert "SECRET_KEY is not set" in result.stderr


SHOW = (
    "import django; django.setup(); from django.conf import settings; from core.monitoring.sdk import active;"
    "print(settings.REST_FRAMEWORK['NUM_PROXIES'], settings.EMAIL_PORT, settings.SECURE_SSL_REDIRECT,"
    " settings.DATABASES['default']['ENGINE'].rpartition('.')[2], active().config.enabled)"
)
READ = variables_that_are_read()


def started(cwd: Path = REPO, **variables: str) -> subprocess.CompletedProcess[str]:
    """Start production with nothing but these variables, and show some of what was read."""
    inherited = {name: value for name, value in os.environ.items() if name not in READ}
    command = [sys.executable, "-c", SHOW]
    return subprocess.run(command, cwd=cwd, env=inherited | PRODUCTION | variables, capture_output=True, text=True)


def test_a_blank_variable_is_an_unset_one():
    result = started(**dict.fromkeys(READ - set(PRODUCTION), " "))
    assert result.stdout == "0 25 True sqlite3 False\n", result.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STORMCLOUD_PROXIES", "one"),
        ("STORMCLOUD_QUOTA_BYTES", "-1"),
        ("STORMCLOUD_QUOTA_BYTES", "10 GB"),
        ("STORMCLOUD_AUDIT_MB_PER_SECOND", "nan"),
        ("EMAIL_PORT", "25.5"),
        ("STORMCLOUD_HTTPS", "perhaps"),
        ("STORMCLOUD_AUDIT_SCHEDULE", "at night"),
        ("STORMCLOUD_AUDIT_SCHEDULE", "0 25 * * *"),
        ("STORMCLOUD_LOG_DIR", "/dev/null/logs"),
    ],
)
def test_a_value_that_makes_no_sense_stops_the_start_with_the_name_of_its_variable(name, value):
    result = started(**{name: value})
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert "ImproperlyConfigured" in last
    assert name in last


def test_the_folder_of_the_security_log_is_made(tmp_path):
    folder = tmp_path / "var" / "log"
    assert started(STORMCLOUD_LOG_DIR=str(folder)).returncode == 0
    assert folder.is_dir()


def test_a_file_of_settings_in_a_folder_above_is_another_projects(tmp_path):
    checkout = tmp_path / "checkout"
    shutil.copytree(REPO, checkout, ignore=shutil.ignore_patterns(".*", "tests", "docs", "media", "*.sqlite3*"))
    foreign = "SENTRY_DSN=http://key@127.0.0.1:9/1\nDATABASE_URL=postgresql://nobody@127.0.0.1:9/x\n"
    (tmp_path / ".env").write_text(foreign)
    assert started(checkout).stdout == "0 25 True sqlite3 False\n"
    (checkout / ".env").write_text(foreign)
    assert started(checkout).stdout == "0 25 True postgresql True\n"


def test_pre_commit_and_ci_use_the_same_ruff():
    pinned = re.findall(r"ruff==([\d.]+)", (REPO / ".pre-commit-config.yaml").read_text())
    assert set(pinned) == set(re.findall(r"ruff==([\d.]+)", (REPO / "tests" / "requirements.txt").read_text()))
