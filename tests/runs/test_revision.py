"""The working folder's commit: what git says it is, without git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kerasft.runs.revision import read_git_revision


def git(folder: Path, *words: str) -> str:
    settings = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *settings, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_it_is_what_git_says_on_branches_without_one_packed_and_in_worktrees(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    (folder / "below").mkdir(parents=True)
    assert read_git_revision(folder / "below") is None
    git(folder, "init", "-q", "-b", "a/branch")
    assert read_git_revision(folder) is None
    git(folder, "commit", "-q", "--allow-empty", "-m", "one")
    commit = git(folder, "rev-parse", "HEAD")
    assert read_git_revision(folder / "below") == commit
    git(folder, "pack-refs", "--all")
    assert not (folder / ".git" / "refs" / "heads" / "a" / "branch").exists()
    assert read_git_revision(folder) == commit
    git(folder, "worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"))
    git(tmp_path / "tree", "commit", "-q", "--allow-empty", "-m", "two")
    assert read_git_revision(tmp_path / "tree") == git(tmp_path / "tree", "rev-parse", "HEAD") != commit
    git(folder, "checkout", "-q", "--detach")
    assert read_git_revision(folder) == commit


@pytest.mark.parametrize(
    "head",
    [
        "",
        "ref: refs/../../secret",
        "ref: HEAD",
        "ref: refs/heads/none",
        "ref: refs/heads/round",
        "0" * 39,
        "\xff",
    ],
)
def test_what_is_no_commit_is_none(head: str, tmp_path: Path) -> None:
    (tmp_path / ".git" / "refs" / "heads").mkdir(parents=True)
    (tmp_path / "secret").write_text("0" * 40)
    (tmp_path / ".git" / "refs" / "heads" / "round").write_text("ref: refs/heads/round")
    (tmp_path / ".git" / "HEAD").write_bytes(head.encode("latin-1"))
    assert read_git_revision(tmp_path) is None


def test_pipes_and_links_are_none(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    os.mkfifo(tmp_path / ".git" / "HEAD")
    assert read_git_revision(tmp_path) is None
    (tmp_path / "below").mkdir()
    os.mkfifo(tmp_path / "below" / ".git")
    assert read_git_revision(tmp_path / "below") is None
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / ".git").symlink_to("/etc/hostname")
    assert read_git_revision(tmp_path / "linked") is None
