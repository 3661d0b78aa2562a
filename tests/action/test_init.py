"""`orchestrator-action init`: a diff first, then files; what is there stays."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from orchestrator_action.cli.init import KINDS
from orchestrator_action.cli.init_workflow import Wishes, fit, of_checkout
from orchestrator_action.config.load import load_text
from orchestrator_action.config.schema import STATE_LABELS
from tests.conftest import NPM, need
from tests.kit.act import PROJECT
from tests.kit.github_server import PAT, GitHubServer
from tests.kit.repos import Repo
from tests.kit.runner import RUN_ID, Runner, checked_out
from tests.kit.whole import GOOD, LIBRARY


def init(repo: Repo, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-m", "orchestrator_action.cli.main", "init", *args],
        cwd=repo.path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def fresh(make) -> Repo:
    return make({k: v for k, v in LIBRARY.items() if not k.startswith(".github")})


@pytest.mark.parametrize("kind", KINDS)
def test_the_workflow_is_the_example_and_the_configuration_names_the_tests(fresh: Repo, kind: str):
    done = init(fresh, kind, "--yes")

    example, target = KINDS[kind]
    assert 0 == done.returncode, done.stderr
    assert (PROJECT / "examples" / example).read_bytes() == (fresh.path / target).read_bytes()
    config = load_text((fresh.path / ".github/orchestrator.yml").read_text(), source="config")
    assert config.test and "unittest" in config.test[0].command
    assert f"+++ b/{target}" in done.stderr and "--- /dev/null" in done.stderr


def test_a_workflow_that_waits_for_pushes_names_the_default_branch(fresh: Repo):
    """As it is known from the clone, or as it is given; without either the example's stands to be changed."""
    target = fresh.path / KINDS["check"][1]
    found = []
    for head, options in (("", ()), ("trunk", ()), ("trunk", ("--base", "release/2 x"))):
        if head:
            fresh.git("symbolic-ref", "refs/remotes/origin/HEAD", f"refs/remotes/origin/{head}")
        init(fresh, "check", "--yes", *options)
        found.append(yaml.safe_load(target.read_text())[True]["push"])
        target.unlink()

    assert [{"branches": [name]} for name in ("main", "trunk", "release/2 x")] == found


def test_a_form_for_issues_is_as_github_wants_it_and_sets_no_label(fresh: Repo):
    """Anybody may fill it in; the label, which starts an agent, is for those who may write."""
    done = init(fresh, "--issue-form", "--label", "robot please", "--yes")

    assert 0 == done.returncode, done.stderr
    form = fresh.path / ".github/ISSUE_TEMPLATE/agent-task.yml"
    checker = Path(sys.executable).with_name("check-jsonschema")
    held = subprocess.run(
        [checker, "--builtin-schema", "vendor.github-issue-forms", form], capture_output=True, text=True, timeout=60
    )  # fmt: skip
    assert 0 == held.returncode, held.stdout
    written = yaml.safe_load(form.read_text())
    assert "labels" not in written and "the label `robot please`" in written["body"][0]["attributes"]["value"]
    assert "`orchestrate`" not in form.read_text()


def test_what_comes_next_names_a_key_only_where_one_is_needed(fresh: Repo) -> None:
    """To check pull requests takes none."""
    check, label = init(fresh, "check", "--yes"), init(fresh, "label", "--yes")

    assert "\nnext: commit, push" in check.stderr and "ANTHROPIC" not in check.stderr.split("\nnext:")[1]
    assert "\nnext: add the secret ANTHROPIC_API_KEY" in label.stderr


def test_that_nothing_listens_to_comments_yet_is_said_as_long_as_it_is_so(fresh: Repo) -> None:
    said = "are heard after: orchestrator-action init comment"

    jobs, comment, schedule = (init(fresh, kind, "--yes") for kind in ("jobs", "comment", "schedule"))

    assert [True, False, False] == [said in done.stderr for done in (jobs, comment, schedule)]


def test_the_configuration_is_written_as_prettier_writes_it(fresh: Repo):
    """`npm test` of many a repository checks the style of every file: a list in braces would make it red."""
    init(fresh, "--yes")

    text = (fresh.path / ".github/orchestrator.yml").read_text()
    assert "  gates:\n    - name: tests\n      command: " in text
    assert not [line for line in text.splitlines() if "{" in line.partition("#")[0]]


def test_without_anybody_to_agree_only_the_diff_is_shown(fresh: Repo):
    done = init(fresh)

    assert (2, True) == (done.returncode, "+permissions: {}" in done.stderr)
    assert "hint: add --yes" in done.stderr
    assert "" == fresh.git("status", "--porcelain")


def test_what_is_there_is_never_overwritten(fresh: Repo):
    mine = fresh.path / ".github" / "workflows" / "orchestrate.yml"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine\n")

    done = init(fresh, "--yes")

    assert ("mine\n", 0) == (mine.read_text(), done.returncode)
    assert "stays as it is" in done.stderr and (fresh.path / ".github/orchestrator.yml").is_file()


def test_twice_is_once(fresh: Repo):
    init(fresh, "--yes")
    again = init(fresh, "--yes")

    assert (0, True) == (again.returncode, "nothing to write" in again.stderr)


def test_an_unknown_use_is_named(fresh: Repo):
    done = init(fresh, "nonsense", "--yes")

    assert (2, True) == (
        done.returncode,
        "one of label, jobs, comment, schedule, verify, check" in done.stderr,
    )


def a_file(root: Path, outside: Path) -> None:
    del outside
    (root / ".github").touch()


def a_way_out(root: Path, outside: Path) -> None:
    outside.mkdir()
    (root / ".github").symlink_to(outside)


def a_dangling_way_out(root: Path, outside: Path) -> None:
    (root / ".github").symlink_to(outside / "nowhere")


@pytest.mark.parametrize("there", [a_file, a_way_out, a_dangling_way_out])
def test_a_folder_that_is_none_is_named_and_nothing_is_written_elsewhere(
    fresh: Repo, tmp_path: Path, there: Callable[[Path, Path], None]
):
    outside = tmp_path / "outside"
    there(fresh.path, outside)

    done = init(fresh, "--yes")

    assert (2, True) == (done.returncode, "error: " in done.stderr and ".github" in done.stderr), done.stderr
    assert "bug of ours" not in done.stderr and [] == list(outside.glob("**/*"))


@pytest.fixture
def at_github(fresh: Repo, tmp_path: Path) -> Iterator[tuple[GitHubServer, Repo]]:
    """A fresh repository on the loopback GitHub, as GitHub makes one: Actions may not open pull requests."""
    with GitHubServer(fresh.remote) as server:
        server.state.may_open_pulls = False
        yield server, checked_out(server, fresh, tmp_path / "work")


def init_at(
    github: GitHubServer, repo: Repo, *args: str, token: str = PAT
) -> subprocess.CompletedProcess[str]:
    kept = {k: os.environ[k] for k in ("PATH", "HOME", "LANG", "TMPDIR") if k in os.environ}
    given = {"GITHUB_API_URL": github.url, "GITHUB_SERVER_URL": github.url, "GITHUB_TOKEN": token}
    return subprocess.run(
        [sys.executable, "-I", "-m", "orchestrator_action.cli.main", "init", "--github", *args], cwd=repo.path,
        env={**kept, **given}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_github_is_set_up_as_agreed_and_a_second_time_nothing_is_done(at_github):
    github, repo = at_github
    github.state.secrets.add("CLAUDE_CODE_OAUTH_TOKEN")

    done = init_at(github, repo, "--yes")
    writes = github.count("POST") + github.count("PUT")
    again = init_at(github, repo, "--yes")

    assert (0, 0) == (done.returncode, again.returncode), done.stderr + again.stderr
    assert {"orchestrate", *STATE_LABELS} == {n.name for n in github.state.labels.values()}
    assert github.state.may_open_pulls
    assert "ok   secret: CLAUDE_CODE_OAUTH_TOKEN is there" in done.stderr
    assert "nothing to write" in again.stderr and writes == github.count("POST") + github.count("PUT")


def test_the_commands_of_the_readme_lead_from_a_repository_and_a_key_to_a_verified_pull_request(
    at_github: tuple[GitHubServer, Repo], tmp_path: Path
):
    """A token, `init --github`, the secret, a push, a label: nothing else is to be done by hand. The event's step is
    the single job's; with the agent that needs no model in the place of claude."""
    need(NPM / "@octokit" / "webhooks-examples", "@octokit/webhooks-examples")
    github, repo = at_github
    github.state.private = True
    github.state.secrets.add("ANTHROPIC_API_KEY")  # as `gh secret set` does
    github.state.runs[RUN_ID] = {"id": RUN_ID, "status": "in_progress", "conclusion": None}
    readme = (PROJECT / "README.md").read_text(encoding="utf-8").partition("## Use it on GitHub")[2]
    commands = [line[2:].split()[0] for line in readme.split("```")[1].splitlines() if line.startswith("$ ")]
    assert ["export", "orchestrator-action", "gh", "git", "gh"] == commands

    done = init_at(github, repo, "--yes")
    assert (0, True) == (done.returncode, "ok   secret: ANTHROPIC_API_KEY is there" in done.stderr), (
        done.stderr
    )
    repo.git("add", ".github")
    repo.git("commit", "-qm", "Let agents work on labelled issues")
    repo.git("push", "-q", str(repo.remote), "HEAD:main")
    issue = github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    (tmp_path / "temp").mkdir()
    runner = Runner(github, checked_out(github, repo, tmp_path / "job"), tmp_path / "temp")
    ran = runner.step(event="issues", payload=runner.labeled(issue.number))

    assert (0, "success") == (ran.code, ran.status(issue.number)), ran.log
    [pull] = [i for i in github.state.issues.values() if i.pull]
    [check] = github.state.checks.values()
    assert ("success", ["orchestrate:done"]) == (check.conclusion, issue.labels) and "Add more" in pull.title


def test_without_agreement_github_is_only_looked_at(at_github):
    github, repo = at_github

    done = init_at(github, repo)

    assert 2 == done.returncode
    assert "todo label: orchestrate will be made" in done.stderr
    assert "todo pull requests: GitHub Actions may not open them yet" in done.stderr
    assert "you  secret: ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN is missing" in done.stderr
    assert "hint: gh secret set ANTHROPIC_API_KEY" in done.stderr
    assert (0, {}, False) == (
        github.count("POST") + github.count("PUT"), github.state.labels, github.state.may_open_pulls,
    )  # fmt: skip
    assert "" == repo.git("status", "--porcelain")


def test_what_a_token_is_not_shown_is_said_to_be_unknown(at_github):
    github, repo = at_github

    done = init_at(github, repo, token=github.token)

    assert "this token is not told whether GitHub Actions may open them" in done.stderr
    assert "this token is not told whether ANTHROPIC_API_KEY" in done.stderr


def test_github_that_refuses_is_one_error(at_github):
    github, repo = at_github

    wrong, none = init_at(github, repo, "--yes", token="ghp_wrong"), init_at(github, repo, "--yes", token="")

    assert (4, True) == (wrong.returncode, "error: " in wrong.stderr and "401" in wrong.stderr)
    assert (2, True) == (none.returncode, "hint: GITHUB_TOKEN=$(gh auth token)" in none.stderr)
    assert "" == repo.git("status", "--porcelain")


def test_label_runner_and_base_are_written_where_they_count(at_github):
    github, repo = at_github
    github.state.private = True
    github.state.git("branch", "next", "main")

    done = init_at(
        github, repo, "--yes", "--label", "agent: go", "--runs-on", "self-hosted,linux", "--base", "next"
    )

    assert 0 == done.returncode, done.stderr
    workflow = yaml.safe_load((repo.path / ".github/workflows/orchestrate.yml").read_text())
    job = workflow["jobs"]["orchestrate"]
    assert (
        "github.event.label.name == 'agent: go'" in job["if"] and ["self-hosted", "linux"] == job["runs-on"]
    )
    config = load_text((repo.path / ".github/orchestrator.yml").read_text(), source="config")
    assert ("agent: go", "next") == (config.label, config.base_branch)
    assert "agent: go" in {n.name for n in github.state.labels.values()}


@pytest.mark.parametrize("private", [True, False])
def test_a_public_repository_gets_the_workflow_of_four_jobs_and_a_private_one_a_single_job(
    at_github, private
):
    github, repo = at_github
    github.state.private = private

    done = init_at(github, repo, "--yes", "--label", "agent: go", "--runs-on", "self-hosted,linux")

    jobs = yaml.safe_load((repo.path / ".github/workflows/orchestrate.yml").read_text())["jobs"]
    assert ({"orchestrate"} if private else {"orchestrate", "trial"}) == set(jobs), done.stderr
    assert ("uses" in jobs["orchestrate"]) is not private
    if not private:
        assert "the repository is public: agents work in jobs of their own" in done.stderr
        assert "orchestrate-matrix.yml@" in jobs["orchestrate"]["uses"]
        assert {"label": "agent: go", "runs-on": "self-hosted,linux"} == jobs["orchestrate"]["with"]


def test_a_public_repository_that_asks_for_a_version_gets_one_job_that_brings_it(at_github):
    github, repo = at_github
    repo.commit({".python-version": "3.12\n"})

    done = init_at(github, repo, "--yes")

    assert "brings no versions" in done.stderr
    assert {"orchestrate"} == set(
        yaml.safe_load((repo.path / ".github/workflows/orchestrate.yml").read_text())["jobs"]
    )


@pytest.mark.parametrize("ends", ["success", "failure"])
def test_a_trial_run_is_started_once_the_workflow_is_there_and_its_result_is_told(at_github, ends: str):
    github, repo = at_github
    github.state.trial_ends = ends

    before = init_at(github, repo, "--yes")
    github.state.workflows.add("orchestrate.yml")
    tried = init_at(github, repo, "--yes")
    after = init_at(github, repo)

    assert "you  trial run: the default branch has no orchestrate.yml yet" in before.stderr
    assert [{"workflow": "orchestrate.yml", "ref": "main"}] == github.state.dispatched
    assert (0 if ends == "success" else 1) == tried.returncode, tried.stderr
    assert f"done: trial run: {ends}: http://127.0.0.1" in tried.stderr
    word = "ok   trial run: success" if ends == "success" else "the last one: failure"
    assert word in after.stderr and len(github.state.dispatched) == 1


@pytest.mark.parametrize(
    ("args", "said"),
    [(("--base", "gone"), "has no branch 'gone'"), (("--label", "it's"), "cannot be the label")],
)
def test_a_wish_that_cannot_be_is_named_before_anything_is_written(at_github, args, said):
    github, repo = at_github

    done = init_at(github, repo, "--yes", *args)

    assert (2, True, "") == (done.returncode, said in done.stderr, repo.git("status", "--porcelain"))


def test_the_version_that_a_repository_asks_for_is_a_step_before_ours(make):
    repo = make({".python-version": "3.12\n", ".nvmrc": "22\n", "test_x.py": "def test_x():\n    pass\n"})

    init(repo, "--yes")

    workflow = yaml.safe_load((repo.path / ".github/workflows/orchestrate.yml").read_text())
    steps = workflow["jobs"]["orchestrate"]["steps"]
    names = [s["uses"].partition("@")[0].rpartition("/")[2] for s in steps[:4]]
    assert ["checkout", "setup-python", "setup-node", "orchestrator-action"] == names
    assert {"python-version-file": ".python-version"} == steps[1]["with"]


def test_a_copy_on_the_forge_is_named_by_its_commit(make):
    """Where this project runs from a clone of somebody's copy, that copy is what the workflow uses."""
    copy = make({"a.txt": "a"}, name="copy")
    copy.git("remote", "set-url", "origin", "https://github.com/me/orchestrator-action.git")
    example = (PROJECT / "examples" / "on-label.yml").read_text()

    url, commit = of_checkout(copy.path, os.environ)
    text = fit(example, Wishes(), action=f"me/orchestrator-action@{commit}", steps="")

    assert ("https://github.com/me/orchestrator-action.git", copy.git("rev-parse", "HEAD")) == (url, commit)
    uses = [s["uses"] for s in yaml.safe_load(text)["jobs"]["orchestrate"]["steps"]]
    assert 2 == uses.count(f"me/orchestrator-action@{commit}") and "@v0" not in text
