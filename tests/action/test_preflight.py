"""What makes success impossible ends a run before an agent is paid: each want alone, named with its cure."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.kit.github_server import GitHubServer
from tests.kit.github_server.state import ACTIONS_PERMISSIONS, Viewer
from tests.kit.repos import Repo
from tests.kit.runner import Runner, Stepped
from tests.kit.whole import GOOD

Break = Callable[[GitHubServer], None]


def lacks(permission: str) -> Break:
    def take(github: GitHubServer) -> None:
        given = {**ACTIONS_PERMISSIONS, permission: "read"}
        github.state.tokens[github.token] = Viewer("github-actions[bot]", "actions", given)

    return take


def rule(kind: str, **parameters: Any) -> Break:
    def add(github: GitHubServer) -> None:
        given = {"parameters": {"operator": "starts_with", **parameters}} if parameters else {}
        github.state.rules.append({"type": kind, **given})

    return add


def is_archived(github: GitHubServer) -> None:
    github.state.archived = True


def may_not_open(github: GitHubServer) -> None:
    github.state.may_open_pulls = False


WANTS: dict[str, tuple[Break, str, str]] = {
    "archived": (is_archived, "octo/demo is archived", "unarchive it"),
    "contents": (lacks("contents"), "the token lacks contents: write", "grant `contents: write`"),
    "issues": (lacks("issues"), "the token lacks issues: write", "grant `issues: write`"),
    "pulls": (lacks("pull_requests"), "the token lacks pull-requests: write", "grant `pull-requests: write`"),
    "setting": (may_not_open, "GitHub Actions may not open pull requests", "Settings, Actions, General"),
    "signed": (rule("required_signatures"), "signed commits are required on orchestrator/issue-1", "ruleset 1"),
    "creation": (rule("creation"), "nobody may make branches such as orchestrator/issue-1", "orchestrator/**"),
    "name": (rule("branch_name_pattern", pattern="feature/"), "the name 'orchestrator/issue-1", "ruleset 1"),
    "author": (
        rule("commit_author_email_pattern", operator="ends_with", pattern="@octo.example"),
        "the author 'orchestrator-action[bot]@users.noreply.github.com' is refused", "ruleset 1",
    ),
}  # fmt: skip


def label_and_run(runner: Runner, **inputs: str) -> Stepped:
    issue = runner.github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    return runner.step(event="issues", payload=runner.labeled(issue.number), **inputs)


def no_agent_ran(github: GitHubServer) -> bool:
    """Nothing was taken: the label stands, and no branch was pushed."""
    return github.state.issues[1].labels == ["orchestrate"] and not github.state.git(
        "branch", "--list", "orch*"
    )


@pytest.mark.parametrize("name", WANTS)
def test_what_the_forge_would_refuse_ends_the_run_at_once(runner: Runner, github: GitHubServer, name: str):
    """Exit code 4, one task, blocked; the label stays, and one comment says what to do where one may be written."""
    wrong, found, cure = WANTS[name]
    wrong(github)

    done = label_and_run(runner)

    assert (4, "blocked", True) == (done.code, done.status(1), no_agent_ran(github)), done.log
    [task] = done.report["tasks"]
    assert found in task["error"] and cure in task["error"] and 0 == task["attempts"]
    told = [c.body for c in github.state.comments.values()]
    assert len(told) == (0 if name == "issues" else 1), "archived or not, the server here takes comments"
    assert all("not started" in body for body in told)


def test_a_ruleset_that_the_token_may_bypass_is_in_nobodys_way(runner: Runner, github: GitHubServer):
    rule("required_signatures")(github)
    github.state.bypass = "always"

    done = label_and_run(runner)

    assert (0, "success") == (done.code, done.status(1)), done.log


def test_a_rule_that_the_branch_keeps_is_in_nobodys_way(runner: Runner, github: GitHubServer):
    rule("branch_name_pattern", pattern="orchestrator/")(github)
    rule("branch_name_pattern", operator="regex", pattern="^wip", negate=True)(github)

    done = label_and_run(runner, dry_run="true")

    assert (0, "neutral") == (done.code, done.outputs["conclusion"]), done.log


def test_an_agent_without_its_key_is_not_started_and_the_secret_is_named(runner: Runner, library: Repo):
    runner.env["PATH"] = f"{fake_claude(runner)}:{runner.environment('run', '', None, {})[0]['PATH']}"

    done = label_and_run(runner, agent="claude")

    assert (6, "blocked", True) == (done.code, done.status(1), no_agent_ran(runner.github)), done.log
    error = done.report["tasks"][0]["error"]
    assert (
        "the agent claude has no key" in error
        and "anthropic-api-key: ${{ secrets.ANTHROPIC_API_KEY }}" in error
    )


def fake_claude(runner: Runner) -> str:
    """A program of that name which is never to be started."""
    folder = runner.temp / "bin"
    folder.mkdir()
    (folder / "claude").write_text("#!/bin/sh\nexit 1\n")
    (folder / "claude").chmod(0o755)
    return str(folder)


def test_an_agent_that_is_not_installed_is_said_on_the_issue(runner: Runner, github: GitHubServer):
    runner.env["PATH"] = "/usr/bin:/bin"

    done = label_and_run(runner, agent="claude", anthropic_api_key="sk-none")

    assert (6, "blocked", True) == (done.code, done.status(1), no_agent_ran(github)), done.log
    [told] = [c.body for c in github.state.comments.values()]
    assert "is not installed" in told


def test_a_dry_run_says_what_is_in_the_way(runner: Runner, github: GitHubServer):
    """So a first run by hand shows whether the repository is ready."""
    may_not_open(github)

    done = label_and_run(runner, dry_run="true")

    assert (4, "failure") == (done.code, done.outputs["conclusion"])
    assert "GitHub Actions may not open pull requests" in done.log
    assert not github.state.comments


def test_once_mended_the_next_run_takes_the_issue(runner: Runner, github: GitHubServer):
    may_not_open(github)
    label_and_run(runner)
    github.state.may_open_pulls = True

    done = runner.step()

    assert (0, "success") == (done.code, done.status(1)), done.log


def doctor(runner: Runner, *args: str, token: str | None = None) -> tuple[int, str]:
    github = runner.github
    given = {"GITHUB_API_URL": github.url, "GITHUB_SERVER_URL": github.url}
    if token != "":
        given["GITHUB_TOKEN"] = token or github.token
    kept = {k: os.environ[k] for k in ("PATH", "HOME", "LANG", "TMPDIR") if k in os.environ}
    done = subprocess.run(
        [sys.executable, "-I", "-m", "orchestrator_action.cli.main", "doctor", *args],
        cwd=runner.repo.path, env={**kept, **given}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", WANTS)
def test_doctor_is_never_green_where_a_run_cannot_work(runner: Runner, github: GitHubServer, name: str):
    wrong, found, cure = WANTS[name]
    wrong(github)

    code, said = doctor(runner, "--agent", "patch", "--forge", "github")

    assert (2, True, True) == (code, f": {found}" in said and "FAIL" in said, cure in said), said
    assert not github.state.issues and not github.state.labels, "doctor changes nothing"


def test_doctor_is_green_where_a_run_works(runner: Runner):
    code, said = doctor(runner, "--agent", "patch", "--forge", "github")

    assert (0, False) == (code, "FAIL" in said), said
    assert "ok   permission contents: write: the token has it" in said


@pytest.mark.parametrize(("token", "found"), [("", "give a token"), ("wrong", "401")])
def test_doctor_names_a_token_that_is_missing_or_wrong(runner: Runner, token: str, found: str):
    code, said = doctor(runner, "--agent", "patch", "--forge", "github", token=token)

    assert (2, True) == (code, found in said), said
