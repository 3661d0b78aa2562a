"""The main checkout of a repository, and the name it goes by."""

from __future__ import annotations

from pathlib import Path

from orchestrator_action.git.repo import Git


def main_checkout(git: Git) -> Path | None:
    """The top of the main checkout; None for a bare repository."""
    if git.git_dir == git.common_dir:
        return git.work_tree
    shared = ("--file", str(git.common_dir / "config"))
    if git.run_config(*shared, "--type=bool", "--get", "core.bare").text == "true":
        return None
    if configured := git.run_config(*shared, "--get", "core.worktree").text:
        return (git.common_dir / configured).resolve()
    return git.common_dir.parent if git.common_dir.name == ".git" else None


def repository_name(git: Git) -> str:
    """What the last folder of each tree is called: some tools take it for the project's name."""
    main = main_checkout(git)
    common = git.common_dir
    if main is None and (common.name.startswith(".") or common.name == "bare"):
        common = common.parent  # `proj/.bare` with its worktrees beside it
    name = (main or common).name.removesuffix(".git").lstrip(".")
    return name or "repository"
