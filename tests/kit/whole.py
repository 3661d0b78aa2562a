"""The whole way, as a user goes it: the real command in a subprocess, on a real repository and forge."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from tests.kit import forked
from tests.kit.repos import Repo, git

PACKAGE = Path(__file__).resolve().parents[2]

LIBRARY = {
    "README.md": "# Numbers\n\n- `double(n)` is twice n.\n",
    "numbers_.py": "def double(n):\n    return n * 2\n",
    "tests/__init__.py": "",
    "tests/test_numbers.py": (
        "import unittest\n\nfrom numbers_ import double\n\n\nclass Numbers(unittest.TestCase):\n"
        "    def test_double(self):\n        self.assertEqual(4, double(2))\n"
    ),
    ".gitignore": "__pycache__/\n",
    ".github/orchestrator.yml": f"test: {sys.executable} -m unittest discover\n",
}
"""A small library whose tests need nothing but Python."""


def new_file(path: str, text: str = "x = 1\n") -> str:
    """A fenced diff that adds a file."""
    lines = text.splitlines()
    body = "".join(f"+{line}\n" for line in lines)
    return f"```diff\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{len(lines)} @@\n{body}```\n"


def change(path: str, old: str, new: str) -> str:
    """A fenced diff that replaces one whole one-line-context hunk: `old` and `new` are whole file texts."""
    import difflib

    diff = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{path}", f"b/{path}"
    )
    return "```diff\n" + "".join(diff) + "```\n"


GOOD = (
    "Add a module.\n\n"
    + new_file("more.py")
    + change("README.md", LIBRARY["README.md"], LIBRARY["README.md"] + "- `more` is one.\n")
)
"""A task that succeeds through all eleven phases."""
LIES = "All tests pass.\n\n" + change(
    "numbers_.py", LIBRARY["numbers_.py"], "def double(n):\n    return n * 3\n"
)
"""A task whose change breaks the tests."""
THERE = "Should be there.\n\n" + new_file(".gitignore", "__pycache__/\n")
"""A task that needs nothing."""
EMPTY = "There is no diff here.\n"
"""A task the patch agent can do nothing with."""


@dataclass(frozen=True)
class Ran:
    """How a command of ours ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """The report on stdout: exactly one JSON object, and nothing else."""
        assert self.out, self.err[-3000:]
        body: dict[str, Any] = json.loads(self.out)
        return body

    def task(self, task_id: str) -> dict[str, Any]:
        [found] = [t for t in self.report["tasks"] if t["task_id"] == task_id]
        return dict(found)

    def findings(self, task_id: str) -> list[str]:
        return [f["rule"] for p in self.task(task_id)["phases"] for f in p["findings"]]

    def state(self, task_id: str, phase: str) -> str:
        [found] = [p["state"] for p in self.task(task_id)["phases"] if p["phase"] == phase]
        return str(found)


@dataclass
class House:
    """A repository with a bare remote and a local forge beside it."""

    repo: Repo
    forge: Path
    env: dict[str, str] = field(default_factory=dict)

    MODULE: ClassVar[str] = "orchestrator_action.cli.main"
    anew: ClassVar[bool] = False
    """Whether every command starts an interpreter: so it is where a figure of it is taken."""

    def issue(self, number: int, title: str, text: str, *, labels: Sequence[str] = ("orchestrate",)) -> None:
        folder = self.forge / "issues"
        folder.mkdir(parents=True, exist_ok=True)
        front = f"---\ntitle: {json.dumps(title)}\nlabels: {json.dumps(list(labels))}\nauthor: ada\nstate: open\n---\n"
        (folder / f"{number}.md").write_text(front + text, encoding="utf-8")

    def configure(self, text: str) -> None:
        """Make `text` the configuration of the base commit."""
        self.repo.commit({".github/orchestrator.yml": text}, "Configure")
        self.repo.push()

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-I", "-m", self.MODULE, *args]

    def cli(self, *args: str, env: Mapping[str, str] | None = None, timeout: float = 110) -> Ran:
        """Run the command line in the repository."""
        return self.cli_at(self.repo.path, *args, env=env, timeout=timeout)

    def cli_at(
        self, cwd: Path, *args: str, env: Mapping[str, str] | None = None, timeout: float = 110, anew: bool = False
    ) -> Ran:  # fmt: skip
        """Run the command line in a folder; `anew` starts an interpreter for it."""
        full = {**self.environment(), **(env or {})}
        if anew or self.anew or not forked.starts_alike(full):
            done = subprocess.run(
                self.command(*args), cwd=cwd, env=full, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=timeout, check=False,
            )  # fmt: skip
        else:
            done = forked.run(self.MODULE, args, cwd=cwd, env=full, timeout=timeout)
        return Ran(done.returncode, done.stdout, done.stderr)

    def run(self, *args: str, agent: str = "patch", env: Mapping[str, str] | None = None) -> Ran:
        """`run --json` on this forge."""
        return self.cli("run", "--forge", f"local:{self.forge}", "--agent", agent, "--json", *args, env=env)

    def environment(self) -> dict[str, str]:
        """Emptied but for what a command needs."""
        kept = ("PATH", "HOME", "LANG", "TMPDIR")
        self.temp.mkdir(exist_ok=True)
        own = {"RUNNER_TEMP": str(self.temp)}
        return {**{k: os.environ[k] for k in kept if k in os.environ}, **own, **self.env}

    @property
    def temp(self) -> Path:
        """Where the trees of its runs are."""
        return self.repo.path.parent / "temp"

    def trees(self) -> list[str]:
        """Every tree that is there, by what is on disk."""
        return sorted(str(p) for p in self.temp.glob("orchestrator/*/*/*"))

    @property
    def run_dir(self) -> Path:
        """The latest run's directory."""
        return sorted((self.repo.path / ".git" / "orchestrator" / "runs").iterdir())[-1]

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.run_dir / "journal.jsonl").read_text().splitlines()]

    def assert_tidy(self, kept: Sequence[str] = ()) -> None:
        """No tree but those `kept`, no process, no lock of ours is left, and the checkout is as it was."""
        assert sorted(kept) == self.trees()
        assert bool(kept) == (self.repo.path / ".git" / "orchestrator" / "trees").exists()
        assert 1 == self.repo.git("worktree", "list", "--porcelain").count("worktree ")
        assert not (self.repo.path / ".worktrees").exists()
        assert "" == self.repo.git("status", "--porcelain")
        assert [] == alive(self.repo.path, self.temp)
        locks = (self.repo.path / ".git").glob("**/*.lock")
        assert [] == [lock for lock in locks if "tasks" not in lock.parts]  # there a CLI keeps its own

    def assert_tidy_after_cancel(self) -> None:
        """A cancelled run ends first: what it could not delete in its time is set aside, and goes with `clean`."""
        assert [] == [tree for tree in self.trees() if "/gone-" not in tree]
        cleaned = self.cli("clean", "--remove")
        assert 0 == cleaned.code, cleaned.err
        self.assert_tidy()


def alive(*roots: Path) -> list[str]:
    """Processes whose environment, arguments or directory name one of the folders `roots`."""
    found = []
    needles = [os.fsencode(root) for root in roots]
    for folder in Path("/proc").glob("[0-9]*"):
        if folder.name == str(os.getpid()):
            continue
        try:
            command = (folder / "cmdline").read_bytes()
            told = (folder / "environ").read_bytes() + command
            where = os.fsencode(os.readlink(folder / "cwd"))
        except OSError:
            continue
        if any(needle in told or needle in where for needle in needles):
            found.append(f"{folder.name} {command[:200]!r}")
    return found


def house(root: Path, repo: Repo) -> House:
    """A house around a repository."""
    return House(repo=repo, forge=root / "forge")


def copy(repo: Repo, to: Path) -> Path:
    """A fresh clone of the remote."""
    git(to.parent, "clone", "-q", str(repo.remote), str(to))
    return to


def have(program: str) -> bool:
    """Whether a program is on PATH."""
    return shutil.which(program) is not None
