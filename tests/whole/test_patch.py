"""The main job with the built-in agent: labelled issues in, verified pulls out, nothing left behind."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator_action.protocol.phases import IDS
from tests.kit.repos import git, make_repo
from tests.kit.whole import EMPTY, GOOD, LIBRARY, LIES, THERE, House, Ran, change, house, new_file

TITLES = ("../../etc", "-rf", "ünïcödé 日本語", "x" * 300, "a: b # c", "12:30", "`$(id)`")


@dataclass(frozen=True)
class Several:
    """A run of several tasks that no test changes any more, and the user's own git files before it."""

    home: House
    ran: Ran
    before: dict[str, bytes]


def git_files(home: House) -> dict[str, bytes]:
    """Configuration, hooks, HEAD and description of the user's checkout."""
    git_dir = home.repo.path / ".git"
    names = ["config", "HEAD", "description", *(f"hooks/{p.name}" for p in (git_dir / "hooks").glob("*"))]
    return {n: (git_dir / n).read_bytes() for n in names}


def run_of(root: Path, *issues: tuple[str, str]) -> Several:
    """Run issues of these titles and texts, from number 1 on."""
    home = house(root, make_repo(root / "r", LIBRARY))
    for number, (title, text) in enumerate(issues, 1):
        home.issue(number, title, text)
    before = git_files(home)
    return Several(home, home.run(), before)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Several:
    """Tasks that all succeed: one with documentation, one without, one for each of `TITLES`."""
    titled = ((title, new_file(f"more{n}.py")) for n, title in enumerate(TITLES))
    root = tmp_path_factory.mktemp("good")
    return run_of(root, ("Add more", GOOD), ("Only code", "x\n\n" + new_file("code.py")), *titled)


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Several:
    """Tasks that all fail: a lie, a diff that does not apply, a lie with a configuration of its own."""
    config = LIBRARY[".github/orchestrator.yml"]
    cheat = LIES + change(".github/orchestrator.yml", config, "test: echo 9 passed\nprotected: []\n")
    wrong = change("numbers_.py", "nothing\nlike\nthis\n", "at\nall\n")
    return run_of(tmp_path_factory.mktemp("bad"), ("Treble", LIES), ("Wrong", wrong), ("Cheat", cheat))


def test_a_good_task_goes_through_all_eleven_phases(good: Several):
    ran = good.ran

    assert (0, "success") == (ran.code, ran.task("issue-1")["status"]), ran.err
    assert dict.fromkeys(IDS, "proven") == {p["phase"]: p["state"] for p in ran.task("issue-1")["phases"]}
    good.home.assert_tidy()


def test_what_is_posted_is_what_is_there(good: Several):
    """Pull, check and comment name the very commit that the remote has."""
    home, task = good.home, good.ran.task("issue-1")

    head = home.repo.at_remote(f"refs/heads/{task['branch']}")
    assert head and head == task["head_sha"]
    check = json.loads((home.forge / "checks" / head / "orchestrator.json").read_text())
    assert ("completed", "success") == (check["status"], check["conclusion"])
    pull = (home.forge / "pulls" / str(task["pull"]["number"]) / "pull.md").read_text()
    assert "#1" in pull and task["branch"] in pull
    [comment] = (home.forge / "comments" / "1").glob("*.md")
    assert head[:7] in comment.read_text() or "proven" in comment.read_text()
    issue = (home.forge / "issues" / "1.md").read_text()
    assert "orchestrate:done" in issue and "orchestrate:running" not in issue
    assert not re.search(r"\borchestrate\b(?!:)", issue.split("---")[1])


def test_documentation_that_is_waived_is_shown_as_waived(good: Several):
    assert "waived" == good.ran.state("issue-2", "documentation")
    check = good.home.forge / "checks" / good.ran.task("issue-2")["head_sha"] / "orchestrator.json"
    assert "waived" in json.loads(check.read_text())["title"]


@pytest.mark.parametrize("title", TITLES)
def test_any_title_is_only_a_title(good: Several, title: str):
    assert "success" == good.ran.task(f"issue-{TITLES.index(title) + 3}")["status"], good.ran.err


def test_the_repository_is_byte_identical_after_a_run(good: Several):
    """Configuration, hooks, HEAD and index of the user's checkout: as they were."""
    assert good.before == git_files(good.home)
    branch = "refs/heads/orchestrator/issue-1-add-more"
    author = git(good.home.repo.remote, "log", "-1", "--format=%an <%ae> %cn", branch)
    assert author.startswith("orchestrator-action[bot] <")


def test_the_context_is_as_published(good: Several):
    context = json.loads((good.home.run_dir / "tasks" / "issue-2" / "context.json").read_text())

    assert ["task_id", "task_name", "original_prompt_file", "worktree_path", "orchestrator_context"] == list(
        context
    )[:5]
    assert ("issue-2", 2, 11) == (context["task_id"], context["issue"]["number"], len(context["phases"]))
    assert good.ran.report["base_sha"] == context["base_sha"]
    assert {"parallel_execution": True, "subprocess_mode": True, "governance_delegation": True} == context[
        "orchestrator_context"
    ]


def test_a_false_claim_of_passing_tests_is_refuted(bad: Several):
    home, ran = bad.home, bad.ran

    assert (1, "failed") == (ran.code, ran.task("issue-1")["status"])
    assert "refuted" in ran.findings("issue-1") and "refuted" == ran.state("issue-1", "testing")
    head = ran.task("issue-1")["head_sha"]
    assert head == home.repo.at_remote(f"refs/heads/{ran.task('issue-1')['branch']}"), "no commit is lost"
    check = json.loads((home.forge / "checks" / head / "orchestrator.json").read_text())
    assert "failure" == check["conclusion"]
    assert not (home.forge / "pulls").exists() or not list((home.forge / "pulls").iterdir())
    home.assert_tidy()


def test_a_diff_that_does_not_apply_is_said_and_nothing_is_left(bad: Several):
    assert "incomplete" == bad.ran.task("issue-2")["status"]
    assert "does not apply" in (bad.home.run_dir / "tasks" / "issue-2" / "agent.log").read_text()
    bad.home.assert_tidy()


def test_the_policy_is_the_bases_whatever_the_branch_says(bad: Several):
    """A task that switches its own tests off is judged by the rules it tried to change."""
    assert "failed" == bad.ran.task("issue-3")["status"]
    assert "refuted" == bad.ran.state("issue-3", "implementation"), "the configuration is protected"


@pytest.mark.slow
def test_no_change_is_not_believed_where_the_tests_were_red_before(home: House):
    """The agent says that it works already; the repository's own tests say that it does not."""
    home.repo.commit({"numbers_.py": "def double(n):\n    return 7\n"})
    home.repo.push()
    home.issue(1, "There", THERE)

    ran = home.run()

    task = ran.task("issue-1")
    assert (1, "failed") == (ran.code, task["status"]), ran.err
    assert "the base's tests" in task["error"]


def test_what_needs_no_change_says_so_and_is_neutral(home: House):
    home.issue(1, "Ignore caches", THERE)

    ran = home.run()

    task = ran.task("issue-1")
    assert (0, "no-change", "neutral") == (ran.code, task["status"], task["conclusion"]), ran.err
    assert None is task["pull"]
    home.assert_tidy()


def test_a_task_without_a_diff_is_declined_with_what_it_needs(home: House):
    """An agent that can do nothing says so, instead of leaving phases open."""
    home.issue(1, "Please think", EMPTY)

    ran = home.run()

    task = ran.task("issue-1")
    assert (1, "declined", 1) == (ran.code, task["status"], task["attempts"]), ran.err
    assert "the task holds no fenced diff block" in task["declined"]["because"]
    assert "a fenced `diff` block" in task["declined"]["needs"]
    home.assert_tidy()


@pytest.mark.slow
def test_a_waiver_that_the_repository_does_not_allow_changes_nothing(home: House):
    """The agent claimed documentation, which was refuted; its waiver is refused and does not hide that."""
    home.repo.commit(
        {
            ".github/orchestrator.yml": f"{LIBRARY['.github/orchestrator.yml']}phases: {{documentation: required}}\n"
        }
    )
    home.repo.push()
    home.issue(1, "Only code", "x\n\n" + new_file("more.py"))

    ran = home.run()

    assert ("failed", "refuted") == (ran.task("issue-1")["status"], ran.state("issue-1", "documentation"))
    assert "may not be waived" in (home.run_dir / "tasks" / "issue-1" / "agent.log").read_text()


def test_a_secret_never_reaches_the_remote(home: House):
    """Not at a phase boundary, not for the pull, and not with the commits of a task that failed."""
    secret = "ghp_" + "0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R"
    prompt = home.repo.path.parent / "key.md"
    prompt.write_text(GOOD + new_file("key.py", f"KEY = '{secret}'\n"))

    ran = home.run(str(prompt))

    task = ran.task("prompt-key")
    assert (1, "failure") == (ran.code, task["conclusion"])
    assert "key.py holds a GitHub token" in task["error"] and secret not in ran.out + ran.err
    assert "" == home.repo.at_remote(f"refs/heads/{task['branch']}")
    found = git(home.repo.remote, "log", "--all", "--format=%h", "-S", secret, "--", "key.py")
    assert "" == found
    assert task["kept_because"] and (Path(task["worktree"]) / "key.py").exists(), "no commit is lost"


def test_every_task_ends_in_exactly_one_status_and_the_counts_add_up(home: House):
    for number, text in enumerate((GOOD, LIES, THERE, EMPTY), 1):
        home.issue(number, f"Task {number}", text)

    ran = home.run("--max-parallel", "4")

    report = ran.report
    assert 1 == ran.code
    assert 4 == report["requested"] == sum(report["counts"].values()) == len(report["tasks"])
    assert ["success", "failed", "no-change", "declined"] == [t["status"] for t in report["tasks"]]
    home.assert_tidy()


def test_four_tasks_at_once_are_alive_at_the_same_instant(home: House):
    """Each agent waits for its tests, which all wait for each other: that is possible in parallel only."""
    rendezvous = home.repo.path.parent / "rendezvous"
    rendezvous.mkdir()
    home.configure(f"sandbox:\n  write: [{rendezvous}]\n")
    wait = (
        f"mktemp -p {rendezvous} >/dev/null; while [ $(ls {rendezvous} | wc -l) -lt 4 ]; do sleep 0.05; done"
    )
    for number in range(1, 5):
        home.issue(number, f"Task {number}", new_file(f"more{number}.py"))

    test = f"if ls more*.py; then {wait}; fi; python3 -m unittest discover"
    ran = home.run("--max-parallel", "4", "--test", test)

    assert 0 == ran.code, ran.err
    assert 4 == ran.report["peak_parallel"]
    assert ran.report["speedup"] > 1.5
    pids = [t["pid"] for t in ran.report["tasks"]]
    assert 4 == len(set(pids)) and all(pids)


@pytest.mark.slow
def test_one_slot_is_a_speed_up_of_exactly_one(home: House):
    for number in range(1, 4):
        home.issue(number, f"Task {number}", new_file(f"more{number}.py"))

    ran = home.run("--max-parallel", "1")

    assert (1, 1.0) == (ran.report["peak_parallel"], ran.report["speedup"])
    assert "speed-up 1.0" in ran.err


def test_a_prompt_file_gets_an_issue_of_its_own(home: House):
    prompt = home.repo.path.parent / "add more.md"
    prompt.write_text(f"---\ntitle: Add more\n---\n{GOOD}")

    ran = home.run(str(prompt))

    task = ran.task("prompt-add-more")
    assert (0, "success", 1) == (ran.code, task["status"], task["issue"]), ran.err
    assert "Add more" in (home.forge / "issues" / "1.md").read_text()


@pytest.mark.slow
def test_two_prompts_of_the_same_name_are_two_tasks(home: House):
    for name in ("a", "b"):
        folder = home.repo.path.parent / name
        folder.mkdir()
        (folder / "fix.md").write_text(new_file(f"{name}.py"))

    ran = home.run(*(str(home.repo.path.parent / n / "fix.md") for n in ("a", "b")))

    assert ["prompt-fix", "prompt-fix-2"] == [t["task_id"] for t in ran.report["tasks"]]
    assert {"success"} == {t["status"] for t in ran.report["tasks"]}, ran.err


@pytest.mark.slow
def test_a_dependant_of_a_failed_task_is_blocked_not_lost(home: House):
    folder = home.repo.path.parent
    (folder / "first.md").write_text(LIES)
    (folder / "second.md").write_text(f"---\ndepends-on: first.md\n---\n{GOOD}")

    ran = home.run(str(folder / "second.md"), str(folder / "first.md"))

    assert {"prompt-first": "failed", "prompt-second": "blocked"} == {
        t["task_id"]: t["status"] for t in ran.report["tasks"]
    }
    assert 2 == ran.report["requested"] == sum(ran.report["counts"].values())


@pytest.mark.slow
def test_branches_that_touch_the_same_path_are_reported(home: House):
    readme = LIBRARY["README.md"]
    home.issue(1, "One", new_file("a.py") + change("README.md", readme, readme + "one\n"))
    home.issue(2, "Two", new_file("b.py") + change("README.md", readme, readme + "two\n"))

    ran = home.run()

    assert [{"a": "issue-1", "b": "issue-2", "paths": ["README.md"]}] == [
        {k: c[k] for k in ("a", "b", "paths")} for c in ran.report["conflicts"]
    ]


@pytest.mark.slow
def test_a_second_run_finds_nothing_to_do(home: House):
    home.issue(1, "Add more", GOOD)
    home.run()

    ran = home.run()

    assert 3 == ran.code
    assert "error: no open issue" in ran.err and "hint: " in ran.err
    assert "" == ran.out


@pytest.mark.slow
def test_a_relabelled_issue_gets_a_branch_of_its_own(home: House):
    home.issue(1, "Add more", GOOD)
    first = home.run().task("issue-1")["branch"]
    home.issue(1, "Add more", GOOD)

    second = home.run().task("issue-1")

    assert ("success", f"{first}-2") == (second["status"], second["branch"])


def test_a_repository_without_a_remote_uses_one_of_our_own(home: House):
    home.repo.git("remote", "remove", "origin")
    home.issue(1, "Add more", GOOD)

    ran = home.run()

    assert "success" == ran.task("issue-1")["status"], ran.err


def test_a_setup_that_fails_in_a_tasks_tree_is_the_tasks_failure_with_its_log(home: House, tmp_path: Path):
    """It worked at the base, before anything was begun; what it needs is gone when the agent's turn comes."""
    there = tmp_path / "there"
    (there / "once").mkdir(parents=True)
    setup, test = f"rmdir {there}/once || exit 3", f"{sys.executable} -m unittest"
    walls = f"sandbox: {{write: [{there}]}}"
    home.repo.commit({".github/orchestrator.yml": f"{walls}\nsetup: '{setup}'\ntest: {test}\n"})
    home.repo.push()
    home.issue(1, "Add more", GOOD)

    ran = home.run()

    assert "failed" == ran.task("issue-1")["status"]
    assert "setup command" in ran.task("issue-1")["error"] and "exit 3" in ran.task("issue-1")["error"]
    assert "orchestrate:failed" in (home.forge / "issues" / "1.md").read_text()
    home.assert_tidy()


@pytest.mark.slow
def test_named_ignored_files_reach_the_worktree_and_no_others(home: House):
    """The tests need a local file that is not committed; another ignored file stays where it is."""
    home.repo.commit(
        {
            ".gitignore": "__pycache__/\n*.local\n",
            ".worktreeinclude": "# what tests need\nconfig.local\n",
            ".github/orchestrator.yml": "test: test -f config.local && test ! -f secret.local && python3 -m unittest\n",
        }
    )
    home.repo.push()
    for name in ("config.local", "secret.local"):
        (home.repo.path / name).write_text("x")
    home.issue(1, "Only code", "x\n\n" + new_file("more.py"))

    ran = home.run()

    assert "success" == ran.task("issue-1")["status"], ran.err


@pytest.mark.slow
@pytest.mark.parametrize("key", ["reviewers", "agent-fallback", "candidates"])
def test_a_name_that_no_agent_has_is_said_before_anything_starts(home: House, key: str):
    home.repo.commit({".github/orchestrator.yml": f"{LIBRARY['.github/orchestrator.yml']}{key}: [hal]\n"})
    home.repo.push()
    home.issue(1, "Add more", GOOD)

    ran = home.run()

    assert (2, True) == (ran.code, "no agent 'hal'" in ran.err)


def test_a_repository_without_tests_waits_for_a_person_before_an_agent_is_paid(home_of):
    """Nothing says how it is tested, so nothing can be proven, and no agent can change that."""
    home = home_of({"README.md": "# bare\n"})
    home.issue(1, "Only code", "x\n\n" + new_file("more.py"))

    ran = home.run()

    task = ran.task("issue-1")
    assert (2, "blocked", "action_required") == (ran.code, task["status"], task["conclusion"])
    assert "no test command is known" in task["error"]
    assert 0 == task["attempts"]


@pytest.mark.slow
def test_a_test_command_out_of_time_refutes_the_tests_and_is_named(home: House):
    """It is the tests' limit and not the task's: a failure, with the command and how long it took."""
    config = "test:\n  - python3 -m unittest\n  - {command: sh slow.sh, timeout: 4s}\n"
    slow = "test -e more.py || exec echo 1 passed, 0 failed\nsleep 600\n"
    home.repo.commit({".github/orchestrator.yml": config, "slow.sh": slow})
    home.repo.push()
    home.issue(1, "Add more", GOOD)

    ran = home.run()

    task = ran.task("issue-1")
    assert ("failed", "failure", "refuted") == (
        task["status"],
        task["conclusion"],
        ran.state("issue-1", "testing"),
    )
    assert "`sh slow.sh` did not end within 4 s and was stopped after 4" in task["error"]
    [fact] = [f for p in task["phases"] for f in p["facts"] if f["rule"] == "suite"]
    assert [("exited", 1800), ("timeout", 4)] == [
        (c["ending"], c["timeout_s"]) for c in fact["detail"]["commands"]
    ]
    home.assert_tidy()
