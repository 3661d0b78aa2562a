"""What suites are run with: commands, clean checkouts, an environment, and a folder for the logs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator_action.git import checkout
from orchestrator_action.git.repo import Git
from orchestrator_action.verify.clean_env import clean_env
from orchestrator_action.verify.test_run import Known, RunProcess, TestRun, run_tests
from orchestrator_action.verify.watch import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What suites are run with: the base's commands, clean checkouts, an environment, and where logs go."""

    git: Git
    commands: tuple[str, ...]
    checkout: Callable[[str], AbstractContextManager[Path]]
    """A clean checkout of exactly this commit, made ready for its tests; thrown away afterwards."""
    env: Mapping[str, str]
    evidence_dir: Path
    run: RunProcess
    timeout_of: Callable[[str], float] = lambda _: 1800.0
    roots: tuple[Path, ...] = ()
    """Checkouts whose editable installs must not be tested in the place of a clean one."""
    own_home: bool = True
    """Whether HOME is an empty folder of ours; a sandbox gives one itself."""
    tree_env: Callable[[Path, Mapping[str, str]], Mapping[str, str]] = lambda _, env: env
    """The environment as commands in this checkout get it: what was set up in it comes first."""
    known: Known = field(default_factory=dict)
    """Suites that were run before, by tree and commands."""

    def suite(self, commit: str) -> TestRun:
        """The whole suite at `commit`, run once for each tree."""
        known = self.known.get((self.git.tree(commit), self.commands))
        if known is not None or not self.commands:
            return self.run_in(Path(), commit)
        with self.checkout(commit) as tree:
            return self.run_in(tree, commit)

    def run_in(
        self, tree: Path, commit: str, commands: Sequence[str] = (), *, again: bool = False
    ) -> TestRun:
        """The suite, or other commands, in a checkout that is there; `again` also where the end is known."""
        home = self.evidence_dir / "home" if self.own_home else None
        env = self.tree_env(tree, clean_env(self.env, tree=tree, roots=self.roots, home=home))
        watched = Watch(tree, self.git.paths(commit)) if self.own_home else None
        done = run_tests(
            commands or self.commands, commit=commit, tree=self.git.tree(commit), worktree=tree, env=env,
            evidence_dir=self.evidence_dir, timeout_of=self._timeout, run=self.run,
            known=None if again else self.known,
        )  # fmt: skip
        return replace(done, touched=watched.touched()) if watched and not done.reused_from else done

    def _timeout(self, command: str) -> float:
        own = [c for c in self.commands if command.startswith(c)]
        return self.timeout_of(own[0] if own else command)


@contextmanager
def clean_checkout(git: Git, root: Path, commit: str) -> Iterator[Path]:
    """A checkout of exactly `commit` on a fresh path below `root`, gone afterwards."""
    root.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix="clean-", dir=root))
    try:
        checkout.make_checkout(git, path, commit)
        yield path
    finally:
        checkout.remove_checkout(path)
