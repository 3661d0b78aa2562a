"""What people with write access let pass of anybody's change: by a comment, an approving review, or as they made it.

What was let pass of a pull request holds for the commit that the merge queue makes of it, as long as that brings
nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.base import Queue
from orchestrator_action.git.merging import merge
from orchestrator_action.plan.rules import WRITERS
from orchestrator_action.protocol.acceptance import (
    Acceptance,
    ChangeVerdict,
    conclude_change,
    read_acceptances,
)
from orchestrator_action.protocol.forge_values import Comment, Pull
from orchestrator_action.protocol.model import Fact
from orchestrator_action.publish.report.change import read_head_line
from orchestrator_action.run.verify_branch import approved_by
from orchestrator_action.state.context import RunContext
from orchestrator_action.text.limits import marker
from orchestrator_action.text.marker import carries_marker

if TYPE_CHECKING:
    from orchestrator_action.run.verify_change import FoundChange

APPROVES = "approves the pull request"
"""The reason of somebody whose approving review decides what could not be measured. It undoes nothing refuted."""
_QUEUED = re.compile(r"gh-readonly-queue/(?P<base>.+)/pr-(?P<number>[1-9][0-9]{0,9})(?:-[0-9a-f]+)?")
"""Branches of GitHub's merge queue. Source: docs.github.com, "Managing a merge queue"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """What the facts come to with what people let pass. `since`: when this head was first judged, ISO 8601."""

    verdict: ChangeVerdict
    marker: str
    since: str


def conclude_with_people(
    run: RunContext, change: FoundChange, facts: Sequence[Fact], *, began: str
) -> Concluded:
    """The conclusion, with what people said of this very head. `began` is when this measurement began, ISO 8601."""
    asked = change.pull or _queued_pull(run, change)
    number, head = (asked.number, change.head if change.pull else asked.head_sha) if asked else (0, "")
    key = marker("change", str(number or change.id))
    queue = cast("Queue", run.forge)
    comments = tuple(run.forge.comments(number)) if number else ()
    since = _judged_since(queue, comments, key, head) or began
    accepted = read_acceptances(
        comments, since=since, may_write=lambda login: queue.permission(login) in WRITERS
    )
    verdict = conclude_change(facts, accepted)
    if number and verdict.unproven and (who := approved_by(run, number, head)):
        seen = [Acceptance(rule=f.rule, reason=APPROVES, by=who) for f in verdict.unproven]
        verdict = conclude_change(facts, [*seen, *accepted])
    return Concluded(verdict=verdict, marker=key, since=since)


def who_may(run: RunContext, change: FoundChange) -> str:
    """Who has write access and made this change, as a reason; empty for a stranger, and where nobody knows."""
    if change.pull is None:
        landed = change.name == run.base_branch or _QUEUED.fullmatch(change.name)
        return "whoever brought it there has write access" if landed else ""
    author = change.pull.author
    may = bool(author) and cast("Queue", run.forge).permission(author) in WRITERS
    return f"its author {author} has write access" if may else ""


def _queued_pull(run: RunContext, change: FoundChange) -> Pull | None:
    """The pull request of a queued commit, when that is what the base and its head make, and nothing else."""
    found = _QUEUED.fullmatch(change.name)
    if not found:
        return None
    try:
        pull = run.forge.pull(int(found["number"]))
    except ForgeError as exc:
        if exc.status == 404:
            return None
        raise
    head = run.remote.fetch_ref(run.forge.pull_ref(pull))
    if head != pull.head_sha or pull.base_branch != found["base"]:
        return None
    merged = merge(run.git, change.base, head)
    same = not merged.clashes and merged.tree == run.git.rev_parse(f"{change.head}^{{tree}}", "tree")
    return pull if same else None


def _judged_since(queue: Queue, comments: Iterable[Comment], key: str, head: str) -> str:
    """When this very head was first judged; empty when it was not: acceptances before that were of another head."""
    marked = (c for c in comments if carries_marker(c.body, key))
    mine = next((c for c in marked if c.author == queue.viewer()), None)
    sha, since = read_head_line(mine.body) if mine else ("", "")
    return since if sha == head else ""
