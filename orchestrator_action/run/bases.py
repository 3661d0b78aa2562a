"""The base is measured before an agent is paid: its set-up has to work, and a first test to end.

What cannot run there proves nothing at any head either, so the tasks that need it end as blocked, with the
cure, before anything is taken or spent. The whole suite goes on beside the agents in a slot of its own; only
verdicts wait for it, unless the repository says `base: before`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from orchestrator_action.errors import OrchestratorError
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.protocol.ends import End, cannot_run
from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.judge import demand_of
from orchestrator_action.protocol.model import Demand, Status, Task, TaskResult
from orchestrator_action.protocol.phases import BY_ID
from orchestrator_action.run.finish import recorded_task_run
from orchestrator_action.state.context import STOP_GRACE_S, RunContext
from orchestrator_action.state.store import BASE
from orchestrator_action.verify.base_suite import BaseSuite
from orchestrator_action.verify.measure import bench_of, suite_at_base
from orchestrator_action.verify.test_run import why_no_proof

log = logging.getLogger(__name__)

CLOSE_S = STOP_GRACE_S + 0.5
"""Until a suite that nobody waits for any more is given up."""
NO_COMMAND = (
    "no test command is known, so nothing could be proven; set `test: COMMAND` in .github/orchestrator.yml, "
    "or `phases: {testing: off}` where there are no tests"
)


@dataclass(slots=True)
class _Base:
    """The suite of some commands at the run's base, while it is looked at."""

    commands: tuple[str, ...]
    looked: threading.Event = field(default_factory=threading.Event)
    why_not: str = ""


class Bases:
    """What the tasks of a run are measured against, by their test commands."""

    def __init__(self, run: RunContext, tasks: Sequence[Task]) -> None:
        """`tasks` are those whose agents have not been started yet."""
        self._cancel = Cancel(run.cancel)
        self._run = replace(run, cancel=self._cancel)
        self._suites: list[BaseSuite] = []
        self._looking: list[threading.Thread] = []
        needed = demand_of(BY_ID["testing"], run.config.phases) is Demand.REQUIRED
        self._bases = {c: _Base(c) for c in {self._commands(t) for t in tasks}} if needed else {}
        self._waits = frozenset(t.id for t in tasks)

    def start(self) -> None:
        """Begin with all of them, each in a thread of its own."""
        self._looking = [
            threading.Thread(target=self._look, args=(base,), name="base", daemon=True)
            for base in self._bases.values()
        ]
        for thread in self._looking:
            thread.start()

    def is_looked_at(self, task: Task) -> bool:
        """Whether it is known what the task can be measured against."""
        base = self._base(task)
        return base is None or base.looked.is_set()

    def end(self, task: Task) -> End | None:
        """The end of a task that nothing can be measured for; None when there is none, or nobody knows yet."""
        base = self._base(task)
        return cannot_run(base.why_not) if base and base.looked.is_set() and base.why_not else None

    def close(self) -> None:
        """End what still runs, also what was only about to begin; its checkout goes with it."""
        self._cancel.set("the run has ended")
        ends_at = time.monotonic() + CLOSE_S
        for thread in self._looking:
            thread.join(max(0.0, ends_at - time.monotonic()))
        for suite in self._suites:
            suite.wait(max(0.0, ends_at - time.monotonic()))

    def _commands(self, task: Task) -> tuple[str, ...]:
        return task.test or self._run.test_commands

    def _base(self, task: Task) -> _Base | None:
        return self._bases.get(self._commands(task)) if task.id in self._waits else None

    def _look(self, base: _Base) -> None:
        try:
            base.why_not = self._why_not(base.commands)
        except OrchestratorError as exc:
            base.why_not = exc.message + (f" ({exc.hint})" if exc.hint else "")
        except Exception as exc:
            log.exception("the base could not be looked at base=%s", self._run.base_sha)
            base.why_not = f"a bug of ours: {type(exc).__name__}: {exc}"
        finally:
            base.looked.set()

    def _why_not(self, commands: tuple[str, ...]) -> str:
        if not commands:
            return NO_COMMAND
        if self._cancel.is_set():
            return ""  # the run is over before it began
        suite = self._suite(commands)
        suite.start()
        if self._run.config.base == "before":
            return why_no_proof(suite.result())
        suite.first_test_ended(self._run.config.base_wait)
        return why_no_proof(suite.result()) if suite.ended else ""

    def _suite(self, commands: tuple[str, ...]) -> BaseSuite:
        suite = base_suite(self._run, commands)
        self._suites.append(suite)
        return suite


def base_suite(run: RunContext, commands: tuple[str, ...]) -> BaseSuite:
    """The suite of these commands at the run's base, one for all tasks of the run."""
    task = Task(id=BASE, title="", text="", branch="", test=commands)
    nothing = TaskResult(
        task_id=BASE, status=Status.SKIPPED, conclusion=Conclusion.SKIPPED, base_sha=run.base_sha
    )
    base = recorded_task_run(run, task, nothing)
    base.directory.mkdir(parents=True, exist_ok=True)
    return suite_at_base(run, run.base_sha, replace(bench_of(base, run.git), commands=commands))
