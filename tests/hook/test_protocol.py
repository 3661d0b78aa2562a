"""The pre-push protocol: every ref line counts, whatever it looks like (HOOK-CASES 1 to 12)."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hook.conftest import Governed, gate, policy
from tests.kit.repos import git
from tests.kit.tables import few

COUNTED = policy(gate("check", 'echo run >> "$COUNT"; grep -q GOOD f'))
MAIN = "refs/heads/main"


def test_a_push_to_a_protected_branch_is_refused_and_named(g: Governed):
    """Case 1: main one ahead."""
    before = g.at_remote(MAIN)
    g.commit({"f": "GOOD 2\n"})

    done = g.push("origin", "main")

    assert done.code != 0
    assert MAIN in done.err
    assert "nothing was pushed" in done.err
    assert before == g.at_remote(MAIN)


@pytest.mark.parametrize(
    "refspec",
    few(["HEAD:main", "+feature:main", ":main", "feature:refs/heads/main", "HEAD~0:main"], 3),
)
@pytest.mark.parametrize("detached", [False, True])
def test_no_way_of_writing_it_reaches_a_protected_branch(g: Governed, refspec: str, detached: bool):
    """Case 2: by the remote ref, not by the local one."""
    before = g.at_remote(MAIN)
    g.branch("feature", {"x": "1\n"})
    if detached:
        g.git("checkout", "-q", "--detach")

    done = g.push("origin", refspec)

    assert done.code != 0
    assert MAIN in done.err
    assert before == g.at_remote(MAIN)


def test_deleting_another_branch_is_allowed_and_runs_no_gate(govern: Callable[..., Governed]):
    """Case 2: `:old-task`."""
    g = govern(COUNTED)
    g.git("push", "-q", "--no-verify", "origin", "main:old-task")

    done = g.push("origin", ":old-task")

    assert (0, 0) == (done.code, g.runs)
    assert "" == g.at_remote("refs/heads/old-task")


@pytest.mark.parametrize("order", [("feature", "main"), ("main", "feature")])
def test_one_protected_ref_holds_back_the_whole_push(g: Governed, order: tuple[str, str]):
    """Case 3: either order, neither moves."""
    g.commit({"x": "main\n"})
    g.branch("feature", {"x": "feature\n"})
    before = g.remote_refs()

    done = g.push("origin", *order)

    assert done.code != 0
    assert "refs/heads/main" in done.err
    assert "refs/heads/feature" not in done.err
    assert before == g.remote_refs()


@pytest.mark.parametrize("what", ["--all", "--mirror"])
def test_the_message_lists_the_protected_refs_only(g: Governed, what: str):
    """Case 3: of all refs that a wide push names."""
    g.commit({"x": "main\n"})
    g.git("branch", "topic")
    g.git("branch", "release/1.0")

    done = g.push(what, "origin")

    assert done.code != 0
    named = [line.split()[1] for line in done.err.splitlines() if line.startswith("error: refs/")]
    assert ["refs/heads/main", "refs/heads/release/1.0"] == sorted(named)
    assert "topic" not in done.err


@pytest.mark.parametrize(
    ("pattern", "ref", "allowed"),
    few(
        [
            ('"release/*"', "refs/heads/release/1.2", False),
            ('"release/*"', "refs/heads/release/1.2/hot", True),
            ('"release/**"', "refs/heads/release/1.2/hot", False),
            ('"release/**"', "refs/heads/release/1.2", False),
            ('"release/*"', "refs/heads/releases", True),
            ('"release/*"', "refs/tags/main", True),
            ('"release/*"', "refs/heads/xmain", True),
            ('"release/*"', "refs/heads/feature/main", True),
            ('"v?.x"', "refs/heads/v1.x", False),
            ('"v?.x"', "refs/heads/v10.x", True),
            ('"**/stable"', "refs/heads/a/b/stable", False),
        ],
        4,
    ),
)
def test_patterns_mean_branches_of_exactly_that_shape(
    govern: Callable[..., Governed], pattern: str, ref: str, allowed: bool
):
    """Case 4."""
    g = govern(policy(protected=f"[main, {pattern}]"))

    done = g.push("origin", f"HEAD:{ref}")

    assert allowed is (done.code == 0), done.err
    assert allowed is bool(g.at_remote(ref))


def test_up_to_date_says_nothing_and_runs_nothing(govern: Callable[..., Governed]):
    """Case 5: git calls the hook with no lines at all."""
    g = govern(COUNTED)

    done = g.push("origin", "main")

    assert (0, "", "Everything up-to-date\n", 0) == (done.code, done.out, done.err, g.runs)


def test_stdout_belongs_to_git(g: Governed):
    """Case 5: with --porcelain, refused and allowed."""
    g.branch("task", {"f": "GOOD 2\n"})
    allowed = g.push("--porcelain", "origin", "task")
    g.commit({"f": "BAD\n"})
    refused = g.push("--porcelain", "origin", "task")

    assert ["To ", "*\tr", "Don"] == [line[:3] for line in allowed.out.splitlines()]
    assert 0 == allowed.code
    assert refused.code != 0
    assert "" == refused.out


def test_local_names_with_spaces_are_names(g: Governed):
    """Case 6: fields are split from the right."""
    g.branch("task", {"f": "BAD\n"})
    bad = g.git("rev-parse", "HEAD")
    g.commit({"f": "GOOD\n"}, "fix nasty bug")

    good = g.push("origin", ":/fix nasty:refs/heads/t2")
    refused = g.push("origin", "HEAD@{1}:refs/heads/t1")

    assert 0 == good.code, good.err
    assert g.git("rev-parse", "HEAD") == g.at_remote("refs/heads/t2")
    assert refused.code != 0
    assert bad[:12] in refused.err
    # a date in the past resolves to the oldest entry, with a warning of git's own
    old = g.push("origin", "HEAD@{5 minutes ago}:refs/heads/t")
    assert 0 == old.code, old.err


@pytest.mark.parametrize("kind", ["sha1", "sha256"])
def test_both_object_formats_know_creation_and_deletion(tmp_path: Path, kind: str):
    """Case 7: the zero id has 40 digits or 64."""
    remote, path = tmp_path / "r.git", tmp_path / "repo"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", f"--object-format={kind}", str(remote))
    git(tmp_path, "init", "-q", "-b", "main", f"--object-format={kind}", str(path))
    from tests.kit.repos import Repo

    g = Governed(Repo(path, remote), tmp_path / "cache", tmp_path / "count")
    g.cache.mkdir()  # otherwise the trees lie in the folder of the whole machine
    g.git("remote", "add", "origin", str(remote))
    g.commit({"f": "GOOD\n", ".github/orchestrator.yml": COUNTED})
    g.git("push", "-q", "origin", "main")
    assert 0 == g.hook("install").code
    g.branch("task", {"f": "BAD\n"})

    refused = g.push("origin", "task")
    g.commit({"f": "GOOD again\n"})
    created = g.push("origin", "task")
    deleted = g.push("origin", ":task")
    protected = g.push("origin", ":main")

    assert [False, True, True, False] == [d.code == 0 for d in (refused, created, deleted, protected)]
    assert len(g.at_remote(MAIN)) == {"sha1": 40, "sha256": 64}[kind]
    assert 2 == g.runs


def test_an_annotated_tag_is_judged_by_its_commit(g: Governed):
    """Case 8: peeled."""
    g.branch("task", {"f": "BAD\n"})
    g.git("tag", "-a", "-m", "bad", "bad-tag")
    g.git("tag", "-a", "-m", "good", "good-tag", "main")
    g.git("tag", "-a", "-m", "of a tag", "tag-of-tag", "bad-tag")

    assert g.push("origin", "bad-tag").code != 0
    assert g.push("origin", "tag-of-tag").code != 0
    assert 0 == g.push("origin", "good-tag").code
    assert "" == g.at_remote("refs/tags/bad-tag")


def test_tags_of_trees_and_blobs_have_nothing_to_judge(g: Governed):
    """Case 8: allowed, no traceback."""
    g.git("tag", "-a", "-m", "a tree", "tree-tag", "main^{tree}")
    g.git("tag", "blob-tag", "main:f")

    done = g.push("origin", "tree-tag", "blob-tag")

    assert 0 == done.code, done.err
    assert "Traceback" not in done.err


def test_notes_are_records_not_code(g: Governed):
    """A notes commit has no file a gate could pass."""
    g.git("notes", "add", "-m", "a note")

    assert 0 == g.push("origin", "refs/notes/commits").code


@pytest.mark.parametrize(
    "how", few(["no arguments", "one argument", "closed stdin", "terminal", "garbage"], 3)
)
def test_started_by_hand_it_says_so_and_does_not_wait(g: Governed, how: str):
    """Case 9."""
    hook = str(g.path / ".git/hooks/pre-push")
    arguments = {"no arguments": [], "one argument": ["origin"]}.get(how, ["origin", "url"])
    script = '"$0" "$@"' + {"closed stdin": " <&-", "garbage": " <f"}.get(how, "")
    master, terminal = pty.openpty()
    try:
        done = subprocess.run(
            ["sh", "-c", script, hook, *arguments], cwd=g.path, env=g.env(), stdin=terminal,
            capture_output=True, timeout=10, text=True, check=False,
        )  # fmt: skip
    finally:
        os.close(master)
        os.close(terminal)

    assert done.returncode != 0
    assert 1 == sum(line.startswith("error:") for line in done.stderr.splitlines())
    assert "" == done.stdout


@pytest.mark.parametrize("how", few(["subdirectory", "-C", "--git-dir", "bare", "linked worktree"], 3))
@pytest.mark.parametrize(("text", "allowed"), [("GOOD 2\n", True), ("BAD\n", False)])
def test_the_answer_does_not_depend_on_where_git_was_started(
    g: Governed, tmp_path: Path, how: str, text: str, allowed: bool
):
    """Case 10."""
    g.branch("task", {"f": text, "sub/x": "x"})
    push: list[str] = ["push", "origin", "task:t"]
    cwd = g.path
    match how:
        case "subdirectory":
            cwd = g.path / "sub"
        case "-C":
            cwd, push = tmp_path, ["-C", str(g.path), *push]
        case "--git-dir":
            cwd, push = tmp_path, [f"--git-dir={g.path}/.git", f"--work-tree={g.path}", *push]
        case "linked worktree":
            g.git("worktree", "add", "-q", "--detach", str(tmp_path / "w"))
            cwd = tmp_path / "w"
        case "bare":
            cwd = tmp_path / "bare.git"
            git(tmp_path, "clone", "-q", "--bare", str(g.path), str(cwd))
            git(cwd, "remote", "set-url", "origin", str(g.repo.remote))
            git(cwd, "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
            git(cwd, "fetch", "-q")
            assert 0 == g.hook("install", cwd=cwd).code

    task = g.call("git", *push, cwd=cwd)
    main = g.call("git", *push[:-1], "task:main", cwd=cwd)

    assert allowed is (task.code == 0), task.err
    assert allowed is bool(g.at_remote("refs/heads/t"))
    assert main.code != 0
    assert MAIN in main.err


def test_a_dry_run_is_judged_the_same(g: Governed):
    """Case 11."""
    g.branch("task", {"f": "BAD\n"})

    assert g.push("--dry-run", "origin", "task").code != 0
    assert g.push("--dry-run", "origin", "task:main").code != 0
    g.commit({"f": "GOOD\n"})
    assert 0 == g.push("--dry-run", "origin", "task").code


def test_an_atomic_push_is_judged_by_the_refs_that_are_listed(g: Governed):
    """Case 11: git lists what it would send; the rest is git's to reject."""
    g.branch("one", {"f": "GOOD 1\n"})
    g.push("origin", "one")
    g.git("commit", "-q", "--amend", "-m", "rewritten")
    g.branch("two", {"f": "BAD\n"})

    done = g.push("--atomic", "origin", "one", "two")

    assert done.code != 0
    assert "" == g.at_remote("refs/heads/two")


def test_many_refs_cost_one_batch_of_git_calls(g: Governed, tmp_path: Path):
    """Case 12: counted with git's own trace."""

    def calls(count: int) -> int:
        refs = [f"main:refs/heads/n{count}-{i}" for i in range(count)]
        trace = tmp_path / f"trace-{count}"
        assert 0 == g.push("origin", *refs, env={"GIT_TRACE2_EVENT": str(trace)}).code
        started = [line for line in trace.read_text().splitlines() if '"event":"start"' in line]
        return sum("pack-refs" not in line for line in started)  # the remote's own maintenance

    calls(1)  # warms slot and memory

    assert calls(2) == calls(60)
