"""What an agent does to git in its tree: it works as ever, stays its own, and what is not is named."""

from __future__ import annotations

import subprocess
import zlib
from pathlib import Path

import pytest

from orchestrator_action.errors import GitError, WorktreeError
from orchestrator_action.git.trees import Trees
from tests.git.conftest import commit
from tests.kit.repos import Repo, clean_env, git
from tests.kit.trees import trees_of


def run(command: str, at: Path, **env: str) -> None:
    """A shell command of an agent."""
    subprocess.run(["sh", "-c", command], cwd=at, env=clean_env(**env), check=False, capture_output=True)


def test_what_an_agent_configures_stays_its_own(trees: Trees, repo: Repo, base: str, tmp_path: Path):
    """No other task, no git of ours and not the user notices; so it is no harm either."""
    bad = trees.create("bad", "orchestrator/bad", base)
    good = trees.create("good", "orchestrator/good", base)

    git(bad.path, "config", "user.name", "Mallory")
    hook = bad.path / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n")
    hook.chmod(0o755)
    commit(good)
    (bad.path / "x").write_text("x")
    trees.salvage(bad, "bad")

    assert trees.problems(bad) == trees.problems(good) == ()
    for elsewhere in (good.path, repo.path):
        assert git(elsewhere, "config", "--get", "user.name", check=False) == ""
    assert not (tmp_path / "hook-ran").exists()


REFS = {
    "moves main": "git update-ref refs/heads/main HEAD",
    "moves a tag": "git tag -f v1 HEAD",
    "moves the user's branch": "git push -qf . HEAD:feature",
    "deletes the user's branch": "git branch -qD feature",
    "moves another task's branch": "git update-ref refs/heads/orchestrator/other HEAD",
    "moves what the remote had": "git update-ref refs/remotes/origin/main HEAD",
    "prunes": "git reflog expire --expire=now --all; git gc -q --prune=now; git prune --expire=now",
}


@pytest.mark.parametrize("deed", REFS)
def test_what_an_agent_does_to_refs_reaches_its_own_clone_only(
    trees: Trees, repo: Repo, base: str, deed: str
):
    """By construction: the clone has refs of its own."""
    repo.git("branch", "feature")
    repo.git("tag", "v1")
    other = trees.create("other", "orchestrator/other", base)
    made = trees.create("t", "orchestrator/t", base)
    commit(made)
    before = (
        repo.git("for-each-ref"),
        git(other.path, "for-each-ref"),
        trees.private.refs("refs/heads/orchestrator/other"),
    )

    run(REFS[deed], made.path)

    after = (
        repo.git("for-each-ref"),
        git(other.path, "for-each-ref"),
        trees.private.refs("refs/heads/orchestrator/other"),
    )
    assert after == before
    assert trees.problems(other) == trees.problems(made) == ()
    assert trees.private.refs("refs/remotes/origin/main") == {"refs/remotes/origin/main": base}


def test_commits_of_another_task_are_out_of_reach(trees: Trees, base: str):
    """Each clone has its own objects; what is taken from one is lent to none."""
    theirs = commit(trees.create("other", "orchestrator/other", base))
    trees.adopt("other", "orchestrator/other", base).git.head()
    made = trees.create("t", "orchestrator/t", base)

    assert git(made.path, "cat-file", "-t", theirs, check=False) == ""


def test_a_branch_that_moved_outside_its_tree_is_named(trees: Trees, base: str):
    """Somebody wrote into our private repository."""
    made = trees.create("t", "orchestrator/t", base)
    commit(made)
    first = made.git.head()
    git(trees.private.git_dir, "update-ref", "refs/heads/orchestrator/t", base)

    assert trees.problems(made) == ("the task branch orchestrator/t was moved outside its tree",)
    commit(made, "more.txt")
    with pytest.raises(WorktreeError, match="was moved outside its tree"):
        made.git.head()
    assert first != base


# -- objects ----------------------------------------------------------------------------------------


def loose(at: Path, sha: str) -> Path:
    return at / ".git" / "objects" / sha[:2] / sha[2:]


def forge(file: Path, kind: str, body: bytes) -> None:
    """Put another object under the name of this one."""
    file.chmod(0o644)
    file.write_bytes(zlib.compress(f"{kind} {len(body)}".encode() + b"\0" + body))


@pytest.mark.parametrize("kind", ["blob", "tree", "commit"])
def test_an_object_that_is_not_what_its_name_says_is_not_taken(
    trees: Trees, repo: Repo, base: str, kind: str
):
    """Whatever git in the tree shows: names are computed anew on the way to our repository."""
    made = trees.create("t", "orchestrator/t", base)
    head = commit(made)
    good = git(
        made.path, "rev-parse", {"blob": "HEAD:new.txt", "tree": "HEAD^{tree}", "commit": "HEAD"}[kind]
    )
    other = {
        "blob": b"forged\n",
        "tree": b"",
        "commit": f"tree {repo.git('rev-parse', 'main^{tree}')}\n\nx".encode(),
    }
    forge(loose(made.path, good), kind, other[kind])

    with pytest.raises(WorktreeError, match=f"the commits up to {head[:12]} cannot be taken over"):
        made.git.head()

    assert trees.private.rev_parse(head) == ""
    assert trees.problems(made)[0].startswith(f"the commits up to {head[:12]} cannot be taken over")


@pytest.mark.parametrize("where", ["the user's repository", "our private repository"])
@pytest.mark.parametrize("kind", ["blob", "tree"])
def test_a_forged_object_in_what_is_borrowed_is_not_measured(trees: Trees, repo: Repo, where: str, kind: str):
    """Without walls an agent can write there: clean checkouts compute every name anew."""
    base = repo.commit({"sub/test.py": "assert False\n"})
    made = trees.create("t", "orchestrator/t", base)
    (made.path / "sub" / "test.py").write_text("assert 2 == 1\n")
    git(made.path, "commit", "-q", "-a", "-m", "x")
    head = made.git.head()
    at, rev = (
        (repo.path / ".git", base) if where == "the user's repository" else (trees.private.git_dir, head)
    )
    name = (
        repo.git("rev-parse", f"{base}:sub/test.py")
        if kind == "blob"
        else repo.git("rev-parse", f"{base}:sub")
    )
    if rev == head:
        name = git(made.path, "rev-parse", f"{head}:sub/test.py" if kind == "blob" else f"{head}:sub")
    for pack in (trees.private.git_dir / "objects" / "pack").glob("*.pack"):
        aside = pack.rename(made.path.parent / pack.name)
        with aside.open("rb") as packed:
            subprocess.run(
                ["git", "unpack-objects", "-q"], cwd=trees.private.git_dir, stdin=packed, check=True
            )
    file = at / "objects" / name[:2] / name[2:]
    forge(file, kind, b"assert True\n" if kind == "blob" else b"")

    with pytest.raises(WorktreeError, match="cannot be taken over"):
        trees.measure("t", rev)

    assert [made.path] == [left.path for left in trees.leftovers()]


def test_a_replaced_or_grafted_commit_deceives_nobody(trees: Trees, base: str):
    """`git replace` shows the agent what it likes; we see what was committed."""
    made = trees.create("t", "orchestrator/t", base)
    bad = commit(made, "bad.txt")
    git(made.path, "checkout", "-q", "-b", "side", base)
    good = commit(made, "good.txt")
    git(made.path, "checkout", "-q", "orchestrator/t")
    git(made.path, "replace", bad, good)
    (made.path / ".git" / "info" / "grafts").write_text(f"{bad}\n")
    (made.path / ".git" / "shallow").write_text(f"{bad}\n")

    assert made.git.head() == bad
    assert made.git.commits(base, bad) == (bad,)
    assert [c.path for c in made.git.changes(base, bad)] == ["bad.txt"]
    measured = trees.measure("t", bad)
    assert (measured.path / "bad.txt").is_file() and not (measured.path / "good.txt").exists()


def hash_object(at: Path, body: bytes) -> str:
    """Write a tree that git itself would refuse to make."""
    argv = ["git", "hash-object", "-w", "-t", "tree", "--stdin", "--literally"]
    done = subprocess.run(argv, input=body, cwd=at, env=clean_env(), capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_a_commit_with_a_forbidden_path_is_not_taken(trees: Trees, base: str):
    """`.git/config` in a commit would be a setting of whoever checks it out."""
    made = trees.create("t", "orchestrator/t", base)
    blob = git(made.path, "hash-object", "-w", "README.md")
    inner = hash_object(made.path, b"100644 config\0" + bytes.fromhex(blob))
    top = hash_object(made.path, b"40000 .git\0" + bytes.fromhex(inner))
    tip = git(made.path, "commit-tree", top, "-p", base, "-m", "x")
    git(made.path, "update-ref", "refs/heads/orchestrator/t", tip)

    with pytest.raises(WorktreeError, match="cannot be taken over"):
        made.git.head()


def test_nothing_an_agent_sets_runs_when_its_commits_are_taken(trees: Trees, base: str, tmp_path: Path):
    """Its promisor remote, its hooks, its fsmonitor, its alternates: our window knows none of its settings."""
    made = trees.create("t", "orchestrator/t", base)
    trap = f"sh -c ': >{tmp_path}/ran'"
    for key, value in {
        "remote.evil.url": "/nowhere", "remote.evil.promisor": "true", "remote.evil.uploadpack": trap,
        "extensions.partialClone": "evil", "core.fsmonitor": trap, "core.alternateRefsCommand": trap,
        "uploadpack.packObjectsHook": trap, "core.sshCommand": trap, "core.gitProxy": trap,
        "core.hooksPath": str(tmp_path / "hooks"), "core.repositoryformatversion": "1",
    }.items():  # fmt: skip
        git(made.path, "config", key, value)
    (tmp_path / "hooks").mkdir()
    for hook in ("reference-transaction", "post-index-change"):
        (tmp_path / "hooks" / hook).write_text(f"#!/bin/sh\n{trap}\n")
        (tmp_path / "hooks" / hook).chmod(0o755)
    run("echo x >x; git -c core.fsmonitor=false -c core.hooksPath=/dev/null add x", made.path)
    run("git -c core.fsmonitor=false -c core.hooksPath=/dev/null commit -qm x", made.path)
    (tmp_path / "ran").unlink(missing_ok=True)
    gone = git(made.path, "rev-parse", "HEAD:x")
    loose(made.path, gone).unlink()

    with pytest.raises(WorktreeError, match="cannot be taken over"):
        made.git.head()

    assert not (tmp_path / "ran").exists()


def test_planted_settings_run_nothing_of_ours(trees: Trees, repo: Repo, base: str, tmp_path: Path):
    """Hooks, fsmonitor, filters, external diffs and textconv of an agent's making."""
    made = trees.create("t", "orchestrator/t", base)
    trap = tmp_path / "trap"
    trap.write_text(f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/ran\ncat\n')
    trap.chmod(0o755)
    for key in ("core.fsmonitor", "diff.external", "filter.x.smudge", "filter.x.clean", "diff.x.textconv",
                "diff.x.command", "core.sshCommand", "core.pager", "gpg.program", "core.editor"):  # fmt: skip
        git(made.path, "config", key, str(trap))
        repo.git("config", key, str(trap))
    repo.git("config", "filter.x.required", "true")
    repo.git("config", "core.hooksPath", str(tmp_path / "hooks"))
    (tmp_path / "hooks").mkdir()
    for hook in ("post-checkout", "reference-transaction", "post-index-change", "pre-commit"):
        (tmp_path / "hooks" / hook).write_bytes(trap.read_bytes())
        (tmp_path / "hooks" / hook).chmod(0o755)
    (made.path / ".gitattributes").write_text("* filter=x diff=x\n")
    quiet = ("-c", "core.fsmonitor=false", "-c", "filter.x.clean=", "-c", "filter.x.required=false",
             "-c", "core.hooksPath=/dev/null")  # fmt: skip
    git(made.path, *quiet, "add", "-A")
    git(made.path, *quiet, "commit", "-q", "-m", "trap")
    (tmp_path / "ran").unlink(missing_ok=True)

    (made.path / "more.txt").write_text("more\n")
    head = made.git.head()
    trees.measure("t", head)
    trees.create("u", "orchestrator/u", head)
    assert made.git.dirty() == ("more.txt",)
    made.git.changes(base, head)
    made.git.diff_text(base, head)
    assert trees.salvage(made, "t")
    trees.leftovers()

    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


HARMS = {
    "deletes its tree": ('cd /; rm -rf "$OLDPWD"', "the task's tree was deleted"),
    "deletes its git folder": ("rm -rf .git", "the tree's .git folder was removed or replaced"),
    "makes a repository of its own": (
        "rm -rf .git; git init -q -b orchestrator/t .", "the tree's .git folder was removed or replaced",
    ),
    "puts the user's in its place": (
        'rm -rf .git; ln -s "$TOP/.git" .git', "the tree's .git folder was removed or replaced",
    ),
    "becomes a worktree of the user's": (
        'rm -rf .git; echo "gitdir: $TOP/.git" >.git', "the tree's .git folder was removed or replaced",
    ),
    "borrows the user's refs": ('echo "$TOP/.git" >.git/commondir', "the tree's .git folder leads somewhere else"),
    "links to the user's refs": (
        'mv .git/refs /tmp/refs-$$; ln -s "$TOP/.git/refs" .git/refs', "the tree's .git folder leads somewhere else",
    ),
    "links to a log of the user's": (
        'rm -f .git/logs/HEAD; mkdir -p .git/logs; ln -s "$TOP/README.md" .git/logs/HEAD',
        "the tree's .git folder leads somewhere else",
    ),
    "switches branch": (
        "git checkout -q -b elsewhere", "HEAD is on elsewhere, not on the task branch orchestrator/t",
    ),
    "detaches its HEAD": (
        "git checkout -q --detach", "HEAD is on no branch, not on the task branch orchestrator/t",
    ),
    "deletes its branch": ("git update-ref -d refs/heads/orchestrator/t", "the task branch orchestrator/t was deleted"),
    "breaks its HEAD": ("echo garbage >.git/HEAD", "HEAD is on no branch, not on the task branch orchestrator/t"),
}  # fmt: skip
"""What an agent must not do to its clone: how, and the words that name it."""


@pytest.mark.parametrize("harm", HARMS)
def test_what_an_agent_does_to_its_tree_is_named_and_written_through_by_nobody(
    trees: Trees, repo: Repo, base: str, harm: str
):
    """Our own git writes nothing through it, and the neighbour's tree is as it was."""
    command, sentence = HARMS[harm]
    made = trees.create("t", "orchestrator/t", base)
    neighbour = trees.create("n", "orchestrator/n", base)
    before = (
        repo.git("for-each-ref", "refs/heads", "refs/tags", "refs/remotes"),
        (repo.path / "README.md").read_text(),
    )

    run(command, made.path, TOP=str(repo.path))
    named = trees.problems(made)
    trees.salvage(made, "t")
    if ".git folder" in sentence or "tree was deleted" in sentence:
        with pytest.raises((WorktreeError, GitError)):
            made.git.run("reset", "--hard", "--quiet", "main", write=True)
    trees.remove(made)

    assert sentence in named
    assert trees.problems(neighbour) == ()
    assert before == (
        repo.git("for-each-ref", "refs/heads", "refs/tags", "refs/remotes"), (repo.path / "README.md").read_text()
    )  # fmt: skip
    assert repo.git("status", "--porcelain") == ""


def test_the_agent_s_configuration_holds_no_credentials(repo: Repo, base: str):
    """What actions/checkout left behind is not in the clone an agent gets."""
    repo.git("config", "http.https://github.com/.extraheader", "AUTHORIZATION: basic c2VjcmV0")
    repo.git("config", "includeIf.gitdir:/x/.path", "/tmp/git-credentials.config")
    repo.git("remote", "add", "other", "https://me:s3cr3t@example.org/x.git")
    trees = trees_of(repo.path)

    made = trees.create("t", "orchestrator/t", base)

    seen = git(made.path, "config", "--list", "--local")
    assert "c2VjcmV0" not in seen and "s3cr3t" not in seen and "git-credentials" not in seen
    assert git(made.path, "remote", "get-url", "other") == "https://example.org/x.git"
    assert git(made.path, "remote", "get-url", "origin") == str(repo.remote)


AGENT_GIT = """
git gc -q --prune=now
git pack-refs --all
git repack -q
git maintenance run --quiet
git fsck
git fetch -q origin
git stash -u && git stash pop
git commit -q --allow-empty -m x && git commit -q --amend --allow-empty -m y
git rebase -q --autostash HEAD~0
git branch side && git switch -q side && git switch -q -
git bisect start && git bisect reset
git tag v1 && git notes add -m n && git describe --tags
git worktree list && git worktree prune
git worktree add -q --detach ../../inner-$$ && git worktree remove ../../inner-$$
git log --all --oneline && git reflog && git blame README.md && git diff origin/main
git rev-parse --show-toplevel --git-common-dir
git clone -q --no-local . ../../clone-$$ && rm -rf ../../clone-$$
git remote add other /nowhere
git checkout -q -- README.md
git rm -q --cached README.md && git add README.md
git submodule status
""".strip().splitlines()


@pytest.mark.parametrize("command", AGENT_GIT)
def test_an_agent_s_git_works_as_ever(trees: Trees, repo: Repo, base: str, command: str):
    """In a clone of its own; the repository stays whole and its configuration as it was."""
    before = (repo.path / ".git/config").read_bytes()
    made = trees.create("t", "orchestrator/t", base)
    tip = commit(made)
    (made.path / "README.md").write_text("# changed\n")

    done = subprocess.run(
        ["sh", "-ec", command], cwd=made.path, env=clean_env(), capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert (repo.path / ".git/config").read_bytes() == before
    assert trees.private.is_ancestor(tip, made.git.head())
    assert trees.problems(made) == ()
    repo.git("fsck", "--strict", "--connectivity-only")
    assert repo.git("status", "--porcelain") == ""


def test_a_commit_of_an_agent_starts_no_maintenance(trees: Trees, repo: Repo, base: str, tmp_path: Path):
    """A repack beside an agent costs what tests need."""
    made = trees.create("t", "orchestrator/t", base)

    def started(where: Path) -> bool:
        trace = tmp_path / f"trace-{where.parent.name}"
        told = {**clean_env(), "GIT_TRACE": str(trace)}
        git(where, "commit", "-q", "--allow-empty", "-m", "more", env=told)
        return "maintenance run" in trace.read_text()

    assert (True, False) == (started(repo.path), started(made.path))
