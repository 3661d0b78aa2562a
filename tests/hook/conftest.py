"""Governed repositories: real git, a real push, the installed hook."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator_action.hook import main as hook
from orchestrator_action.hook.policy import decode_policy
from tests.kit.repos import Repo, clean_env, git, make_repo

COMPILED: dict[str, tuple[str, bytes]] = {}
"""Compiled policies by configuration text, so that the suite compiles each once and not a hundred times."""

CHECK = "grep -q GOOD f"
PROTECTED = '[main, "release/*"]'


def policy(*gates: str, protected: str = PROTECTED, more: str = "", isolation: str = "off") -> str:
    """A configuration whose gates are YAML flow mappings. Without walls, as gates of most cases count themselves in
    a file outside their tree and look at what is there; `test_walls` has the others."""
    lines = "".join(f"    - {gate}\n" for gate in gates)
    head = f"isolation: {isolation}\nhook:\n  protected-branches: {protected}\n{more}"
    return head + (f"  gates:\n{lines}" if gates else "")


def gate(name: str, command: str, more: str = "") -> str:
    """One gate, its command quoted for YAML."""
    quoted = command.replace("'", "''")
    return f"{{name: {name}, command: '{quoted}'{', ' + more if more else ''}}}"


@dataclass(frozen=True)
class Done:
    """How a command ended, as the user saw it."""

    code: int
    out: str
    err: str
    seconds: float


@dataclass(frozen=True)
class Governed:
    """A checkout with the hook installed; the remote is a bare repository beside it."""

    repo: Repo
    cache: Path
    count: Path
    more: dict[str, str] = field(default_factory=dict)
    """Further variables of every command."""

    @property
    def path(self) -> Path:
        return self.repo.path

    def env(self, **more: str) -> dict[str, str]:
        return clean_env(RUNNER_TEMP=str(self.cache), COUNT=str(self.count), **{**self.more, **more})

    def call(self, *argv: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Done:
        started = time.monotonic()
        done = subprocess.run(
            argv, cwd=cwd or self.path, env={**self.env(), **(env or {})}, capture_output=True, timeout=60,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        seconds = time.monotonic() - started
        return Done(
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
            seconds,
        )

    def push(self, *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Done:
        """`git push ARGS`, by default to `origin` in front of refspecs only."""
        return self.call("git", "push", *args, cwd=cwd, env=env)

    def hook(self, *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Done:
        """`orchestrator-action hook ARGS` through the hook's own door."""
        return self.call(sys.executable, "-I", "-m", "orchestrator_action.hook", *args, cwd=cwd, env=env)

    def git(self, *args: str, check: bool = True) -> str:
        return git(self.path, *args, env=self.env(), check=check)

    def commit(self, files: Mapping[str, str], message: str = "change") -> str:
        return self.repo.commit(files, message)

    def branch(self, name: str, files: Mapping[str, str], *, at: str = "main") -> str:
        """A branch with one commit of `files`; checked out afterwards."""
        self.git("checkout", "-q", "-b", name, at)
        return self.commit(files, f"on {name}")

    def at_remote(self, ref: str) -> str:
        return self.repo.at_remote(ref)

    def remote_refs(self) -> str:
        return git(self.repo.remote, "for-each-ref", "--format=%(refname) %(objectname)")

    @property
    def runs(self) -> int:
        """How often a gate that appends to $COUNT was started."""
        return len(self.count.read_text().splitlines()) if self.count.exists() else 0

    def warm(self, text: str) -> None:
        """Give the repository the policy the hook compiled from the same text before, if it did."""
        folder = self.path / ".git/orchestrator/hook/policy"
        if text in COMPILED:
            folder.mkdir(parents=True, exist_ok=True)
            name, compiled = COMPILED[text]
            (folder / name).write_bytes(compiled)

    def keep(self) -> None:
        """Remember what the hook compiled, for `warm`."""
        folder = self.path / ".git/orchestrator/hook/policy"
        path = self.path / ".github/orchestrator.yml"
        if folder.exists() and path.exists():
            text = path.read_text()
            blob = git(self.path, "hash-object", str(path))
            for kept in folder.glob(f"{blob}-*"):
                if decode_policy(kept.read_bytes()):
                    COMPILED[text] = kept.name, kept.read_bytes()

    def trees(self) -> list[Path]:
        """The gate trees made so far: each beside its lock, named after the repository."""
        locks = self.cache.glob("orchestrator*/hook/*/*/lock")
        return [
            tree for lock in locks for tree in [lock.parent / "checkout" / self.path.name] if tree.is_dir()
        ]

    @property
    def tree(self) -> Path:
        [tree] = self.trees()
        return tree


@pytest.fixture
def govern(tmp_path: Path) -> Iterator[Callable[..., Governed]]:
    """Make a governed repository: its policy is on the remote's `main`, the hook is installed."""
    all_made: list[Governed] = []

    def _govern(
        config: str | None = None,
        files: Mapping[str, str] | None = None,
        *,
        name: str = "g",
        install: bool = True,
    ) -> Governed:
        text = policy(gate("check", CHECK)) if config is None else config
        content = {"f": "GOOD\n", **(files or {})}
        if text:
            content[".github/orchestrator.yml"] = text
        repo = make_repo(tmp_path / name, content)
        made = Governed(repo, tmp_path / "cache", tmp_path / f"{name}-count")
        made.cache.mkdir(exist_ok=True)
        if install:
            with contextlib.chdir(made.path):
                assert 0 == hook.main(["install"])
        made.warm(text)
        all_made.append(made)
        return made

    yield _govern
    for made in all_made:
        made.keep()


@pytest.fixture
def g(govern: Callable[..., Governed]) -> Governed:
    """The governed repository most cases start from."""
    return govern()


ECHO = '#!/bin/sh\n{{ echo "$# $1 $2"; cat; }} >> "{}"\n'


def tree_of(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file below a directory, with contents or target, and mode."""
    return {
        str(p.relative_to(folder)): (
            os.readlink(p) if p.is_symlink() else p.read_bytes().hex(), stat.S_IMODE(p.lstat().st_mode),
        )
        for p in sorted(folder.rglob("*"))
        if p.is_symlink() or p.is_file()
    }  # fmt: skip


def earlier_hook(govern: Callable[..., Governed], text: str, mode: int = 0o755) -> tuple[Governed, Path]:
    """A repository in which ours was installed over somebody's hook; and that hook's place."""
    g = govern(install=False)
    old = g.path / ".git/hooks/pre-push"
    old.write_text(text)
    old.chmod(mode)
    assert 0 == g.hook("install").code
    return g, old


def processes_in(folder: Path) -> list[str]:
    """Processes that work in `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                where = os.readlink(entry / "cwd")
                if where == str(folder) or where.startswith(f"{folder}/"):
                    found.append(
                        (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    )
            except OSError:
                continue
    return found


def wait_for(there: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Until `there` answers yes."""
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def start_push(g: Governed, *argv: str) -> subprocess.Popen[str]:
    """A push in its own session, with nobody's terminal, whose output can be read later."""
    return subprocess.Popen(
        argv or ["git", "push", "origin", "task"], cwd=g.path, env=g.env(), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _no_process_left(tmp_path: Path) -> Iterator[None]:
    """Whatever a case did, nothing of it runs on."""
    yield
    deadline = time.monotonic() + 2.0
    while (left := processes_in(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [] == left
