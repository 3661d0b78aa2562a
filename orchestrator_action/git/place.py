"""Where the trees of tasks live: outside the checkout, on a path without a component that begins with a dot.

Test runners, file servers and watchers pass over such folders, and tools that look upwards from a tree
inside the checkout would find the checkout's own packages and settings.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from orchestrator_action.errors import WorktreeError
from orchestrator_action.git.repo import Git

SHARED_TEMP = Path("/var/tmp")  # noqa: S108 - the folder made in it is checked for its owner
"""On disk, and not emptied when the machine starts."""
TREES_FOLDER = "orchestrator"


def trees_root(env: Mapping[str, str], setting: str = "") -> Path:
    """The folder for the trees of all runs: as configured, the runner's own, or one of the user's in `/var/tmp`.

    `setting` is `trees` of the configuration. Nothing is made here. Raises WorktreeError for a setting that
    is no absolute path, or has a component that begins with a dot.
    """
    if setting:
        return _configured(Path(setting).expanduser())
    runner = Path(env.get("RUNNER_TEMP", ""))
    if runner.is_absolute() and runner.is_dir() and not _hidden(runner):
        return runner / TREES_FOLDER
    return SHARED_TEMP / f"{TREES_FOLDER}-{os.geteuid()}"


def _configured(path: Path) -> Path:
    if not path.is_absolute():
        raise WorktreeError(f"trees: {path} is not absolute", hint="give a path that begins with /")
    if _hidden(path):
        raise WorktreeError(
            f"trees: {path} has a folder that begins with a dot",
            hint="name one without: test tools pass over hidden folders",
        )
    return path


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def make_root(root: Path) -> Path:
    """Make the folder for trees, open to its owner only; returns its real path.

    Raises WorktreeError when it is a link, or belongs to somebody else.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = root.lstat()
    except OSError as exc:
        raise WorktreeError(f"{root} cannot be made: {exc.strerror}", hint=_ELSEWHERE) from exc
    if not stat.S_ISDIR(found.st_mode):
        raise WorktreeError(f"{root} is not a directory", hint=_ELSEWHERE)
    if found.st_uid != os.geteuid():
        raise WorktreeError(f"{root} belongs to somebody else (uid {found.st_uid})", hint=_ELSEWHERE)
    if found.st_mode & 0o077:
        root.chmod(0o700)
    return root.resolve()


_ELSEWHERE = "name another folder with `trees` in the configuration"


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
