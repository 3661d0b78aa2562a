"""Anybody's change: a branch or a pull request that no task of ours made gets the same facts and the same check.

There is no ledger and no claim, so phases are left out. What the base asks for is measured at the head; a person
with write access may let a fact pass for this head by a comment. Read top to bottom: find, measure, tell.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator_action.config.records import to_record
from orchestrator_action.config.schema import BRANCH_PREFIX, CHECK_NAME
from orchestrator_action.errors import ConfigError, GitError, NothingToDo
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.acceptance import (
    ChangeVerdict,
    conclude_change,
)
from orchestrator_action.protocol.documents import VerdictDocument, digest_of
from orchestrator_action.protocol.events import Ledger
from orchestrator_action.protocol.forge_values import Pull
from orchestrator_action.protocol.model import Claim, Fact
from orchestrator_action.publish.agent_acts import FORGE_ACTS
from orchestrator_action.publish.report.change import ChangeTexts, change_texts
from orchestrator_action.publish.report.formats import DOCUMENT_FORMATS
from orchestrator_action.publish.report.verdict import exception_lines, versions
from orchestrator_action.run.let_pass import conclude_with_people, who_may
from orchestrator_action.run.verify_branch import (
    Verified,
    task_of_branch,
    task_run_at,
    verify,
)
from orchestrator_action.state.context import RunContext
from orchestrator_action.state.documents import encode_document
from orchestrator_action.verify import facts as evidence
from orchestrator_action.verify.measure import Measure
from orchestrator_action.verify.settings import settings_facts

BASES_FOLDER = "bases"
"""In a run's folder: what was measured of the base branch's new head, for the runs that grow from it."""
SUFFIXES = {"sarif": ".sarif", "junit": ".junit.xml"}
"""Of the files beside a verdict document, by the name of their format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundChange:
    """A change to be judged: `name` is its branch, `base` the commit it grows from."""

    id: str
    name: str
    base: str
    head: str
    pull: Pull | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedChange:
    """What was measured of a change, and what it comes to."""

    change: FoundChange
    document: VerdictDocument
    verdict: ChangeVerdict
    path: Path
    """Where the document is written, in the run's folder."""


def find_change(run: RunContext, branch: str, known: Pull | None = None, *, since: str = "") -> FoundChange:
    """The change of a branch or of a pull request, forks included; with `since`, what was pushed after that commit.

    Raises GitError when its commit is not at the remote, ConfigError when it changes nothing, and NothingToDo when a
    push took commits back, or came after commits that are gone.
    """
    name = known.head_branch if known else branch
    ref = run.forge.pull_ref(known) if known else f"refs/heads/{name}"
    head = run.remote.fetch_ref(ref)
    if not head:
        raise GitError(f"{ref} is not at the remote", hint="push the branch first")
    onto = known.base_branch if known else run.base_branch
    tip = since if since and _is_here(run, since) else run.remote.fetch(onto)
    base = run.git.merge_base(tip, head)
    if not base:
        raise GitError(f"{name} and {onto} have no common commit", hint="rebase the branch")
    if base == head and since:
        gone = "" if tip == since else f": {since[:12]}, where it was before, is not at the remote any more"
        raise NothingToDo(
            f"the push to {name} brought no commit to compare{gone}", hint="the next push is compared"
        )
    if base == head:
        raise ConfigError(f"{name} holds nothing that {onto} has not", hint="there is nothing to verify")
    return FoundChange(
        id=f"pull-{known.number}" if known else _id_of(name), name=name, base=base, head=head, pull=known
    )


def _is_here(run: RunContext, sha: str) -> bool:
    """Whether a commit is in the repository; brought where the remote still has it: a forced push leaves no name."""
    if not run.git.rev_parse(sha):
        with contextlib.suppress(GitError):
            run.remote.fetch_objects([sha])
    return bool(run.git.rev_parse(sha))


def _id_of(branch: str) -> str:
    """A name for files of ours, from any branch's name."""
    return "branch-" + (
        "".join(c if c.isascii() and c.isalnum() else "-" for c in branch).strip("-")[:60] or "x"
    )


def measure_found_change(run: RunContext, change: FoundChange) -> VerdictDocument:
    """Measure everything that can be measured of a change without a claim."""
    ledger = Ledger(
        task=change.id, run=run.run_id, base_sha=change.base, base_branch=run.base_branch, branch=change.name
    )
    task_run = replace(task_run_at(run, ledger, change.head), git=run.private)  # nobody works in its tree
    try:
        measure = Measure(task_run, FORGE_ACTS, ledger=lambda: ledger)
        facts = tuple(_facts(run, change, measure))
        if change.pull is None and change.name == run.base_branch:
            _hand_on(measure.remember_head(change.head), run.run_dir / BASES_FOLDER)
    finally:
        run.trees.remove(task_run.tree)
    document = document_of_change(run, facts, commit=change.head, name=change.name, base=change.base)
    if any(getattr(suite, "from_elsewhere", False) for suite in run.bases.values()):
        where = {**document.environment, "base": "measured by another run, on a push to the base branch"}
        document = replace(document, environment=where)
    return document


def _hand_on(file: Path | None, folder: Path) -> None:
    """Put the suite at a head of the base branch where a job can take it for others."""
    if file is not None:
        folder.mkdir(exist_ok=True)
        shutil.copyfile(file, folder / file.name)


def document_of_change(
    run: RunContext, facts: tuple[Fact, ...], *, commit: str, name: str, base: str
) -> VerdictDocument:
    """What was measured here and now, as a document."""
    return VerdictDocument(
        commit=commit,
        name=name,
        base=base,
        repository=repository_in_document(run),
        conclusion=str(conclude_change(facts).conclusion),
        facts=facts,
        exceptions=tuple(exception_lines(facts)),
        policy_digest=digest_of(to_record(run.config)),
        test_commands=run.test_commands,
        isolation=run.isolation.level.word,
        environment=versions(run.git.text("version").removeprefix("git version ").strip()),
        measured_at=_now(),
    )


def repository_in_document(run: RunContext) -> str:
    """The repository's name at the forge; empty for a folder, whose path says nothing to anybody else."""
    return run.forge.repository if run.forge.name == "github" else ""


def differences(run: RunContext, document: VerdictDocument) -> list[str]:
    """What a measurement of the same commits, here and now, says otherwise than a document; a line each."""
    if document.policy_digest and document.policy_digest != digest_of(to_record(run.config)):
        return ["the configuration of the base is another now: what was measured cannot be repeated"]
    change = FoundChange(id="document", name=document.name, base=document.base, head=document.commit)
    told = {(f.phase, f.rule): f.holds for f in document.facts}
    found = {(f.phase, f.rule): f for f in measure_found_change(run, change).facts}
    return [
        f"measured again, {fact.rule} {'holds' if fact.holds else 'does not hold'}: {fact.message}"
        for key, fact in found.items()
        if key in told and told[key] != fact.holds
    ]


def _facts(run: RunContext, change: FoundChange, measure: Measure) -> Iterable[Fact]:
    yield from measure(Claim(phase="testing", head_sha=change.head), change.head, True)
    yield from read_facts(run, change, measure.git)


def read_facts(run: RunContext, change: FoundChange, git: Git) -> Iterable[Fact]:
    """Facts that reading the commits tells, without running anything: paths, size, secrets, documentation."""
    base, head, config = change.base, change.head, run.config
    changed = evidence.implementation_facts(
        git, base=base, head=head, protected=config.protected, size=config.size
    )
    for fact in changed:
        if fact.rule != "clean-tree":  # nobody works in a tree here
            yield _of_somebody_who_may(run, change, fact) if fact.rule == "protected-untouched" else fact
    yield from settings_facts(git, base=base, head=head)
    for fact in evidence.docs_facts(git, base=base, head=head, patterns=config.docs):
        yield replace(fact, holds=True, detail={**fact.detail, "reported": True})


def _of_somebody_who_may(run: RunContext, change: FoundChange, fact: Fact) -> Fact:
    """A protected path that its author may write anyway is no lie, but it is said: an exception."""
    reason = "" if fact.holds else who_may(run, change)
    if not reason:
        return fact
    named = [{"id": fact.rule, "what": fact.message, "reason": reason}]
    return replace(
        fact, holds=True, message=f"{fact.message}; {reason}", detail={**fact.detail, "exceptions": named}
    )


def _say_begin(run: RunContext, name: str, say: Callable[[str], None]) -> None:
    """What begins now: it takes as long as the tests, up to three times."""
    tests = " && ".join(run.test_commands) or "no test command is known"
    say(f"measures {name} at its head and at its base: {tests}; isolation: {run.isolation.level.word}")


def _say_nothing(line: str) -> None:
    """For callers that show nothing."""


def verify_any(
    run: RunContext,
    *,
    branch: str = "",
    pull: int = 0,
    since: str = "",
    say: Callable[[str], None] = _say_nothing,
) -> Verified | VerifiedChange:
    """Judge a branch or a pull request: as a task of ours where a trail speaks of it, otherwise as anybody's change.

    A fork's branch may have the name of one of ours: then its head is not at our remote under that name.
    Raises ConfigError when it is neither of them, or two.
    """
    if pull and branch:
        raise ConfigError("--branch and --pr name two things to judge", hint="give one of them")
    known = run.forge.pull(pull) if pull else None
    meant = known.head_branch if known else branch or run.git.branch()
    if not meant:
        raise ConfigError("no branch is checked out here", hint="give --branch or --pr")
    ours = known is None or run.remote.sha(f"refs/heads/{meant}") == known.head_sha
    task_id = task_of_branch(run, meant) if ours else ""
    if task_id:
        _say_begin(run, meant, say)
        return verify(run, meant, task_id)
    if ours and meant.startswith(BRANCH_PREFIX):  # a task's branch is never judged with less than its ledger
        raise ConfigError(
            f"no audit trail at the remote speaks of branch {meant!r}",
            hint="its trail was deleted or replaced; run the task again",
        )
    change = find_change(run, meant, known, since=since)
    _say_begin(run, meant, say)
    return verify_change(run, change)


def measure_any(
    run: RunContext,
    *,
    branch: str = "",
    pull: int = 0,
    since: str = "",
    say: Callable[[str], None] = _say_nothing,
) -> VerifiedChange:
    """Measure a branch or a pull request into a document, and tell nobody: for a job that may not write.

    Raises NothingToDo for a task's branch of ours, which is judged with its claims.
    """
    known = run.forge.pull(pull) if pull else None
    ours = known is None or run.remote.sha(f"refs/heads/{known.head_branch}") == known.head_sha
    leave_tasks_alone(run, branch, known, ours=ours)
    change = find_change(run, branch, known, since=since)
    _say_begin(run, change.name, say)
    document = measure_found_change(run, change)
    verdict = conclude_change(document.facts)
    _note_verified(run, change, verdict)
    return VerifiedChange(change=change, document=document, verdict=verdict, path=_write(run, document))


def leave_tasks_alone(run: RunContext, branch: str, pull: Pull | None, *, ours: bool) -> None:
    """Raise NothingToDo when a branch of this repository is a task's: nothing less than its ledger judges it."""
    name = pull.head_branch if pull else branch
    if ours and (name.startswith(BRANCH_PREFIX) or task_of_branch(run, name)):
        raise NothingToDo(
            f"{name} is a task's branch, judged with its claims and phases",
            hint="mode verify measures it anew after a person's push",
        )


def verify_change(run: RunContext, change: FoundChange) -> VerifiedChange:
    """Measure a change and tell its pull request; a branch without one gets the check only."""
    began = _now()
    return publish_change(run, change, measure_found_change(run, change), began=began)


def publish_change(
    run: RunContext, change: FoundChange, document: VerdictDocument, *, began: str
) -> VerifiedChange:
    """Write comment and check of a change from its document; what people accepted for this head counts.

    `began` is when this measurement began, ISO 8601.
    """
    concluded = conclude_with_people(run, change, document.facts, began=began)
    verdict, key = concluded.verdict, concluded.marker
    told = change_texts(document, verdict, marker=key, since=concluded.since, secrets=run.secrets)
    if change.pull:
        run.forge.comment(change.pull.number, marker=key, body=told.comment)
    _post_check(run, change, verdict, told)
    _note_verified(run, change, verdict)
    return VerifiedChange(change=change, document=document, verdict=verdict, path=_write(run, document))


def _note_verified(run: RunContext, change: FoundChange, verdict: ChangeVerdict) -> None:
    run.journal.append(
        "verified",
        change.id,
        head=change.head,
        status=str(verdict.conclusion),
        problems=[f.message for f in verdict.open],
    )


def _write(run: RunContext, document: VerdictDocument) -> Path:
    path = run.run_dir / "verdict.json"
    path.write_bytes(encode_document(document))
    for name, write in DOCUMENT_FORMATS.items():
        path.with_suffix(SUFFIXES[name]).write_text(write([document], run.secrets), encoding="utf-8")
    return path


def _post_check(run: RunContext, change: FoundChange, verdict: ChangeVerdict, told: ChangeTexts) -> None:
    run.forge.post_check(
        head_sha=change.head,
        name=CHECK_NAME,
        external_id=f"{run.run_id}.{change.id}",
        conclusion=verdict.conclusion,
        title=told.check.title,
        summary=told.check.summary,
        text=told.check.text,
        annotations=told.check.annotations,
    )


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
