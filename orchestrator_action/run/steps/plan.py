"""The first step: which tasks run, taken for this run, and which shard works on which. No agent, no repository code.

A task that came as a prompt file gets its issue here, so that the steps after this one never need to open one.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator_action.config.records import to_record
from orchestrator_action.errors import ConfigError, ForgeError, NothingToDo
from orchestrator_action.plan.shards import shards_of, waves_of
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.process.files import replace_file
from orchestrator_action.protocol.candidates import agents_at, agents_for, tasks_at_work
from orchestrator_action.protocol.documents import Plan, digest_of
from orchestrator_action.protocol.lease import leaseholder
from orchestrator_action.protocol.model import Task
from orchestrator_action.publish.agent_acts import open_issue_of
from orchestrator_action.publish.claim import claim_issue, tell_cannot_begin, tell_not_started
from orchestrator_action.run.candidates import note_of_rivals, rivals_of
from orchestrator_action.run.forecast import touched_by
from orchestrator_action.run.preflight import issue_want, look_at_forge
from orchestrator_action.run.recover import Say
from orchestrator_action.run.setup import Admit, RunRequest, Survey, enter_run, now, plan_run, teller
from orchestrator_action.run.steps.files import digest_of_bytes
from orchestrator_action.run.steps.step import step_journal
from orchestrator_action.state.context import RunContext
from orchestrator_action.state.documents import encode_document
from orchestrator_action.state.journal import new_run_id

MAX_SHARDS = 256
"""Of one matrix. Source: docs.github.com, "Usage limits" of GitHub Actions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan that was written, with the digest of its file."""

    plan: Plan
    digest: str


def write_plan(
    asked: RunRequest,
    env: Mapping[str, str],
    cancel: Cancel,
    out: Path,
    shards: int,
    *,
    waves: int = 1,
    most: int = 0,
    say: Say,
    admit: Admit | None = None,
) -> Planned:
    """Take the tasks for a new run, with `most` the first so many, and write its plan to `out`.

    Raises NothingToDo when none could be taken.
    """
    if not 1 <= shards <= MAX_SHARDS:
        raise ConfigError(f"--shards {shards} is not between 1 and {MAX_SHARDS}", hint="as in --shards 4")
    if not 1 <= waves <= MAX_SHARDS // shards:
        raise ConfigError(
            f"--waves {waves} with --shards {shards} is not between 1 and {MAX_SHARDS} shards in all",
            hint="as in --shards 16 --waves 3",
        )
    with contextlib.ExitStack() as stack:
        private = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oa-run-")))
        found = stack.enter_context(
            plan_run(
                asked,
                env,
                private=private,
                say=say,
                admit=admit,
                take_over=False,
                tell=teller(asked),
                anyway=True,
            )
        )
        _refuse(found, waves)
        if most:
            found = _first(found, most, say)
        journal = step_journal(found.git, new_run_id(now()), "plan")
        run = stack.enter_context(enter_run(found, env, cancel, journal=journal, needs_agents=False))
        draft = _plan_of(found, run, shards, waves)
        _write(out, draft)  # before anything is taken: where it cannot be written, nothing is
        plan = _with_tasks(draft, found, _taken(found, run, say), shards, waves)
        return Planned(plan=plan, digest=_write(out, plan))


def _first(found: Survey, most: int, say: Say) -> Survey:
    """With the first tasks only, so many that agents are set to `most` at most; candidates count one each."""
    wanted, agent = found.config.candidates, found.config.agent
    sums = itertools.accumulate(len(agents_at(t, wanted, agent)) for t in found.tasks)
    taken = sum(so_far <= most for so_far in sums)
    if left := len(found.tasks) - taken:
        say(f"{left} more tasks are left for the next run, as at most {most} are taken")
    if not taken:
        raise ConfigError(
            f"the first task alone has more candidates than the {most} that may be taken",
            hint="give a larger --max-tasks (max-tasks), or fewer candidates",
        )
    return replace(found, tasks=found.tasks[:taken])


def _refuse(found: Survey, waves: int) -> None:
    """Raise, told on each issue, what makes every success impossible whatever a job's token may do.

    The token of this job need not push nor propose anything, so what it may do is not looked at.
    """
    if error := found.want or _candidates_want(found, waves) or _forge_want(found):
        if numbers := [t.issue.number for t in found.tasks if t.issue]:
            tell_cannot_begin(found.forge, "", numbers, error)
        raise error


def _candidates_want(found: Survey, waves: int) -> ConfigError | None:
    """Which of several branches a task grows from is known once all of them are verified: in the wave before."""
    for wave in waves_of(found.tasks, waves):
        several = {t.id for t in wave if agents_for(t, found.config.candidates, found.config.agent)}
        for task in wave:
            if behind := sorted(several & set(task.depends_on)):
                return ConfigError(
                    f"{task.id} depends on {behind[0]}, of which several candidates are tried in the same wave",
                    hint="give more --waves, or set `candidates: 1`",
                )
    return None


def _forge_want(found: Survey) -> ForgeError | None:
    asked = look_at_forge(found, found.tasks)
    wants = [r for r in asked if r.ok is False and not r.what.startswith("permission")]
    return ForgeError(wants[0].found, hint=wants[0].hint) if wants else None


def _plan_of(found: Survey, run: RunContext, shards: int, waves: int) -> Plan:
    config = to_record(found.config)
    plan = Plan(
        run_id=run.run_id, repository=found.forge.repository, forge=found.forge_name,
        base_branch=found.base_branch, base_sha=found.base_sha, config=config, policy_digest=digest_of(config),
        test_commands=found.test_commands, holder=leaseholder(run.env, run.run_id), notes=found.notes,
    )  # fmt: skip
    return _with_tasks(plan, found, found.tasks, shards, waves)


def _with_tasks(plan: Plan, found: Survey, tasks: Sequence[Task], shards: int, waves: int) -> Plan:
    touched = touched_by(found)
    made = []
    for wave in waves_of(tasks, waves):
        # candidates of one task touch the same files, and are spread all the same
        at_work = tasks_at_work(replace(plan, tasks=wave))
        here = {t.id for t in at_work}
        made.append(shards_of(at_work, shards, {t: paths for t, paths in touched.items() if t in here}))
    return replace(
        plan, tasks=tuple(tasks), shards=tuple(s for wave in made for s in wave), waves=tuple(map(len, made))
    )


def _taken(found: Survey, run: RunContext, say: Say) -> tuple[Task, ...]:
    """The tasks that are this run's now. One that is not, and what depends on it, is left for another run."""
    taken: dict[str, Task] = {}
    wants = {t.id: want for t in found.tasks if (want := issue_want(t, found))}
    for task in found.tasks:
        run.check_not_cancelled()
        if want := wants.get(task.id):
            say(f"{task.id}: left out: {want.message}")
            tell_not_started(run, task, want.message + (f" ({want.hint})" if want.hint else ""))
            continue
        lost = [d for d in task.depends_on if d not in taken]
        if why := task.stuck or (lost and f"{lost[0]} is"):
            say(f"{task.id}: left out, as {why}")
            if task.stuck:
                tell_not_started(run, task, task.stuck)
            continue
        try:
            taken[task.id] = _take(task, run)
        except ForgeError as exc:
            say(f"{task.id}: left out: {exc.message}")
    if not taken and wants:
        raise next(iter(wants.values()))
    if not taken:
        raise NothingToDo("no task could be taken for this run", hint="the lines above say why")
    return tuple(taken.values())


def _take(task: Task, run: RunContext) -> Task:
    if task.issue is None:
        return replace(task, issue=open_issue_of(run, task))
    issue = replace(task.issue, left_by="")  # it starts anew: what that run had pushed stays where it is
    rivals = rivals_of(run, task)
    claim_issue(run, replace(task, note=task.note or note_of_rivals(rivals)), issue)
    return replace(task, issue=issue)


def _write(out: Path, plan: Plan) -> str:
    body = encode_document(plan)
    try:
        replace_file(out.absolute(), body)
    except (OSError, ValueError) as exc:
        raise ConfigError(f"cannot write the plan {out}: {exc}", hint="check --out") from None
    return digest_of_bytes(body)
