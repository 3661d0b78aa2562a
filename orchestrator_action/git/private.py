"""Our private repository: what agents committed, checked object by object, out of their reach.

One for each of the user's repositories, in `.git/orchestrator/private.git`. It borrows the user's objects
and has settings that no agent can write. Whatever is judged, measured, searched for secrets or pushed is
read here. An agent's tree is never read through its own settings, refs to replace objects, grafts, hooks or
alternates: its objects come through a *window*, a bare repository of ours that borrows them, and a fetch
computes every name anew. An object that is not what its name says does not arrive, which is then said.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

from orchestrator_action.config.schema import REF_PREFIX
from orchestrator_action.errors import GitError, WorktreeError
from orchestrator_action.git import borrow, file_formats
from orchestrator_action.git.borrow import Template
from orchestrator_action.git.cache import SHA
from orchestrator_action.git.parse import read_line
from orchestrator_action.git.process import HARDENED, base_env, config_arguments, last_line, spawn_git
from orchestrator_action.git.repo import Git

_NAME = "private.git"
BASE_REFS = f"{REF_PREFIX}bases/"
"""Refs in the user's repository that keep what is borrowed of it."""
BRANCHES = f"{REF_PREFIX}branches/"
"""Refs in the user's repository: the branch of each task that ended with commits."""

_LOCAL = {
    "GIT_ALLOW_PROTOCOL": "file",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def path_of(user: Git) -> Path:
    """Where the private repository of a user's repository is, there or not."""
    return user.common_dir / "orchestrator" / _NAME


def user_dir(private: Git) -> Path:
    """The git directory of the repository that a private one belongs to."""
    return private.common_dir.parent.parent


def open_private(user: Git, template: Template) -> Git:
    """The private repository, made when it is missing and brought up to date with the user's."""
    at = path_of(user)
    for folder in ("objects/info", "objects/pack", "refs/heads", "info"):
        (at / folder).mkdir(parents=True, exist_ok=True)
    at.chmod(0o700)
    borrow.put_file(at / "objects" / "info" / "alternates", os.fsencode(user.common_dir / "objects") + b"\n")
    borrow.write_settings(at / "config", (*template.settings, ("core.logallrefupdates", "false")))
    borrow.copy_common(template, at)
    borrow.write_refs(at, template.refs, {})
    borrow.put_file(at / "HEAD", b"ref: refs/heads/none\n")
    git = replace(user, git_dir=at, common_dir=at, work_tree=None)
    return replace(
        git, filters_seen=git.config_digest() if user.filters_seen == user.config_digest() else "none"
    )


def known_branches(user: Git, prefix: str) -> set[str]:
    """Branches below `prefix` of tasks at work, or that ended, in this repository."""
    there = path_of(user) / "refs" / "heads" / prefix
    found = {f"{prefix}{file.relative_to(there)}" for file in there.rglob("*") if file.is_file()}
    return found | {r.removeprefix("refs/heads/") for r in user.refs(f"refs/heads/{prefix}")}


def remote_refs(private: Git) -> dict[str, str]:
    """Remote-tracking branches of the private repository, read from its files: a tree is made without a git for them.

    Loose ones first: what is packed meanwhile is found again in the file of packed ones.
    """
    top = private.common_dir
    files = (Path(at, name) for at, _, names in os.walk(top / "refs" / "remotes") for name in names)
    loose = {str(p.relative_to(top)): sha for p in files if SHA.fullmatch(sha := read_line(p))}
    try:
        packed = file_formats.refs_of(os.fsdecode((top / "packed-refs").read_bytes()))
    except FileNotFoundError:
        packed = {}
    return {ref: sha for ref, sha in {**packed, **loose}.items() if _is_remote(ref)}


def _is_remote(ref: str) -> bool:
    return ref.startswith("refs/remotes/") and not ref.endswith(".lock")


def make_window(at: Path, objects: Path, private: Git) -> Git:
    """A bare repository of ours at `at` through which the `objects` of an agent's tree are read."""
    for folder in ("objects/info", "objects/pack", "refs/heads", "info"):
        (at / folder).mkdir(parents=True, exist_ok=True)
    lent = b"".join(os.fsencode(path) + b"\n" for path in (objects, private.common_dir / "objects"))
    borrow.put_file(at / "objects" / "info" / "alternates", lent)
    for name in ("config", "shallow", "info/exclude", "info/attributes"):
        borrow.replace_by_copy(private.common_dir / name, at / name)
    borrow.put_file(at / "HEAD", b"ref: refs/heads/none\n")
    return replace(private, git_dir=at, common_dir=at, work_tree=None)


def bring(source: Git, target: Git, sha: str, *how: str) -> None:
    """Fetch commit `sha` and what it needs from one bare repository of ours into another, with object checks.

    `how` are further arguments of the fetch. Raises WorktreeError when an object is missing or is not what its
    name says.
    """
    if not re.fullmatch(SHA, sha):
        raise GitError(f"{sha!r} is not the name of a commit", hint="look at the task's tree")
    ref = f"refs/offered/{os.urandom(6).hex()}"
    borrow_ref = source.common_dir / ref
    borrow_ref.parent.mkdir(parents=True, exist_ok=True)
    borrow.put_file(borrow_ref, f"{sha}\n".encode("ascii"))
    try:
        _fetch(source, target, ref, sha, *how)
    finally:
        borrow_ref.unlink(missing_ok=True)


def _fetch(source: Git, target: Git, ref: str, sha: str, *how: str) -> None:
    args = [
        *config_arguments((*HARDENED, "transfer.fsckObjects=true", "fetch.unpackLimit=100", *_TOLERATED)),
        "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow", "--no-recurse-submodules",
        "--no-auto-maintenance", "--refmap=", *how, f"file://{source.common_dir}", ref,
    ]  # fmt: skip
    env = {**base_env(target.env), **_LOCAL, "GIT_DIR": str(target.common_dir)}
    done = spawn_git(args, env=env, cwd=target.common_dir, stuck=source.stuck)
    if done.code or not target.rev_parse(sha):
        why = last_line(done.err) or "it is missing"
        raise WorktreeError(
            f"the commits up to {sha[:12]} cannot be taken over: {why}",
            hint="an object of the task's tree is missing, or is not what its name says",
        )


TOLERATED = ("missingSpaceBeforeDate", "zeroPaddedFilemode", "badTimezone", "missingTaggerEntry")
"""Flaws of old histories that harm nobody. Source: git-scm.com, git-fsck(1)."""
_TOLERATED = tuple(f"fetch.fsck.{kind}=ignore" for kind in TOLERATED)


def prune(private: Git) -> None:
    """Let go of what no branch in our repository names any more, and that nobody took within a day."""
    with contextlib.suppress(GitError):
        private.run("gc", "--quiet", "--prune=24.hours.ago", write=True)


def missing(git: Git, commit: str) -> tuple[str, ...]:
    """Objects of the tree at `commit` that a partial clone has left at its remote."""
    if not git.lazy_fetch:
        return ()
    out = git.text("rev-list", "--objects", "--missing=print", "--no-walk", commit)
    return tuple(line[1:] for line in out.splitlines() if line.startswith("?"))


def compute_anew(private: Git, own: Path, sha: str) -> Git:
    """Give a clone's git directory `own` every object of the tree at `sha`, each name computed anew; git on it.

    git then reads these, and nothing that somebody put under the same name into what it borrows. Raises
    WorktreeError when an object is not what its name says.
    """
    fresh = own / "fresh.git"
    for folder in ("objects/info", "objects/pack", "refs/heads"):
        (fresh / folder).mkdir(parents=True)
    borrow.replace_by_copy(own / "config", fresh / "config")
    borrow.put_file(fresh / "HEAD", b"ref: refs/heads/none\n")
    bring(private, replace(private, git_dir=fresh, common_dir=fresh), sha, "--depth=1")
    for part in (fresh / "objects").iterdir():
        shutil.copytree(part, own / "objects" / part.name, dirs_exist_ok=True)
    shutil.rmtree(fresh)
    return replace(private, git_dir=own, common_dir=own, work_tree=own.parent)


def hand_over(private: Git, user: Git, sha: str, ref: str) -> None:
    """Bring a commit of ours into the user's repository, named by a ref of ours there."""
    if not ref.startswith(REF_PREFIX):
        raise GitError(f"{ref} is the user's", hint=f"only {REF_PREFIX} is ours")
    before = user.rev_parse(ref)
    if before == sha:
        return
    if not user.rev_parse(sha):
        bring(private, user.shared, sha)
    user.update_ref(ref, sha)
