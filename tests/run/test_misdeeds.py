"""What an agent does to git that is nobody else's, done by all tasks of a whole run but one after their honest work.

FAULTS 30: what breaks its own tree is its own task's end, with that named; what it does to refs, settings and
hooks reaches its own clone only. The other tasks do not notice, nothing the agent made runs with our rights, and
the user's repository is afterwards as it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from tests.kit.whole import House, Ran, new_file

HONEST = "issue-2"

TRAPS = """mkdir -p "$d"
for h in pre-push post-checkout pre-commit post-index-change reference-transaction; do
  printf "#!/bin/sh\\n: >$TRAP\\n" >"$d/$h"; chmod +x "$d/$h"
done
"""

MISDEEDS = {
    "deletes its tree": ("the task's tree was deleted", 'cd /; rm -rf "$OLDPWD"'),
    "deletes its .git folder": ("the tree's .git folder was removed or replaced", "rm -rf .git"),
    "makes a repository of its own": (
        "the tree's .git folder was removed or replaced", "rm -rf .git; git init -q .",
    ),
    "points its .git elsewhere": (
        "the tree's .git folder was removed or replaced", 'rm -rf .git; echo "gitdir: $TOP/.git" > .git',
    ),
    "puts the user's in its place": (
        "the tree's .git folder was removed or replaced", 'rm -rf .git; ln -s "$TOP/.git" .git',
    ),
    "borrows the user's refs": (
        "the tree's .git folder leads somewhere else", 'echo "$TOP/.git" >.git/commondir',
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
    "forges an object": (
        "cannot be taken over",
        # forged before a commit names it, as a commit may be taken over as soon as it is there
        """echo honest >y; git add y; o=$(git rev-parse :y); f=.git/objects/$(echo $o | cut -c1-2)
           f=$f/$(echo $o | cut -c3-); chmod +w $f
           python3 -c "import sys, zlib; open(sys.argv[1], 'wb').write(zlib.compress(b'blob 7\\0forged!'))" $f
           git commit -qm y""",
    ),
}  # fmt: skip
"""Misdeed → the words that name it, and how it is done."""

OWN_BUSINESS = {
    "sets a name": "git config user.name Mallory",
    "sets a hooks path": f'd=$PWD/../.h; {TRAPS} git config core.hooksPath "$d"',
    "sets an fsmonitor": """git config core.fsmonitor "sh -c ': >$TRAP'" """,
    "installs hooks": f"d=$(git rev-parse --git-common-dir)/hooks; {TRAPS}",
    "moves the base branch": "git update-ref refs/heads/main HEAD",
    "commits on the base branch": """git checkout -q main; git commit -q --allow-empty -m mine
                                     git checkout -q "$BRANCH" """,
    "pushes onto the user's branch": "git push -qf . HEAD:feature",
    "deletes the user's branch": "git pack-refs --all; git branch -qD feature",
    "renames the user's branch": "git branch -M feature mine",
    "moves a tag": "git tag -f v1 HEAD",
    "moves another task's branch": "git update-ref refs/heads/orchestrator/issue-2-task-2 HEAD",
    "moves what the remote had": "git update-ref refs/remotes/origin/main HEAD",
}  # fmt: skip
"""What is done in the agent's own clone: it reaches nobody, so it is no misdeed."""

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


@pytest.fixture
def among_others(home: House, conduct, tmp_path: Path) -> Callable[[Sequence[str]], Ran]:
    """Run a task for each piece of shell, four at a time, `HONEST` among them, and return how it ended."""

    def run(pieces: Sequence[str]) -> Ran:
        shell = {}
        for number, piece in zip(numbers(pieces), pieces, strict=True):
            home.issue(number, f"Task {number}", "x\n\n" + new_file(f"more{number}.py"))
            trap = tmp_path / f"trap-{number}"
            shell[f"issue-{number}"] = (
                f"TOP={home.repo.path}; TRAP={trap}; BRANCH=$(git branch --show-current)\n{piece}"
            )
        return conduct(slots=4, shell=shell).end(timeout=240)

    return run


def numbers(pieces: Sequence[str]) -> Iterable[int]:
    """The issues of the pieces: all but the honest one's."""
    return (n for n in range(1, len(pieces) + 2) if f"issue-{n}" != HONEST)


def after_its_work(piece: str) -> str:
    """An agent that does its work and then `piece`."""
    return f'"$@" || exit\n{piece}\nexit 0'


USERS_REFS = ("refs/heads", "refs/tags", "refs/remotes")


def as_it_is(home: House) -> dict[str, str]:
    """The user's configuration, hooks, HEAD and checkout, byte for byte, and every branch, tag and remote branch."""
    top = home.repo.path
    files = [top / ".git" / "config", top / ".git" / "HEAD", *(top / ".git" / "hooks").glob("*")]
    files += [p for p in top.rglob("*") if p.is_file() and ".git" not in p.parts]
    found = {str(p): hashlib.sha256(p.read_bytes()).hexdigest() + oct(p.stat().st_mode) for p in files}
    shown = home.repo.git("for-each-ref", "--format=%(refname) %(objectname)", *USERS_REFS)
    refs = (line.partition(" ") for line in shown.splitlines())
    return found | {ref: sha for ref, _, sha in refs}


def told(task: dict) -> list[str]:
    return [task["error"], *(f["message"] for p in task["phases"] for f in p["findings"])]


def assert_named(task: dict, named: str) -> None:
    """The task failed with that named, and what was proven before stands."""
    assert "success" != task["status"], "it did what it must not do"
    assert "missing" not in {p["state"] for p in task["phases"][:8]}, (
        "what was proven before stands in the report"
    )
    assert 11 == len(task["phases"])
    assert any(named in words for words in told(task)), told(task)


def assert_honest(home: House, ran: Ran) -> None:
    """The honest task did not notice."""
    task = ran.task(HONEST)
    assert "success" == task["status"], (told(task), ran.err)
    assert task["head_sha"] == home.repo.at_remote(f"refs/heads/{task['branch']}")


@pytest.mark.timeout(300)
def test_a_misdeed_is_its_own_tasks_end_and_nobody_elses(home: House, among_others, subtests, tmp_path: Path):
    """Twelve at once: each ends its own task, in the words for it, so none reached another."""
    pieces = [after_its_work(piece) for _, piece in MISDEEDS.values()]
    before = as_it_is(home)

    ran = among_others(pieces)

    for number, (misdeed, (named, _)) in zip(numbers(pieces), MISDEEDS.items(), strict=True):
        with subtests.test(misdeed):
            assert_named(ran.task(f"issue-{number}"), named)
            assert not (tmp_path / f"trap-{number}").exists(), "something of its making ran"
    assert_honest(home, ran)
    assert before == as_it_is(home)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_done_in_its_own_clone_reaches_nobody(home: House, among_others, subtests, tmp_path: Path):
    """By construction: all tasks succeed, no trap springs, and the user's repository is as it was."""
    pieces = [after_its_work(piece) for piece in OWN_BUSINESS.values()]
    before = as_it_is(home)

    ran = among_others(pieces)

    for number, deed in zip(numbers(pieces), OWN_BUSINESS, strict=True):
        with subtests.test(deed):
            task = ran.task(f"issue-{number}")
            assert "success" == task["status"], told(task)
            assert not (tmp_path / f"trap-{number}").exists(), "something of its making ran"
    assert_honest(home, ran)
    assert before == as_it_is(home)


@pytest.mark.timeout(300)
def test_what_takes_nothing_from_anybody_is_no_misdeed(home: House, among_others, subtests):
    """FAULTS 30: a prune or a gc in the middle of the others' work; they do not notice."""
    pieces = [f'{deed} || exit\n"$@" || exit\n{deed}' for deed in HARMLESS]
    before = as_it_is(home)

    ran = among_others(pieces)

    for number, deed in zip(numbers(pieces), HARMLESS, strict=True):
        with subtests.test(deed):
            task = ran.task(f"issue-{number}")
            assert "success" == task["status"], told(task)
    assert_honest(home, ran)
    assert before == as_it_is(home)


def test_a_run_whose_records_an_agent_deleted_is_told_to_its_end(home: House, conduct):
    """Its folder and its journal: what happened is written anew, and every task has its one end."""
    gone = {"issue-1": f"rm -rf {home.repo.path}/.git/orchestrator/runs; exit 1"}

    ran = conduct(slots=1, shell=gone).end()

    ends = {t["task_id"]: t["status"] for t in ran.report["tasks"]}
    assert ({"issue-1": "failed", "issue-2": "success"}, 1) == (ends, ran.code), ran.err
    assert "the journal was changed by somebody else, and is written anew" in ran.err
    assert "Traceback" not in ran.err
    assert ends == {e["task"]: e["data"]["status"] for e in home.events() if e["kind"] == "task-ended"}
    home.assert_tidy()


def test_a_task_that_cannot_be_begun_leaves_no_tree(home: House, conduct):
    """A file stands where its own would be: a fault of the machine, said in one line."""
    # Again where the base's suite, measured beside it, has made the folder anew in between.
    blocked = {
        "issue-1": f"t=$(echo {home.repo.path}/.git/orchestrator/runs/*/tasks)"
        '; until rm -rf $t && : >"$t"; do :; done; exit 1'
    }

    ran = conduct(slots=1, shell=blocked).end()

    task = ran.task("issue-2")
    assert ("failed", True, "") == (
        task["status"],
        "directory" in task["error"].lower(),
        task["kept_because"],
    )
    assert "Traceback" not in ran.err and "a bug of ours" not in ran.err
    home.assert_tidy()
