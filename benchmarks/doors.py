"""What a program of ours costs until it has answered: this tree beside a commit before the house was built.

Both trees are installed alike: an environment of their own that finds the tree, and the libraries of this one. Rounds
are interleaved; a figure is the lower quartile of the CPU milliseconds of a program and all below it. Peers are the
bare interpreter and git. A push is a whole `git push`: what git itself takes stands in the column `no hook`.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.hook import POLICY
from tests.kit.repos import Repo, clean_env, git, make_repo
from tests.kit.whole import PACKAGE

ROUNDS = int(os.environ.get("DOORS_BENCH_ROUNDS", "15"))
BEFORE = os.environ.get("DOORS_BENCH_BEFORE", "127ec9d")
"""The last version of flat modules, against which the design was written."""
SCRIPT = "#!{python} -I\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"


@dataclass(frozen=True)
class Installed:
    """A tree of ours with its programs, and a repository whose pushes its hook judges; none for the one without."""

    name: str
    programs: Path | None
    repo: Repo
    env: dict[str, str]

    def call(self, *argv: str, code: int | None = 0) -> None:
        """Run to the end. Raises AssertionError for another exit code; None takes any."""
        done = subprocess.run(
            argv, cwd=self.repo.path, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert code in {None, done.returncode}, f"{self.name}: {argv}: {done.returncode} {done.stderr}"

    def start(self, program: str, *args: str, code: int | None = 0) -> None:
        self.call(str((self.programs or Path()) / program), *args, code=code)

    def push(self, *refs: str, code: int = 0) -> None:
        self.call("git", "push", "--quiet", "--force", "origin", *refs, code=code)


def install(tree: Path, folder: Path) -> Path:
    """An environment that has the tree and its console scripts; where these are."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [site] = folder.glob("lib/python*/site-packages")
    (site / "tree.pth").write_text(f"{tree}\n{sysconfig.get_path('purelib')}\n")
    scripts = tomllib.loads((tree / "pyproject.toml").read_text())["project"]["scripts"]
    for name, target in scripts.items():
        module, _, function = target.partition(":")
        program = folder / "bin" / name
        program.write_text(SCRIPT.format(python=folder / "bin" / "python", module=module, function=function))
        program.chmod(0o755)
    return folder / "bin"


def place(root: Path, name: str, programs: Path | None) -> Installed:
    """A repository of its own for one of them, with its hook, on a branch that may be pushed."""
    repo = make_repo(root / name, {"f": "GOOD\n", ".github/orchestrator.yml": POLICY})
    env = {**clean_env(HOME=str(root / name), NO_COLOR="1"), "RUNNER_TEMP": str(root / name)}
    made = Installed(name, programs, repo, env)
    if programs:
        made.start("orchestrator-action", "hook", "install")
    repo.git("checkout", "-q", "-b", "task")
    return made


def before(commit: str, root: Path) -> Path | None:
    """The tree of an older commit; None where it is not known, as in an archive."""
    tree = root / "before"
    tree.mkdir()
    packed = subprocess.run(
        ["git", "archive", commit], cwd=PACKAGE, env=clean_env(), capture_output=True, check=False
    )
    if packed.returncode:
        return None
    subprocess.run(["tar", "-x", "-C", str(tree)], input=packed.stdout, check=True)
    return tree


def _new_commit(one: Installed, number: int) -> None:
    """A commit whose tree has passed its gate already."""
    one.repo.git("commit", "-q", "--allow-empty", "-m", f"round {number}")


def _refused(one: Installed) -> None:
    """A push that policy refuses; without a hook it arrives, and is taken back."""
    one.push("task:main", code=1 if one.programs else 0)


STARTS: dict[str, Callable[[Installed], None]] = {
    "orchestrator-phase --help": lambda one: one.start("orchestrator-phase", "--help"),
    "orchestrator-phase show": lambda one: one.start("orchestrator-phase", "show", code=None),
    "orchestrator-action status": lambda one: one.start("orchestrator-action", "status", code=None),
}
"""`show` is asked outside of a task: all is imported, and nobody listens."""
PUSHES: dict[str, Callable[[Installed], None]] = {
    "push, remembered": lambda one: one.push("task"),
    "push, up to date": lambda one: one.push("task"),
    "push, refused by policy": _refused,
}
PEERS: dict[str, Sequence[str]] = {
    "python -I -c pass": (sys.executable, "-I", "-c", "pass"),
    "git --version": ("git", "--version"),
}


def _cpu_ms(call: Callable[[], None]) -> float:
    used = _children_s()
    call()
    return (_children_s() - used) * 1000


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(places: Sequence[Installed], rounds: int) -> dict[tuple[str, str], list[float]]:
    """CPU milliseconds by what was done and in whose place, a figure for each round."""
    found: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds + 1):
        for one in (*places[number % len(places) :], *places[: number % len(places)]):
            _new_commit(one, number)
            for what, act in {**(STARTS if one.programs else {}), **PUSHES}.items():
                took = _cpu_ms(lambda act=act, one=one: act(one))  # type: ignore[misc]
                found.setdefault((what, one.name), []).append(took)
            git(one.repo.remote, "update-ref", "refs/heads/main", one.repo.git("rev-parse", "main"))
        for what, argv in PEERS.items():
            took = _cpu_ms(lambda argv=argv: places[0].call(*argv))  # type: ignore[misc]
            found.setdefault((what, "peer"), []).append(took)
    return {key: figures[1:] for key, figures in found.items()}  # the first round warms caches


def show(found: dict[tuple[str, str], list[float]], names: Sequence[str]) -> None:
    print(f"  {'':<28}" + "".join(f"{name:>12}" for name in ("peer", *names)))
    for what in (*PEERS, *STARTS, *PUSHES):
        cells = [found.get((what, name)) for name in ("peer", *names)]
        row = [f"{statistics.quantiles(c, n=4)[0]:12.1f}" if c else f"{'-':>12}" for c in cells]
        print(f"  {what:<28}{''.join(row)}")


def main() -> None:
    """Measure, and print a row for each start and each push."""
    print(f"\ndoors: CPU ms until the answer, lower quartile of {ROUNDS} interleaved rounds, beside {BEFORE}")
    with tempfile.TemporaryDirectory(prefix="oa-bench-") as folder:
        root = Path(folder)
        trees = {"now": PACKAGE, BEFORE: before(BEFORE, root)}
        if trees[BEFORE] is None:
            print(f"  {BEFORE}: this repository has no such commit, so not measured")
        places = [
            place(root, name, install(tree, root / f"env-{name}")) for name, tree in trees.items() if tree
        ]
        places.append(place(root, "no hook", None))
        show(measure(places, ROUNDS), [one.name for one in places])


if __name__ == "__main__":
    main()
