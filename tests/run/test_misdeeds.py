"""What an agent must not do to git, done by one of two tasks of a whole run once its honest work is finished.

FAULTS 30: its own task fails with that named, the other does not notice, nothing the agent made runs with our
rights, and the user's repository is afterwards as it was.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.kit.whole import House, new_file

TRAPS = """mkdir -p "$d"
for h in pre-push post-checkout pre-commit post-index-change reference-transaction; do
  printf "#!/bin/sh\\n: >$TRAP\\n" >"$d/$h"; chmod +x "$d/$h"
done
"""
OTHER = 'o=$(git for-each-ref --format="%(refname)" "refs/heads/orchestrator/issue-2*"); '

MISDEEDS = {
    "deletes its worktree": ("the worktree was deleted", 'cd /; rm -rf "$OLDPWD"'),
    "deletes its .git file": ("the worktree's .git file was removed or changed", "rm .git"),
    "makes a repository of its own": (
        "the worktree's .git file was removed or changed", "rm .git; git init -q .",
    ),
    "points its .git file elsewhere": (
        "the worktree's .git file was removed or changed", 'echo "gitdir: $TOP/.git" > .git',
    ),
    "takes its worktree off the list": (
        "the worktree was deleted", 'git worktree remove --force --force "$PWD"',
    ),
    "deletes git's directory for it": (
        "the worktree was removed from git's list", 'rm -rf "$TOP/.git/worktrees/task-issue-1"',
    ),
    "switches branch": ("HEAD is on elsewhere, not on the task branch", "git checkout -q -b elsewhere"),
    "detaches its HEAD": ("HEAD is on no branch, not on the task branch", "git checkout -q --detach"),
    "deletes its branch": ("the task branch", 'git checkout -q --detach; git branch -qD "$BRANCH"'),
    "takes its branch to another history": (
        "not from its base", """git checkout -q --orphan other; git rm -qrf .; echo x >x; git add x
                                git commit -qm x; git branch -qf "$BRANCH" other; git checkout -q "$BRANCH" """,
    ),
    "takes its branch to before its base": (
        "not from its base", 'git reset -q --hard "$(git rev-list --max-parents=0 HEAD)"',
    ),
    "sets a name for everybody": ("git setting user.name was added", "git config user.name Mallory"),
    "sets a hooks path": (
        "git setting core.hookspath was added", f'd=$PWD/.h; {TRAPS} git config core.hooksPath "$d"',
    ),
    "sets an fsmonitor": (
        "git setting core.fsmonitor was added", """git config core.fsmonitor "sh -c ': >$TRAP'" """,
    ),
    "sets a filter": (
        "git setting filter.x.clean was added",
        """echo '* filter=x' >.gitattributes; git add -A; git commit -qm filters
           git config filter.x.clean "sh -c ': >$TRAP; cat'"; touch *.py""",
    ),
    "installs hooks": ("git hook post-checkout was added", f'd=$(git rev-parse --git-common-dir)/hooks; {TRAPS}'),
    "moves the base branch": ("refs/heads/main", "git update-ref refs/heads/main HEAD"),
    "commits on the base branch": (
        "refs/heads/main",
        """git checkout -q --ignore-other-worktrees main; git commit -q --allow-empty -m mine
           git checkout -q "$BRANCH" """,
    ),
    "pushes onto the user's branch": ("refs/heads/feature", "git push -qf . HEAD:feature"),
    "moves the user's branch by plumbing": ("refs/heads/feature", "git update-ref refs/heads/feature HEAD"),
    "deletes the user's branch": ("refs/heads/feature", "git branch -qD feature"),
    "deletes the user's packed branch": (
        "refs/heads/feature", "git pack-refs --all; git branch -qD feature",
    ),
    "renames the user's branch": ("refs/heads/feature", "git branch -M feature mine"),
    "moves a tag": ("refs/tags/v1", "git tag -f v1 HEAD"),
    "moves the other task's branch": (
        "refs/heads/orchestrator/issue-2", f'{OTHER} git update-ref "$o" HEAD',
    ),
    "takes the other task's commits for its own": (
        "refs/heads/orchestrator/mine", f'{OTHER} git branch -q orchestrator/mine "$o"',
    ),
    "deletes the other task's branch": (
        "refs/heads/orchestrator/issue-2", f'{OTHER} git update-ref -d "$o"',
    ),
}  # fmt: skip
"""Misdeed → the words that name it, and how it is done."""

REACHING_OUT = {
    "sets a name": ("git setting user.name was added", 'git config --file "$TOP/.git/config" user.name Mallory'),
    "sets an fsmonitor": (
        "git setting core.fsmonitor was added",
        """git config --file "$TOP/.git/config" core.fsmonitor "sh -c ': >$TRAP'" """,
    ),
    "empties the configuration": ("git setting", ': >"$TOP/.git/config"'),
    "installs hooks": ("git hook pre-push was changed", f'd=$TOP/.git/hooks; {TRAPS}'),
    "deletes a hook": ("git hook pre-push was removed", 'rm "$TOP/.git/hooks/pre-push"'),
}  # fmt: skip
"""The same, in the user's own git directory, by its path."""

HARMLESS = (
    "git worktree prune",
    "git gc -q --prune=now",
    "git prune --expire=now; git repack -adq; :",
    "git pack-refs --all",
    "echo z >z; git stash -q -u; git stash pop -q; rm z",
)


@pytest.fixture
def home(home: House) -> House:
    """Two tasks; a user with a branch, a tag and a hook."""
    home.repo.git("branch", "feature")
    home.repo.git("tag", "v1")
    hook = home.repo.path / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 0\n")
    hook.chmod(0o755)
    home.repo.commit({"more.txt": "2\n"}, "second")
    home.repo.push()
    for number in (1, 2):
        home.issue(number, f"Task {number}", "x\n\n" + new_file(f"more{number}.py"))
    return home


def done_by(home: House, trap: Path, piece: str) -> dict[str, str]:
    """An agent that does its work and then `piece`."""
    names = f"TOP={home.repo.path}; TRAP={trap}; BRANCH=$(git branch --show-current)"
    return {"issue-1": f'{names}\n"$@" || exit\n{piece}\nexit 0'}


def as_it_is(home: House) -> dict[str, str]:
    """The user's configuration, hooks, HEAD and checkout, byte for byte, and every branch and tag but the tasks'."""
    top = home.repo.path
    files = [top / ".git" / "config", top / ".git" / "HEAD", *(top / ".git" / "hooks").glob("*")]
    files += [p for p in top.rglob("*") if p.is_file() and not {".git", ".worktrees"} & set(p.parts)]
    found = {str(p): hashlib.sha256(p.read_bytes()).hexdigest() + oct(p.stat().st_mode) for p in files}
    shown = home.repo.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags")
    refs = (line.partition(" ") for line in shown.splitlines())
    return found | {ref: sha for ref, _, sha in refs if not ref.startswith("refs/heads/orchestrator/")}


def told(task: dict) -> list[str]:
    return [task["error"], *(f["message"] for p in task["phases"] for f in p["findings"])]


def assert_alone(home: House, ran, named: str, trap: Path) -> None:
    """The first task failed with that named; the second did not notice."""
    first, second = (ran.task(t) for t in ("issue-1", "issue-2"))
    assert "success" == second["status"], (told(second), ran.err)
    assert second["head_sha"] == home.repo.at_remote(f"refs/heads/{second['branch']}")
    assert "success" != first["status"], "it did what it must not do"
    assert "missing" not in {p["state"] for p in first["phases"][:8]}, (
        "what was proven before stands in the report"
    )
    assert 11 == len(first["phases"])
    assert any(named in words for words in told(first)), told(first)
    assert not trap.exists(), "something of its making ran"


@pytest.mark.parametrize("misdeed", MISDEEDS)
def test_a_misdeed_is_its_own_tasks_end_and_nobody_elses(home: House, conduct, tmp_path: Path, misdeed: str):
    named, piece = MISDEEDS[misdeed]
    before = as_it_is(home)

    ran = conduct(slots=2, shell=done_by(home, tmp_path / "trap", piece)).end()

    assert_alone(home, ran, named, tmp_path / "trap")
    after = as_it_is(home)
    assert before == {k: v for k, v in after.items() if k in before}
    assert {"refs/heads/elsewhere", "refs/heads/other"} >= after.keys() - before.keys(), (
        "its own new branches only"
    )


@pytest.mark.parametrize("misdeed", REACHING_OUT)
def test_what_is_changed_in_the_users_own_directory_is_put_back(
    home: House, conduct, tmp_path: Path, misdeed: str
):
    """Whoever was under way at that moment answers for it; here only one was."""
    named, piece = REACHING_OUT[misdeed]
    before = as_it_is(home)

    ran = conduct(slots=1, shell=done_by(home, tmp_path / "trap", piece)).end()

    assert_alone(home, ran, named, tmp_path / "trap")
    assert before == as_it_is(home)
    kept = home.repo.path / ".git" / "orchestrator" / "undone"
    assert ("deletes a hook" == misdeed) != kept.exists(), "what was there instead is kept"


@pytest.mark.parametrize("deed", HARMLESS)
def test_what_takes_nothing_from_anybody_is_no_misdeed(home: House, conduct, tmp_path: Path, deed: str):
    """FAULTS 30: a prune or a gc in the middle of the others' work; they do not notice."""
    before = as_it_is(home)
    early = {"issue-1": f'{deed} || exit\n"$@" || exit\n{deed}'}

    ran = conduct(slots=2, shell=early).end()

    assert {"success"} == {t["status"] for t in ran.report["tasks"]}, [told(t) for t in ran.report["tasks"]]
    assert before == as_it_is(home)


def test_a_run_whose_records_an_agent_deleted_is_told_to_its_end(home: House, conduct):
    """Its folder and its journal: what happened is written anew, and every task has its one end."""
    gone = {"issue-1": "rm -rf ../../.git/orchestrator/runs; exit 1"}

    ran = conduct(slots=1, shell=gone).end()

    ends = {t["task_id"]: t["status"] for t in ran.report["tasks"]}
    assert ({"issue-1": "failed", "issue-2": "success"}, 1) == (ends, ran.code), ran.err
    assert "the journal was changed by somebody else, and is written anew" in ran.err
    assert "Traceback" not in ran.err
    assert ends == {e["task"]: e["data"]["status"] for e in home.events() if e["kind"] == "task-ended"}
    home.assert_tidy()


def test_a_task_that_cannot_be_begun_leaves_no_worktree(home: House, conduct):
    """A file stands where its own would be: a fault of the machine, said in one line."""
    blocked = {"issue-1": 't=$(echo ../../.git/orchestrator/runs/*/tasks); rm -rf $t; : >"$t"; exit 1'}

    ran = conduct(slots=1, shell=blocked).end()

    task = ran.task("issue-2")
    assert ("failed", True, "") == (
        task["status"],
        "directory" in task["error"].lower(),
        task["kept_because"],
    )
    assert "Traceback" not in ran.err and "a bug of ours" not in ran.err
    home.assert_tidy()
