"""The eleven phases: their ids, what the agent does, and the rules that prove each.

A rule's scope says how long its fact lives: `once` facts were true when measured and stay so (an
issue exists); `head` facts prove one commit only and go stale with the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """How long a fact holds."""

    ONCE = "once"
    HEAD = "head"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that must have been measured for a phase to be proven."""

    id: str
    scope: Scope
    says: str
    """What holds when it holds."""
    cure: str
    """What the agent can do when it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One governed phase."""

    number: int
    id: str
    title: str
    does: str
    """What the agent does, as it is told."""
    claim: str
    """The command that claims it, as it is told."""
    rules: tuple[Rule, ...]
    waivable: bool = False
    """By the agent, unless the repository says otherwise."""


def _once(rule: str, says: str, cure: str) -> Rule:
    return Rule(id=rule, scope=Scope.ONCE, says=says, cure=cure)


def _head(rule: str, says: str, cure: str) -> Rule:
    return Rule(id=rule, scope=Scope.HEAD, says=says, cure=cure)


PHASES: tuple[Phase, ...] = (
    Phase(
        number=1,
        id="initial-setup",
        title="Initial Setup",
        does="read the task context file",
        claim="orchestrator-phase done initial-setup",
        rules=(
            _once(
                "context-read",
                "the claim carries the context's digest",
                "claim from the unchanged context file: `orchestrator-phase show` prints it",
            ),
            _once(
                "clean-base",
                "the worktree is clean and on the recorded base commit",
                "claim this phase before changing anything; undo changes made so far",
            ),
        ),
    ),
    Phase(
        number=2,
        id="issue-creation",
        title="Issue Creation",
        does="name the issue; for a task without one, this claim asks the broker to open it",
        claim="orchestrator-phase done issue-creation",
        rules=(_once("issue-exists", "the issue exists on the forge", "the issue must exist and be open"),),
    ),
    Phase(
        number=3,
        id="branch-management",
        title="Branch Management",
        does="work on the task branch that is already checked out; never rebase it or switch away",
        claim="orchestrator-phase done branch-management",
        rules=(
            _head("on-branch", "HEAD is the task branch", "check out the task branch again"),
            _head(
                "base-kept",
                "the branch grows from the recorded base commit",
                "put your commits on top of the recorded base; do not rewrite it",
            ),
        ),
    ),
    Phase(
        number=4,
        id="research-and-planning",
        title="Research and Planning",
        does="hand in a plan that names the paths you will change or make",
        claim="orchestrator-phase done research-and-planning --file PLAN.md  (or --note 'TEXT')",
        rules=(
            _once(
                "plan-recorded",
                "a plan is recorded and names a path of the tree, or one to be made",
                "hand in a plan with --file or --note that names at least one path",
            ),
        ),
    ),
    Phase(
        number=5,
        id="implementation",
        title="Implementation",
        does="make the change and commit it; or declare that no change is needed",
        claim="orchestrator-phase done implementation  (or --no-change-needed 'WHY')",
        rules=(
            _head(
                "commits",
                "there are commits above the base and they change something",
                "commit the change, or claim with --no-change-needed and a reason",
            ),
            _head(
                "clean-tree", "the worktree is clean", "commit what belongs to the change, remove the rest"
            ),
            _head(
                "protected-untouched",
                "no protected path is touched",
                "restore the protected paths as they are in the base",
            ),
        ),
    ),
    Phase(
        number=6,
        id="testing",
        title="Testing",
        does="make the tests pass; the orchestrator runs them itself at your commit and at its base; a test that the "
        "issue asks to change is named by its id with the reason",
        claim="orchestrator-phase done testing  (or with --note 'tests/test_a.py::test_b: WHY')",
        rules=(
            _head(
                "suite",
                "the test command passes at HEAD, or what fails was red at the base before",
                "mend the code or the tests that are named, commit, and claim again",
            ),
            _head(
                "nothing-lost",
                "whatever test passed at the base passes here",
                "restore the tests that are named; where the issue asks for their change, name each by its id "
                "with the reason in --note: 'tests/test_a.py::test_b: WHY'",
            ),
            _head(
                "base-tests",
                "the base's tests and test configuration pass on this code",
                "keep what the base's tests ask for; where the issue asks for another behaviour, name each test "
                "by its id with the reason in --note: 'tests/test_a.py::test_b: WHY'",
            ),
            _head(
                "shows-the-change",
                "a test fails at the base and passes here",
                "add a test that fails without your change",
            ),
            _head(
                "steady",
                "changed and new tests pass several times in a row",
                "make the tests that are named, or the code they test, give the same result every time",
            ),
            _head(
                "no-special-case",
                "no code outside the tests looks for the test runner or defeats comparison",
                "take the named lines out: code has to do the same whoever runs it",
            ),
        ),
    ),
    Phase(
        number=7,
        id="documentation",
        title="Documentation",
        does="update the documentation the change needs",
        claim="orchestrator-phase done documentation  (or --waive 'WHY')",
        rules=(
            _head(
                "docs-changed",
                "documentation paths are in the diff",
                "update and commit the documentation, or claim with --waive and a reason",
            ),
        ),
        waivable=True,
    ),
    Phase(
        number=8,
        id="pull-request",
        title="Pull Request",
        does="ask for the pull request with a title and a body; the broker pushes and opens it",
        claim="orchestrator-phase done pull-request --note 'TITLE' --file BODY.md",
        rules=(
            _head(
                "pull-open",
                "the pull request's head is HEAD, its base is right and it links the issue",
                "claim pull-request again so that the broker pushes HEAD",
            ),
        ),
    ),
    Phase(
        number=9,
        id="review",
        title="Review",
        does="ask for the review; a separate session reads your diff",
        claim="orchestrator-phase done review",
        rules=(
            _head(
                "reviewed",
                "a separate session reviewed HEAD and its findings are posted",
                "claim review again",
            ),
        ),
    ),
    Phase(
        number=10,
        id="review-response",
        title="Review Response",
        does="answer each finding: mend it and commit, or decline it with a reason",
        claim="orchestrator-phase done review-response --note 'f1: fixed in SHA; f2: declined: WHY'",
        rules=(
            _head(
                "findings-answered",
                "each finding is fixed in a commit of this branch or declined",
                "answer every open finding: `fN: fixed in <sha>` or `fN: declined: reason`",
            ),
            _head("pull-current", "the pull request's head is HEAD", "claim review-response again"),
        ),
    ),
    Phase(
        number=11,
        id="settings-update",
        title="Settings Update",
        does="leave agent settings in order; commit no local settings and no secrets",
        claim="orchestrator-phase done settings-update",
        rules=(
            _head("settings-parse", "agent settings files parse", "mend the settings files"),
            _head(
                "no-local-settings",
                "no local-only settings or secrets are committed",
                "take it out of the branch, a secret out of every commit (`git reset --soft` to the base, commit anew)",
            ),
        ),
    ),
)

IDS: tuple[str, ...] = tuple(p.id for p in PHASES)
BY_ID: dict[str, Phase] = {p.id: p for p in PHASES}


def before(phase: str) -> tuple[Phase, ...]:
    """The phases that come before `phase`, in order."""
    return PHASES[: BY_ID[phase].number - 1]
