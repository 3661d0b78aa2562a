"""The verified branches of a run together: merged in memory, clashes named, tested as one tree and bisected."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from orchestrator_action.git.repo import Git
from orchestrator_action.run.integration import Branch, bisect, merge_all
from tests.kit.repos import Repo
from tests.kit.whole import LIBRARY, House, change, house, new_file

README = LIBRARY["README.md"]
LINES = "".join(f"line {n}\n" for n in range(1, 60))


def branches_of(repo: Repo, contents: Sequence[dict[str, str]]) -> list[Branch]:
    """A branch from main for each, pushed nowhere."""
    base = repo.git("rev-parse", "main")
    made = []
    for number, files in enumerate(contents, 1):
        repo.git("checkout", "-q", "-b", f"b{number}", "main")
        made.append(Branch(f"t{number}", repo.commit(files), base))
    repo.git("checkout", "-q", "main")
    return made


def test_of_nine_branches_of_which_two_clash_eight_go_together(make: Callable[..., Repo]):
    repo = make({"long.txt": LINES})
    edits = [{"long.txt": LINES.replace(f"line {6 * n}\n", f"line {6 * n} by {n}\n")} for n in range(1, 9)]
    edits.append({"long.txt": LINES.replace("line 18\n", "line 18 by nine\n")})
    made = branches_of(repo, edits)
    refs = repo.git("for-each-ref")

    done = merge_all(Git.open(repo.path, os.environ), made, made[0].base)

    assert ("t1", "t2", "t4", "t5", "t6", "t7", "t8", "t3") == done.order and ("t9",) == done.left_out
    assert [("t3", "t9", ("long.txt",))] == [(c.a, c.b, c.paths) for c in done.clashes]
    text = repo.git("show", f"{done.commit}:long.txt")
    assert 8 == text.count(" by ") and "nine" not in text
    assert refs == repo.git("for-each-ref")
    assert "" == repo.git("status", "--porcelain")


def test_the_one_that_clashes_with_most_is_left_out(make: Callable[..., Repo]):
    repo = make({"a": "1\n", "b": "1\n", "c": "1\n"})
    contents = [{"a": "x\n", "b": "x\n", "c": "x\n"}, {"a": "2\n"}, {"b": "2\n"}, {"c": "2\n"}]

    done = merge_all(Git.open(repo.path, os.environ), made := branches_of(repo, contents), made[0].base)

    assert (("t2", "t3", "t4"), ("t1",)) == (done.order, done.left_out)


def test_a_branch_that_holds_another_is_no_clash(make: Callable[..., Repo]):
    repo = make({"a": "1\n"})
    [first] = branches_of(repo, [{"a": "2\n"}])
    repo.git("checkout", "-q", "b1")
    then = Branch("t2", repo.commit({"a": "3\n"}), first.head)

    done = merge_all(Git.open(repo.path, os.environ), [first, then], first.base)

    assert (("t1", "t2"), then.head) == (done.order, done.commit)


@pytest.mark.parametrize("size", range(1, 10))
def test_bisecting_finds_what_makes_it_red_whichever_it_is(size: int):
    order = [f"t{n}" for n in range(size)]
    for bad in itertools.chain(itertools.combinations(order, 1), itertools.combinations(order, min(2, size))):
        asked: list[Sequence[str]] = []

        def is_red(some: Sequence[str], bad: Sequence[str] = bad, asked: list[Sequence[str]] = asked) -> bool:
            asked.append(some)
            return bool(set(bad) & set(some))

        good, red = bisect(order, is_red)

        assert (set(order) - set(bad), set(bad)) == (set(good), set(red))
        assert list(good) == [t for t in order if t not in bad]
        assert len(asked) <= len(bad) * (size.bit_length() + 1)


def test_two_that_fail_only_together_cost_one_of_them():
    good, red = bisect(["a", "b", "c", "d"], lambda some: {"a", "d"} <= set(some))

    assert (("a", "b", "c"), ("d",)) == (good, red)


@pytest.fixture
def home(make: Callable[..., Repo], tmp_path: Path) -> House:
    return house(tmp_path, make(LIBRARY))


def adds(path: str) -> str:
    return new_file(path) + new_file(f"{path.upper()}.md", "# what it is\n")


def test_two_branches_that_clash_are_named_on_both_pull_requests(home: House):
    for number in (1, 2):
        home.issue(
            number,
            f"Task {number}",
            adds(f"t{number}.py") + change("README.md", README, f"{README}- {number}\n"),
        )
    home.issue(3, "Task 3", adds("t3.py"))

    ran = home.run()

    found = ran.report["integration"]
    assert (["issue-3", "issue-1"], ["issue-2"], "not run") == (
        found["order"],
        found["left_out"],
        found["tests"],
    ), ran.err
    assert [{"a": "issue-1", "b": "issue-2", "paths": ["README.md"]}] == found["clashes"]
    pulls = {t["task_id"]: t["pull"]["number"] for t in ran.report["tasks"]}
    said = {
        t: "".join(p.read_text() for p in (home.forge / "comments" / str(n)).glob("*.md"))
        for t, n in pulls.items()
    }
    words = "beside the other branches of this run"
    assert [True, True, False] == [words in said[f"issue-{n}"] for n in (1, 2, 3)]
    assert f"#{pulls['issue-2']}" in said["issue-1"].replace("\u200b", "").replace("&#x200B;", "")
    home.assert_tidy()


def test_what_passes_alone_and_fails_together_is_tested_and_bisected(home: House):
    """Each adds one module; a test of the base says that there are at most two beside it."""
    test = (
        "import pathlib\nimport unittest\n\n\nclass Few(unittest.TestCase):\n    def test_few(self):\n"
        "        self.assertLessEqual(len(list(pathlib.Path('.').glob('t*.py'))), 2)\n"
    )
    home.repo.commit({"tests/test_few.py": test})
    home.configure(f"integration: test\ntest: {sys.executable} -m unittest discover\n")
    for number in (1, 2, 3):
        home.issue(number, f"Task {number}", adds(f"t{number}.py"))

    ran = home.run()

    found = ran.report["integration"]
    assert {"success"} == {t["status"] for t in ran.report["tasks"]}, ran.err
    assert ("failed", ["issue-1", "issue-2"], ["issue-3"]) == (
        found["tests"],
        found["order"],
        found["red"],
    ), ran.err
    number = ran.task("issue-3")["pull"]["number"]
    said = "".join(p.read_text() for p in (home.forge / "comments" / str(number)).glob("*.md"))
    assert "With this branch the tests of the merged tree fail" in said
    home.assert_tidy()


@pytest.mark.slow
def test_what_passes_together_is_said_to_and_off_tries_nothing(home: House):
    for number in (1, 2):
        home.issue(number, f"Task {number}", adds(f"t{number}.py"))
    home.configure(f"integration: test\ntest: {sys.executable} -m unittest discover\n")

    ran = home.run()
    home.configure(f"integration: off\ntest: {sys.executable} -m unittest discover\n")
    for number in (3, 4):
        home.issue(number, f"Task {number}", adds(f"t{number}.py"))
    off = home.run()

    assert ("passed", ["issue-1", "issue-2"]) == (
        ran.report["integration"]["tests"],
        ran.report["integration"]["order"],
    )
    assert off.report["integration"] is None, json.dumps(off.report["integration"])
