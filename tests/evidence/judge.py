"""A change of a small repository, judged against its base with a real runner; what a table of lies is run on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.attempt import Ending, Outcome
from orchestrator_action.protocol.model import Fact
from orchestrator_action.verify.bench import Bench, clean_checkout
from orchestrator_action.verify.change import measure_change
from orchestrator_action.verify.change_runs import ChangeRuns, Proof
from orchestrator_action.verify.overlay import Overlay
from orchestrator_action.verify.test_changes import is_named, losses
from orchestrator_action.verify.test_paths import TestPaths
from orchestrator_action.verify.test_run import Known, TestRun
from orchestrator_action.verify.testing_facts import testing_facts
from tests.kit.repos import Repo, clean_env

# Without the plugins of our own environment, which no repository of a test asks for: a run takes a sixth of the time.
ALONE = " ".join(
    f"-p no:{name}" for name in ("hypothesispytest", "anyio", "xdist", "timeout", "cacheprovider")
)
PYTEST = f"{sys.executable} -m pytest -q {ALONE}"
UNITTEST = f"{sys.executable} -m unittest"


@dataclass(frozen=True)
class Kept:
    """What reading the files tells of a change."""

    holds: bool
    message: str
    lost: tuple[str, ...]


def kept(git: Git, *, base: str, head: str, note: str = "", commands: Sequence[str] = ()) -> Kept:
    """Whether nothing was taken from the tests but what `note` names, and what it was."""
    found = losses(git, base=base, head=head, commands=commands)
    silent = [f"{path}: {what}" for path, what, _ in found if not is_named(path, note)]
    return Kept(not silent, "; ".join(silent), tuple(path for path, _, _ in found))


def alone(done: TestRun) -> Fact:
    """The fact `suite` of one run, without any other to compare with."""
    runs = ChangeRuns(
        base_sha="", head_sha=done.commit, commands=done.commands, tests=TestPaths(),
        laid=Overlay(commit=done.commit, over=done.commit), head=done,
    )  # fmt: skip
    return testing_facts(runs)[0]


Change = Mapping[str, str | None] | str
"""Files and their texts, None to delete one; or a shell command that makes the change."""


def start(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path, timeout_s: float) -> Outcome:
    """A plain runner: what matters here is what becomes of outcomes, not how processes are ended."""
    with log.open("wb") as out:
        try:
            code = subprocess.run(
                argv, cwd=cwd, env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL, timeout=timeout_s or None,
                check=False,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            return Outcome(ending=Ending.TIMEOUT, signal=9)
    if code < 0:
        return Outcome(ending=Ending.EXITED, signal=-code)
    return Outcome(ending=Ending.EXITED, exit_code=code)


@dataclass(frozen=True)
class Judged:
    """The facts of a change, by rule."""

    facts: Mapping[str, Fact]

    @property
    def refuted(self) -> set[str]:
        return {r for r, f in self.facts.items() if not f.holds and not f.detail.get("unproven")}

    @property
    def unproven(self) -> set[str]:
        return {r for r, f in self.facts.items() if not f.holds and f.detail.get("unproven")}

    @property
    def end(self) -> str:
        """How the task would end by its tests: refuted, unproven, except N, or proven."""
        exceptions = {e["id"] for f in self.facts.values() for e in f.detail.get("exceptions", ())}
        if self.refuted:
            return "refuted"
        return "unproven" if self.unproven else f"except {len(exceptions)}" if exceptions else "proven"

    def __getitem__(self, rule: str) -> Fact:
        return self.facts[rule]

    def __str__(self) -> str:
        return "\n".join(
            f"{'holds' if f.holds else 'unproven' if f.detail.get('unproven') else 'REFUTED'} {r}: {f.message}"
            for r, f in self.facts.items()
        )


def apply(repo: Repo, change: Change) -> None:
    """Make a change in the checkout, uncommitted."""
    if isinstance(change, str):
        subprocess.run(["sh", "-ec", change], cwd=repo.path, env=clean_env(), check=True)
        return
    for path, text in change.items():
        target = repo.path / path
        if text is None:
            shutil.rmtree(target) if target.is_dir() else target.unlink()
        else:
            repo.write({path: text})


def bench_of(
    repo: Repo,
    folder: Path,
    *commands: str,
    runs: list[str] | None = None,
    roots: tuple[Path, ...] = (),
    modules: Path | None = None,
    known: Known | None = None,
    **env: str,
) -> Bench:
    """A bench over a repository; `runs` collects every command that is started."""
    git = Git.open(repo.path)

    def counted(argv: Sequence[str], **how: Any) -> Outcome:
        if runs is not None:
            runs.append(argv[-1])
        return start(argv, **how)

    @contextmanager
    def checkout(commit: str) -> Iterator[Path]:
        with clean_checkout(git, folder / "trees", commit) as tree:
            if modules is not None and not (tree / "node_modules").exists():
                (tree / "node_modules").symlink_to(modules)
            yield tree

    return Bench(
        git=git, commands=commands, checkout=checkout, known={} if known is None else known,
        env=clean_env(PYTHONDONTWRITEBYTECODE="1", **env), evidence_dir=folder / "evidence", run=counted, roots=roots,
        timeout_of=lambda _: 60.0,
    )  # fmt: skip


_KNOWN: dict[tuple[object, ...], Known] = {}
"""Suites that were run in this process, by what else they depend on than tree and commands."""


class Court:
    """Judges changes of repositories made for one test."""

    def __init__(self, make: Callable[..., Repo], folder: Path) -> None:
        self.make, self.folder = make, folder
        self.runs: list[str] = []
        self.number = 0

    def judge_case(
        self, base: Mapping[str, str], change: Change, *commands: str, modules: Path | None = None, repeats: int = 3,
        **env: str,
    ) -> Judged:  # fmt: skip
        """As `judge`, for a table of cases: a suite that ran at the very same tree for another is not run again."""
        known = _KNOWN.setdefault((modules, *sorted(env.items())), {})
        return self.judge(base, change, *commands, modules=modules, repeats=repeats, known=known, **env)

    def judge(
        self, base: Mapping[str, str], change: Change, *commands: str, note: str = "", proof: Proof = Proof.REPORTED,
        modules: Path | None = None, known: Known | None = None, repeats: int = 3, **env: str,
    ) -> Judged:  # fmt: skip
        """The facts of a change of `base`. `modules` is what each clean checkout gets as its node_modules, as a
        set-up would; `known` keeps what was run at a base for the next that is told of it."""
        self.number += 1
        repo = self.make(base, name=f"r{self.number}")
        apply(repo, change)
        repo.commit({})
        bench = bench_of(repo, self.folder, *commands, runs=self.runs, modules=modules, known=known, **env)
        before, after = (bench.git.rev_parse(rev) for rev in ("HEAD~1", "HEAD"))
        return Judged(
            {
                f.rule: f
                for f in measure_change(
                    bench, base=before, head=after, note=note, proof=proof, repeats=repeats
                )
            }
        )
