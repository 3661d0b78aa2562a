"""The last step: what every task of a plan came to is written to the forge. The only one with a write token.

No code of the repository runs here. Each bundle is checked first; one that is refused, or never came, ends its own
task by name, and the others go on. Facts come from the verdict documents and from the forge; what work alone says
is shown as reported by it. A job that was killed is run again: what was told is found, and nothing is told twice.
"""

from __future__ import annotations

import calendar
import contextlib
import logging
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator_action.errors import (
    ConfigError,
    GitError,
    Interrupted,
    JournalError,
    OrchestratorError,
    TakenError,
)
from orchestrator_action.forge.registry import make_forge
from orchestrator_action.git import audit_trail as audit
from orchestrator_action.git.repo import Git
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.process.concurrency import Slots
from orchestrator_action.process.gate import RateGate
from orchestrator_action.process.pace import Pace
from orchestrator_action.protocol.documents import Plan, VerdictDocument
from orchestrator_action.protocol.ends import End, end_of, held_up
from orchestrator_action.protocol.events import fact_data, fold
from orchestrator_action.protocol.forge_values import Conclusion, Pull
from orchestrator_action.protocol.judge import judge
from orchestrator_action.protocol.model import GOOD_STATUSES, RunReport, Status, Task, TaskResult, Verdict
from orchestrator_action.publish.acts import with_problems
from orchestrator_action.publish.agent_acts import FORGE_ACTS
from orchestrator_action.publish.claim import is_anothers
from orchestrator_action.publish.report import comments as render
from orchestrator_action.run.finish import (
    publish_result,
    record_end,
    recorded_phases,
    recorded_result,
    recorded_task_run,
)
from orchestrator_action.run.grown import ground_of
from orchestrator_action.run.integration import integrate, tell_integration
from orchestrator_action.run.recover import Say
from orchestrator_action.run.remote import forge_parts, make_remote
from orchestrator_action.run.run import speedup
from orchestrator_action.run.setup import Survey, enter_run, now
from orchestrator_action.run.steps.bundle import Work
from orchestrator_action.run.steps.carry import carry_over, keep_candidates
from orchestrator_action.run.steps.files import ReadPlan
from orchestrator_action.run.steps.integrate import IntegrationDocument, use_found
from orchestrator_action.run.steps.offers import Offer, collect_offers, isolation_of_verdict
from orchestrator_action.run.steps.review import ReviewDocument
from orchestrator_action.run.steps.step import fetch_base
from orchestrator_action.run.token import token_of
from orchestrator_action.sandbox.isolation import Isolation
from orchestrator_action.state.context import RunContext
from orchestrator_action.state.fold import planned, result_of, result_record, task_state
from orchestrator_action.state.journal import Journal
from orchestrator_action.state.limits import RunLimits
from orchestrator_action.state.store import journal_of, state_dir
from orchestrator_action.verify.measure import Measure

log = logging.getLogger(__name__)

WRITES = "writes"
"""In the folder of our state: when this clone wrote to the forge."""
UNVERIFIED = "not verified: no verdict on what its work job brought has come"
_CONCLUSIONS = {
    Status.CANCELLED: Conclusion.CANCELLED, Status.TIMEOUT: Conclusion.TIMED_OUT, Status.STALLED: Conclusion.TIMED_OUT,
    Status.BLOCKED: Conclusion.ACTION_REQUIRED, Status.DECLINED: Conclusion.ACTION_REQUIRED,
}  # fmt: skip


@contextlib.contextmanager
def enter_publish(
    read: ReadPlan, repo: Path, env: Mapping[str, str], cancel: Cancel, *, forge: str = ""
) -> Iterator[RunContext]:
    """The parts of the step: the real remote and forge. A journal that an earlier try left is taken up."""
    plan, git, token = read.plan, Git.open(repo, env), token_of(env)
    fetch_base(git, read, env)
    with tempfile.TemporaryDirectory(prefix="oa-run-") as private, contextlib.ExitStack() as stack:
        remote = make_remote(git, token=token, private=Path(private), env=env)
        parts = replace(forge_parts(git, remote, token, env), pace=_pace(git, cancel))
        made = make_forge(forge or plan.forge, parts)
        stack.callback(made.close)
        if not forge and made.repository != plan.repository:
            raise ConfigError(
                f"the plan is for {plan.repository}, and this is a clone of {made.repository}",
                hint="run publish in a clone of the plan's repository",
            )
        found = Survey(
            git=git, remote=remote, forge=made, config=read.config, base_branch=plan.base_branch,
            base_sha=plan.base_sha, tasks=plan.tasks, test_commands=plan.test_commands, test_found="as planned",
            token=token, forge_name=plan.forge, isolation=Isolation(why="nothing of the repository runs here"),
        )  # fmt: skip
        journal = Journal(journal_of(git, plan.run_id), plan.run_id)
        run = stack.enter_context(enter_run(found, env, cancel, journal=journal, needs_agents=False))
        if not any(e.kind == "run-started" for e in journal.events):
            journal.append(
                "run-started",
                **planned(
                    plan.tasks, config=read.config, forge=plan.forge, base_sha=plan.base_sha,
                    base_branch=plan.base_branch, test_commands=plan.test_commands, repository=plan.repository,
                ),
            )  # fmt: skip
        yield run


def _pace(git: Git, cancel: Cancel) -> Callable[[int], None]:
    """Keeps the writes of this clone within what GitHub allows, also over a kill; a cancel ends the wait."""

    def sleep(seconds: float) -> None:
        if cancel.wait(seconds):
            raise Interrupted("cancelled while the next write had to wait for GitHub's limits")

    return Pace(state_dir(git) / WRITES, sleep=sleep).take


def publish_bundles(
    read: ReadPlan,
    run: RunContext,
    folders: Sequence[Path],
    verdicts: Mapping[str, VerdictDocument],
    *,
    reviews: Mapping[str, ReviewDocument] | None = None,
    together: IntegrationDocument | None = None,
    accept: Collection[str] | None = None,
    say: Say,
    tell: Callable[[TaskResult], None],
) -> RunReport:
    """Settle every task of the plan, in its order; the report is on disk by then.

    With `accept`, also an empty one, only bundles of these digests count.
    """
    offers = collect_offers(read, run.private, folders, verdicts, reviews=reviews, accept=accept, say=say)
    run_limits = RunLimits(slots=Slots(1), gate=RateGate(1), user=run.cancel)
    done: dict[str, TaskResult] = {}
    levels: list[Isolation] = []
    for task in read.plan.tasks:
        run.check_not_cancelled()
        offer = offers.get(task.id, Offer())
        levels.append(isolation_of_verdict(offer))
        done[task.id] = _settle(replace(run, isolation=levels[-1]), read.plan, task, offer, run_limits, done)
        tell(done[task.id])
    results = tuple(done.values())
    lowest = min(levels, key=lambda walls: walls.level)
    found = integrate(run, results, test=use_found(together, say))
    tell_integration(run, results, found)
    report = replace(_report(read, run, results, lowest), integration=found)
    run.journal.write_report(render.report_json(report, run.secrets))
    run.journal.append("run-ended", counts=render.counts(report))
    return report


# -- one task ---------------------------------------------------------------------------------------


def _settle(
    run: RunContext,
    plan: Plan,
    task: Task,
    offer: Offer,
    run_limits: RunLimits,
    done: Mapping[str, TaskResult],
) -> TaskResult:
    """Write one task to the forge, or find that it was; whatever goes wrong is this task's result.

    `done` has what became of the tasks that it depends on.
    """
    state = task_state(run.journal.of(task.id))
    if state.settled:
        return recorded_result(run, task.id, state)
    try:
        if told := _told_before(run, task):
            return record_end(run, told)
        _hold(run, plan, task)
        bad = next((d for d in task.depends_on if done[d].status not in GOOD_STATUSES), "")
        if not bad:
            run, offer = _on_its_ground(run, task, offer, done)
        result = _published(run, task, offer, run_limits, bad)
    except (JournalError, Interrupted):
        raise
    except TakenError as exc:
        end = End(status=Status.SKIPPED, conclusion=Conclusion.SKIPPED, error=exc.message)
        return record_end(run, end.result(task, plan.base_sha))
    except (OrchestratorError, OSError) as exc:
        log.warning("a task could not be published task=%s: %s", task.id, exc)
        run.journal.append("pending", task.id, what="the publication", error=str(exc))
        end = End(
            status=Status.FAILED, conclusion=Conclusion.FAILURE, error=f"it could not be published: {exc}"
        )
        return record_end(run, end.result(task, plan.base_sha))
    return result


def _told_before(run: RunContext, task: Task) -> TaskResult | None:
    """The result that an earlier try on another machine told and sealed with the trail; None when there is none."""
    tip = run.remote.fetch_ref(audit.ref_of(task.id))
    found = audit.read(run.git, tip, task.id) if tip else None
    if found is None or found.problems:
        return None
    mine = [e for e in found.events if e.run == run.run_id]
    ends = [e for e in mine if e.kind == "task-ended"]
    if not ends:
        return None
    record = ends[-1].data
    phases = judge(fold(mine, task.id), policy=run.config.phases, head=str(record.get("head_sha", ""))).phases
    return result_of(record, phases)


def _hold(run: RunContext, plan: Plan, task: Task) -> None:
    """Make sure that the issue is still this run's, as its plan took it. Raises TakenError when it is not."""
    kinds = {e.kind for e in run.journal.of(task.id)}
    if task.issue is None or "claimed" in kinds:
        return
    if "claiming" not in kinds:
        run.journal.append("claiming", task.id, number=task.issue.number, by=plan.holder)
    if is_anothers(run, task, {plan.holder}):
        raise TakenError(f"another run took issue #{task.issue.number} meanwhile", status=409)
    run.journal.append(
        "claimed", task.id, number=task.issue.number, request=task.issue.request, by=plan.holder
    )


def _on_its_ground(
    run: RunContext, task: Task, offer: Offer, done: Mapping[str, TaskResult]
) -> tuple[RunContext, Offer]:
    """The run with the commit and branch that this task was to grow from; a bundle that grew elsewhere is refused."""
    if not task.depends_on or offer.work is None:
        return run, offer
    ground = ground_of(run.private, task, done, base_sha=run.base_sha, base_branch=run.base_branch)
    base = offer.work.bundle.base_sha
    if base != ground.sha and offer.work.head:
        why = f"its base is {base[:12]}, and what it depends on was verified at {ground.sha[:12]}"
        return run, Offer(error=f"its bundle is refused: other-base: {why}")
    return replace(run, base_sha=ground.sha, base_branch=ground.branch), offer


def _published(run: RunContext, task: Task, offer: Offer, run_limits: RunLimits, blocker: str) -> TaskResult:
    """Tell what came of a task. One that depends on a `blocker` keeps its branch, and asks for nothing."""
    work = offer.work
    head = work.head if work else ""
    candidates = keep_candidates(run, task, offer)
    carry_over(run, task, offer)
    bare = End(status=Status.FAILED, conclusion=Conclusion.FAILURE, error=offer.error).result(
        task, run.base_sha
    )
    pull: Pull | None = None
    if work is not None and offer.verdict is not None and not blocker:
        pull = _ask_forge(run, task, work, replace(bare, head_sha=head))
    verdict = judge(run.journal.ledger(task.id), policy=run.config.phases, head=head)
    result = replace(
        _with_work(bare, work, _end(offer, verdict, blocker)),
        pull=pull,
        phases=recorded_phases(run, task.id, head),
        candidates=candidates,
    )
    run.journal.append("judged", task.id, **result_record(result))
    problems = publish_result(recorded_task_run(run, task, result), result, run_limits)
    result = record_end(run, with_problems(result, problems))
    if not problems:
        _seal(run, task)
    return result


def _ask_forge(run: RunContext, task: Task, work: Work, result: TaskResult) -> Pull | None:
    """Measure what the forge knows, and open the pull request when all that comes before it is settled."""
    ledger = run.journal.ledger(task.id)
    task_run = recorded_task_run(run, task, result)
    measure = Measure(task_run, FORGE_ACTS, ledger=lambda: run.journal.ledger(task.id))
    if claim := ledger.claims.get("issue-creation"):
        _record(run, task, measure(claim, work.head, False))
    before = judge(
        run.journal.ledger(task.id), policy=run.config.phases, head=work.head, upto="documentation"
    )
    claim, requests = ledger.claims.get("pull-request"), work.bundle.requests
    if not claim or not requests or not before.settled or ledger.no_change or ledger.declined:
        return None
    asked = replace(claim, note=requests[0].title, text=requests[0].body)
    _record(run, task, measure(asked, work.head, False))
    if ledger.findings:
        FORGE_ACTS.post_review(task_run, work.head, ledger.findings)
    return measure.pull


def _record(run: RunContext, task: Task, facts: Any) -> None:
    for fact in facts:
        run.journal.append("fact", task.id, **fact_data(fact))


def _end(offer: Offer, verdict: Verdict, blocker: str) -> End:
    """How the task ends: by the facts. A machine that says of itself that it did not succeed is believed that."""
    work = offer.work
    if blocker:
        return held_up(f"{blocker} did not succeed")
    if work is None:
        return End(status=Status.FAILED, conclusion=Conclusion.FAILURE, error=offer.error)
    said = work.bundle.status
    if work.bundle.declined and said is Status.DECLINED:
        return End(
            status=said,
            conclusion=Conclusion.ACTION_REQUIRED,
            error=f"reported by work: {work.bundle.declined}",
        )
    open_by_facts = (
        said in {Status.FAILED, Status.INCOMPLETE} and offer.verdict is not None and not verdict.settled
    )
    if said not in GOOD_STATUSES and not open_by_facts:
        status = Status.FAILED if said is Status.SKIPPED else said
        error = f"reported by work: {work.bundle.error or said}"
        return End(status=status, conclusion=_CONCLUSIONS.get(status, Conclusion.FAILURE), error=error)
    if offer.verdict is None:
        return End(status=Status.INCOMPLETE, conclusion=Conclusion.ACTION_REQUIRED, error=UNVERIFIED)
    return end_of(verdict)


def _with_work(bare: TaskResult, work: Work | None, end: End) -> TaskResult:
    result = replace(bare, status=end.status, conclusion=end.conclusion, error=end.error)
    if work is None:
        return result
    bundle = work.bundle
    return replace(
        result, head_sha=work.head, declined=bundle.declined if end.status is Status.DECLINED else None,
        said=bundle.said, wall_s=bundle.wall_s, attempts=bundle.attempts, turns=bundle.turns, cost_usd=bundle.cost_usd,
    )  # fmt: skip


def _seal(run: RunContext, task: Task) -> None:
    """Put the trail at the remote: the sign that all of this task was told."""
    ref = audit.ref_of(task.id)
    try:
        tip = run.remote.fetch_ref(ref)
        events = run.journal.of(task.id)
        made = audit.record(run.git, tip, run.run_id, events, f"{task.id}: published by run {run.run_id}\n")
        run.remote.push(made, ref, known=tip)
    except GitError as exc:
        log.warning("the audit trail is not at the remote task=%s: %s", task.id, exc.message)


# -- the report -------------------------------------------------------------------------------------


def _report(read: ReadPlan, run: RunContext, results: Sequence[TaskResult], walls: Isolation) -> RunReport:
    """The report of the whole run, from its planning to now. How many agents were at work at once is not known."""
    plan = read.plan
    began = calendar.timegm(time.strptime(plan.run_id[:15], "%Y%m%d-%H%M%S"))
    total, wall_s = sum(r.wall_s for r in results), max(0.0, now() - began)
    costs = [r.cost_usd for r in results if r.cost_usd is not None]
    return RunReport(
        run_id=plan.run_id,
        repo=plan.repository,
        base_sha=plan.base_sha,
        agent=run.config.agent,
        started_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        wall_s=wall_s,
        sum_task_s=total,
        speedup=speedup(total, wall_s, len(results)),
        peak_parallel=0,
        cost_usd=sum(costs) if costs else None,
        requested=len(plan.tasks),
        tasks=tuple(results),
        isolation=walls.json(),
    )
