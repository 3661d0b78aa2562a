"""Testing: the orchestrator runs the repository's tests itself, at exactly one commit, and counts them.

A run proves something only when it ended with 0 *and* ran at least one test. No test collected, or a
number nobody can read, proves nothing either way: the fact does not hold and says `unproven`. A tree is
measured once per set of commands; what is known is kept in memory, because an agent could write files.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from orchestrator_action.process.files import open_plain
from orchestrator_action.protocol.attempt import Ending, Outcome
from orchestrator_action.state.context import reports_of
from orchestrator_action.text.causes import cause_of, last_said
from orchestrator_action.text.unicode import strip_ansi
from orchestrator_action.verify.ecosystems.base import CaseResult
from orchestrator_action.verify.ecosystems.counts import Counts, total
from orchestrator_action.verify.ecosystems.results import instrument, read_cases, read_counts
from orchestrator_action.verify.unset import unset_variables

TAIL_LINES = 40
TAIL_CHARS = 4_000
READ_BYTES = 4 * 1024**2
"""How much of a log's end is searched for closing lines."""
_USAGE = 4
"""pytest's exit code for options it does not know."""

_SAYS_NOTHING_RAN = {5: ("pytest", "junit", "unittest"), 1: ("jest", "vitest", "mocha", "ava")}
"""Exit codes by which these runners say that they collected nothing."""
_TOOLS = frozenset(
    {"pytest", "tox", "nox", "nose2", "coverage", "poetry", "pdm", "hatch", "twisted", "green"}
)
"""Modules that are installed and not a repository's own."""


class RunProcess(Protocol):
    """Starts one process, waits for its end and for everything it started: the supervisor."""

    def __call__(
        self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path, timeout_s: float
    ) -> Outcome:
        """Run `argv`; its output goes into `log`, as it comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRun:
    """One test command and how it ended. `counts` is None when no number could be read."""

    command: str
    outcome: Outcome
    duration_s: float
    timeout_s: float
    log: str
    tail: str
    counts: Counts | None
    cases: tuple[CaseResult, ...] | None = None
    """Every test by its id; None when the runner names none."""
    unset: tuple[str, ...] = ()
    """Variables that the output of a failing run names, and that the tests were not given."""

    @property
    def passed(self) -> bool:
        """Ended by itself, with 0."""
        return self.outcome.ending is Ending.EXITED and self.outcome.exit_code == 0

    @property
    def cannot_run(self) -> bool:
        """It ended badly before any test had a result: what it collects cannot be imported or compiled."""
        if self.passed or self.outcome.ending is not Ending.EXITED:
            return False
        if self.cases:
            failing = [c for c in self.cases if c.outcome in {"failed", "error"}]
            return not any(c.outcome in {"passed", "failed"} for c in self.cases) and bool(failing)
        return self.counts is None or not self.counts.ran

    @property
    def only_passing(self) -> bool:
        """It ended by itself, tests passed and none failed, whatever else the command asks for."""
        ended = self.outcome.ending is Ending.EXITED and self.outcome.signal is None
        ends = {c.outcome for c in self.cases or ()}
        return ended and "passed" in ends and ends <= {"passed", "skipped"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRun:
    """All test commands at one commit; those after the first that could not run were not started."""

    __test__ = False

    commit: str
    tree: str
    commands: tuple[str, ...]
    runs: tuple[CommandRun, ...]
    reused_from: str = ""
    """The other commit this was measured at, when its tree is the same."""
    touched: tuple[str, ...] = ()
    """Files of the commit that were written while it ran, by the tests or by somebody who could reach them."""

    @property
    def cases(self) -> tuple[CaseResult, ...] | None:
        """Every test of every command by its id; None when those of some command have none."""
        found: list[CaseResult] = []
        for run in self.runs:
            if run.cases is None and (run.counts is None or run.counts.ran):
                return None
            found += run.cases or ()
        return tuple(found) if self.runs else None

    @property
    def counts(self) -> Counts | None:
        """All commands together; None when no number could be read of any."""
        return total(r.counts for r in self.runs if r.counts)

    @property
    def passed(self) -> bool:
        """Every command was started, and ended by itself with 0."""
        return len(self.runs) == len(self.commands) and all(r.passed for r in self.runs)


_MISSING_MODULE = re.compile(
    r"No module named|ModuleNotFoundError|Cannot find (?:module|package)|ERR_MODULE_NOT_FOUND|cannot load such file"
)
"""What interpreters print of a dependency that is not installed."""

Known = MutableMapping[tuple[str, tuple[str, ...]], TestRun]
"""What was measured in this run: by tree and commands."""


def run_tests(
    commands: Sequence[str],
    *,
    commit: str,
    tree: str,
    worktree: Path,
    env: Mapping[str, str],
    evidence_dir: Path,
    timeout_of: Callable[[str], float],
    run: RunProcess,
    known: Known | None = None,
) -> TestRun:
    """Run the test commands in a clean checkout of `commit`, one after the other, until one cannot run.

    A command whose tests fail does not end it: which ones fail is compared with the base. `timeout_of` gives the
    seconds that each may take, 0 for no limit. Each is run by `/bin/sh -c`; its log goes into `evidence_dir`,
    its reports into a folder beside that.
    """
    key = (tree, tuple(commands))
    if known is not None and (before := known.get(key)):
        first = before.reused_from or before.commit
        return replace(before, commit=commit, reused_from="" if first == commit else first)
    folder = _fresh(evidence_dir, f"tests-{commit[:12]}")
    runs: list[CommandRun] = []
    for number, command in enumerate(commands, 1):
        runs.append(_run_one(command, number, worktree, env, folder, timeout_of(command), run))
        counts = runs[-1].counts
        if not runs[-1].passed and not (counts and counts.ran and runs[-1].outcome.ending is Ending.EXITED):
            break
    done = TestRun(commit=commit, tree=tree, commands=tuple(commands), runs=tuple(runs))
    if known is not None and not any(r.outcome.ending is Ending.CANCELLED for r in runs):
        known[key] = done
    return done


def _fresh(parent: Path, name: str) -> Path:
    for n in range(1, 10_000):
        folder = parent / (name if n == 1 else f"{name}-{n}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(name)


def _run_one(
    command: str,
    number: int,
    worktree: Path,
    env: Mapping[str, str],
    folder: Path,
    timeout_s: float,
    run: RunProcess,
) -> CommandRun:
    log = folder / f"command-{number}.log"
    reports = reports_of(log)
    own, clock = {**env, "CI": env.get("CI", "1")}, time.monotonic()
    asked = instrument(command, tree=worktree, env=own, report_dir=reports)
    argv = ("/bin/sh", "-c", asked.command)
    outcome = run(argv, cwd=worktree, env=asked.env, log=log, timeout_s=timeout_s)
    if outcome.exit_code == _USAGE and "unrecognized arguments: --junitxml" in read_end(log, TAIL_CHARS):
        log = folder / f"command-{number}-plain.log"  # this pytest writes no reports: its lines will do
        outcome = run(("/bin/sh", "-c", command), cwd=worktree, env=own, log=log, timeout_s=timeout_s)
    duration = time.monotonic() - clock
    text = read_end(log, READ_BYTES)
    return CommandRun(
        command=command,
        outcome=outcome,
        duration_s=round(duration, 3),
        timeout_s=timeout_s,
        log=str(log),
        tail=tail_of(text, tree=worktree),
        counts=read_counts(reports, text, command),
        cases=read_cases(reports, text, command),
        unset=unset_variables(text, asked.env) if outcome.exit_code else (),
    )


def _all_cases(cases: tuple[CaseResult, ...] | None, counts: Counts | None) -> tuple[CaseResult, ...] | None:
    """Cases that are all there were: two runners may have written the same report one over the other."""
    if cases is None or counts is None:
        return cases
    ran = sum(c.outcome != "skipped" for c in cases)
    return cases if ran >= counts.ran else None


def read_end(log: Path, limit: int) -> str:
    """The last `limit` bytes of a log, as text; empty when there is none."""
    try:
        with open(log, "rb", opener=open_plain) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - limit))
            return file.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""


def tail_of(text: str, *, tree: Path | None = None) -> str:
    """The last lines of an output, without colours and cursor movements; paths in `tree` as a checkout has them."""
    text = text.replace(f"{tree}{os.sep}", "") if tree else text
    lines = (line.rsplit("\r", 1)[-1].rstrip() for line in strip_ansi(text).replace("\r\n", "\n").split("\n"))
    return "\n".join([line for line in lines if line][-TAIL_LINES:])[-TAIL_CHARS:]


def run_detail(run: CommandRun) -> dict[str, Any]:
    """A command's end and figures, as a fact's detail has them."""
    counts = run.counts
    return {
        "command": run.command,
        "ending": str(run.outcome.ending),
        "exit_code": run.outcome.exit_code,
        "signal": run.outcome.signal,
        "duration_s": run.duration_s,
        "timeout_s": run.timeout_s or None,
        "counts": None
        if counts is None
        else {
            "passed": counts.passed,
            "failed": counts.failed,
            "skipped": counts.skipped,
            "source": counts.source,
        },
        "log": run.log,
        "tail": run.tail,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a run says by itself, without any other to compare with."""

    holds: bool
    message: str
    unproven: bool = False
    person: bool = False
    """How it is tested, and with what, is not the agent's to say."""


def judge_run(done: TestRun) -> Judged:
    """Whether a run proves anything."""
    if not done.runs:
        return Judged(
            holds=False, unproven=True, person=True,
            message="no test command is known; set `test` in .github/orchestrator.yml",
        )  # fmt: skip
    bad = next((r for r in done.runs if not r.passed), None)
    if bad is not None:
        return _judge_bad(bad)
    if (silent := next((r for r in done.runs if r.counts is None), None)) and done.counts is None:
        return Judged(holds=False, unproven=True, message=_no_count(silent.command))
    counts = done.counts or Counts()
    if counts.failed:
        words = f"`{done.runs[-1].command}` exited with 0 although {counts.failed} tests failed"
        return Judged(holds=False, message=words)
    commands = "`, `".join(done.commands)
    if not counts.passed:
        skipped = f": all {counts.skipped} were skipped" if counts.skipped else ""
        return Judged(
            holds=False, unproven=True, message=f"`{commands}` ran no test{skipped}: nothing was tested"
        )
    took = sum(r.duration_s for r in done.runs)
    skipped = f", {counts.skipped} skipped" if counts.skipped else ""
    again = f", measured at {done.reused_from[:12]} with the same files" if done.reused_from else ""
    return Judged(
        holds=True, message=f"{counts.passed} passed{skipped} in {took:.1f} s (`{commands}`){again}"
    )


def why_no_proof(done: TestRun) -> str:
    """Why nothing can be proven with this suite at any commit, with the cure; empty when something can.

    That tests fail, or that there is none yet, hinders nobody: an agent may mend that.
    """
    bad = next((r for r in done.runs if r.cannot_run and not _ran_nothing(r)), None)
    judged = judge_run(done)
    if judged.person:
        return judged.message
    if bad is not None and (bad.counts is None or _MISSING_MODULE.search(bad.tail)):
        return f"{_failure(bad)} (a `setup` command may install what is missing, `test` may name another command)"
    silent = [r for r in done.runs if r.passed and r.counts is None]
    return judged.message if silent and done.counts is None and done.passed else ""


def _judge_bad(bad: CommandRun) -> Judged:
    if _ran_nothing(bad):
        return Judged(
            holds=False, unproven=True, message=f"`{bad.command}` collected no test: nothing was tested"
        )
    if lacking := _lacking(bad):
        words = f"`{bad.command}` cannot run here: {lacking} is not installed (a `setup` command may do that)"
        return Judged(holds=False, unproven=True, person=True, message=words)
    return Judged(holds=False, message=f"{_failure(bad)}{_asks_for(bad)}")


def _asks_for(bad: CommandRun) -> str:
    if not bad.unset:
        return ""
    names = ", ".join(bad.unset)
    return f"; its output names {names}, which the tests are not given (`test-env: [{names}]` would)"


def _no_count(command: str) -> str:
    return (
        f"`{command}` exited with 0, but no test count could be read from its output; let it print a line "
        "such as `12 passed, 0 failed`, write JUnit XML, or set `test` to the test runner itself"
    )


def _ran_nothing(run: CommandRun) -> bool:
    counts = run.counts
    if counts is None or counts.ran or run.outcome.exit_code is None:
        return False
    sayers = _SAYS_NOTHING_RAN.get(run.outcome.exit_code, ())
    return any(source in sayers for source in counts.source.split(" + "))


def _lacking(run: CommandRun) -> str:
    """What the command itself names and this machine does not have; empty when it is something else.

    The command is the repository's own, from the base: what it names, no change on the branch took away.
    """
    last = _last(run.tail)
    if run.outcome.exit_code == 127 and (match := re.search(r"([\w.+-]+): (?:command )?not found$", last)):
        named = re.search(rf"(?:^|[\s;&|(]){re.escape(match[1])}(?:$|[\s;&|)])", run.command)
        return match[1] if named else ""
    match = re.search(r"python[\d.]*: No module named (\w+)$", last)
    if match and match[1] in _TOOLS and re.search(rf"\s-m\s*{match[1]}(?:$|\s)", run.command):
        return match[1]
    return ""


def _failure(run: CommandRun) -> str:
    outcome, of = run.outcome, ""
    if run.counts and run.counts.failed and not run.cannot_run:
        of = f": {run.counts.failed} of {run.counts.ran} tests failed"
    if outcome.ending is Ending.TIMEOUT:
        return (
            f"`{run.command}` did not end within {run.timeout_s:g} s and was stopped after "
            f"{run.duration_s:.1f} s{of}"
        )
    if outcome.ending is not Ending.EXITED:
        return f"`{run.command}` was ended: {outcome.error or outcome.ending}"
    if outcome.signal is not None:
        return f"`{run.command}` was killed by signal {outcome.signal}{of}"
    if outcome.exit_code == 127 and not of:
        return f"`{run.command}` needs a program that is not there (exit code 127): {_last(run.tail)}"
    return f"`{run.command}` failed with exit code {outcome.exit_code}{of or _because(run)}"


def _because(run: CommandRun) -> str:
    """Where no test was counted, the command itself broke: what it said is about that, and not about tests."""
    why = cause_of(run.tail) if run.counts is None else last_said(run.tail)
    return f": {why[:200]}" if why else ""


def _last(tail: str) -> str:
    return tail.rstrip().rsplit("\n", 1)[-1].strip()[:200]
