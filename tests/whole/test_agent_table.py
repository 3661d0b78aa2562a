"""`report --agents`: what each agent came to, by the trails at the remote, on any machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator_action.protocol.events import EVENT_KINDS, encode_event, seal
from tests.kit.repos import Repo
from tests.kit.whole import EMPTY, GOOD, LIBRARY, LIES, House, house


def rows(home: House) -> dict[str, dict[str, object]]:
    shown = home.cli("report", "--agents", "--json")
    assert 0 == shown.code, shown.err
    return {row["agent"]: row for row in json.loads(shown.out)["agents"]}


@pytest.mark.slow
def test_each_agent_counts_what_its_trails_say(make: Callable[..., Repo], tmp_path: Path):
    """One verified, one that lied, one that did nothing; merged counts once the commit is in the base branch."""
    home = house(tmp_path, make(LIBRARY))
    for number, text in enumerate((GOOD, LIES, EMPTY), 1):
        home.issue(number, f"Task {number}", text)
    assert 1 == home.run().code

    [(name, row)] = rows(home).items()
    assert ("patch", 3, 1, 1, 0) == (name, row["tasks"], row["verified"], row["refuted"], row["merged"])
    assert "suite" in row["lies"]
    assert row["cost_usd"] is None  # nobody said what it cost
    assert row["s_per_verified"] > 0

    branch = home.repo.git("for-each-ref", "--format=%(objectname)", "refs/orchestrator/branches/issue-1")
    home.repo.git("push", "-q", "origin", f"{branch}:refs/heads/main")
    assert 1 == rows(home)["patch"]["merged"]

    table = home.cli("report", "--agents").out.splitlines()
    assert table[0].startswith("| agent | tasks | verified |")
    assert table[2].startswith("| patch | 3 | 1 | 1 | 1 | 1 | – |")


def test_a_trail_that_somebody_changed_is_named_and_not_counted(make: Callable[..., Repo], tmp_path: Path):
    home = house(tmp_path, make(LIBRARY))
    home.issue(1, "Add more", GOOD)
    assert 0 == home.run().code
    ref = "refs/orchestrator/tasks/issue-1"
    home.repo.git("fetch", "-q", "origin", f"+{ref}:{ref}")
    [file] = home.repo.git("ls-tree", "--name-only", ref).split()
    text = home.repo.git("show", f"{ref}:{file}")
    assert "attempt-started" in EVENT_KINDS and '"status":"success"' in text
    (tmp_path / "changed").write_text(text.replace('"status":"success"', '"status":"failed"') + "\n")
    blob = home.repo.git("hash-object", "-w", str(tmp_path / "changed"))
    (tmp_path / "tree").write_text(f"100644 blob {blob}\t{file}\n")
    with (tmp_path / "tree").open() as tree:
        import subprocess

        made = subprocess.run(
            ["git", "mktree"], cwd=home.repo.path, stdin=tree, capture_output=True, text=True, check=True
        )
    sha = home.repo.git("commit-tree", made.stdout.strip(), "-m", "changed")
    home.repo.git("push", "-q", "--force", "origin", f"{sha}:{ref}")

    shown = home.cli("report", "--agents")

    assert 0 == shown.code, shown.err
    assert "Not counted, as somebody changed their trail: issue-1" in shown.out
    assert "patch" not in shown.out


def trail_of(home: House, task: str, run: str, *told: tuple[str, dict[str, object]]) -> None:
    """Push a trail whose every hash holds, and which this program did not write."""
    prev, lines = "", []
    for seq, (kind, data) in enumerate(told, 1):
        event = seal(seq=seq, at=1.0, run=run, task=task, kind=kind, data=data, prev=prev)
        prev = event.hash
        lines.append(encode_event(event))
    push_file(home, task, f"{run}.jsonl", "\n".join(lines) + "\n")


def push_file(home: House, task: str, name: str, text: str) -> None:
    git = home.repo.git
    (home.repo.path.parent / "file").write_text(text)
    blob = git("hash-object", "-w", str(home.repo.path.parent / "file"))
    git("read-tree", "--empty")
    git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
    sha = git("commit-tree", git("write-tree"), "-m", "made up")
    git("read-tree", "HEAD")
    git("push", "-q", "--force", "origin", f"{sha}:refs/orchestrator/tasks/{task}")


def test_what_is_no_trail_of_ours_is_named_and_nothing_of_it_is_counted(
    make: Callable[..., Repo], tmp_path: Path
):
    """A file, garbage, a chain that is sealed well around figures that nobody measured, and one of a version before."""
    home = house(tmp_path, make(LIBRARY))
    started = ("attempt-started", {"attempt": 1, "agent": "codex"})
    blob = home.repo.git("hash-object", "-w", str(home.repo.path / "README.md"))
    home.repo.git("push", "-q", "origin", f"{blob}:refs/orchestrator/tasks/issue-1")
    push_file(home, "issue-2", "r.jsonl", "garbage\n[[[[\n")
    for number, cost in enumerate((-5, "9", {"usd": 1}, True, 1e300), 3):
        ended = ("task-ended", {"status": "success", "wall_s": 1, "cost_usd": cost})
        trail_of(home, f"issue-{number}", "r", started, ended)
    trail_of(home, "issue-8", "r", ("attempt-started", {}), ("task-ended", {"status": "success"}))
    trail_of(
        home, "issue-9", "r", ("attempt-started", {"attempt": 1}), ("task-ended", {"status": "declined"})
    )
    forged = {"attempt": 1, "agent": "a | b\n\x1b[2J| c"}
    trail_of(home, "issue-10", "r", ("attempt-started", forged), ("task-ended", {"status": "unheard of"}))

    shown = home.cli("report", "--agents")

    assert 0 == shown.code, shown.err
    rows = [line for line in shown.out.splitlines() if line.startswith("|")][2:]
    assert 2 == len(rows), shown.out
    assert any(row.startswith("| (not on record) | 1 | 0 | 1 | 0 | 0 | – |") for row in rows)
    assert all(9 == row.replace("\\|", "").count("|") - 1 for row in rows), rows
    assert "\x1b" not in shown.out
    [named] = [line for line in shown.out.splitlines() if line.startswith("Not counted")]
    assert [f"issue-{n}" for n in range(1, 9)] == sorted(named.rpartition(": ")[2].split(", "))
