"""The values everything else passes around. Frozen, plain, and free of behaviour.

Words are those of the README's glossary; fields stand in the order they become known, units in the name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from orchestrator_action.protocol.attempt import Limits
from orchestrator_action.protocol.forge_values import Conclusion, Issue, Pull


class Demand(StrEnum):
    """What a repository asks of a phase."""

    REQUIRED = "required"
    WAIVABLE = "waivable"
    OFF = "off"


class Status(StrEnum):
    """How a requested task ended. Every one ends in exactly one of these."""

    SUCCESS = "success"
    NO_CHANGE = "no-change"
    DECLINED = "declined"
    """The agent said that it cannot do the task, and why: neither a success nor a lie."""
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    TIMEOUT = "timeout"
    STALLED = "stalled"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"
    SKIPPED = "skipped"


GOOD_STATUSES = frozenset({Status.SUCCESS, Status.NO_CHANGE})
"""The ends a user asked for; any other makes the run's exit code 1."""


class PhaseState(StrEnum):
    """What the judge found of one phase."""

    PROVEN = "proven"
    REPORTED = "reported"
    """The machine where the agent worked says so, and nobody else could measure it."""
    WAIVED = "waived"
    OFF = "off"
    NOT_APPLICABLE = "not-applicable"
    MISSING = "missing"
    UNPROVEN = "unproven"
    REFUTED = "refuted"
    STALE = "stale"


SETTLED_STATES = frozenset(
    {PhaseState.PROVEN, PhaseState.REPORTED, PhaseState.WAIVED, PhaseState.OFF, PhaseState.NOT_APPLICABLE}
)
"""States that leave nothing open. Only `proven` says that the work was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One unit of work: an issue, or a prompt file. `text` is data, never a command line. `goes_on_at` is the
    commit at which a run that died left it, `note` what people are told of that."""

    id: str
    title: str
    text: str
    branch: str
    issue: Issue | None = None
    prompt_file: str = ""
    depends_on: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    agent: str = ""
    test: tuple[str, ...] = ()
    goes_on_at: str = ""
    note: str = ""
    supersedes: tuple[str, ...] = ()
    """Branches of earlier attempts at the same issue."""
    stuck: str = ""
    """Why it cannot be begun in this run: what it waits for is not part of it, or waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskContext:
    """All that one attempt is given, as written to `context.json`. `path` is that file."""

    path: str
    task: Task
    run_id: str
    attempt: int
    worktree_path: str
    prompt_path: str
    base_sha: str
    base_branch: str
    limits: Limits
    test_commands: tuple[str, ...]
    digest: str
    parallel: bool = True
    session_id: str = ""
    """A UUID chosen by us; an agent that knows sessions uses it."""
    resume_session: str = ""
    """The session to take up again, when this attempt continues one."""
    message: str = ""
    """What to tell a resumed session: the list of open phases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """What an agent says that cannot do its task: why, and what it would need."""

    because: str
    needs: str = ""

    def __str__(self) -> str:
        return self.because + (f"; it needs: {self.needs}" if self.needs else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the agent says of a phase. `seq` is the journal's number of it."""

    phase: str
    head_sha: str
    note: str = ""
    text: str = ""
    """The contents of `--file`."""
    digest: str = ""
    no_change: str = ""
    waive: str = ""
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What we measured. `commit` is where; `holds` is the answer; `detail` the figures, as JSON values."""

    phase: str
    rule: str
    commit: str
    holds: bool
    message: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Why a phase is open. `rule`: missing, unproven, refuted or stale."""

    rule: str
    message: str
    person: bool = False
    """No agent can mend it: somebody has to decide or to set something up."""
    about: str = ""
    """The id of the fact's rule, as `/orchestrate accept` names it; empty when it is about the whole phase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseVerdict:
    """The judge's word on one phase, with the facts it rests on."""

    phase: str
    state: PhaseState
    findings: tuple[Finding, ...] = ()
    facts: tuple[Fact, ...] = ()
    reason: str = ""
    """Of a waiver, or of `no change needed`."""
    claimed: str | None = None
    """What the agent said of this phase, cut; empty when it claimed it without words, None when it did not."""

    @property
    def settled(self) -> bool:
        """True when nothing of this phase is open."""
        return self.state in SETTLED_STATES


def exceptions_of(phases: Iterable[PhaseVerdict]) -> tuple[Mapping[str, str], ...]:
    """Tests that the agent named as changed by what the issue asks for: `id`, `what` and `reason`, each test once."""
    held = (f.detail.get("exceptions", ()) for p in phases for f in p.facts if f.holds)
    return tuple({str(e["id"]): e for named in held for e in named}.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judge's word on a task at one commit."""

    head_sha: str
    phases: tuple[PhaseVerdict, ...]
    no_change: str = ""

    @property
    def exceptions(self) -> tuple[Mapping[str, str], ...]:
        """What a person has to read although nothing is open."""
        return exceptions_of(self.phases)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, in the order of the phases."""
        return tuple(f for p in self.phases for f in p.findings)

    @property
    def settled(self) -> bool:
        """True when every phase is settled."""
        return all(p.settled for p in self.phases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Two branches of one run that touch the same paths."""

    a: str
    b: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """What came of the verified branches of a run, merged in memory."""

    order: tuple[str, ...]
    """The tasks whose branches go together, in the order in which they were merged."""
    left_out: tuple[str, ...] = ()
    """Those that clash with one of these."""
    clashes: tuple[Conflict, ...] = ()
    """Pairs that git cannot merge, by the paths."""
    red: tuple[str, ...] = ()
    """Those with which the merged tree's tests fail; not in `order`."""
    tests: str = "not run"
    """Of the merged tree of all that could be merged: `passed`, `failed` or `not run`."""
    commit: str = ""
    """The merge of `order`; it stands in no repository but ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """A finding of the review, and how it ended."""

    id: str
    path: str
    line: int
    severity: str
    text: str
    fixed_in: str = ""
    declined: str = ""

    @property
    def end(self) -> Literal["fixed", "declined", "not answered"]:
        """How it ended, in one word or two."""
        return "fixed" if self.fixed_in else "declined" if self.declined else "not answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One of several attempts at a task, side by side, as it ended."""

    id: str
    agent: str
    """Who was at it last, with its model where one was named."""
    branch: str
    head_sha: str
    status: Status
    error: str = ""
    lines: int = 0
    """Lines that it adds and removes."""
    cost_usd: float | None = None
    refuted: bool = False
    """Whether a fact refutes what it claimed."""
    failure: str = ""
    """How its last attempt that broke did so; empty where none did."""
    needs_person: int = 0
    chosen: bool = False
    pushed: bool = False
    """Whether its branch is at the remote, at this head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossTest:
    """The changed and new tests of one candidate, run on the code of another."""

    tests_of: str
    code_of: str
    passed: int = 0
    failed: tuple[str, ...] = ()
    cannot_run: tuple[str, ...] = ()
    """Tests that do not come to their own work there: what they name has another name, for example."""
    error: str = ""
    """Why nothing could be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """Everything known of one requested task when the run ended."""

    task_id: str
    status: Status
    conclusion: Conclusion
    title: str = ""
    issue: int | None = None
    branch: str = ""
    base_sha: str = ""
    head_sha: str = ""
    pull: Pull | None = None
    exit_code: int | None = None
    wall_s: float = 0.0
    attempts: int = 0
    turns: int | None = None
    cost_usd: float | None = None
    peak_rss_mib: float = 0.0
    cpu_s: float = 0.0
    read_bytes: int = 0
    """Read from storage by all its attempts."""
    write_bytes: int = 0
    model: str = ""
    """The model that the agent named, in its output or else in its requests; of several attempts, the last one's."""
    curves: tuple[Mapping[str, Any], ...] = ()
    """Memory and CPU over time, one for each attempt that was long enough; see `Outcome.curve`."""
    failures: tuple[str, ...] = ()
    """The class of each attempt that failed, in order; see `state.failure`."""
    agents: tuple[str, ...] = ()
    """Who was at it, in order; more than one where another agent took over."""
    candidates: tuple[Candidate, ...] = ()
    """The attempts of which this is the best one; empty where there was one attempt only."""
    cross_tests: tuple[CrossTest, ...] = ()
    """Where their tests agree and where they do not."""
    pid: int = 0
    phases: tuple[PhaseVerdict, ...] = ()
    declined: Declined | None = None
    """What the agent said, when it said that it cannot do the task."""
    said: str = ""
    """The agent's closing words: a claim, shown beside what was measured."""
    review: tuple[Reviewed, ...] = ()
    """What the review found, and how each finding ended."""
    log: str = ""
    error: str = ""
    worktree: str = ""
    """Where the worktree was kept, and nothing when it was removed."""
    kept_because: str = ""

    @property
    def needs_person(self) -> int:
        """How many named exceptions a person has to read, although the task succeeded."""
        return len(exceptions_of(self.phases)) if self.status is Status.SUCCESS else 0

    @property
    def disagreements(self) -> tuple[CrossTest, ...]:
        """Tests of other candidates that fail on what was chosen."""
        chosen = {c.id for c in self.candidates if c.chosen}
        return tuple(c for c in self.cross_tests if c.code_of in chosen and c.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What a run did. `render` turns it into the published JSON."""

    run_id: str
    repo: str
    base_sha: str
    agent: str
    started_at: str
    wall_s: float
    sum_task_s: float
    speedup: float
    peak_parallel: int
    cost_usd: float | None
    requested: int
    tasks: tuple[TaskResult, ...]
    conflicts: tuple[Conflict, ...] = ()
    integration: Integration | None = None
    """None: fewer than two verified branches, or not wanted."""
    isolation: Mapping[str, Any] = field(default_factory=dict)
    """The level of the walls, what the probe found held and within reach, and why it is no higher."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt file as read: its path as given, its front matter's fields and its text."""

    path: str
    stem: str
    text: str
    title: str = ""
    labels: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    agent: str = ""
    test: tuple[str, ...] = ()
