"""The second job of a check: tell what another job measured of a change, and believe of it only what that job may say.

The measuring job ran the head's own code and held no token, so its document is a claim of that machine. Here
nothing of the repository is run. What can be read is read anew (protected paths, secrets, special cases, size,
documentation); what only a run can tell is taken over, with its base, commands and configuration compared.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from orchestrator_action.config.records import to_record
from orchestrator_action.errors import ConfigError, NothingToDo
from orchestrator_action.forge.base import Queue
from orchestrator_action.protocol.acceptance import conclude_change
from orchestrator_action.protocol.documents import VerdictDocument, digest_of
from orchestrator_action.protocol.model import Fact
from orchestrator_action.protocol.paths import listed, matches
from orchestrator_action.publish.report.verdict import exception_lines
from orchestrator_action.run.check_document import check_document
from orchestrator_action.run.let_pass import who_may
from orchestrator_action.run.verify_change import (
    FoundChange,
    VerifiedChange,
    find_change,
    leave_tasks_alone,
    publish_change,
    read_facts,
    repository_in_document,
)
from orchestrator_action.state.context import RunContext
from orchestrator_action.verify.no_special_case import special_case_facts
from orchestrator_action.verify.test_paths import TestPaths

MEASURED_RULES = ("suite", "nothing-lost", "base-tests", "shows-the-change", "steady")
"""What only running tests can tell: taken from the document, and missed where it is silent."""
_MAX_CLAIMED_BYTES = 4 << 20
MAX_MESSAGE_CHARS = 2_000
MAX_LISTED = 200
MEASURED_BY = (".github/**", "action.yml", "action.yaml")
"""A pull request's workflow is the head's own: who changes this changes what measured it."""


def find_measured(
    run: RunContext, *, head: str, branch: str, repository: str, pull: int = 0, pushed: bool = False
) -> FoundChange:
    """The change that a workflow run measured: by the event's head, never by what the document says.

    A comment names a pull request and no head (empty): the one that it has now. `pushed`: a push to this branch.
    Raises NothingToDo when the pull request moved on or is a task's of ours, which other runs judge.
    """
    if pushed:
        return _find_pushed(run, branch, head)
    ours = repository.casefold() in {"", run.forge.repository.casefold()}
    known = run.forge.pull(pull) if pull else run.forge.find_pull(branch, of="" if ours else repository)
    if known and not head:
        head = known.head_sha
        ours = run.remote.sha(f"refs/heads/{known.head_branch}") == head
    if known and known.head_sha != head:
        raise NothingToDo(
            f"pull request #{known.number} moved on from {head[:12]}",
            hint="its new head has a run of its own",
        )
    if not known and not ours:
        raise NothingToDo(f"no open pull request has the head {head[:12]}", hint="it was closed meanwhile")
    leave_tasks_alone(run, branch, known, ours=ours)
    return _still_at(head, find_change(run, branch, known))


def _find_pushed(run: RunContext, branch: str, head: str) -> FoundChange:
    """What a push brought: the event of its workflow run does not say what the branch was at before, the forge does."""
    leave_tasks_alone(run, branch, None, ours=True)
    before = cast("Queue", run.forge).before_push(branch, head)
    if not before:
        raise NothingToDo(
            f"the forge does not tell what {branch} was at before {head[:12]}",
            hint="a branch that is new has nothing to be compared with",
        )
    return _still_at(head, find_change(run, branch, since=before))


def _still_at(head: str, change: FoundChange) -> FoundChange:
    if change.head != head:
        raise NothingToDo(
            f"{change.name} moved on from {head[:12]}", hint="its new head has a run of its own"
        )
    return change


def report_change(run: RunContext, change: FoundChange, body: bytes, *, source: str) -> VerifiedChange:
    """Write comment and check of a change that was measured elsewhere. `body` is that job's document."""
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    claimed, wrong = _claimed(run, change, body, source)
    facts = (*_measured(change, claimed, wrong), *_read_here(run, change))
    document = VerdictDocument(
        commit=change.head, name=change.name, base=change.base, repository=repository_in_document(run), facts=facts,
        conclusion=str(conclude_change(facts).conclusion), exceptions=tuple(exception_lines(facts)),
        policy_digest=digest_of(to_record(run.config)), test_commands=run.test_commands,
        isolation=claimed.isolation[:40] if claimed else "", environment=_short(claimed.environment if claimed else {}),
        measured_at=claimed.measured_at[:40] if claimed else "",
    )  # fmt: skip
    return publish_change(run, change, document, began=began)


def _claimed(
    run: RunContext, change: FoundChange, body: bytes, source: str
) -> tuple[VerdictDocument | None, str]:
    """The document, or why it is refused: nothing that a run of the head's code wrote is read leniently."""
    if len(body) > _MAX_CLAIMED_BYTES:
        return None, f"{source} has {len(body)} bytes, at most {_MAX_CLAIMED_BYTES} are read"
    try:
        checked = check_document(run.git, body, source=source)
    except ConfigError as exc:
        return None, exc.message
    document = checked.document
    wrong = list(checked.problems)
    if document.commit != change.head:
        wrong.append(f"it speaks of commit {document.commit[:12]}, not of the head {change.head[:12]}")
    if document.base != change.base:
        wrong.append(f"it was measured against {document.base[:12]}, not against {change.base[:12]}")
    if document.repository != repository_in_document(run):
        wrong.append(f"it speaks of the repository {document.repository[:80] or 'nowhere'}")
    if document.policy_digest != digest_of(to_record(run.config)):
        wrong.append("it was measured under another configuration")
    if document.test_commands != run.test_commands:
        wrong.append(f"it was measured with other test commands: {listed(document.test_commands, at_most=2)}")
    return (None, "; ".join(wrong)) if wrong else (document, "")


def _measured(change: FoundChange, document: VerdictDocument | None, wrong: str) -> Iterable[Fact]:
    """Testing's facts as the other job has them; one for each that it does not tell."""
    told = {f.rule: f for f in document.facts if f.phase == "testing"} if document else {}
    if wrong:
        yield _unmeasured(change, "suite", f"the document of the measuring job is refused: {wrong}")
    for rule in MEASURED_RULES[1 if wrong else 0 :]:
        fact = told.get(rule)
        yield _bounded(fact) if fact else _unmeasured(change, rule, "the measuring job does not tell it")


def _unmeasured(change: FoundChange, rule: str, why: str) -> Fact:
    detail = {"unproven": True}
    return Fact(phase="testing", rule=rule, commit=change.head, holds=False, message=why, detail=detail)


def _bounded(fact: Fact) -> Fact:
    """A fact of a stranger's with a detail of known shape only, as texts are made of it."""
    given = fact.detail
    detail: dict[str, Any] = {}
    if given.get("unproven"):
        detail["unproven"] = True
    for key in ("lines", "lost", "failing", "exceptions"):
        if listed_there := _flat(given.get(key)):
            detail[key] = listed_there
    if isinstance(tail := given.get("tail"), str):
        detail["tail"] = tail[-8_000:]
    return replace(fact, message=fact.message[:MAX_MESSAGE_CHARS], detail=detail)


def _flat(value: Any) -> list[dict[str, Any]]:
    found = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    return [_short(one) for one in found[:MAX_LISTED] if isinstance(one, Mapping)]


def _short(value: Mapping[str, Any]) -> dict[str, Any]:
    kept = ((k[:40], v[:MAX_MESSAGE_CHARS] if isinstance(v, str) else v) for k, v in list(value.items())[:20])
    return {k: v for k, v in kept if isinstance(v, (str, int))}


def _read_here(run: RunContext, change: FoundChange) -> Iterable[Fact]:
    """Facts that need no run of anything: what the other job says of them does not count."""
    git = run.private
    changes = git.changes(change.base, change.head)
    paths = {p for c in changes for p in (c.path, c.old_path) if p}
    tests = TestPaths.at(git, change.base, run.test_commands, paths)
    yield from special_case_facts(git, base=change.base, head=change.head, tests=tests)
    yield from read_facts(run, change, git)
    yield _measured_by_the_base(run, change, sorted(p for p in paths if matches(p, MEASURED_BY)))


def _measured_by_the_base(run: RunContext, change: FoundChange, touched: Sequence[str]) -> Fact:
    """Whether the head may have changed what measured it; a person with write access answers for that."""
    message = "the branch changes nothing of what measured it"
    detail: dict[str, Any] = {}
    reason = who_may(run, change) if touched else ""
    may = bool(reason)
    if touched:
        message = f"the branch changes {listed(touched, at_most=3)}, which may have measured it otherwise"
        detail = {"exceptions": [{"id": "measured-by-the-base", "what": message, "reason": reason}]} if may else {
            "unproven": True
        }  # fmt: skip
        message += f"; {reason}" if may else "; somebody with write access has to read it"
    return Fact(
        phase="implementation", rule="measured-by-the-base", commit=change.head, holds=not touched or may,
        message=message, detail=detail,
    )  # fmt: skip
