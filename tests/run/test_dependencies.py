"""What an issue waits for: it grows from the verified branch of that, and is blocked by name where it cannot."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kit.repos import Repo, git
from tests.kit.whole import LIBRARY, LIES, House, change, house, new_file

README = LIBRARY["README.md"]


def adds(path: str, text: str = "x = 1\n", readme: str = README) -> str:
    """A task that adds a module and names it in the README."""
    return new_file(path, text) + change("README.md", readme, f"{readme}- `{path}`\n")


@pytest.fixture
def home(make: Callable[..., Repo], tmp_path) -> House:
    return house(tmp_path, make(LIBRARY))


def front_of(home: House, number: int) -> str:
    [pull] = [p for p in (home.forge / "pulls").glob("*/pull.md") if f"#{number}" in p.read_text()]
    return pull.read_text().split("---")[1]


def test_an_issue_grows_from_the_verified_branch_of_the_one_it_waits_for(home: House):
    """Its change does not even apply elsewhere; its pull request asks for that branch."""
    more = change("more.py", "x = 1\n", "x = 2\n")
    named = change("README.md", f"{README}- `more.py`\n", f"{README}- `more.py`\n- two\n")
    home.issue(1, "More", adds("more.py"), labels=["orchestrate", "orchestrate-priority:low"])
    home.issue(2, "Two", f"Blocked by #1\n\n{more}{named}")

    ran = home.run()

    assert 0 == ran.code, ran.err
    first, then = ran.task("issue-1"), ran.task("issue-2")
    assert ("success", "success") == (first["status"], then["status"])
    assert first["head_sha"] == then["base_sha"] != first["base_sha"]
    assert f"base: {first['branch']}" in front_of(home, 2).replace('"', "")
    home.assert_tidy()


def test_what_waited_for_one_that_failed_is_blocked_and_so_is_what_waits_for_that(home: House):
    home.issue(1, "Treble", LIES)
    home.issue(2, "Two", f"Depends on #1\n\n{adds('two.py')}")
    home.issue(3, "Three", f"Depends on #2\n\n{adds('three.py')}")

    ran = home.run()

    assert ["failed", "blocked", "blocked"] == [ran.task(f"issue-{n}")["status"] for n in (1, 2, 3)], ran.err
    assert "issue-1 did not succeed" in ran.task("issue-2")["error"]
    assert "orchestrate" in (home.forge / "issues" / "2.md").read_text().split("---")[1]


def test_issues_that_wait_for_each_other_are_blocked_and_the_circle_is_named_and_others_go_on(home: House):
    home.issue(1, "One", f"Depends on #2\n\n{adds('one.py')}")
    home.issue(2, "Two", f"Blocked by #1\n\n{adds('two.py')}")
    home.issue(3, "Three", adds("three.py"))

    ran = home.run()

    assert ["blocked", "blocked", "success"] == [ran.task(f"issue-{n}")["status"] for n in (1, 2, 3)], ran.err
    assert "issue-1 → issue-2 → issue-1" in ran.task("issue-1")["error"]
    [said] = (home.forge / "comments" / "1").glob("*.md")
    assert "issue-1 → issue-2 → issue-1" in said.read_text()


@pytest.mark.slow
def test_an_open_issue_outside_the_run_is_waited_for_and_a_closed_one_is_not(home: House):
    home.issue(1, "Open", "Later.", labels=[])
    home.issue(2, "Two", f"Depends on #1\n\n{adds('two.py')}")
    home.issue(3, "Three", f"Depends on #99\n\n{adds('three.py')}")

    waits = home.run()
    closed = home.forge / "issues" / "1.md"
    closed.write_text(closed.read_text().replace("state: open", "state: closed"))
    goes = home.run()

    assert ["blocked", "success"] == [waits.task(f"issue-{n}")["status"] for n in (2, 3)], waits.err
    assert "it waits for #1" in waits.task("issue-2")["error"] and "nothing waits for #99" in waits.err
    assert "success" == goes.task("issue-2")["status"], goes.err


def test_two_branches_are_joined_for_what_waits_for_both(home: House):
    home.repo.commit({"docs.md": "# Docs\n"})
    home.repo.push()
    home.issue(1, "One", adds("one.py"))
    home.issue(2, "Two", new_file("two.py") + change("docs.md", "# Docs\n", "# Docs\n\n- two\n"))
    home.issue(4, "Four", f"Depends on #1, #2\n\n{new_file('four.py')}{new_file('FOUR.md', '# four')}")

    ran = home.run()

    four = ran.task("issue-4")
    assert "success" == four["status"], ran.err
    there = git(home.repo.remote, "ls-tree", "-r", "--name-only", four["head_sha"]).split()
    assert {"one.py", "two.py", "four.py"} <= set(there)
    assert "base: main" in front_of(home, 4)


@pytest.mark.slow
def test_branches_that_do_not_go_together_block_what_waits_for_both(home: House):
    home.issue(1, "One", adds("one.py"))
    home.issue(2, "Two", adds("two.py"))
    home.issue(3, "Three", f"Depends on #1 and #2\n\n{new_file('three.py')}")

    ran = home.run()

    three = ran.task("issue-3")
    assert "blocked" == three["status"], ran.err
    assert "README.md" in three["error"] and "does not go together" in three["error"]
