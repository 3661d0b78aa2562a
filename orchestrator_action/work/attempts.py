"""The attempts of one task: tried again while that may help, sent back with what is open, within one deadline.

A session is taken up again where the agent can; otherwise a fresh one starts on a clean tree, with
the commits that are there and the facts that hold. Every attempt has its own log and record.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator_action.agents.meter import Meter, metered
from orchestrator_action.agents.registry import require_key
from orchestrator_action.errors import GitError, OrchestratorError
from orchestrator_action.git import salvage
from orchestrator_action.process.files import remove_ways_out
from orchestrator_action.process.gate import tried
from orchestrator_action.process.recovery import read_record
from orchestrator_action.process.supervisor import Cancel, supervise
from orchestrator_action.process.tail import whole_lines
from orchestrator_action.protocol.attempt import (
    LONGEST_PAUSE_S,
    AgentReport,
    Command,
    Ending,
    Limits,
    Mark,
    Outcome,
)
from orchestrator_action.protocol.model import PhaseState, TaskContext, Verdict
from orchestrator_action.protocol.wire import CONTEXT_VARIABLE, SOCKET_VARIABLE, TOKEN_VARIABLE
from orchestrator_action.sandbox.policy import Policy, Role
from orchestrator_action.state.context import TaskRun, walls_in_the_way
from orchestrator_action.state.failure import VENDOR_REFUSES, Chances, Failure, failure_of, with_its_return
from orchestrator_action.state.fold import TaskState, ended_as
from orchestrator_action.state.limits import RunLimits
from orchestrator_action.state.usage import TaskUsage
from orchestrator_action.work.claims import Claims, reminder
from orchestrator_action.work.commits import taking_commits
from orchestrator_action.work.task_files import log_path, phase_client, record_path

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """What came of an attempt. `wait_s` is None when there shall be no other."""

    wait_s: float | None = None


class Trying:
    """The attempts of one task."""

    def __init__(
        self, task_run: TaskRun, claims: Claims, usage: TaskUsage, run_limits: RunLimits, token: str
    ) -> None:
        self._task_run, self._claims, self._usage, self._run_limits = task_run, claims, usage, run_limits
        self._run, self._task = task_run.run, task_run.task
        self._deadline = time.monotonic() + (task_run.limits.wall_s or math.inf)
        self._chances = Chances(retries=self._run.config.retries)
        self._context = replace(task_run.context, attempt=usage.number + 1)
        self._fresh = True
        """Whether the context is that of an attempt which has not been made yet."""
        self._meter = Meter()
        self._failure: Failure | None = None
        """Of the last attempt."""
        self._begun = False
        """Whether the last attempt came as far as the journal."""
        self._gave_up = False
        """Whether the agent ended although it knew of phases that were open."""
        self._env = {
            **task_run.env,
            SOCKET_VARIABLE: str(self._run.broker.path),
            TOKEN_VARIABLE: token,
            CONTEXT_VARIABLE: task_run.context.path,
            "PATH": f"{phase_client(task_run.directory)}{os.pathsep}{task_run.env.get('PATH', os.defpath)}",
        }

    def run(self, state: TaskState) -> None:
        """Attempt upon attempt, until nothing is open or nothing can be gained."""
        if not self._taken_up(state) or self._sent_back():
            self._attempts()
        self._gave_up = bool(self._still_open())

    def _attempts(self) -> None:
        while True:
            tried(
                self._once,
                retries=self._run.config.retries,
                transient=lambda t: t.wait_s,
                pause=self._pause,
                first_s=self._run_limits.first_wait_s,
            )
            if not (self._handed_over() or self._sent_back()):
                return

    def _handed_over(self) -> bool:
        """Whether another agent takes over, as this one's vendor refuses. It begins afresh, on what is committed."""
        failure, crew = self._failure, self._task_run.crew
        if failure not in VENDOR_REFUSES or self._run.cancel.is_set() or time.monotonic() >= self._deadline:
            return False
        if not self._begun or not self._still_open():
            return False
        passed_over = {}
        for name in crew.others():
            try:
                self._run.agents(name).check()
                require_key(name, self._run.config, self._task_run.env)
            except OrchestratorError as exc:
                passed_over[name] = exc.message
                continue
            self._run.journal.append(
                "handed-over", self._task.id, to=name, failure=failure, passed_over=passed_over,
                **{"from": crew.name}, why="; ".join(self._usage.report.problems),
            )  # fmt: skip
            crew.name = name
            self._chances = Chances(retries=self._run.config.retries)
            self._usage.report = AgentReport()  # its session is nobody's to take up
            return True
        return False

    def run_with_what_is_red(self, verdict: Verdict) -> bool:
        """Take the session up again, once for a task, with what the final measurement refuted; False when not."""
        red = [p.phase for p in verdict.phases if p.state is PhaseState.REFUTED]
        if not red or not self.may_be_sent_back_red():
            return False
        self._run.journal.append("reminded", self._task.id, open=red, final=True)
        self._attempts()
        return True

    def may_be_sent_back_red(self) -> bool:
        """Whether a red final result is not the last word yet: what the agent knew and left open is."""
        return self._can_be_taken_up() and not self._gave_up and not self._claims.ledger().sent_back_red

    # -- one more

    def _once(self) -> _Tried:
        """An attempt that counts; one that had to make room for others is simply made again."""
        while True:
            outcome, report, shed = self._attempt()
            number = self._context.attempt
            if not shed or not self._begun:
                break
            self._record_end(self._usage.set_aside(number, outcome, report))
            self._deadline += outcome.wall_s
            self._run.journal.append("requeued", self._task.id, attempt=number, why=outcome.error)
        if not self._begun:
            self._usage.outcome, self._usage.report = outcome, report
            return _Tried()
        self._failure = failure = failure_of(outcome, report)
        if failure is Failure.QUOTA:
            report = with_its_return(report, outcome)
        self._record_end(self._usage.add(number, outcome, report, failure))
        return self._another(failure, outcome, report)

    def _another(self, failure: Failure | None, outcome: Outcome, report: AgentReport) -> _Tried:
        """Whether the failure may pass by itself; all tasks slow down when the API said so."""
        if failure is None or self._run.cancel.is_set() or report.retry_after_s > LONGEST_PAUSE_S:
            return _Tried()
        if not self._still_open():
            return _Tried()
        if failure is Failure.OVERLOADED:
            self._run_limits.gate.refused(retry_after_s=report.retry_after_s)
        if not self._chances.allow(failure, outcome):
            return _Tried()
        self._chances.take(failure)
        self._run.journal.append(
            "retried", self._task.id, failure=failure, attempt=self._context.attempt, after_s=report.retry_after_s
        )  # fmt: skip
        return _Tried(wait_s=report.retry_after_s)

    def _pause(self, seconds: float) -> bool:
        """Wait before a retry; true when there shall be none, for want of time or by order."""
        if seconds >= self._deadline - time.monotonic():
            return True
        return self._run.cancel.wait(seconds)

    def _sent_back(self) -> bool:
        """Whether the agent's session is taken up again with what it left open."""
        if not self._can_be_taken_up() or self._usage.report.problems:
            return False
        if self._claims.ledger().reminders >= self._run.config.reminders or not (still := self._still_open()):
            return False
        self._run.journal.append("reminded", self._task.id, open=still)
        return True

    def _can_be_taken_up(self) -> bool:
        """Whether there is a session that ended by itself, and time for another go."""
        agent, outcome, report = self._task_run.agent, self._usage.outcome, self._usage.report
        if self._run.cancel.is_set() or not agent.resumes or time.monotonic() >= self._deadline:
            return False
        ended_well = not report.problems or report.api_failed
        return outcome.ending is Ending.EXITED and ended_well and bool(report.session_id)

    def _still_open(self) -> list[str]:
        """The phases that the agent has to close; none when nobody can say how its tree stands."""
        with contextlib.suppress(GitError):
            return [p.phase for p in self._claims.open_phases()]
        return []

    # -- what an attempt is given

    def _next_context(self) -> TaskContext:
        """The first context, or that of the attempt after the last one."""
        if self._fresh:
            return self._context
        report = self._usage.report
        following = replace(self._context, attempt=self._context.attempt + 1)
        if self._task_run.agent.resumes and report.session_id and report.turns:
            return replace(following, resume_session=report.session_id, message=self._message())
        self._clean()
        return replace(following, resume_session="", message="", session_id=str(uuid.uuid4()))

    def _message(self) -> str:
        try:
            return reminder(self._claims.verdict())
        except GitError:
            return "Go on with your task; `orchestrator-phase show` prints what is open."

    def _clean(self) -> None:
        """The tree as its last commit has it; what was not committed is saved first.

        Nothing of the attempt before lives any more, so a lock file of its git is nobody's.
        """
        tree, git = self._task_run.tree, self._task_run.git
        tree.drop_stale_locks()
        if saved := self._run.trees.salvage(tree, self._task.id):
            self._run.journal.append("salvaged", self._task.id, sha=saved)
        git.run("reset", "--hard", "--quiet", self._start(), write=True)
        git.run("clean", "-ffdq", write=True)

    def _start(self) -> str:
        """Where a fresh attempt begins: at the last commit; at the base when no clean beginning was shown.

        Commits from before Initial Setup could never be proven; they are kept, out of the way.
        """
        tree, head = self._task_run.tree, self._task_run.git.head()
        clean = self._claims.ledger().fact("initial-setup", "clean-base")
        if not head or head == tree.base_sha or (clean is not None and clean.holds):
            return "HEAD"
        saved = salvage.keep_commit(self._run.private, self._run.git, head, self._task.id)
        self._run.journal.append("salvaged", self._task.id, sha=saved)
        return tree.base_sha

    def _taken_up(self, state: TaskState) -> bool:
        """Take over from the process before us; true when its last attempt ended well and need not be repeated.

        An agent that ended by itself while nobody looked is judged by its record and its log.
        """
        if not state.attempts:
            return False
        last = state.attempts[-1]
        reader = self._task_run.agent.reader()
        for line in whole_lines(log_path(self._task_run.directory, last.number)):
            reader.feed(line)
        outcome = ended_as(last.ended) or read_record(record_path(self._task_run.directory, last.number))
        outcome = outcome or Outcome(ending=Ending.LOST, error="the orchestrator ended")
        report = reader.report(outcome)
        self._context = replace(self._context, attempt=last.number)
        self._fresh = False
        failure = failure_of(outcome, report)
        if last.ended is None:
            self._record_end(self._usage.add_earlier(last.number, outcome, report, failure))
        self._usage.outcome, self._usage.report = outcome, report
        if failure is None:
            return True
        if self._is_done():  # what the crash cut short had nothing left to do
            self._usage.outcome = replace(outcome, ending=Ending.EXITED, error="")
            self._usage.report = replace(report, problems=())
            return True
        return False

    def _is_done(self) -> bool:
        with contextlib.suppress(GitError):
            return not self._claims.open_phases()
        return False

    # -- the process

    def _attempt(self) -> tuple[Outcome, AgentReport, bool]:
        """One process, once there is a place for it; with whether it was asked to make room."""
        cancel = self._run.cancel
        asked_at = time.monotonic()
        self._begun = False
        with self._run_limits.gate.passed(cancel) as entered, self._run_limits.slots.taken(cancel) as slot:
            if not entered or slot is None:
                reason = cancel.reason or "cancelled before it started"
                return Outcome(ending=Ending.CANCELLED, error=reason), AgentReport(), False
            self._deadline += time.monotonic() - asked_at
            self._context = self._next_context()
            self._fresh = False
            left = 0.0 if math.isinf(self._deadline) else max(self._deadline - time.monotonic(), 0.1)
            outcome, report = self._supervised(replace(self._task_run.limits, wall_s=left), slot.cancel)
            shed = slot.shed and outcome.ending is Ending.CANCELLED and not cancel.is_set()
        return outcome, report, shed

    def _supervised(self, limits: Limits, cancel: Cancel) -> tuple[Outcome, AgentReport]:
        task_run, context = self._task_run, self._context
        private = task_run.directory / "agent"
        private.mkdir(exist_ok=True, mode=0o700)
        remove_ways_out(private)  # an agent before this one could put a link where we write
        reader = task_run.agent.reader()
        stop = Cancel(cancel)

        def feed(line: bytes) -> Mark | None:
            mark = reader.feed(line)
            if reader.abort:
                stop.set(reader.abort)
            return mark

        meter = self._meter = task_run.meter(
            task_run.crew.name,
            give_up=stop.set,
            limit_usd=self._money_left(limits),
            max_turns=limits.max_turns,
        )
        with task_run.keys_kept(task_run.crew.name, self._env, meter) as env:
            command = task_run.agent.command(context, env=env, private=private)
            policy = task_run.policy(Role.AGENT, task_run.tree.path, write=[private])
            outcome, words = self._supervise(command, policy, limits, stop, feed)
        gave_up = reader.abort or meter.gave_up
        if gave_up and outcome.ending is Ending.CANCELLED and not cancel.is_set():
            outcome = replace(outcome, ending=Ending.ABORTED, error=gave_up)
        report = metered(reader.report(outcome), meter)
        said = log_path(task_run.directory, context.attempt)
        if report.problems and (hint := words or walls_in_the_way(said, outcome, policy, command.env)):
            report = replace(report, problems=(*report.problems, hint))
        return outcome, report

    def _money_left(self, limits: Limits) -> float:
        """What the task may still spend, in US dollars; 0 is without limit, so that nothing left is almost nothing."""
        if not limits.max_budget_usd:
            return 0.0
        return max(1e-9, limits.max_budget_usd - (self._usage.cost_usd or 0.0))

    def _supervise(
        self,
        command: Command,
        policy: Policy,
        limits: Limits,
        stop: Cancel,
        feed: Callable[[bytes], Mark | None],
    ) -> tuple[Outcome, str]:
        """How the process ended, and the hosts that it was refused, in words."""
        task_run, context, journal = self._task_run, self._context, self._run.journal

        def began(pid: int, ticks: int) -> None:
            journal.append(
                "attempt-running", self._task.id, attempt=context.attempt, pid=pid, start_ticks=ticks
            )

        journal.append(
            "attempt-started", self._task.id, attempt=context.attempt,
            session_id=context.resume_session or context.session_id, argv=list(command.argv),
            agent=task_run.crew.name,
        )  # fmt: skip
        self._begun = True
        hosts = task_run.agent.hosts(command.env)
        with (
            taking_commits(task_run.git, task_run.branch),
            self._run.isolation.reaching(policy, hosts, self._run.env) as (walls, refused),
        ):
            outcome = supervise(
                command,
                log=log_path(task_run.directory, context.attempt),
                limits=limits,
                cancel=stop,
                policy=walls,
                feed=feed,
                expects_start=task_run.agent.announces_start,
                record=record_path(task_run.directory, context.attempt),
                on_start=began,
            )
        if words := refused():
            journal.append("egress-refused", self._task.id, attempt=context.attempt, words=words)
        return outcome, words

    def _record_end(self, record: Mapping[str, Any]) -> None:
        metered = {"metered": self._meter.record()} if self._meter.requests else {}
        self._run.journal.append("attempt-ended", self._task.id, **record, **metered)
        log.info(
            "attempt ended task=%s attempt=%d ending=%s failure=%s exit=%s wall_s=%.1f peak_rss_mib=%.0f",
            self._task.id, record["attempt"], record["ending"], record["failure"], record["exit_code"],
            record["wall_s"], record["peak_rss_mib"],
        )  # fmt: skip
