"""Imports point one way, so that each part can be read, and the monitoring lifted, without what stands above it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# What each part may import of this project. The longest matching prefix counts.
ALLOWED = {
    "core.monitoring": {"core.monitoring"},
    "core": {"core", "core.monitoring"},
    "accounts": {"accounts"},
    "api": {"api", "accounts", "core", "core.monitoring"},
    "_core": {"_core", "api", "accounts", "core", "core.monitoring"},
}


def modules() -> Iterator[tuple[str, Path]]:
    for part in ("_core", "api", "accounts", "core"):
        for file in (ROOT / part).rglob("*.py"):
            if "tests" not in file.parts and "migrations" not in file.parts:
                yield ".".join(file.relative_to(ROOT).with_suffix("").parts), file


def part_of(module: str) -> str | None:
    parts = [part for part in ALLOWED if module == part or module.startswith(f"{part}.")]
    return max(parts, key=len, default=None)


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively; say where from"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_nothing_imports_upwards_and_the_monitoring_imports_nothing_of_its_host() -> None:
    seen = 0
    for module, file in modules():
        own = part_of(module)
        assert own is not None
        for name in imports(file):
            target = part_of(name)
            seen += target is not None
            assert target is None or target in ALLOWED[own], f"{file.relative_to(ROOT)} imports {name}"
    assert seen > 50


@pytest.mark.parametrize("file", ["signals.py", "signal_handlers.py"])
def test_the_security_log_and_the_monitoring_do_not_know_each_other(file: str) -> None:
    assert not [name for name in imports(ROOT / "accounts" / file) if "monitoring" in name or "sentry" in name]
    for _, module in modules():
        if "monitoring" in module.parts:
            assert "signal_handlers" not in module.read_text(encoding="utf-8")
