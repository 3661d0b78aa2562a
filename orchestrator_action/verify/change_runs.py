"""What was run for one change, as values; `change` fills them, `testing_facts` judges them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator_action.protocol.attempt import Ending
from orchestrator_action.verify.compare import normal_id
from orchestrator_action.verify.ecosystems.base import CaseResult
from orchestrator_action.verify.overlay import Overlay
from orchestrator_action.verify.renamed import Texts
from orchestrator_action.verify.test_changes import Loss
from orchestrator_action.verify.test_paths import TestPaths
from orchestrator_action.verify.test_run import CommandRun, TestRun
from orchestrator_action.verify.varied import Call


class Proof(StrEnum):
    """Whether a change has to come with a test that shows it."""

    REQUIRED = "required"
    REPORTED = "reported"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRuns:
    """The suites of one change. None: not run; the words beside it say why where somebody has to know."""

    base_sha: str
    head_sha: str
    commands: tuple[str, ...]
    tests: TestPaths
    laid: Overlay
    """The base's tests on the head's sources."""
    changed_tests: tuple[str, ...] = ()
    """Test files that the branch adds or changes."""
    test_texts: Texts = field(default_factory=dict)
    """Of these, what tells whether a test lives on under another name."""
    renames: Mapping[str, str] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    """Files of the base that the head does not have."""
    only_tests_changed: bool = False
    losses: tuple[Loss, ...] = ()
    """What reading the files tells; it counts where no comparison can be made."""
    base: TestRun | None = None
    base_error: str = ""
    head: TestRun | None = None
    head_error: str = ""
    thrown_away: tuple[str, ...] = ()
    """Files that somebody wrote in a first checkout of the head; it counted nothing."""
    head_before: TestRun | None = None
    """An earlier run at the same commit that was red: a repeated claim is measured once more."""
    head_again: tuple[TestRun, ...] = ()
    """What was red at the head and not at the base, once more by itself."""
    thorough: bool = True
    """Whether changed tests were repeated and tried at the base, as is done for what decides."""
    repeats: int = 1
    steady: tuple[TestRun, ...] = ()
    steady_again: tuple[TestRun, ...] = ()
    """What failed in a repetition, in fresh checkouts."""
    base_tests: TestRun | None = None
    base_tests_error: str = ""
    base_tests_again: tuple[TestRun, ...] = ()
    configuration: tuple[str, ...] = ()
    """Files of the branch that say how tests run otherwise than at the base."""
    as_configured_before: TestRun | None = None
    """The head's changed tests on its own sources, with the base's configuration."""
    shown: TestRun | None = None
    """The head's changed tests on the base's sources."""
    emptied: TestRun | None = None
    """The head's changed tests where the functions that the branch adds, or else changes, do nothing."""
    emptied_functions: tuple[str, ...] = ()
    emptied_are_new: bool = False
    anything: frozenset[str] = frozenset()
    """Tests that pass, too, when the new functions give them other values, by short name."""
    calls: tuple[Call, ...] = ()
    """What the changed tests call, with the answers to other arguments."""
    calls_at_base: tuple[Call, ...] = ()
    """The same on the base's sources."""

    @property
    def red_before(self) -> frozenset[str]:
        """Tests that did not pass at the base, by normal id."""
        return frozenset(normal_id(c.id) for c in failing(self.base))

    def went_well(self, part: TestRun) -> bool:
        """Whether a run of some tests passed: what is asked of a whole suite, such as coverage, a part may lack."""
        return part.passed or (part.commands != self.commands and all(r.only_passing for r in part.runs))

    @property
    def flaky(self) -> frozenset[str]:
        """Tests that were red and green at the head, by normal id."""
        red = {normal_id(c.id): short_name(c) for run in (self.head, self.head_before) for c in failing(run)}
        green = {normal_id(c.id) for c in passing(self.head)}
        again = {short_name(c) for run in self.head_again for c in passing(run)}
        again -= {short_name(c) for run in self.head_again for c in failing(run)}
        return frozenset(i for i, name in red.items() if i in green or name in again)


def short_name(case: CaseResult) -> str:
    """The end of its name: a test that is run by itself may have a shorter id than in its suite."""
    return ".".join(re.split(r"::|(?<=\w)\.(?=\w)", normal_id(case.id))[-2:])


def failing(run: TestRun | None) -> list[CaseResult]:
    """Tests of a run that failed, or could not be run."""
    return [c for c in cases_of(run) if c.outcome in {"failed", "error"}]


def passing(run: TestRun | None) -> list[CaseResult]:
    """Tests of a run that passed."""
    return [c for c in cases_of(run) if c.outcome == "passed"]


def cases_of(run: TestRun | None) -> Iterable[CaseResult]:
    """Whatever tests of a run are known by id, of some of its commands at least."""
    return [c for r in run.runs for c in r.cases or ()] if run else []


def end_words(run: CommandRun) -> str:
    """How a command ended that did not pass and whose tests are not the reason."""
    outcome = run.outcome
    if outcome.ending is Ending.TIMEOUT:
        return f"did not end within {run.timeout_s:g} s"
    if outcome.ending is not Ending.EXITED:
        return f"was ended: {outcome.error or outcome.ending}"
    if outcome.signal is not None:
        return f"was killed by signal {outcome.signal}"
    return f"ended with exit code {outcome.exit_code}"
