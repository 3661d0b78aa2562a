"""The remote of the repository that a run works on, and what the forge beside it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator_action.errors import GitError
from orchestrator_action.forge.github.address import servers
from orchestrator_action.forge.registry import ForgeParts
from orchestrator_action.git.remote import Remote
from orchestrator_action.git.remotes import folder_remote, make_bare, open_remote, seed_bare
from orchestrator_action.git.repo import Git
from orchestrator_action.state.store import state_dir


def make_remote(git: Git, *, token: str, private: Path, env: Mapping[str, str]) -> Remote:
    """The repository's remote; for one that has none, a bare repository of ours beside the runs."""
    in_action = env.get("GITHUB_ACTIONS") == "true"
    remote = open_remote(
        git, private_dir=private, token=token, env=env, servers=servers(env), strict=in_action
    )
    if remote is not None:
        return remote
    branch, head = git.branch(), git.head()
    if head and not branch:
        raise GitError(
            "no branch is checked out, and the repository has no remote: there is no branch to begin from",
            hint="git switch BRANCH, or: git remote add origin URL",
        )
    if not branch or not head:
        raise GitError(
            "the repository has no remote and no branch with a commit, so there is no default branch",
            hint="commit something, or: git remote add origin URL",
        )
    bare = make_bare(state_dir(git) / "remote.git", branch=branch, object_format=git.object_format)
    own = folder_remote(git, bare, private_dir=private, env=env)
    if own.sha(f"refs/heads/{branch}") != head:
        seed_bare(git, bare, branch, head)
    return own


def forge_parts(git: Git, remote: Remote, token: str, env: Mapping[str, str]) -> ForgeParts:
    """What the forge of a repository is made of."""
    return ForgeParts(remote=remote, folder=state_dir(git) / "forge", token=token, env=env)
