"""The documents are true: what they name exists, and what exists is named."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from decouple import RepositoryEnv
from django.core.management import get_commands

from core.monitoring import checks, rules, sdk
from core.monitoring.config import FALLBACKS, SentryConfig
from core.monitoring.management.commands import sentry_test

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / name for name in ("README.md", "DOCKER.md", "CHANGELOG.md")] + sorted((ROOT / "docs").glob("*.md"))
GUIDE = (ROOT / "docs" / "MONITORING.md").read_text(encoding="utf-8")
RULES = (ROOT / "docs" / "RULES.md").read_text(encoding="utf-8")
VARIABLES = [f.metadata["variable"] for f in fields(SentryConfig) if f.metadata]


@pytest.mark.parametrize("variable", [*VARIABLES, *(name for names in FALLBACKS.values() for name in names)])
def test_every_variable_is_in_the_guide_and_in_the_template(variable: str) -> None:
    assert f"`{variable}`" in GUIDE
    assert variable in (ROOT / ".env.template").read_text(encoding="utf-8")


def test_every_default_in_the_guide_is_the_one_in_force() -> None:
    for field in fields(SentryConfig):
        if field.metadata and (isinstance(field.default, float | int) or field.name == "ledger"):
            assert f"| `{field.metadata['variable']}` | `{field.default}`" in GUIDE


def test_every_value_in_the_template_is_the_default_in_force() -> None:
    template = RepositoryEnv(ROOT / ".env.template").data
    for field in fields(SentryConfig):
        if field.metadata and (value := template[field.metadata["variable"]]):
            assert field.metadata["parse"](value) == field.default, field.name


def test_every_cause_that_sentry_test_can_name_is_in_the_guide() -> None:
    table = re.findall(r"^\| (`.+?) \| ", chapter("Turn it on"), re.MULTILINE)
    causes = {cause for cause, _ in (*sentry_test.FAILURES.values(), sentry_test.TIMED_OUT, sentry_test.BROKEN)}
    assert set(re.findall(r"`(\w+)`", " ".join(table))) == causes | {"off", "dsn", "http"}


def chapter(title: str, text: str = GUIDE) -> str:
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_check_is_in_the_guide_and_every_check_in_the_guide_exists() -> None:
    assert set(re.findall(r"monitoring\.W\d+", GUIDE)) == set(re.findall(r"monitoring\.W\d+", checks.__doc__ or ""))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for command in re.findall(r"manage\.py ([a-z_]+)", text):
        assert command in get_commands() or command == "help", command
    for script in re.findall(r"\bscripts/(\w+)", text):
        assert (ROOT / "scripts" / script).exists(), script


def test_the_guide_shows_every_command_of_the_monitoring() -> None:
    commands = [name for name, app in get_commands().items() if app == "core.monitoring"]
    assert len(commands) > 3
    assert [name for name in commands if f"python manage.py {name}" not in GUIDE] == []


@pytest.mark.parametrize("name", ["README.md", "DOCKER.md"])
def test_who_reads_only_this_knows_how_to_enable_and_test_monitoring_and_what_stays_private(name: str) -> None:
    text = chapter("Monitoring (optional)", (ROOT / name).read_text(encoding="utf-8"))
    for said in ("SENTRY_DSN=", "manage.py sentry_test", "sentry_status", "asswords, keys", "(docs/MONITORING.md)"):
        assert said in text, said


def test_the_settings_that_the_drop_in_shows_are_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "DROP_IN.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"   ```python\n(   INSTALLED_APPS.*?)   ```", text, re.DOTALL)
    monkeypatch.setattr(sdk, "_active", sdk.Monitoring())
    monkeypatch.setenv("SENTRY_DSN", "")
    values: dict[str, Any] = {"INSTALLED_APPS": [], "MIDDLEWARE": [""], "BASE_DIR": tmp_path, "MEDIA_ROOT": tmp_path}
    exec(re.sub("^   ", "", block, flags=re.MULTILINE), values)
    assert sdk.active().problems == ()
    assert sdk.active().config.patterns == {"badge": r"BADGE-\d{4}"}
    arguments = set(re.findall(r"^       (\w+)=", block, re.MULTILINE)) - {"base_dir"}
    assert arguments <= sdk.active().config.sources.keys()


def test_who_removes_the_monitoring_is_told_every_module_that_names_it() -> None:
    naming = {
        str(file.relative_to(ROOT))
        for folder in ("_core", "accounts", "api", "core")
        for file in (ROOT / folder).rglob("*.py")
        if re.search(r"\bcore\.(monitoring|middleware|sentry_context)\b", file.read_text(encoding="utf-8"))
        and not {"monitoring", "tests", "settings"} & set(file.relative_to(ROOT).parts)
    }
    told = set(re.findall(r"`([\w/]+\.py)`", chapter("Turn it off, or remove it")))
    assert naming <= told
    assert [file for file in sorted(told) if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_between_documents_resolves(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_chapter_resolves(document: Path) -> None:
    for target, anchor in re.findall(r"\]\(((?!http)[^)#]*)#([^)]*)\)", document.read_text(encoding="utf-8")):
        page = (document.parent / target if target else document).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
        # As GitHub makes them: lower case, no punctuation, dashes for blanks.
        assert anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings], anchor


def test_every_module_that_the_architecture_shows_exists() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    tree = text.split("```")[1]
    named = re.findall(r"\b(\w+\.py)\b", tree)
    assert len(named) > 10
    present = {file.name for file in ROOT.rglob("*.py")}
    assert [name for name in named if name not in present] == []


def test_the_guide_lists_the_rules_that_are_in_force() -> None:
    table = "\n".join(f"| `{rule.id}` | {rule.about} | `{rule.becomes}` |" for rule in rules.VALUE_RULES)
    assert table in RULES, f"docs/RULES.md should hold:\n{table}"


def test_the_guide_lists_the_names_that_are_in_force() -> None:
    words = " ".join(f"`{word}`" for word in sorted(rules.SENSITIVE_WORDS))
    phrases = " ".join(f"`{'_'.join(phrase)}`" for phrase in sorted(rules.SENSITIVE_PHRASES))
    flowing = " ".join(RULES.split())
    assert words in flowing, f"docs/RULES.md should hold:\n{words}"
    assert phrases in flowing, f"docs/RULES.md should hold:\n{phrases}"
