"""A step that is killed, lost or cancelled loses nothing that was committed, and nothing is told twice."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from tests.kit.repos import git
from tests.kit.steps import Split
from tests.kit.tables import few
from tests.kit.whole import alive, change, new_file

README = "# Numbers\n\n- `double(n)` is twice n.\n"


def slow(split: Split, tmp_path: Path) -> Path:
    """Three tasks, one after the other; the tests of the second never end. Returns what is there once they run."""
    begun = tmp_path / "signals" / "begun"
    begun.parent.mkdir()
    test = f"if [ -e more2.py ]; then touch {begun}; sleep 600; fi; {sys.executable} -m unittest discover"
    split.home.configure(f"sandbox: {{write: [{begun.parent}]}}\nmax-parallel: 1\ntest: {test}\n")
    for number in (1, 2, 3):
        text = new_file(f"more{number}.py") + change("README.md", README, README + f"- `more{number}`\n")
        split.home.issue(number, f"Task {number}", text)
    split.plan()
    return begun


@pytest.mark.parametrize("sign", few([signal.SIGKILL, signal.SIGTERM], 1), ids=["killed", "cancelled"])
def test_what_a_killed_work_job_had_committed_is_handed_on(
    split: Split, tmp_path: Path, sign: signal.Signals
):
    """The first task had ended, the second had committed, the third had not begun."""
    begun = slow(split, tmp_path)
    split.kill_work(begun.exists, sign=sign)
    before = json.loads(split.digests.read_text())

    settled = split.settle()
    digests = json.loads(split.digests.read_text())
    split.verify("issue-1")
    ran = split.publish("--accept", " ".join([*digests.values(), *split.verdict_digests()]))

    assert 0 == settled.code, settled.err
    assert "issue-1" in before and before["issue-1"] == digests["issue-1"]
    assert ["success", "cancelled"] == [t["status"] for t in ran.report["tasks"][:2]], ran.err
    assert ran.report["tasks"][2]["status"] == ("failed" if sign == signal.SIGKILL else "cancelled")
    second = ran.task("issue-2")
    assert second["head_sha"] == split.home.repo.at_remote(f"refs/heads/{second['branch']}") != ""
    there = git(split.home.repo.remote, "ls-tree", "--name-only", second["head_sha"])
    assert "more2.py" in there.split(), "what it had committed"
    assert 1 == len(list((split.home.forge / "pulls").glob("*/pull.md")))
    assert [1, 1, 1] == [len(list((split.home.forge / "comments" / n).glob("*.md"))) for n in "123"]
    assert [] == alive(split.home.repo.path.parent / "clones")


@pytest.mark.slow
def test_to_settle_again_or_for_nothing_changes_nothing(split: Split, tmp_path: Path):
    begun = slow(split, tmp_path)
    nothing = split.settle()
    split.kill_work(begun.exists)
    split.settle()
    files = {p: p.read_bytes() for p in (split.files / "bundles").rglob("*") if p.is_file()}
    digests = split.digests.read_text()

    again = split.settle()

    assert (0, 0) == (nothing.code, again.code), nothing.err + again.err
    assert files == {p: p.read_bytes() for p in (split.files / "bundles").rglob("*") if p.is_file()}
    assert digests == split.digests.read_text()
