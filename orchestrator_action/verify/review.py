"""The reviewers of a task: each is asked in a session of its own, on a read-only tree of one commit."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

from orchestrator_action.agents.base import Agent, ReviewRequest
from orchestrator_action.agents.meter import Meter
from orchestrator_action.git.repo import Git
from orchestrator_action.process.supervisor import Cancel, supervise
from orchestrator_action.process.tail import whole_lines
from orchestrator_action.protocol.attempt import Outcome
from orchestrator_action.protocol.events import Ledger
from orchestrator_action.protocol.forge_values import ReviewFinding
from orchestrator_action.protocol.phases import BY_ID
from orchestrator_action.protocol.review import parse_findings
from orchestrator_action.sandbox.policy import Role
from orchestrator_action.state.context import TaskRun

REVIEW_TRIES = 2
"""A malformed review is asked for once more, then the phase is unproven."""


class Reviewers:
    """Who reviews a task at `head`; they do not make the `known` findings again by saying the same."""

    def __init__(self, task_run: TaskRun, head: str, ledger: Ledger, known: Sequence[ReviewFinding]) -> None:
        self._task_run, self._run, self._git = task_run, task_run.run, task_run.git
        self._head, self._ledger, self._known = head, ledger, known

    def ask(self, no_change: str = "") -> tuple[ReviewFinding, ...]:
        """What every reviewer finds, one after the other; the author's kind of agent where none is named.

        `no_change` is the reason why nothing had to be changed, where that is what they are asked about.
        Raises AgentError when a review did not take place, ValueError when what was said is malformed twice.
        """
        names = self._run.config.reviewers
        agents = [self._run.agents(name) for name in names] or [self._task_run.agent]
        found: tuple[ReviewFinding, ...] = ()
        for number, agent in enumerate(agents, 1):
            found += self._ask_one(agent, number, found, no_change)
        return found

    def _ask_one(
        self, agent: Agent, number: int, before: Sequence[ReviewFinding], no_change: str
    ) -> tuple[ReviewFinding, ...]:
        """What reviewer `number` finds, after what others found: two may be of one kind, each has files of its own."""
        ledger = self._ledger
        named = f"{agent.name}-{number}" if number > 1 else agent.name
        error = ValueError("not asked")
        for attempt in range(REVIEW_TRIES):
            private = self._task_run.directory / f"review-{ledger.review_rounds + 1}-{named}-{attempt + 1}"
            private.mkdir(parents=True, exist_ok=True)
            text = self._session(agent, private, no_change)
            try:
                return parse_findings(text, (*self._known, *before), after=len(ledger.findings) + len(before))
            except ValueError as exc:
                error = exc
        raise error

    def _session(self, agent: Agent, private: Path, no_change: str) -> str:
        """One session of a reviewer, whose files are in `private`; what it said."""
        task_run, run = self._task_run, self._run
        with task_run.reviewing(self._head) as tree:
            request = self._request(private, tree, no_change)
            Path(request.output_path).unlink(missing_ok=True)  # nobody reviews in the reviewer's stead
            log, stop = private.with_name(f"{private.name}.log"), Cancel(run.cancel)
            meter = task_run.meter(agent.name, give_up=stop.set)
            walls = task_run.policy(Role.REVIEWER, tree, write=[private])
            with task_run.keys_kept(agent.name, task_run.env, meter) as env:
                command = agent.review_command(request, env=env, private=private)
                hosts = agent.hosts(command.env)
                with run.isolation.reaching(walls, hosts, run.env) as (policy, refused):
                    outcome = supervise(command, log=log, limits=task_run.limits, cancel=stop, policy=policy)
            self._record(agent, log, outcome, meter)
            if words := refused():
                run.journal.append("egress-refused", task_run.task.id, agent=agent.name, words=words)
            return agent.review_findings(request, log, outcome)

    def _record(self, agent: Agent, log: Path, outcome: Outcome, meter: Meter) -> None:
        """Write down what a reviewer used, whatever it found: it is paid for like the author."""
        reader = agent.reader()
        for line in whole_lines(log):
            reader.feed(line.rstrip(b"\r"))
        told = reader.report(outcome)
        self._run.journal.append(
            "review-ended", self._task_run.task.id, agent=agent.name, exit_code=outcome.exit_code,
            wall_s=round(outcome.wall_s, 3), turns=told.turns,
            cost_usd=meter.cost_usd if told.cost_usd is None else told.cost_usd,
        )  # fmt: skip

    def _request(self, private: Path, tree: Path, no_change: str) -> ReviewRequest:
        base = self._task_run.base_sha
        diff, plan = private / "change.diff", private / "plan.md"
        diff.write_text(self._git.diff_text(base, self._head), encoding="utf-8")
        plan.write_text(self._ledger.plan, encoding="utf-8", errors="replace")
        named = _exceptions(self._ledger, self._head)
        exceptions = private / "exceptions.md"
        exceptions.write_text("".join(f"- {line}\n" for line in named), encoding="utf-8", errors="replace")
        why = private / "no-change.md"
        why.write_text(no_change, encoding="utf-8", errors="replace")
        return ReviewRequest(
            worktree_path=str(tree),
            head_sha=self._head,
            base_sha=base,
            diff_path=str(diff),
            task_path=str(self._task_run.directory / "task.md"),
            plan_path=str(plan),
            output_path=str(private / "findings.json"),
            exceptions_path=str(exceptions) if named else "",
            no_change_path=str(why) if no_change else "",
            session_id=str(uuid.uuid4()),
        )


def _exceptions(ledger: Ledger, head: str) -> list[str]:
    """The tests that the claim of Testing names, as a reviewer is asked about each."""
    facts = (ledger.fact("testing", rule.id, head) for rule in BY_ID["testing"].rules)
    named = {e["id"]: e for f in facts if f for e in f.detail.get("exceptions", ())}
    return [f"{e['id']} ({e['what']}): {e['reason']}" for e in named.values()]


def why_no_fix(git: Git, rev: str, head: str, finding: ReviewFinding, reviewed: str) -> str:
    """Why a commit cannot be what fixes a finding; empty when it may be.

    It has to be of this branch and younger than the review at `reviewed`, and by it the file must have changed.
    """
    sha = head if rev.upper() == "HEAD" else git.rev_parse(rev)
    if not sha or not git.is_ancestor(sha, head) or git.is_ancestor(sha, reviewed):
        return f"{rev} is no commit made after the review"
    touched = {p for c in git.changes(reviewed, sha) for p in (c.path, c.old_path)}
    if finding.path in git.paths(reviewed) and finding.path not in touched:
        return f"nothing up to {sha[:12]} changes {finding.path} since the review; name the commit that does"
    return ""
