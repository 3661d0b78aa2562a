"""A checkout of exactly one commit, for running what cannot be trusted: tests, and a reviewer.

It is a repository of its own: the objects are borrowed, refs and configuration are copies, so whatever
the repository's tests do to git (configure it, clone it, commit to it) stays in it. Its git directory is
kept outside the tree and made anew for every use; nothing of the use before is left.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from orchestrator_action.errors import WorktreeError
from orchestrator_action.git import agent_view as gitview
from orchestrator_action.git.repo import Git
from orchestrator_action.git.worktree_list import set_writable

FOLDER = "replicas"


def home(git: Git, path: Path) -> Path:
    """Where the git directory of the replica at `path` is."""
    return git.common_dir / "orchestrator" / FOLDER / f"{path.name}.git"


def make(git: Git, path: Path, commit: str) -> Git:
    """Check out exactly `commit` at `path`, and nothing else; `git` in it.

    Raises WorktreeError when something is at `path` that is none of our replicas.
    """
    own = home(git, path)
    if path.is_symlink() or (
        path.exists() and not own.is_dir() and (not path.is_dir() or any(path.iterdir()))
    ):
        raise WorktreeError(f"{path} is in the way and is no worktree of ours", hint="move it away")
    if own.is_dir():
        shutil.rmtree(own)
    _make_git_dir(git, own, path, commit)
    path.mkdir(exist_ok=True)
    set_writable(path, True)
    link = path / ".git"
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.write_bytes(os.fsencode(f"gitdir: {own}\n"))
    made = replace(git, git_dir=own, common_dir=own, work_tree=path, filters_seen="not to be trusted")
    if git.config_digest() == git.filters_seen:
        made = replace(made, filters_seen=made.config_digest())
    made.run("reset", "--hard", "--quiet", commit, write=True)
    made.run("clean", "-ffdxq", write=True)
    return made


def remove(git: Git, path: Path) -> Path:
    """Delete a replica, of which nothing is of any value; returns where it was."""
    if path.is_dir() and not path.is_symlink():
        set_writable(path, True)
        shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(home(git, path), ignore_errors=True)
    return path


def _make_git_dir(git: Git, own: Path, path: Path, commit: str) -> None:
    common = git.common_dir
    for folder in ("objects/info", "objects/pack", "refs"):
        (own / folder).mkdir(parents=True)
    (own / "objects/info/alternates").write_bytes(os.fsencode(common / "objects") + b"\n")
    for name in ("info", "shallow"):
        if (common / name).is_dir():
            shutil.copytree(common / name, own / name)
        elif (common / name).is_file():
            shutil.copyfile(common / name, own / name)
    if (common / "lfs").is_dir():
        (own / "lfs").symlink_to(common / "lfs")
    (own / "HEAD").write_text(f"{commit}\n", encoding="ascii")
    _write_refs(own / "packed-refs", git.refs())
    _write_config(common / "config", own / "config", path, git.env)


def _write_refs(file: Path, refs: Mapping[str, str]) -> None:
    """All refs but ours: `git describe` and its like go on working."""
    kept = sorted((r, s) for r, s in refs.items() if not r.startswith("refs/orchestrator/"))
    lines = [f"{sha} {ref}\n" for ref, sha in kept]
    file.write_bytes(os.fsencode("# pack-refs with: sorted \n" + "".join(lines)))


def _write_config(source: Path, target: Path, path: Path, env: Mapping[str, str]) -> None:
    shutil.copyfile(source, target)
    not_ours = r"extensions\.(worktreeconfig|refstorage|relativeworktrees)|core\.(hookspath|bare|worktree)"
    gitview.scrub(target, env, also=not_ours)
    quoted = os.fsencode(str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
    with target.open("ab") as file:
        file.write(b'\n[core]\n\tbare = false\n\tworktree = "' + quoted + b'"\n')
