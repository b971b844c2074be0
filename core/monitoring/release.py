"""The checkout's commit, read from its files: no `git` command is needed or run."""

from pathlib import Path


def checkout_head(directory: Path) -> str:
    """Return the commit id that HEAD of the checkout at `directory` points to, or "" where there is none.

    Follows a worktree's or submodule's `.git` file, a symbolic HEAD and packed refs (gitrepository-layout(5)).
    """
    try:
        git = directory / ".git"
        if git.is_file():
            git = directory / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref:"):
            return head if _is_commit(head) else ""
        ref = head.removeprefix("ref:").strip()
        common = git
        if (git / "commondir").is_file():
            common = git / (git / "commondir").read_text(encoding="utf-8").strip()
        for root in (git, common):
            if (root / ref).is_file():
                commit = (root / ref).read_text(encoding="utf-8").strip()
                return commit if _is_commit(commit) else ""
        for line in (common / "packed-refs").read_text(encoding="utf-8").splitlines():
            commit, _, name = line.partition(" ")
            if name == ref and _is_commit(commit):
                return commit
    except (OSError, ValueError):
        pass
    return ""


def _is_commit(text: str) -> bool:
    return len(text) in (40, 64) and all(c in "0123456789abcdef" for c in text)
