"""Pushes that went round the hook, and skips with their reasons (HOOK-CASES 36)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.hook.conftest import ECHO, Governed, earlier_hook


def test_pushes_that_went_round_the_hook_show_up(g: Governed):
    """Case 36: --no-verify in the remote-tracking reflog against our journal."""
    g.branch("judged", {"f": "GOOD 2\n"})
    assert 0 == g.push("origin", "judged").code
    clean = g.hook("audit")
    sneaked = g.branch("sneaked", {"f": "BAD\n"})
    g.git("push", "-q", "--no-verify", "origin", "sneaked")

    found = g.hook("audit")

    assert 0 == clean.code, clean.out
    assert 1 == found.code
    assert 1 == len([line for line in found.out.splitlines() if not line.startswith("not known")])
    assert sneaked[:12] in found.out
    assert "refs/heads/sneaked" in found.out


def test_what_was_pushed_before_the_hook_came_is_not_held_against_anybody(govern: Callable[..., Governed]):
    """Case 36: within the same second too."""
    g = govern(install=False)
    g.branch("before", {"f": "BAD\n"})
    while time.time() % 1 > 0.5:
        time.sleep(0.01)
    g.git("push", "-q", "origin", "before")
    assert 0 == g.hook("install").code

    assert 0 == g.hook("audit").code


def test_a_skip_needs_a_reason_and_is_listed_with_it(g: Governed):
    """Case 36."""
    g.branch("task", {"f": "BAD\n"})
    empty = g.push("origin", "task", env={"ORCHESTRATOR_SKIP": "  "})
    skipped = g.push("origin", "task:main", env={"ORCHESTRATOR_SKIP": "the building is on fire"})

    audit = g.hook("audit")

    assert empty.code != 0
    assert "reason" in empty.err
    assert 0 == skipped.code, skipped.err
    assert "the building is on fire" in skipped.err
    assert 0 == audit.code
    assert "the building is on fire" in audit.out
    assert "refs/heads/main" in audit.out


def test_a_skip_still_runs_the_kept_hook(govern: Callable[..., Governed], tmp_path: Path):
    """Case 36: it is not ours to skip."""
    g, _ = earlier_hook(govern, ECHO.format(tmp_path / "seen"))

    assert 0 == g.push("origin", "main:x", env={"ORCHESTRATOR_SKIP": "why not"}).code
    assert (tmp_path / "seen").exists()
