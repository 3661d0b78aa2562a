"""Each of the eleven phases: claimed falsely and refuted at once, mended, claimed honestly and proven."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from orchestrator_action.protocol.phases import IDS, PHASES
from tests.kit.messages_api import Say, bash, by_session, claude_env, messages_api, steps, structured
from tests.kit.tables import few
from tests.kit.whole import GOOD, LIBRARY, PACKAGE, House, Ran, change, new_file

LIAR = Path(__file__).parents[1] / "kit" / "liar.py"
FINDING = {"path": "more.py", "line": 1, "severity": "warning", "text": "a name would be nice"}


def done(phase: str, more: str = "", *, first: str = "") -> Say:
    return bash(f'{first}{"; " if first else ""}orchestrator-phase done {phase} {more}; echo "exit $?"')


def both(phase: str, false: Say, honest: Say) -> list[tuple[str, Say]]:
    return [(phase, false), (phase, honest)]


def commit(what: str) -> str:
    return f"{what} && git add -A && git commit -qm change"


@pytest.mark.claude
def test_every_phase_is_refuted_when_claimed_falsely_and_proven_when_it_is_true(
    home: House, claude_cli: Path, tmp_path: Path
):
    """One session of the real CLI; the answers to its claims are what the model is told."""
    home.configure("isolation: off\n")  # the session closes the issue and the remote from where it is
    home.issue(1, "Add more", "Add `more.py`.")
    issue, hook = home.forge / "issues" / "1.md", home.repo.remote / "hooks" / "pre-receive"
    branch = "orchestrator/issue-1-add-more"
    refuse = f"printf '#!/bin/sh\\necho closed for today >&2\\nexit 1\\n' > {hook} && chmod +x {hook}"
    played = [
        *both(
            "initial-setup", done("initial-setup", first="touch junk"), done("initial-setup", first="rm junk")
        ),
        *both(
            "issue-creation",
            done("issue-creation", first=f"sed -i 's/state: open/state: closed/' {issue}"),
            done("issue-creation", first=f"sed -i 's/state: closed/state: open/' {issue}"),
        ),
        *both(
            "branch-management",
            done("branch-management", first="git checkout -q --detach"),
            done("branch-management", first=f"git checkout -q {branch}"),
        ),
        *both(
            "research-and-planning",
            done("research-and-planning", "--note 'I will think very hard'"),
            done("research-and-planning", "--note 'make more.py'"),
        ),
        *both(
            "implementation",
            done("implementation"),
            done("implementation", first=commit("echo 'x = 1' > more.py")),
        ),
        *both(
            "testing",
            done("testing", first=commit("echo 'def double(n): return 5' > numbers_.py")),
            done("testing", first=commit("git checkout -q HEAD~1 -- numbers_.py")),
        ),
        *both(
            "documentation",
            done("documentation"),
            done("documentation", first=commit("echo '- more' >> README.md")),
        ),
        *both(
            "pull-request",
            done("pull-request", "--note 'Add more'", first=refuse),
            done("pull-request", "--note 'Add more'", first=f"rm {hook}"),
        ),
        *both("review", done("review"), done("review")),
        *both(
            "review-response",
            done("review-response"),
            done("review-response", "--note 'f1: declined: x is a fine name'"),
        ),
        *both(
            "settings-update",
            done("settings-update", first=commit("echo SECRET=1 > .env")),
            done("settings-update", first=commit("git rm -q .env")),
        ),
    ]
    reviews: list[str] = []

    def reviewer(request):
        """The first two sessions do not answer as asked, the third finds something, later ones nothing."""
        session = str(request.body["metadata"]["user_id"])
        if session not in reviews:
            reviews.append(session)
        number = reviews.index(session)
        if number < 2:
            for _ in range(20):
                yield Say("Looks good to me!")
        yield structured({"findings": [FINDING] if number == 2 else []})
        yield Say("reviewed")

    (tmp_path / "h").mkdir()
    script = steps(*(say for _, say in played), *[Say("Done.")] * 5)
    with messages_api(by_session(("You review one change", reviewer), ("", script))) as api:
        path = f"{claude_cli.parent}{os.pathsep}{os.environ['PATH']}"
        home.env = claude_env(tmp_path / "h", api.url, path=path)
        ran = home.run(agent="claude")

    log = (home.run_dir / "tasks" / "issue-1" / "agent.log").read_text()
    results = _results(log)
    assert 22 == len(results), f"{ran.err}\n{log[-3000:]}"
    for (phase, _), (false, honest) in zip(
        played[::2], zip(results[::2], results[1::2], strict=True), strict=True
    ):
        assert "exit 1" in false, f"{phase} was believed: {false}"
        assert "exit 0" in honest, f"{phase} was not believed: {honest}"
    assert "success" == ran.task("issue-1")["status"], ran.err
    pull = home.forge / "pulls" / str(ran.task("issue-1")["pull"]["number"])
    assert "f1: declined: x is a fine name" in (pull / "reviews" / "answers.md").read_text()
    assert dict.fromkeys(IDS, "proven") == {p["phase"]: p["state"] for p in ran.task("issue-1")["phases"]}
    home.assert_tidy()


def _results(log: str) -> list[str]:
    """What the model was told of each claim."""
    found = []
    for line in log.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        content = event.get("message", {}).get("content", []) if event.get("type") == "user" else []
        for block in content if isinstance(content, list) else []:
            text = json.dumps(block.get("content", "")) if block.get("type") == "tool_result" else ""
            if "exit " in text:
                found.append(text)
    return found


RULES = {
    "initial-setup": ("context-read", "refuted"),
    "issue-creation": ("issue-exists", "refuted"),
    "branch-management": ("on-branch", "refuted"),
    "research-and-planning": ("plan-recorded", "refuted"),
    "implementation": ("nothing-changed", "refuted"),
    "testing": ("suite", "refuted"),
    "documentation": ("docs-changed", "refuted"),
    "pull-request": ("pull-open", "refuted"),
    "review": ("reviewed", "unproven"),
    "review-response": ("findings-answered", "refuted"),
    "settings-update": ("no-local-settings", "refuted"),
}
"""What is untrue of each phase in `liar`, and how that is judged; a review that is none proves nothing."""
REVIEWER = """case {out} in
*/issue-9/*) echo 'Looks good to me!' > {out};;
*/issue-10/*|*/issue-21/*|*/issue-32/*|*/issue-43/*)
    echo '{"findings": [{"path": "more.py", "line": 1, "severity": "error", "text": "no"}]}' > {out};;
*) echo '{"findings": []}' > {out};;
esac"""


@pytest.fixture
def played(home: House) -> Callable[..., Ran]:
    """One run of an issue per phase, with the built-in agent made to lie or forget in it."""

    def play(mode: str, reviewer: str = REVIEWER, more: Sequence[int] = (), only: Sequence[int] = ()) -> Ran:
        for number in only or (*range(1, 12), *more):
            home.issue(number, f"About {IDS[(number - 1) % 11]}", GOOD)
        agent = {
            "programs": [[sys.executable, "-I", str(LIAR), str(home.forge), mode]],
            "reviewer": ["sh", "-c", reviewer],
        }
        argv = [
            sys.executable,
            "-P",
            "-m",
            "tests.kit.conduct",
            "run",
            f"local:{home.forge}",
            json.dumps(agent),
        ]
        done = subprocess.run(
            argv,
            cwd=home.repo.path,
            env={**home.environment(), "PYTHONPATH": str(PACKAGE)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return play


def test_the_built_in_agents_lie_in_each_phase_is_refuted_by_the_fact_it_is_about(home: House, played):
    ran = played("false", more=(21, 32, 43))

    assert 1 == ran.code, ran.err
    for number, phase in [*enumerate(IDS, 1), *((n, "review-response") for n in (21, 32, 43))]:
        task = ran.task(f"issue-{number}")
        [found] = [p for p in task["phases"] if p["phase"] == phase]
        rule, judged = RULES[phase]
        assert judged == found["state"], (phase, found, task["error"])
        assert rule in [f["rule"] for f in found["facts"] if not f["holds"]], (phase, found)
        assert "failed" == task["status"] or (judged, task["status"]) == ("unproven", "incomplete"), task[
            "error"
        ]
        assert "failure" == task["conclusion"]
        before = task["phases"][: IDS.index(phase)]
        assert {"proven"} >= {p["state"] for p in before}, (phase, task["phases"])
    told = {
        10: "f1: HEAD is no commit made after the review",
        21: "f1: deadbeef is no commit made after the review",
        32: "is neither `fN: fixed in <sha>` nor `fN: declined: reason`",
        43: "changes more.py since the review; name the commit that does",
    }
    for number, words in told.items():
        assert words in (home.run_dir / "tasks" / f"issue-{number}" / "agent.log").read_text()
    home.assert_tidy()


@pytest.mark.slow
def test_a_phase_that_the_built_in_agent_never_claims_is_missing(home: House, played):
    """Whatever was done: the phases after it are refused, and none of them counts."""
    ran = played("missing", "echo '{\"findings\": []}' > {out}")

    assert 1 == ran.code, ran.err
    for number, phase in enumerate(IDS, 1):
        task = ran.task(f"issue-{number}")
        states = [p["state"] for p in task["phases"]]
        assert ["proven"] * (number - 1) + ["missing"] * (12 - number) == states, (phase, task["phases"])
        assert ("incomplete", "failure") == (task["status"], task["conclusion"])
        assert {"missing"} == {f["rule"] for p in task["phases"] for f in p["findings"]}
    refused = [e["data"] for e in home.events() if e["kind"] == "refused"]
    assert {f"not yet: {p.title} comes first" for p in PHASES[:10]} == {
        r["why"].split(" and is open")[0] for r in refused
    }
    home.assert_tidy()


@pytest.mark.parametrize("reviewer", few(["exit 3", ":"], 1), ids=["fails", "says nothing"])
def test_a_reviewer_that_does_not_answer_is_a_persons_matter(home: House, played, reviewer: str):
    """The author can do nothing about it; everything before the review is proven.

    It can not speak in the reviewer's stead either: what it left where the findings are read is gone.
    """
    ran = played("honest", reviewer, only=(1, 12))

    ends = {(t["status"], t["conclusion"], t["phases"][8]["state"]) for t in ran.report["tasks"]}
    assert {("incomplete", "action_required", "unproven")} == ends, ran.err


@pytest.mark.parametrize(
    ("phase", "text"),
    few(
        [
            (
                "implementation",
                GOOD
                + change(".github/orchestrator.yml", LIBRARY[".github/orchestrator.yml"], "test: true\n"),
            ),
            (
                "testing",
                "x" + change("numbers_.py", LIBRARY["numbers_.py"], "def double(n):\n    return 5\n"),
            ),
            ("settings-update", GOOD + new_file(".env", "API_KEY=abcdef\n")),
        ],
        1,
    ),
)
def test_what_the_built_in_agent_claims_is_refuted_just_the_same(home: House, phase: str, text: str):
    text = text if text.startswith(("Add", "x\n")) else text.replace("x```", "x\n\n```", 1)
    home.issue(1, "A task", text)

    ran = home.run()

    assert ("failed", "refuted") == (ran.task("issue-1")["status"], ran.state("issue-1", phase)), ran.err
    home.assert_tidy()


@pytest.mark.parametrize("phase", few(IDS, 2))
def test_a_phase_that_the_repository_switches_off_is_shown_as_off_never_as_proven(home: House, phase: str):
    home.issue(1, "Add more", GOOD)
    home.repo.commit(
        {".github/orchestrator.yml": f"{LIBRARY['.github/orchestrator.yml']}phases: {{{phase}: 'off'}}\n"}
    )
    home.repo.push()

    ran = home.run()

    assert ("success", "off") == (ran.task("issue-1")["status"], ran.state("issue-1", phase)), ran.err
