"""What the pre-push hook costs a `git push`, beside the hook managers in use, interleaved in one run.

Figures are CPU milliseconds of git and everything below it (`wait4`), medians over rounds in which each
contender pushes once, in turn. Every contender has the same repository of 50 files and the same one gate,
`grep -q GOOD f`; the others run it in the dirty checkout, ours at exactly the pushed commit in a slot.
A contender that is not installed is one line that says so.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.kit.repos import Repo, clean_env, git, make_repo

ROUNDS = int(os.environ.get("HOOK_BENCH_ROUNDS", "25"))
FILES = 50
CHECK = "grep -q GOOD f"
PEERS = Path(__file__).parent / "npm/node_modules"
HERE = Path(sys.executable).parent
POLICY = f"hook:\n  protected-branches: [main]\n  gates:\n    - {{name: check, command: {CHECK}}}\n"
PRE_COMMIT = {
    "repos": [
        {
            "repo": "local",
            "hooks": [
                {
                    "id": "check", "name": "check", "entry": CHECK, "language": "system",
                    "stages": ["pre-push"], "always_run": True, "pass_filenames": False,
                }
            ],
        }
    ]
}  # fmt: skip


@dataclass
class Contender:
    """One repository with one way of hooking into a push, and what its pushes cost."""

    name: str
    repo: Repo
    env: dict[str, str]
    cpu_ms: dict[str, list[float]] = field(default_factory=dict)
    wall_ms: dict[str, list[float]] = field(default_factory=dict)

    @property
    def said(self) -> Path:
        """What the last push printed."""
        return self.repo.path / ".git/out"

    def push(self, scenario: str, *refspecs: str, refused: bool = False) -> None:
        """Push once and keep what it cost. Raises when the push did not end as it must."""
        argv = ["git", "push", "--quiet", "--force", "origin", *refspecs]
        started = time.perf_counter()
        pid = os.posix_spawn(
            shutil.which("git") or "git", argv, self.env,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.said), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
        )  # fmt: skip
        _, status, used = os.wait4(pid, 0)
        wall = time.perf_counter() - started
        if (os.waitstatus_to_exitcode(status) != 0) is not refused:
            words = self.said.read_text(errors="replace")
            raise AssertionError(
                f"{self.name}, {scenario}: exit {os.waitstatus_to_exitcode(status)}\n{words}"
            )
        self.cpu_ms.setdefault(scenario, []).append((used.ru_utime + used.ru_stime) * 1000)
        self.wall_ms.setdefault(scenario, []).append(wall * 1000)


def _no_hook(repo: Repo, env: dict[str, str]) -> None:
    del repo, env


def _empty(repo: Repo, env: dict[str, str]) -> None:
    del env
    hook = repo.path / ".git/hooks/pre-push"
    hook.write_text("#!/bin/sh\nexit 0\n")
    hook.chmod(0o755)


def _ours(repo: Repo, env: dict[str, str]) -> None:
    _call(repo, env, sys.executable, "-I", "-m", "orchestrator_action.hook", "install")


def _walled(repo: Repo, env: dict[str, str]) -> None:
    """The same, with its gate within bubblewrap's walls."""
    from orchestrator_action.sandbox.policy import Level
    from orchestrator_action.sandbox.probe import find

    found = find("auto", os.environ)
    if found.level is not Level.SANDBOXED:
        raise Missing(f"a sandbox: {found.why}")
    repo.commit({".github/orchestrator.yml": f"isolation: required\n{POLICY}"})
    repo.git("push", "-q", "--no-verify", "origin", "main")
    _ours(repo, env)


def _pre_commit(program: str) -> Callable[[Repo, dict[str, str]], None]:
    def install(repo: Repo, env: dict[str, str]) -> None:
        tool = _need(HERE / program, shutil.which(program))
        config = repo.path / ".git/hooks.yaml"
        config.write_text(json.dumps(PRE_COMMIT))
        _call(repo, env, tool, "install", "--hook-type", "pre-push", "--config", str(config))

    return install


def _lefthook_pypi(repo: Repo, env: dict[str, str]) -> None:
    """From PyPI, on PATH: its hook asks `lefthook -h`, then runs it, both through a Python script."""
    tool = _need(HERE / "lefthook")
    env["PATH"] = f"{HERE}{os.pathsep}{env['PATH']}"
    _lefthook(repo, env, tool)


def _lefthook_npm(repo: Repo, env: dict[str, str]) -> None:
    """From npm, not on PATH: its hook finds the binary in node_modules, asks `-h`, then runs it."""
    _lefthook(repo, env, _need(PEERS / ".bin/lefthook"))


def _lefthook(repo: Repo, env: dict[str, str], tool: str) -> None:
    (repo.path / ".git/info/exclude").write_text("lefthook.yml\n")
    (repo.path / "lefthook.yml").write_text(f"pre-push:\n  commands:\n    check: {{run: {CHECK}}}\n")
    _call(repo, env, tool, "install")


def _husky(repo: Repo, env: dict[str, str]) -> None:
    node = _need(shutil.which("node"))
    script = _need(PEERS / "husky/bin.js")
    (repo.path / ".git/info/exclude").write_text(".husky\n")
    _call(repo, env, node, script)
    (repo.path / ".husky/pre-push").write_text(f"{CHECK}\n")


CONTENDERS: dict[str, Callable[[Repo, dict[str, str]], None]] = {
    "no hook": _no_hook,
    "empty sh hook": _empty,
    "orchestrator-action": _ours,
    "orchestrator-action, walled": _walled,
    "husky": _husky,
    "prek": _pre_commit("prek"),
    "lefthook (npm)": _lefthook_npm,
    "lefthook (PyPI)": _lefthook_pypi,
    "pre-commit": _pre_commit("pre-commit"),
}
OURS, WALLED, NONE = "orchestrator-action", "orchestrator-action, walled", "no hook"


class Missing(Exception):  # noqa: N818 - it is no fault
    """A contender that is not installed here."""


def _need(*places: Path | str | None) -> str:
    for place in places:
        if place and Path(place).exists():
            return str(place)
    raise Missing(str(places[0]))


def _call(repo: Repo, env: dict[str, str], *argv: str, refs: str = "") -> None:
    import subprocess

    done = subprocess.run(
        argv, cwd=repo.path, env=env, input=refs, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(argv)}: {done.stdout}{done.stderr}")


def _make(root: Path) -> list[Contender]:
    made = []
    for number, (name, install) in enumerate(CONTENDERS.items()):
        files = {f"d{i % 5}/file{i}": f"{i}\n" for i in range(FILES - 2)}
        repo = make_repo(root / str(number), {**files, "f": "GOOD\n", ".github/orchestrator.yml": POLICY})
        home = root / f"home{number}"
        home.mkdir()
        env = clean_env(HOME=str(home), XDG_CACHE_HOME=str(home / ".cache"), GIT_DIR="", NO_COLOR="1")
        env["RUNNER_TEMP"] = str(root / f"trees{number}")  # where our trees go
        (root / f"trees{number}").mkdir()
        del env["GIT_DIR"]
        env["PATH"] = os.pathsep.join(p for p in env["PATH"].split(os.pathsep) if p != str(HERE))
        try:
            install(repo, env)
        except Missing as exc:
            print(f"  {name}: not installed ({exc}), so not measured")
            continue
        repo.git("checkout", "-q", "-b", "task")
        made.append(Contender(name, repo, env))
    return made


def _round(contender: Contender, number: int) -> None:
    """One push of each kind."""
    repo = contender.repo
    os.chdir(repo.path)
    (repo.path / "f").write_text(f"GOOD {number}\n")
    repo.git("commit", "-q", "-a", "-m", f"round {number}")
    contender.push("a gate at a new commit", "task")
    repo.git("commit", "-q", "--amend", "-m", f"round {number} again")
    contender.push("remembered", "task")
    contender.push("up to date", "task")
    refused = contender.name in (OURS, WALLED)
    contender.push("policy refusal", "task:main", refused=refused)
    if not refused:  # keep the remotes alike: nothing reaches main
        git(repo.remote, "update-ref", "refs/heads/main", repo.git("rev-parse", "task~"))


SCENARIOS = ("up to date", "remembered", "policy refusal", "a gate at a new commit")


def main() -> None:
    """Measure, print the table, and say of each promise whether it was kept."""
    before = Path.cwd()
    print(f"\npre-push hook: CPU ms of a push, median of {ROUNDS} interleaved rounds, {FILES} files")
    print(f"  the gate is `{CHECK}`; `x ours`: what a contender adds to a push, as a multiple of what we add")
    with tempfile.TemporaryDirectory(prefix="oa-bench-") as folder:
        try:
            contenders = _make(Path(folder))
            for number in range(ROUNDS + 2):
                turn = number % len(contenders)
                for contender in contenders[turn:] + contenders[:turn]:
                    _round(contender, number)
                    if number < 2:  # the first rounds warm slots and caches
                        contender.cpu_ms.clear()
                        contender.wall_ms.clear()
        finally:
            os.chdir(before)
        _table(contenders)
        _promises({c.name: c for c in contenders})
    with tempfile.TemporaryDirectory(prefix="oa-bench-") as folder:
        try:
            _scale(Path(folder))
        finally:
            os.chdir(before)


def _median(contender: Contender, scenario: str) -> float:
    return statistics.median(contender.cpu_ms[scenario])


def _table(contenders: list[Contender]) -> None:
    by_name = {c.name: c for c in contenders}
    for scenario in SCENARIOS:
        print(f"\n  {scenario:<26}{'CPU ms':>9}{'over none':>11}{'x ours':>8}{'wall ms':>9}")
        base, ours = (
            _median(by_name[NONE], scenario),
            _median(by_name[OURS], scenario) - _median(by_name[NONE], scenario),
        )
        for contender in contenders:
            if scenario == "policy refusal" and contender.name not in (NONE, OURS, WALLED):
                continue  # no other has a policy to refuse by
            cpu, wall = _median(contender, scenario), statistics.median(contender.wall_ms[scenario])
            ratio = f"{(cpu - base) / ours:8.2f}" if contender.name != NONE else f"{'-':>8}"
            print(f"  {contender.name:<26}{cpu:9.1f}{cpu - base:11.1f}{ratio}{wall:9.1f}")
    print("  (a refused push saves what sending costs: its figure over none includes that saving)")


def _promises(by_name: dict[str, Contender]) -> None:
    def over(name: str, scenario: str) -> float | None:
        if name not in by_name:
            return None
        return _median(by_name[name], scenario) - _median(by_name[NONE], scenario)

    gate, remembered, up = "a gate at a new commit", "remembered", "up to date"
    ours = {s: over(OURS, s) or 0.0 for s in SCENARIOS}
    walled = over(WALLED, gate)
    promises: list[tuple[str, float | None, float | None]] = [
        ("up to date <= 3 ms over no hook", ours[up], 3.0),
        ("remembered <= 25 ms over no hook", ours[remembered], 25.0),
        ("remembered below prek", ours[remembered], over("prek", remembered)),
        ("remembered below prek, wall", _wall(by_name, OURS, remembered), _wall(by_name, "prek", remembered)),
        ("policy refusal <= 20 ms over no hook", ours["policy refusal"], 20.0),
        ("gate <= 100 ms over no hook", ours[gate], 100.0),
        ("gate within walls <= 100 ms over no hook", walled, 100.0),
        ("gate below pre-commit", ours[gate], over("pre-commit", gate)),
        ("gate within walls below pre-commit", walled, over("pre-commit", gate)),
    ]
    print()
    for text, measured, limit in promises:
        word = "kept" if measured is not None and limit is not None and measured <= limit else "NOT KEPT"
        if measured is None or limit is None:
            print(f"  not measured  {text}")
        else:
            print(f"  {word:<13} {text}: {measured:.1f} against {limit:.1f}")


def _wall(by_name: dict[str, Contender], name: str, scenario: str) -> float | None:
    """Wall time over no hook; None for a contender that is not here."""
    if name not in by_name:
        return None
    walls = [statistics.median(by_name[who].wall_ms[scenario]) for who in (name, NONE)]
    return walls[0] - walls[1]


def _scale(root: Path) -> None:
    """A large tree for the first time and again with one file changed, and a thousand refs of one tree.

    Its objects are in a pack, as a clone has them. The peer is git's own new checkout of the same tree. Nothing is
    deleted before: ext4 looks at every inode that was freed in the last minutes before it gives a new one, so that
    after another benchmark both take several times as long (set TMPDIR to a tmpfs there).
    """
    repo = make_repo(root / "large", {"f": "GOOD\n", ".github/orchestrator.yml": POLICY})
    _import(repo, {f"d{n // 250}/file{n}": f"{n}\n" for n in range(50_000)})
    (before := root / "before").mkdir()
    (fresh := root / "fresh").mkdir()
    env = clean_env(HOME=str(root), RUNNER_TEMP=str(before))
    _ours(repo, env)
    repo.git("checkout", "-q", "-b", "task")
    os.chdir(repo.path)
    _call(
        repo, env, sys.executable, "-I", "-m", "orchestrator_action.hook", "run", "--gate", "check", "main~0"
    )
    started, used = time.perf_counter(), _cpu_of_children()
    repo.git("worktree", "add", "-q", "--detach", str(root / "peer"), "main")
    _print_cost("git worktree add of 50,000 files", "git", started, used)
    env["RUNNER_TEMP"] = str(fresh)
    for what, name in (("first push of 50,000 files", "f"), ("again with one file changed", "d0/file0")):
        repo.commit({name: f"GOOD {what}\n"})
        _timed(what, repo, env, refs=1)
    repo.commit({"f": "GOOD, a thousand times\n"})
    _timed("1,000 refs of one tree", repo, env, refs=1000)


def _import(repo: Repo, files: dict[str, str]) -> None:
    """Add the files to `main` as one commit, their objects in one pack, and push it."""
    lines = [f"M 100644 inline {name}\ndata {len(text)}\n{text}\n" for name, text in files.items()]
    head = "commit refs/heads/main\ncommitter T <t@example.invalid> 1700000000 +0000\ndata 4\nmany\n"
    parent = f"from {repo.git('rev-parse', 'main')}\n"
    subprocess.run(
        ["git", "fast-import", "--quiet", "--force"], cwd=repo.path, env=clean_env(), check=True,
        input="".join([head, parent, *lines]).encode(),
    )  # fmt: skip
    repo.git("reset", "-q", "--hard")
    repo.git("push", "-q", "origin", "main")


def _timed(what: str, repo: Repo, env: dict[str, str], *, refs: int) -> None:
    """Run the installed hook for so many refs at the same commit, and print what it took."""
    lines = _line(repo, refs)
    started, used = time.perf_counter(), _cpu_of_children()
    _call(repo, env, str(repo.path / ".git/hooks/pre-push"), "origin", str(repo.remote), refs=lines)
    _print_cost(what, "the hook", started, used)


def _print_cost(what: str, who: str, started: float, used: float) -> None:
    wall, cpu = time.perf_counter() - started, _cpu_of_children() - used
    print(f"  {what}: {who} took {wall:.2f} s, CPU {cpu:.2f} s")


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _line(repo: Repo, count: int) -> str:
    head = repo.git("rev-parse", "HEAD")
    return "".join(f"refs/heads/t{n} {head} refs/heads/t{n} {'0' * 40}\n" for n in range(count))


if __name__ == "__main__":
    main()
