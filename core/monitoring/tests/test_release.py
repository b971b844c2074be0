"""The release is the checkout's commit, whatever form the checkout has, without running git."""

import subprocess
from pathlib import Path

import pytest

from core.monitoring.release import checkout_head


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=directory, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    repo = tmp_path / "repo"
    repo.mkdir()
    git(repo, "init", "-q", "-b", "main")
    git(repo, "commit", "-q", "--allow-empty", "-m", "first")
    return repo


def test_a_branch(checkout: Path) -> None:
    assert checkout_head(checkout) == git(checkout, "rev-parse", "HEAD")


def test_a_detached_head(checkout: Path) -> None:
    git(checkout, "checkout", "-q", "--detach")
    assert checkout_head(checkout) == git(checkout, "rev-parse", "HEAD")


def test_packed_refs(checkout: Path) -> None:
    git(checkout, "pack-refs", "--all")
    assert not (checkout / ".git/refs/heads/main").exists()
    assert checkout_head(checkout) == git(checkout, "rev-parse", "HEAD")


def test_a_worktree(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    git(tmp_path / "side", "commit", "-q", "--allow-empty", "-m", "second")
    head = git(tmp_path / "side", "rev-parse", "HEAD")
    assert head != git(checkout, "rev-parse", "HEAD")
    assert checkout_head(tmp_path / "side") == head


def test_a_submodule(checkout: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    git(whole, "init", "-q")
    git(whole, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(checkout), "part")
    assert (whole / "part" / ".git").is_file()
    assert checkout_head(whole / "part") == git(checkout, "rev-parse", "HEAD")


def test_without_a_checkout_or_a_commit_there_is_none(tmp_path: Path) -> None:
    assert checkout_head(tmp_path) == ""
    git(tmp_path, "init", "-q")
    assert checkout_head(tmp_path) == ""
    (tmp_path / ".git" / "HEAD").write_bytes(b"\xff\xfe")
    assert checkout_head(tmp_path) == ""
