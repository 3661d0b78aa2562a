"""Why something did not work reaches people: in the report, in the comment, and before a run by `doctor`."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.kit.whole import EMPTY, GOOD, House


def comment(home: House) -> str:
    [found] = (home.forge / "comments" / "1").glob("*.md")
    return found.read_text()


def doctor(home: House) -> str:
    ran = home.cli("doctor")
    return ran.out + ran.err


def test_what_the_agent_said_last_stands_in_report_and_comment(home: House):
    """Not only in its log: a person who reads the issue sees why it stopped."""
    home.issue(1, "Please think", EMPTY)

    ran = home.run()

    why = "the task holds no fenced diff block"
    assert why in ran.task("issue-1")["said"]
    assert why in comment(home)


def test_a_base_that_cannot_run_is_told_on_the_issue(home: House):
    """Whoever set the label learns what to set up; the label stays."""
    home.repo.commit({".github/orchestrator.yml": "test: no-such-runner\n"})
    home.repo.push()
    home.issue(1, "Add more", GOOD)

    home.run()

    assert "not started" in comment(home)
    assert "no-such-runner is not installed" in comment(home)


@pytest.mark.slow
def test_a_draft_that_is_not_verified_says_so(home: House):
    """The pull request is opened while it is being verified; its comment says how that ended."""
    home.issue(1, "Add more", GOOD)

    home.run()

    [pull] = (home.forge / "pulls").glob("*/pull.md")
    assert "being verified" in pull.read_text()
    [said] = (home.forge / "comments" / pull.parent.name).glob("*.md")
    assert "not verified" not in said.read_text()


def test_a_branch_in_the_way_of_ours_is_named_before_anything_is_begun(home: House):
    """git keeps refs as files: beside a branch `orchestrator` there is no room for `orchestrator/…`."""
    home.repo.git("push", "-q", "origin", "HEAD:refs/heads/orchestrator")
    home.repo.git("fetch", "-q")
    home.issue(1, "Add more", GOOD)

    ran = home.cli("run", "--forge", f"local:{home.forge}", "--agent", "patch")

    assert 4 == ran.code
    assert "issue-1: blocked after 0.0 s: the remote has a branch 'orchestrator'" in ran.err
    assert 1 == doctor(home).count("the remote has a branch 'orchestrator'"), "by the remote's word, and once"


def test_a_configuration_of_nearly_the_right_name_is_named(home: House):
    home.repo.commit({".github/orchestrator.yaml": "label: x\n"})
    home.repo.push()
    home.issue(1, "Add more", GOOD)

    ran = home.run()

    assert ".github/orchestrator.yaml is not read" in ran.err
    assert ".github/orchestrator.yaml is not read" in doctor(home)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "user.signingkey names no key"),
        ({"user.signingkey": "ABCDEF"}, "has no secret key ABCDEF"),
        ({"gpg.format": "ssh", "user.signingkey": "/nowhere/key"}, "there is no key /nowhere/key"),
        ({"gpg.program": "no-such-gpg", "user.signingkey": "ABCDEF"}, "no-such-gpg is not installed"),
    ],
    ids=["no key", "unknown key", "no ssh key", "no program"],
)
def test_commits_that_must_be_signed_without_a_usable_key_are_named(home: House, settings, words):
    for name, value in {"commit.gpgsign": "true", **settings}.items():
        home.repo.git("config", name, value)

    found = doctor(home)

    assert words in found or "gpg is not installed" in found
    assert "commit.gpgsign is set" in found


def test_a_commit_hook_whose_tool_is_missing_is_named(home: House):
    hook = Path(home.repo.path / ".git" / "hooks" / "pre-commit")
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n# runs lint\nif true; then echo; fi\nlefthook run pre-commit\n")
    hook.chmod(0o755)

    assert "the hook pre-commit needs lefthook, which is not installed" in doctor(home)


def test_nothing_in_the_way_is_no_row(home: House):
    found = doctor(home)

    assert "commits" not in found
    assert "in the way" not in found


@pytest.mark.slow
def test_a_label_chooses_the_agent_of_its_issue(home: House):
    """Only that issue is worked on by it; one that nobody knows, or that is not there, stops its own issue only."""
    home.issue(1, "Add more", GOOD)
    home.issue(2, "Add more 2", GOOD, labels=("orchestrate", "orchestrate-agent:clyde"))
    home.issue(3, "Add more 3", GOOD, labels=("orchestrate", "orchestrate-agent:codex"))
    home.issue(4, "Think", EMPTY, labels=("orchestrate", "orchestrate-agent:command"))
    env = {"PATH": "/usr/bin:/bin"}

    ran = home.cli("run", "--forge", f"local:{home.forge}", "--agent", "patch", "--json", env=env)

    ends = {n: (ran.task(f"issue-{n}")["status"], ran.task(f"issue-{n}")["error"]) for n in (1, 2, 3, 4)}
    assert "success" == ends[1][0], ran.err
    assert ["blocked"] * 3 == [ends[n][0] for n in (2, 3, 4)]
    assert "no agent 'clyde'" in ends[2][1]
    assert "'codex' is not installed" in ends[3][1]
    assert "has no program" in ends[4][1]


def test_doctor_is_red_where_set_up_cannot_get_its_packages(home: House):
    """In one line with the cure; a run would end as blocked."""
    home.repo.commit({"pyproject.toml": "[project]\nname='a'\n"})
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody_listens.getsockname()[1]}/simple/"
        ran = home.cli("doctor", "--agent", "patch", env={"PIP_INDEX_URL": url})

    assert ran.code == 2
    [line] = [row for row in ran.out.splitlines() if row.startswith("FAIL")]
    assert line.startswith(
        f"FAIL registry: PyPI ({url}) cannot be reached: Connection refused; needed by Python"
    )
    assert "hint: let this machine reach it, or name a mirror in PIP_INDEX_URL; or set `setup`" in ran.out


def test_doctor_is_green_without_tests_where_the_configuration_asks_for_none(home: House):
    """`init` writes that for a repository that has none, and a run goes through."""
    home.repo.git("rm", "-rq", "tests")
    home.repo.commit({".github/orchestrator.yml": "phases: {testing: off}\n"})

    ran = home.cli("doctor", "--agent", "patch")

    assert (0, True) == (ran.code, ".github/orchestrator.yml asks for none" in ran.out), ran.err


def test_logs_of_a_task_whose_agent_never_began_say_why(home: House):
    """Nobody is told to wait for it."""
    home.issue(1, "Add more", GOOD)
    home.run(agent="opencode", env={"PATH": "/usr/bin:/bin"})

    logs = home.cli("logs", "issue-1")

    assert 2 == logs.code
    why = "blocked: the agent's program 'opencode' is not installed"
    assert "error: task issue-1 of run " in logs.err and f"ended before its agent began: {why}" in logs.err
    assert "hint: orchestrator-action report " in logs.err


def test_a_detached_head_without_a_remote_is_named(home: House):
    """There is a commit, but no branch that pull requests could go to."""
    home.repo.git("remote", "remove", "origin")
    home.repo.git("checkout", "-q", "--detach")

    ran = home.cli("plan", "--forge", f"local:{home.forge}")

    assert (5, True) == (ran.code, "error: no branch is checked out" in ran.err), ran.err
    assert "hint: git switch BRANCH" in ran.err


def test_without_an_issue_it_is_said_how_one_is_opened(home: House):
    """On the local forge nobody can set a label on a page."""
    ran = home.cli("plan", "--forge", f"local:{home.forge}")

    assert (3, True) == (ran.code, "hint: orchestrator-action issue new TITLE" in ran.err), ran.err


def test_a_wrong_option_points_to_its_help(home: House):
    """No file is to be mended."""
    ran = home.cli("run", "--forge", f"local:{home.forge}", "--timeout", "soon")

    assert (2, "") == (ran.code, ran.out)
    assert ["error: --timeout: 'soon' is no duration; write 90s, 45m or 1h30m",
            "hint: --help says what each option takes"] == ran.err.splitlines()  # fmt: skip


@pytest.mark.parametrize(
    ("option", "words"),
    [("--max-turns", "a whole number is needed"), ("--max-run-usd", "a number is needed")],
)
def test_what_is_no_number_is_said_plainly(home: House, option: str, words: str):
    ran = home.cli("run", option, "x")

    assert (2, f"error: invalid value for '{option}': {words}") == (ran.code, ran.err.splitlines()[0])


def test_a_folder_is_no_prompt_file(home: House):
    ran = home.cli("run", "--forge", f"local:{home.forge}", ".")

    assert "error: cannot read .: Is a directory\nhint: give the path of a Markdown file\n" == ran.err
