"""What makes success impossible ends a run before an agent is paid: each want alone, named with its cure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.kit.github_server import PAT, GitHubServer
from tests.kit.github_server.state import ACTIONS_PERMISSIONS, Issue, Viewer
from tests.kit.runner import Runner, Stepped
from tests.kit.whole import GOOD

Break = Callable[[Runner], object]


def lacks(permission: str) -> Break:
    def take(runner: Runner) -> None:
        given = {**ACTIONS_PERMISSIONS, permission: "read"}
        runner.github.state.tokens[runner.github.token] = Viewer("github-actions[bot]", "actions", given)

    return take


def rule(kind: str, **parameters: Any) -> Break:
    def add(runner: Runner) -> None:
        given = {"parameters": parameters} if parameters else {}
        runner.github.state.rules.append({"type": kind, **given})

    return add


def setting(name: str, value: Any) -> Break:
    return lambda runner: setattr(runner.github.state, name, value)


def branch(*words: str) -> Break:
    """Something done to the branches of the remote."""
    return lambda runner: runner.github.state.git(*words)


def configured(text: str, path: str = ".github/orchestrator.yml") -> Break:
    """More of a file in the base commit."""

    def add(runner: Runner) -> None:
        before = runner.repo.path / path
        runner.repo.commit({path: (before.read_text() if before.exists() else "") + text}, "Configure")
        runner.repo.git("push", "-q", str(runner.repo.remote), "HEAD:main")

    return add


def untested(runner: Runner) -> None:
    runner.repo.git("rm", "-rq", "tests", ".github")
    runner.repo.git("commit", "-qm", "Leave the tests out")
    runner.repo.git("push", "-q", str(runner.repo.remote), "HEAD:main")


def without(program: str) -> Break:
    """A machine that has everything but one program."""

    def hide(runner: Runner) -> None:
        folder = runner.temp / "programs"
        folder.mkdir()
        for one in [p for d in ("/bin", "/usr/bin", "/usr/local/bin") for p in Path(d).iterdir()]:
            if one.name != program and not (folder / one.name).is_symlink():
                (folder / one.name).symlink_to(one)
        runner.env["PATH"] = str(folder)

    return hide


def has_claude(runner: Runner) -> None:
    """A program of that name which is never to be started."""
    folder = runner.temp / "bin"
    folder.mkdir()
    (folder / "claude").write_text("#!/bin/sh\nexit 1\n")
    (folder / "claude").chmod(0o755)
    runner.env["PATH"] = f"{folder}:{runner.environment('run', '', None, {})[0]['PATH']}"


@dataclass(frozen=True, kw_only=True)
class Want:
    """Something that makes every success impossible, and what each door says of it."""

    wrong: Break
    code: int
    """Of `run` and of the Action; `doctor` always ends with 2."""
    found: str
    cure: str
    agent: str = "patch"
    doctor: tuple[str, ...] = ()
    """More of its options; it looks at no issue, so what is wrong with one it cannot know."""
    by_doctor: bool = True
    told: int = 1
    """Comments afterwards; none where none may be written."""


STARTS = {"operator": "starts_with"}
ENDS = {"operator": "ends_with"}
WANTS: dict[str, Want] = {
    "agent": Want(
        wrong=without("codex"), agent="codex", code=6, found="program 'codex' is not installed", cure="npm install -g"
    ),
    "key": Want(
        wrong=has_claude, agent="claude", code=6, found="the agent claude has no key: ANTHROPIC_API_KEY",
        cure="ANTHROPIC_API_KEY",
    ),
    "contents": Want(
        wrong=lacks("contents"), code=4, found="the token lacks contents: write", cure="grant `contents: write`"
    ),
    "issues": Want(
        wrong=lacks("issues"), code=4, found="the token lacks issues: write", cure="grant `issues: write`", told=0
    ),
    "pulls": Want(
        wrong=lacks("pull_requests"), code=4, found="the token lacks pull-requests: write",
        cure="grant `pull-requests: write`",
    ),
    "setting": Want(
        wrong=setting("may_open_pulls", False), code=4, found="GitHub Actions may not open pull requests",
        cure="Settings, Actions, General",
    ),
    "archived": Want(
        wrong=setting("archived", True), code=4, found="octo/demo is archived", cure="unarchive it"
    ),
    "disabled": Want(
        wrong=setting("disabled", True), code=4, found="octo/demo is disabled by GitHub", cure="support"
    ),
    "default branch": Want(
        wrong=branch("update-ref", "-d", "refs/heads/main"), code=2, found="has no default branch", cure="--base",
    ),
    "base branch": Want(
        wrong=configured("base-branch: develop\n"), code=2, found="branch 'develop' does not exist",
        cure="base-branch",
    ),
    "branch in the way": Want(
        wrong=branch("branch", "orchestrator", "main"), code=4, found="the remote has a branch 'orchestrator'",
        cure="rename it",
    ),
    "locked conversation": Want(
        wrong=lambda runner: setattr(runner.github.state.issues[1], "locked", True), code=4,
        found="the conversation of #1 is locked", cure="unlock the conversation", by_doctor=False, told=0,
    ),
    "signed": Want(
        wrong=rule("required_signatures"), code=4, found="signed commits are required on orchestrator/issue-1",
        cure="ruleset 1",
    ),
    "creation": Want(
        wrong=rule("creation"), code=4, found="nobody may make branches such as orchestrator/issue-1",
        cure="orchestrator/**",
    ),
    "update": Want(
        wrong=rule("update"), code=4, found="nobody may update branches such as orchestrator/issue-1",
        cure="orchestrator/**",
    ),
    "status checks": Want(
        wrong=rule(
            "required_status_checks", required_status_checks=[{"context": "ci"}],
            strict_required_status_checks_policy=False,
        ),
        code=4, found="status checks are required on orchestrator/issue-1", cure="orchestrator/**",
    ),
    "name": Want(
        wrong=rule("branch_name_pattern", pattern="feature/", **STARTS), code=4,
        found="the name 'orchestrator/issue-1", cure="ruleset 1",
    ),
    "author": Want(
        wrong=rule("commit_author_email_pattern", pattern="@octo.example", **ENDS), code=4,
        found="the author 'orchestrator-action[bot]@users.noreply.github.com' is refused", cure="ruleset 1",
    ),
    "isolation": Want(
        wrong=lambda runner: [do(runner) for do in (configured("isolation: required\n"), without("bwrap"))],
        code=6, found="isolation is required and does not hold", cure="bubblewrap",
    ),
    "configuration": Want(
        wrong=configured("nonsense: 1\n"), code=2, found="unknown key 'nonsense'", cure=""
    ),
    "no tests": Want(wrong=untested, code=2, found="no test command", cure="set `test"),
    "set-up at the base": Want(
        wrong=configured('setup: ["echo no compiler; false"]\n'), code=2, found="failed: exit 1: no compiler",
        cure="", doctor=("--tests",),
    ),
}  # fmt: skip


def label_and_run(runner: Runner, **inputs: str) -> Stepped:
    issue = runner.github.state.issues.get(1) or add_issue(runner)
    return runner.step(event="issues", payload=runner.labeled(issue.number), **inputs)


def add_issue(runner: Runner) -> Issue:
    return runner.github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))


def nothing_was_taken(github: GitHubServer) -> bool:
    """The label stands, and no branch was pushed."""
    pushed = github.state.git("branch", "--list", "orchestrator/*")
    return github.state.issues[1].labels == ["orchestrate"] and not pushed


def command(runner: Runner, *args: str, token: str | None = None) -> tuple[int, str]:
    """A command as a user gives it in the checkout, and what it says."""
    github = runner.github
    given = {"GITHUB_API_URL": github.url, "GITHUB_SERVER_URL": github.url, "RUNNER_TEMP": str(runner.temp)}
    if token != "":
        given["GITHUB_TOKEN"] = token or github.token
    kept = {k: os.environ[k] for k in ("PATH", "HOME", "LANG", "TMPDIR") if k in os.environ}
    done = subprocess.run(
        [sys.executable, "-I", "-m", "orchestrator_action.cli.main", *args, "--forge", "github"],
        cwd=runner.repo.path, env={**kept, **given, **runner.env}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", WANTS)
def test_each_want_is_one_line_at_every_door_before_anything_is_taken(
    runner: Runner, github: GitHubServer, name: str
):
    """`doctor`, `run` and the Action: exit code, cause and cure; the label stays, and one comment says it."""
    want = WANTS[name]
    add_issue(runner)
    want.wrong(runner)

    code, said = command(runner, "doctor", "--agent", want.agent, *want.doctor)
    if want.by_doctor:
        rows = [line for line in said.splitlines() if line.startswith("FAIL ") and want.found in line]
        assert (2, 1, True) == (code, len(rows), want.cure in said), said
        assert 1 >= sum(line.startswith("FAIL branches:") for line in said.splitlines()), said
    assert not github.state.comments, "doctor changes nothing"

    code, said = command(runner, "run", "--agent", want.agent, "--label", "orchestrate")
    assert (want.code, True, True) == (code, want.found in said, want.cure in said), said
    assert nothing_was_taken(github) and want.told == len(github.state.comments), said

    done = label_and_run(runner, agent=want.agent)
    assert (want.code, "failure", True) == (done.code, done.outputs["conclusion"], want.found in done.log), (
        done.log
    )
    assert nothing_was_taken(github) and want.cure in done.log, done.log
    [task] = done.report["tasks"]
    assert ("blocked", 0) == (task["status"], task["attempts"]) and want.found in task["error"]
    told = [c.body for c in github.state.comments.values()]
    assert want.told == len(told) and all("not started" in body for body in told), told


@pytest.mark.parametrize("name", ["archived", "signed", "branch in the way"])
def test_the_first_of_four_steps_takes_nothing_that_will_be_refused(
    runner: Runner, github: GitHubServer, tmp_path: Path, name: str
):
    """Its job's token may neither push nor propose, so that is no want there."""
    want = WANTS[name]
    add_issue(runner)
    lacks("contents")(runner)
    plan = ("plan", "--label", "orchestrate", "--agent", "patch", "--out", str(tmp_path / "plan.json"))
    want.wrong(runner)

    code, said = command(runner, *plan)

    assert (4, True, True) == (code, want.found in said, want.cure in said), said
    assert nothing_was_taken(github) and 1 == len(github.state.comments)


@pytest.mark.parametrize(
    "wrong", ["nonsense: 1\n", "test: [\n", "\tagent: x\n"], ids=["key", "syntax", "tab"]
)
def test_an_issue_with_a_label_of_another_name_is_told_too_where_the_configuration_cannot_be_read(
    runner: Runner, github: GitHubServer, wrong: str
):
    issue = runner.github.state.add_issue("Add more", GOOD, user="octo", labels=("agent-please",))
    (runner.repo.path / ".github/orchestrator.yml").unlink()
    configured(f"label: agent-please\n{wrong}")(runner)

    done = runner.step(event="issues", payload=runner.labeled(1, "agent-please"))

    assert (2, "failure", "blocked") == (done.code, done.outputs["conclusion"], done.status(1)), done.log
    assert ["agent-please"] == issue.labels and 1 == len(github.state.comments_on(1))


@pytest.mark.parametrize("name", ["base branch", "configuration", "default branch", "isolation"])
def test_the_first_of_four_steps_says_on_the_issue_what_it_cannot_begin_with(
    runner: Runner, github: GitHubServer, tmp_path: Path, name: str
):
    add_issue(runner)
    WANTS[name].wrong(runner)

    code, said = command(runner, "plan", "--agent", "patch", "--out", str(tmp_path / "plan.json"))

    assert (WANTS[name].code, True) == (code, WANTS[name].found in said), said
    assert nothing_was_taken(github) and 1 == len(github.state.comments_on(1))


@pytest.mark.parametrize("alone", [True, False])
def test_the_first_of_four_steps_leaves_out_what_is_wrong_with_one_issue(
    runner: Runner, github: GitHubServer, tmp_path: Path, alone: bool
):
    """A locked conversation, and a label with an agent that nobody knows: their labels stay, and the others go on."""
    locked, unknown = add_issue(runner), add_issue(runner)
    locked.locked = True
    github.state.set_label(unknown, "orchestrate-agent:nobody", actor="octo")
    other = None if alone else add_issue(runner)

    code, said = command(runner, "plan", "--agent", "patch", "--out", str(tmp_path / "plan.json"))

    assert (4 if alone else 0) == code, said
    assert "issue-1: left out: the conversation of #1 is locked" in said
    assert "issue-2: left out: " in said and "nobody" in said
    assert ["orchestrate"] == locked.labels and "orchestrate" in unknown.labels
    assert (0, 1) == tuple(len(github.state.comments_on(n)) for n in (1, 2))
    if other is not None:
        assert ["orchestrate:running"] == other.labels
        assert ["issue-3"] == [t["id"] for t in json.loads((tmp_path / "plan.json").read_text())["tasks"]]


def test_a_flag_that_is_wrong_is_told_to_nobody_but_who_gave_it(runner: Runner, github: GitHubServer):
    add_issue(runner)

    code, said = command(runner, "run", "--agent", "patch", "--max-turns", "-1")

    assert (2, True, 0) == (code, "max-turns" in said, len(github.state.comments)), said


def test_a_ruleset_that_the_token_may_bypass_is_in_nobodys_way(runner: Runner, github: GitHubServer):
    rule("required_signatures")(runner)
    github.state.bypass = "always"

    done = label_and_run(runner)

    assert (0, "success") == (done.code, done.status(1)), done.log


def test_a_rule_that_the_branch_keeps_is_in_nobodys_way(runner: Runner, github: GitHubServer):
    rule("branch_name_pattern", pattern="orchestrator/", **STARTS)(runner)
    rule("branch_name_pattern", operator="regex", pattern="^wip", negate=True)(runner)

    done = label_and_run(runner, dry_run="true")

    assert (0, "neutral") == (done.code, done.outputs["conclusion"]), done.log


def test_the_action_names_secret_and_input_of_a_key(runner: Runner):
    has_claude(runner)

    done = label_and_run(runner, agent="claude")

    assert "anthropic-api-key: ${{ secrets.ANTHROPIC_API_KEY }}" in done.report["tasks"][0]["error"], done.log


def test_a_dry_run_says_what_is_in_the_way(runner: Runner, github: GitHubServer):
    """So a first run by hand shows whether the repository is ready."""
    github.state.may_open_pulls = False

    done = label_and_run(runner, dry_run="true")

    assert (4, "failure") == (done.code, done.outputs["conclusion"])
    assert "GitHub Actions may not open pull requests" in done.log
    assert not github.state.comments


def test_once_mended_the_next_run_takes_the_issue(runner: Runner, github: GitHubServer):
    github.state.may_open_pulls = False
    label_and_run(runner)
    github.state.may_open_pulls = True

    done = runner.step()

    assert (0, "success") == (done.code, done.status(1)), done.log


def test_a_persons_token_may_speak_in_a_locked_conversation(runner: Runner, github: GitHubServer):
    add_issue(runner).locked = True

    code, said = command(runner, "run", "--agent", "patch", "--dry-run", token=PAT)

    assert (0, False) == (code, "in the way" in said), said


def test_a_branch_below_the_one_that_would_be_pushed_leaves_another_name(
    runner: Runner, github: GitHubServer
):
    """git keeps refs as files and folders: where there is a folder there is no file."""
    branch("branch", "orchestrator/issue-1-add-more/old", "main")(runner)

    done = label_and_run(runner)

    assert (0, "orchestrator/issue-1-add-more-2") == (done.code, done.report["tasks"][0]["branch"]), done.log


def test_doctor_names_a_label_that_nobody_could_set(runner: Runner, github: GitHubServer):
    code, said = command(runner, "doctor", "--agent", "patch")

    assert (2, True) == (code, "FAIL label: the repository has no label 'orchestrate'" in said), said
    assert "init --github" in said and not github.state.labels, "doctor changes nothing"


def test_a_repository_that_is_locked_says_so_in_githubs_words(runner: Runner, github: GitHubServer):
    github.fail("403", "POST", "", times=3, body={"message": "Repository has been locked for migration."})

    code, said = command(runner, "doctor", "--agent", "patch")

    assert 2 == code and "FAIL repository: octo/demo is locked: " in said, said
    assert "Repository has been locked for migration." in said


def test_doctor_is_green_where_a_run_works(runner: Runner, github: GitHubServer):
    github.state.label("orchestrate")

    code, said = command(runner, "doctor", "--agent", "patch", "--tests")

    assert (0, False) == (code, "FAIL" in said), said
    assert "ok   permission contents: write: the token has it" in said
    assert "ok   tests at the base: set-up and tests work at main" in said


@pytest.mark.parametrize(("token", "found"), [("", "GitHub needs a token"), ("wrong", "401")])
def test_doctor_names_a_token_that_is_missing_or_wrong(runner: Runner, token: str, found: str):
    code, said = command(runner, "doctor", "--agent", "patch", token=token)

    assert (2, True) == (code, found in said), said
