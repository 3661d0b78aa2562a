"""One act of publishing after another: what hinders one is named, and the others go on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from orchestrator_action.errors import OrchestratorError
from orchestrator_action.forge.base import MarkedComment
from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.model import GOOD_STATUSES, Status, TaskResult
from orchestrator_action.publish.report import comments as render
from orchestrator_action.state.context import RunContext

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Acts:
    """Runs acts one by one and remembers which of them did not come about."""

    run: RunContext
    task: str
    problems: list[str] = field(default_factory=list)

    def do(self, what: str, act: Callable[[], object]) -> None:
        """Do one act; what hinders it is a problem of this publication, not an exception."""
        try:
            act()
        except OrchestratorError as exc:
            log.warning("could not publish task=%s what=%s error=%s", self.task, what, exc.message)
            self._note(f"{what} could not be published: {exc.message}", exc.hint)
            self.run.journal.append("pending", self.task, what=what, error=exc.message)
        else:
            self.run.journal.append("posted", self.task, what=what)

    def _note(self, problem: str, hint: str) -> None:
        """Each problem once, and each cure at the first that it cures."""
        if not any(known.startswith(problem) for known in self.problems):
            new = bool(hint) and not any(hint in known for known in self.problems)
            self.problems.append(f"{problem} ({hint})" if new else problem)

    def told(self, result: TaskResult) -> TaskResult:
        """The result as it is to be told now: with what could not be published so far."""
        return with_problems(result, tuple(self.problems))


def with_problems(result: TaskResult, problems: tuple[str, ...]) -> TaskResult:
    """What could not be published stands in the way of success: nobody would see it."""
    if not problems:
        return result
    error = "; ".join(filter(None, (result.error, *problems)))
    if result.status in GOOD_STATUSES:
        return replace(result, status=Status.FAILED, conclusion=Conclusion.FAILURE, error=error)
    return replace(result, error=error)


def write_comment(run: RunContext, word: MarkedComment) -> None:
    """Write or update one comment of ours."""
    run.forge.comment(word.number, marker=word.marker, body=word.body)


def run_info(run: RunContext, agent: str) -> render.RunInfo:
    """What the texts say of the run."""
    return render.RunInfo(
        run_id=run.run_id,
        agent=agent,
        url=run.run_url,
        isolation=run.isolation.level.word,
        label=run.config.label,
    )
