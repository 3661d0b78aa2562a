"""A step of the Action from its environment to what stands on GitHub afterwards."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from orchestrator_action.action.modes import APART_S
from tests.agents.test_command import HONEST, REVIEWER, SCRIPT
from tests.kit.github_server import PAT
from tests.kit.repos import git
from tests.kit.runner import Runner, example
from tests.kit.whole import GOOD, LIBRARY, LIES, alive, new_file

LIVE = re.compile(r"\d\d:\d\d:\d\d (issue-\d+) \S")
REQUESTS_A_TASK = 11
"""GraphQL's and answers 304 counted too; what is asked for all tasks at once is the run's. One of them makes sure
that an issue whose claim cannot be written down is found again."""


def test_a_labelled_issue_becomes_a_verified_pull(runner: Runner):
    github = runner.github
    issue = github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))

    done = runner.step(event="issues", payload=runner.labeled(issue.number))

    assert (0, "success") == (done.code, done.outputs["conclusion"]), done.log
    [pull] = [i for i in github.state.issues.values() if i.pull]
    head = github.state.sha_of(pull.pull.head)
    [check] = github.state.checks.values()
    assert ("completed", "success", head) == (check.status, check.conclusion, check.head_sha)
    assert ["orchestrate:done"] == issue.labels
    assert [str(pull.number)] == done.outputs["pull-requests"].strip("[]").split(", ")
    assert ("1", "0") == (done.outputs["succeeded"], done.outputs["failed"])
    [comment] = github.state.comments_on(issue.number)
    assert "state=done" in comment.body.splitlines()[1]
    assert "```mermaid\ngantt" in done.summary
    assert done.report["run_id"] == done.outputs["run-id"]
    assert json.loads(Path(done.outputs["report-path"]).read_text())["run_id"] == done.outputs["run-id"]
    assert [] == alive(runner.repo.path, runner.temp)


def test_a_token_that_a_checkout_left_behind_is_refused(runner: Runner):
    """In the configuration itself, or in a file that it includes, as newer versions of it do."""
    issue = runner.github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    key = f"http.{runner.github.url}/.extraheader"
    left = runner.temp / "git-credentials.config"
    git(runner.repo.path, "config", "--file", str(left), key, "AUTHORIZATION: basic eDp5")
    git(runner.repo.path, "config", f"includeIf.gitdir:{runner.repo.path}/.git.path", str(left))

    done = runner.step()

    assert (2, "failure", ["orchestrate"]) == (done.code, done.outputs["conclusion"], issue.labels), done.log
    assert "persist-credentials: false" in done.log


def test_a_token_that_a_checkout_keeps_in_the_runners_files_is_refused(runner: Runner):
    """As actions/checkout does since v6; also when it was another repository's, which our git knows nothing of."""
    issue = runner.github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    left = runner.temp / "git-credentials-0b8e3c1e.config"
    left.write_text('[http "https://github.com/"]\n\textraheader = AUTHORIZATION: basic eDp5\n')

    done = runner.step()

    assert (2, ["orchestrate"]) == (done.code, issue.labels), done.log
    assert left.name in done.log and "persist-credentials: false" in done.log


def test_the_log_says_what_each_task_does_while_it_does_it(runner: Runner):
    """Lines with their time, at most one in two seconds for each task; none in the fold with an agent's output."""
    for title in ("Add more", "Add much"):
        runner.github.state.add_issue(title, GOOD, user="octo", labels=("orchestrate",))

    done = runner.step()

    lines = done.log.splitlines()
    wall = {t["task_id"]: t["wall_s"] for t in done.report["tasks"]}
    for task in ("issue-1", "issue-2"):
        [ended] = [n for n, line in enumerate(lines) if re.match(rf"{task}: \S+ after ", line)]
        own = [n for n, line in enumerate(lines) if (found := LIVE.match(line)) and found[1] == task]
        assert own and own[-1] < ended, done.log
        assert len(own) <= wall[task] / APART_S + 2, done.log
    inside = False
    for line in lines:
        inside = (inside or line.startswith("::group::")) and line != "::endgroup::"
        assert not (inside and LIVE.match(line)), done.log


def test_an_agents_failure_is_the_steps_with_a_summary(runner: Runner):
    issue = runner.github.state.add_issue("Treble", LIES, user="octo", labels=("orchestrate",))

    done = runner.step()

    assert (1, "failure", "0", "1") == (
        done.code, done.outputs["conclusion"], done.outputs["succeeded"], done.outputs["failed"],
    ), done.log  # fmt: skip
    assert ["orchestrate:failed"] == issue.labels
    assert "::warning" in done.log and "Needs you" in done.summary


def test_nothing_to_do_is_no_failure(runner: Runner):
    done = runner.step()

    assert (0, "neutral") == (done.code, done.outputs["conclusion"]), done.log


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"issue": "x7"}, "issue"), ({"max_parallel": "many"}, "max-parallel"), ({"timeout": "soon"}, "timeout"),
        ({"edited_after_label": "maybe"}, "edited-after-label"), ({"agent": "nobody"}, "no agent 'nobody'"),
        ({"github_token": ""}, "no token"), ({"path": "not-there"}, "not-there"),
    ],
)  # fmt: skip
def test_a_wrong_input_is_named(runner: Runner, inputs: dict[str, str], words: str):
    runner.github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))

    done = runner.step(**inputs)

    assert done.code in {2, 5} and "failure" == done.outputs["conclusion"], done.log
    assert "::error" in done.log and words in done.log and "Traceback" not in done.log


def test_inputs_are_only_ever_data(runner: Runner, tmp_path: Path):
    """What looks like shell, an option or a workflow command does nothing."""
    for hostile in (
        f"$(touch {tmp_path}/pwned)",
        f"; touch {tmp_path}/pwned",
        "--help",
        "::error::x",
        "a\nb=c",
    ):
        runner.step(label=hostile, base_branch=hostile)

    assert not (tmp_path / "pwned").exists()


def test_what_an_agent_prints_is_no_command_and_no_secret(runner: Runner):
    """The test command prints commands of every form, the broker's words and a key."""
    lines = "::error::gotcha\\n##[error]gotcha\\n  ::set-output name=x::y\\n" + runner.github.token
    config = f"agent: patch\ntest: \"printf '{lines}\\n1 failed, 0 passed\\n'; false\"\n"
    (runner.repo.path / ".github/orchestrator.yml").write_text(config)
    git(runner.repo.path, "commit", "-qam", "loud")
    git(runner.repo.path, "push", "-q", str(runner.repo.remote), "HEAD:main")
    runner.github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))

    done = runner.step()

    foreign = [line for line in done.log.splitlines() if "gotcha" in line]
    assert not [
        line for line in foreign if line.lstrip().startswith("::") and "title=orchestrator" not in line
    ]
    assert not [line for line in foreign if "##[" in line]
    assert runner.github.token not in done.log + done.summary + done.outputs["results"]


def test_ci_that_did_not_start_is_never_called_green(runner: Runner):
    """Runs on what GITHUB_TOKEN pushes wait for a person; a named workflow is started instead."""
    github = runner.github
    github.state.workflows.add("ci.yml")
    for number, more in enumerate(({}, {"ci_workflow": "ci.yml"}, {"github_token": PAT}), 1):
        text = new_file(f"m{number}.py")
        github.state.add_issue("Add", text, user="octo", labels=("orchestrate",))
        runner.step(**more)
    pulls = [i.number for i in github.state.issues.values() if i.pull]
    said = [github.state.comments_on(n)[-1].body for n in pulls]

    assert [True, False, False] == ["CI has not run on this pull" in body for body in said]
    assert "Two ways without that" in said[0] and "was asked to run" in said[1]
    [dispatched] = github.state.dispatched
    assert ("ci.yml", True) == (dispatched["workflow"], dispatched["ref"].startswith("orchestrator/"))


@pytest.mark.usefixtures("graphql")
@pytest.mark.parametrize("tasks", [1, 4])
def test_the_requests_of_a_task_are_within_what_is_told(runner: Runner, tasks: int):
    """The label's event starts it; everything that came in from the listing on is counted."""
    github = runner.github
    for name in ("running", "done"):  # made once in a repository's life
        github.state.label(f"orchestrate:{name}")
    for number in range(tasks):
        github.state.add_issue("Add", new_file(f"m{number}.py"), user="octo", labels=("orchestrate",))

    done = runner.step(event="issues", payload=runner.labeled(1))

    shared, made = github.split()
    assert "success" == done.outputs["conclusion"], done.log
    assert made <= REQUESTS_A_TASK * tasks and shared <= 11, (made, shared, github.by_operation())
    print(f"{made} requests for {tasks} task(s), {made / tasks:.1f} each, and {shared} for all")


@pytest.mark.parametrize(("breaks", "conclusion"), [(False, "success"), (True, "failure")])
def test_a_persons_push_is_judged_again_at_its_head(
    runner: Runner, tmp_path: Path, breaks: bool, conclusion: str
):
    github = runner.github
    github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    runner.step()
    [pull] = [i for i in github.state.issues.values() if i.pull]
    mine = tmp_path / "mine"
    git(tmp_path, "clone", "-q", "-b", pull.pull.head, str(runner.repo.remote), str(mine))
    if breaks:
        (mine / "numbers_.py").write_text("def double(n):\n    return n * 7\n")
    git(mine, "commit", "-qam", "By hand", "--allow-empty")
    git(mine, "push", "-q", "origin", "HEAD")
    payload = example("pull_request", "synchronize")
    payload["pull_request"]["head"] |= {"ref": pull.pull.head, "repo": {"full_name": github.repository}}
    payload["pull_request"]["number"] = pull.number
    payload["repository"]["full_name"] = github.repository

    done = runner.step("verify", event="pull_request", payload=payload)

    head = github.state.sha_of(pull.pull.head)
    checks = [c.conclusion for c in github.state.checks.values() if c.head_sha == head]
    assert (conclusion, [conclusion]) == (done.outputs["conclusion"], checks), done.log


def test_root_in_a_container_works_in_a_checkout_of_the_runners_user(runner: Runner, tmp_path: Path):
    """git refuses other people's folders; the job's own checkout is no stranger's."""
    if os.geteuid() != 0:
        pytest.skip("only root may give a folder away")
    home = tmp_path / "home"
    home.mkdir()
    runner.env["HOME"] = str(home)
    for path in (runner.repo.path, runner.repo.path / ".git"):
        os.chown(path, 1001, 1001)
    issue = runner.github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))

    assert 0 == runner.step("prepare").code
    done = runner.step()

    assert ("success", ["orchestrate:done"]) == (done.outputs["conclusion"], issue.labels), done.log
    assert [str(runner.repo.path)] == git(tmp_path, "config", "--file", str(home / ".gitconfig"),
                                          "--get-all", "safe.directory").splitlines()  # fmt: skip


def configure(runner: Runner, text: str) -> None:
    """Make `text` the configuration of the base commit, beside the test command."""
    given = LIBRARY[".github/orchestrator.yml"] + text
    runner.repo.commit({".github/orchestrator.yml": given}, "Configure")
    git(runner.repo.path, "push", "-q", str(runner.repo.remote), "HEAD:main")


def test_a_verified_pull_request_is_ready_where_the_repository_says_so(runner: Runner):
    configure(runner, "ready: verified\n")
    runner.github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))

    done = runner.step()

    [pull] = [i for i in runner.github.state.issues.values() if i.pull]
    assert ("success", False) == (done.status(1), pull.pull.draft), done.log


def test_a_commit_that_leaves_workflows_out_is_named_on_the_pull_request(runner: Runner, tmp_path: Path):
    """GitHub reads the last commit's message, and no agent's commit is written anew."""
    script = tmp_path / "agent.sh"
    head, rest = (
        SCRIPT.replace("CHANGE", HONEST).replace("Add triple'", "Add triple [skip ci]'").split("\n", 1)
    )
    script.write_text(f"{head}\n{REVIEWER}{rest}")
    script.chmod(0o755)
    configure(
        runner, f"agent: command\nagent-command: {{argv: [{script}, '{{prompt_file}}']}}\nready: verified\n"
    )
    runner.github.state.add_issue("Add triple", "Please.", user="octo", labels=("orchestrate",))

    done = runner.step(agent="command")

    [pull] = [i for i in runner.github.state.issues.values() if i.pull]
    [told] = [c.body for c in runner.github.state.comments_on(pull.number)]
    assert "success" == done.status(1), done.log
    assert "asks GitHub to leave workflows out" in told and "[skip ci]" not in pull.title


def test_the_reviewers_programs_are_installed_beside_the_agents(runner: Runner):
    """Each at the version of its own input; what needs none is left out."""
    (runner.repo.path / ".github").mkdir(exist_ok=True)
    (runner.repo.path / ".github" / "orchestrator.yml").write_text("reviewers: [codex, claude, patch]\n")
    runner.env["PATH"] = "/usr/bin:/bin"

    done = runner.step("prepare", agent="codex", codex_version="0.1.0", claude_version="2.0.0")

    assert "@openai/codex@0.1.0 @anthropic-ai/claude-code@2.0.0" == done.outputs["npm-packages"], done.log


@pytest.mark.parametrize("given", [{}, {"candidates": "gemini, patch"}], ids=["configured", "by the input"])
def test_the_candidates_programs_are_installed_too(runner: Runner, given: dict[str, str]):
    """What the input names counts before the configuration; a number names no program."""
    (runner.repo.path / ".github").mkdir(exist_ok=True)
    names = "3" if given else "[gemini, patch]"
    (runner.repo.path / ".github" / "orchestrator.yml").write_text(f"candidates: {names}\n")
    runner.env["PATH"] = "/usr/bin:/bin"

    done = runner.step("prepare", agent="codex", codex_version="0.1.0", gemini_version="0.2.0", **given)

    assert "@openai/codex@0.1.0 @google/gemini-cli@0.2.0" == done.outputs["npm-packages"], done.log
