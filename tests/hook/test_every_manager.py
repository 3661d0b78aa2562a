"""What must hold whoever starts the hook: each case as a real push through each real manager."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.hook.conftest import CHECK, Governed, gate, policy
from tests.hook.test_manager_table import HERE, MANAGERS
from tests.kit.tables import few

COUNTED = f"echo run >> $COUNT; {CHECK}"


@pytest.fixture(params=few(MANAGERS, 2))
def by_manager(govern: Callable[..., Governed], request: pytest.FixtureRequest) -> Governed:
    """A governed repository on a branch of its own; its pushes reach the hook through one of the managers."""
    g = govern(policy(gate("check", COUNTED)), install=False)
    g.more["PATH"] = f"{HERE}:{os.environ['PATH']}"
    MANAGERS[request.param](g)
    g.git("commit", "-q", "--no-verify", "--allow-empty", "-m", "the manager's file")
    g.git("push", "-q", "--no-verify", "origin", "main")
    g.git("checkout", "-q", "-b", "task")
    return g


def test_only_what_is_committed_counts_and_the_dirt_stays(by_manager: Governed):
    """Cases 13 and 14: whatever a manager stashes or stages."""
    g = by_manager
    g.commit({"f": "BAD\n", "staged": "1\n"})
    (g.path / "f").write_text("GOOD, but not committed\n")
    (g.path / "staged").write_text("2\n")
    g.git("add", "staged")
    (g.path / "untracked").write_text("3\n")
    before = g.git("status", "--porcelain"), g.git("stash", "list"), g.git("diff", "HEAD")

    bad = g.push("origin", "task")
    after = g.git("status", "--porcelain"), g.git("stash", "list"), g.git("diff", "HEAD")
    g.git("commit", "-q", "--no-verify", "-a", "-m", "good")
    (g.path / "f").write_text("BAD again, in the tree only\n")
    good = g.push("origin", "task")

    assert bad.code != 0
    assert "gate check failed" in bad.out + bad.err
    assert before == after
    assert 0 == good.code, good.out + good.err
    assert "BAD again, in the tree only\n" == (g.path / "f").read_text()


def test_a_commit_is_judged_under_every_kind_of_name(by_manager: Governed):
    """Cases 8, 37 and 42: a tag, a ref that is neither branch nor tag, a commit that git shows as another."""
    g = by_manager
    good = g.git("rev-parse", "HEAD")
    bad = g.commit({"f": "BAD\n"})
    g.git("tag", "-a", "-m", "v1", "v1")
    g.git("replace", bad, good)

    done = {ref: g.push("origin", ref) for ref in ("v1", "HEAD:refs/changes/1", "HEAD:x")}

    for ref, ended in done.items():
        assert ended.code != 0, ref
        assert "gate check failed" in ended.out + ended.err, ref


def test_a_tracking_ref_moved_by_hand_unprotects_nothing(by_manager: Governed):
    """Cases 38 and 42: the remote says what is protected, not what this clone takes it for."""
    g = by_manager
    open_to_all = g.commit({".github/orchestrator.yml": policy(protected="[]"), "f": "BAD\n"})
    g.git("update-ref", "refs/remotes/origin/main", open_to_all)

    done = g.push("origin", "task:main")

    assert done.code != 0
    assert "refs/heads/main is protected" in done.out + done.err
    assert open_to_all != g.at_remote("refs/heads/main")


def test_a_pass_is_remembered_and_a_skip_is_on_record(by_manager: Governed):
    """Cases 30 and 36."""
    g = by_manager
    g.commit({"x": "1"})
    assert 0 == g.push("origin", "task").code
    ran = g.runs
    g.git("commit", "-q", "--no-verify", "--amend", "-m", "other words")

    again = g.push("--force", "origin", "task")
    g.commit({"f": "BAD\n"})
    skipped = g.push("origin", "task", env={"ORCHESTRATOR_SKIP": "because"})

    assert 0 == again.code, again.out + again.err
    assert 1 == ran == g.runs
    assert 0 == skipped.code, skipped.out + skipped.err
    assert "because" in g.hook("audit").out
