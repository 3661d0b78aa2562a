"""The parts of one step that has no write token: its own journal, and stand-ins of ours for remote and forge.

Whatever a task pushes or writes there is a request: a bundle carries it to the step that decides. So work goes
through the same functions as a run on one machine, and none of them knows the difference.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator_action.errors import GitError
from orchestrator_action.forge.folder.forge import LocalForge
from orchestrator_action.git.remotes import folder_remote, make_bare
from orchestrator_action.git.repo import Git
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.protocol.model import Task
from orchestrator_action.run.past_runs import is_held
from orchestrator_action.run.remote import make_remote
from orchestrator_action.run.setup import Survey, enter_run
from orchestrator_action.run.steps.files import ReadPlan
from orchestrator_action.run.token import token_of
from orchestrator_action.run.walls import isolation_of
from orchestrator_action.state.context import RunContext
from orchestrator_action.state.journal import Journal
from orchestrator_action.state.store import journal_of

STAGED = "staged.git"
"""In the step's folder: the bare repository that stands in for the remote."""
_BASE = "refs/heads/base"


def fetch_base(git: Git, read: ReadPlan, env: Mapping[str, str]) -> None:
    """Have the plan's base commit in the repository. Raises GitError when the remote has it no more."""
    plan = read.plan
    if git.rev_parse(plan.base_sha) == plan.base_sha:
        return
    with tempfile.TemporaryDirectory(prefix="oa-base-") as private:
        make_remote(git, token=token_of(env), private=Path(private), env=env).fetch(plan.base_branch)
    if git.rev_parse(plan.base_sha) != plan.base_sha:
        raise GitError(
            f"the base {plan.base_sha[:12]} of the plan is not in this repository, nor in {plan.base_branch}",
            hint="is this a clone of the repository that the plan was made for? git fetch --unshallow",
        )


def step_journal(git: Git, run_id: str, name: str) -> Journal:
    """The journal of one step on one machine. What lists runs passes over it: it is a part of one."""
    folder = f"{run_id}.{name}-{secrets.token_hex(3)}"
    journal = Journal(journal_of(git, folder), run_id)
    journal.append("note", part=name)
    return journal


@contextlib.contextmanager
def enter_step(
    read: ReadPlan,
    tasks: Sequence[Task],
    name: str,
    repo: Path,
    env: Mapping[str, str],
    cancel: Cancel,
    *,
    needs_agents: bool,
    journal: Journal | None = None,
) -> Iterator[tuple[Survey, RunContext]]:
    """The parts of a step that works on `tasks` of a plan, with everything staged; or of one that was killed.

    The open `journal` of that one is given, and what it had staged is there again.
    """
    plan, git = read.plan, Git.open(repo, env)
    fetch_base(git, read, env)
    walls = isolation_of(read.config, env, git.work_tree or git.common_dir)
    with tempfile.TemporaryDirectory(prefix="oa-run-") as private:
        journal = journal or step_journal(git, plan.run_id, name)
        folder = journal.path.parent
        remote = folder_remote(git, _staged(git, folder, plan.base_sha), private_dir=Path(private), env=env)
        forge = LocalForge(folder / "forge", read_ref=lambda b: remote.sha(f"refs/heads/{b}") or None)
        for task in tasks:
            if task.issue:
                forge.put_issue(task.issue)
        found = Survey(
            git=git, remote=remote, forge=forge, config=read.config, base_branch=plan.base_branch,
            base_sha=plan.base_sha, tasks=tuple(tasks), test_commands=plan.test_commands, test_found="as planned",
            token=token_of(env), forge_name=f"local:{folder / 'forge'}", isolation=walls,
        )  # fmt: skip
        with enter_run(found, env, cancel, journal=journal, needs_agents=needs_agents) as run:
            yield found, replace(run, stand_in=True)


def killed_step(git: Git, run_id: str, name: str) -> Path | None:
    """The folder of the last step of this name on this machine, unless somebody is at it; None for none."""
    runs = journal_of(git, run_id).parent.parent
    known = [f for f in runs.glob(f"{run_id}.{name}-*") if (f / "journal.jsonl").is_file()]
    last = max(known, key=lambda f: (f / "journal.jsonl").stat().st_mtime, default=None)
    return None if last is None or is_held(last / "journal.jsonl") else last


def _staged(git: Git, folder: Path, base: str) -> Path:
    """A bare repository that borrows what the base has, so that a push brings no more than its own commits."""
    bare = make_bare(folder / STAGED, branch="staged", object_format=git.object_format)
    (bare / "objects" / "info").mkdir(exist_ok=True)
    lent = os.fsencode(git.common_dir / "objects") + b"\n"
    (bare / "objects" / "info" / "alternates").write_bytes(lent)
    Git.open(bare, git.env).update_ref(_BASE, base)
    return bare
