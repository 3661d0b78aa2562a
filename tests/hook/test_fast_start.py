"""The interpreter that starts fastest runs the hook; the tool's own does what needs libraries."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from orchestrator_action.hook import install
from orchestrator_action.hook.fast_start import fastest_of, start_cpu_s
from tests.hook.conftest import Governed


def program(path: Path, before: str) -> str:
    """An interpreter that does something before it is one."""
    path.write_text(f'#!/bin/sh\n{before}\nexec {shlex.quote(sys.executable)} "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_the_interpreter_that_starts_fastest_is_taken(tmp_path: Path):
    """Of those that can run the hook at all; the tool's own where the difference is small."""
    slow = program(tmp_path / "slow", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")
    old = program(tmp_path / "old", "exit 70")
    door = install.door()

    assert sys.executable == fastest_of(slow, [old, sys.executable, str(tmp_path / "gone")], door)
    assert slow == fastest_of(slow, [old, str(tmp_path / "gone")], door)
    assert sys.executable == fastest_of(sys.executable, [program(tmp_path / "same", ":")], door)
    assert float("inf") == start_cpu_s(old, door)


def test_what_needs_libraries_runs_in_the_tools_own_interpreter(
    govern: Callable[..., Governed], tmp_path: Path
):
    """YAML is compiled there, a push is judged in the other; one that is gone is only slower."""
    g = govern()
    log = tmp_path / "log"
    own = program(tmp_path / "own", f'echo "own $*" >> {shlex.quote(str(log))}')
    fast = program(tmp_path / "fast", f'echo "fast $*" >> {shlex.quote(str(log))}')
    hook = g.path / ".git/hooks/pre-push"
    paths = {"python=": own, "fast=": fast}
    lines = [
        next((f"{name}'{path}'" for name, path in paths.items() if line.startswith(name)), line)
        for line in hook.read_text().splitlines()
    ]
    hook.write_text("\n".join(lines) + "\n")
    for kept in (g.path / ".git/orchestrator/hook/policy").glob("*"):
        kept.unlink()
    g.branch("task", {"f": "GOOD 2\n"})

    done = g.push("origin", "task")
    both = log.read_text().splitlines()
    log.unlink()
    Path(fast).unlink()
    g.commit({"f": "BAD\n"})
    alone = g.push("origin", "task")

    assert 0 == done.code, done.err
    assert ["fast", "own"] == [line.partition(" ")[0] for line in both]
    assert both[1].endswith(" compile")
    assert "gate check failed" in alone.err
    assert ["own"] == [line.partition(" ")[0] for line in log.read_text().splitlines()]


def test_what_was_found_at_installation_stays(g: Governed):
    """Installing again writes nothing, and `status` takes any choice for in order."""
    hook = g.path / ".git/hooks/pre-push"
    before = hook.read_bytes()
    chosen = install._path_in(before, "fast")
    another = next(path for path in (sys.executable, os.path.realpath(sys.executable)) if path != chosen)
    other = before.replace(f"fast='{chosen}'".encode(), f"fast='{another}'".encode())
    assert other != before
    hook.write_bytes(other)

    assert 0 == g.hook("install").code
    assert 0 == g.hook("status").code
    assert other == hook.read_bytes()
