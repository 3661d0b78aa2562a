"""What holds of a pull request, as the forge shows it."""

from __future__ import annotations

import re

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential

from orchestrator_action.forge.base import Forge
from orchestrator_action.protocol.forge_values import Pull
from orchestrator_action.protocol.model import Fact
from orchestrator_action.state.context import RunContext


def read_pull(forge: Forge, number: int, head: str) -> Pull:
    """The pull request read back. The forge may take a moment to see a push, so a late head is asked for again."""
    again = Retrying(
        retry=retry_if_result(lambda p: p.head_sha != head),
        stop=stop_after_delay(8),
        wait=wait_exponential(multiplier=0.5, max=3),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    pull: Pull = again(forge.pull, number)
    return pull


def pull_facts(run: RunContext, pull: Pull, head: str, *, issue: int | None) -> list[Fact]:
    """Whether `pull` is open at `head`, onto the run's base branch, and links the issue; and whether it is current.

    A person may merge it while we measure: it then stands for the very same commit.
    """
    linked = issue is None or bool(re.search(rf"#{issue}\b", pull.body))
    current = pull.head_sha == head
    problems = [
        *([] if pull.state in {"open", "merged"} else [f"it is {pull.state}"]),
        *([] if current else [f"its head is {pull.head_sha[:12] or 'unknown'}, not {head[:12]}"]),
        *([] if pull.base_branch == run.base_branch else [f"its base is {pull.base_branch}"]),
        *([] if linked else [f"it does not link issue #{issue}"]),
    ]
    wrong = "; ".join(problems)
    said = f"pull request #{pull.number}: " + (
        wrong or f"{pull.state} at {head[:12]} onto {pull.base_branch}"
    )
    if run.stand_in:
        said = wrong or f"the pull request at {head[:12]} is asked for; it is opened once verified"
    detail = {"number": pull.number, "url": pull.url, "head_sha": pull.head_sha, "base": pull.base_branch}
    return [
        Fact(
            phase="pull-request",
            rule="pull-open",
            commit=head,
            holds=not problems,
            message=said,
            detail=detail,
        ),
        Fact(
            phase="review-response",
            rule="pull-current",
            commit=head,
            holds=current,
            message=said,
            detail=detail,
        ),
    ]
