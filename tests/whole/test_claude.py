"""No false success: the real Claude Code CLI, driven through the whole way by a scripted Messages API."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator_action.protocol.phases import IDS, PHASES
from tests.kit.messages_api import (
    Fault,
    MessagesApi,
    Say,
    Script,
    bash,
    by_session,
    claude_env,
    messages_api,
    refusing_url,
    steps,
    structured,
)
from tests.kit.whole import House, Ran

pytestmark = [pytest.mark.claude]

TASK = "Please add a module `more.py` with x = 1, and mention it in the README."
REVIEWER = "You review one change"
NO_FINDINGS = steps(structured({"findings": []}), Say("reviewed"))


def claim(phase: str, more: str = "") -> Say:
    return bash(f"orchestrator-phase done {phase} {more}".strip())


START = (claim("initial-setup"), claim("issue-creation"), claim("branch-management"))
PLAN = claim("research-and-planning", "--note 'make `more.py`, mention it in `README.md`'")
WRITE = bash(
    "echo 'x = 1' > more.py && echo '- `more`' >> README.md && git add -A && git commit -qm 'Add more'"
)
REST = (
    claim("testing"),
    claim("documentation"),
    claim("pull-request", "--note 'Add more'"),
    claim("review"),
    claim("review-response"),
    claim("settings-update"),
    Say("Everything is done."),
)
GOOD = (*START, PLAN, WRITE, claim("implementation"), *REST)


@pytest.fixture
def scene(home: House, claude_cli: Path, tmp_path: Path) -> Iterator[Callable[..., tuple[Ran, MessagesApi]]]:
    """Run one issue with the real CLI against a script; returns how it ended and what the model was asked."""
    home.issue(1, "Add more", TASK)
    claude_home = tmp_path / "claude-home"
    claude_home.mkdir()

    def play(
        author: Script,
        *faults: Fault,
        reviewer: Script = NO_FINDINGS,
        url: str = "",
        args: tuple[str, ...] = (),
        **env: str,
    ):
        with messages_api(by_session((REVIEWER, reviewer), ("", author)), faults=faults) as api:
            home.env = claude_env(
                claude_home,
                url or api.url,
                path=f"{claude_cli.parent}{os.pathsep}{os.environ['PATH']}",
                **env,
            )
            return home.run(*args, agent="claude"), api

    yield play
    home.assert_tidy()


def log_of(home: House) -> str:
    return (home.run_dir / "tasks" / "issue-1" / "agent.log").read_text()


def test_a_good_run_is_proven_in_all_eleven_phases(scene, home: House):
    """(a) The first request holds the task's text and the eleven phases; what is posted is what is there."""
    ran, api = scene(steps(*GOOD))

    task = ran.task("issue-1")
    assert (0, "success") == (ran.code, task["status"]), f"{ran.err}\n{log_of(home)}"
    assert dict.fromkeys(IDS, "proven") == {p["phase"]: p["state"] for p in task["phases"]}
    assert TASK in api.requests[0].first
    assert all(p.id in api.requests[0].first and p.title in api.requests[0].first for p in PHASES)
    assert task["head_sha"] == home.repo.at_remote(f"refs/heads/{task['branch']}")
    assert task["turns"] and task["cost_usd"] is not None


def test_without_the_plugin_the_cli_exits_with_0_and_the_task_fails(scene, home: House, tmp_path: Path):
    """(b) The command is unknown to the CLI, which says so and is content; we are not."""
    shim = tmp_path / "bin"
    shim.mkdir()
    (shim / "claude").write_text(
        "#!/bin/sh\nfor a; do shift; case $a in --plugin-dir) skip=1;; *) "
        '[ "$skip" ] && skip= || set -- "$@" "$a";; esac; done\nexec "$REAL_CLAUDE" "$@"\n'
    )
    (shim / "claude").chmod(0o755)
    real = os.path.realpath(Path(__file__).parents[1] / "npm" / "node_modules" / ".bin" / "claude")
    home.repo.commit({".github/orchestrator.yml": "agent-env: [REAL_CLAUDE]\ntest: python3 -m unittest\n"})
    home.repo.push()

    with messages_api(steps(Say("I do not know that command, but I am happy to help."))) as api:
        (tmp_path / "h").mkdir()
        home.env = claude_env(
            tmp_path / "h", api.url, path=f"{shim}{os.pathsep}{os.environ['PATH']}", REAL_CLAUDE=real
        )
        ran = home.run(agent="claude")

    task = ran.task("issue-1")
    assert (1, "failed") == (ran.code, task["status"])
    assert "agent:workflow-manager" in task["error"]


def test_a_turn_that_claims_nothing_is_incomplete_with_eleven_findings(scene, home: House):
    """(c) Reminded, and reminded again, it still says that all is well."""
    ran, _ = scene(steps(*[Say("All done, everything works.")] * 20))

    assert (1, "incomplete") == (ran.code, ran.task("issue-1")["status"]), ran.err
    assert ["missing"] * 11 == ran.findings("issue-1")
    reminded = [e for e in home.events() if e["kind"] == "reminded"]
    assert 1 <= len(reminded) <= 3


def test_saying_that_tests_pass_while_they_fail_is_refuted(scene, home: House):
    """(d)"""
    broken = bash(
        "echo 'def double(n): return 7' > numbers_.py && echo '- x' >> README.md && git commit -qam broken"
    )
    ran, _ = scene(
        steps(*START, PLAN, broken, claim("implementation"), claim("testing"), *[Say("All tests pass.")] * 9)
    )

    assert (1, "failed") == (ran.code, ran.task("issue-1")["status"])
    assert "refuted" == ran.state("issue-1", "testing")


@pytest.mark.parametrize(
    ("late", "status"), [("echo y = 2 >> more.py", "success"), ("echo oops > numbers_.py", "failed")]
)
def test_a_commit_after_testing_is_stale_and_the_second_measurement_decides(scene, home: House, late, status):
    """(e) The orchestrator measures once more, at the head that will be merged."""
    edit = bash(f"{late} && git commit -qam 'one more thing'")
    ran, _ = scene(steps(*GOOD[:-1], edit, *[Say("Done.")] * 9))

    task = ran.task("issue-1")
    assert status == task["status"], f"{ran.err}\n{log_of(home)}"
    tests = [e["data"] for e in home.events() if e["kind"] == "fact" and e["data"]["rule"] == "suite"]
    assert 2 == len({t["commit"] for t in tests})
    assert task["head_sha"] == tests[-1]["commit"] == home.repo.at_remote(f"refs/heads/{task['branch']}")
    assert (status == "success") == tests[-1]["holds"]


def test_the_limit_of_turns_is_no_success(scene, home: House):
    """(f)"""
    home.repo.commit({".github/orchestrator.yml": "max-turns: 3\ntest: python3 -m unittest\n"})
    home.repo.push()

    ran, _ = scene(steps(*GOOD))

    task = ran.task("issue-1")
    assert (1, "incomplete", "timed_out") == (ran.code, task["status"], task["conclusion"]), ran.err
    assert "turn" in task["error"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(status=401, message="invalid x-api-key"), "401 Invalid API key"),
        (Fault(status=500, message="the servers are on fire"), "500"),
    ],
    ids=["401", "500"],
)
def test_an_api_that_refuses_is_a_failure_in_its_own_words(scene, home: House, fault, words):
    """(g) Within a bounded time: the CLI's own retries would take minutes."""
    ran, _ = scene(steps(*GOOD), fault, CLAUDE_CODE_MAX_RETRIES="1")

    task = ran.task("issue-1")
    assert (1, "failed") == (ran.code, task["status"])
    assert words in task["error"], task["error"]
    assert 60 > task["wall_s"]


def test_an_api_that_is_not_there_is_a_failure(scene, home: House):
    """(g)"""
    ran, _ = scene(steps(*GOOD), url=refusing_url(), CLAUDE_CODE_MAX_RETRIES="1")

    assert (1, "failed") == (ran.code, ran.task("issue-1")["status"])
    assert "onnect" in ran.task("issue-1")["error"]


def test_a_missing_cli_is_exit_6_before_anything_starts(home: House, tmp_path: Path):
    home.issue(1, "Add more", TASK)
    ran = home.run(agent="claude", env={"PATH": "/usr/bin:/bin"})

    assert (6, "blocked") == (ran.code, ran.task("issue-1")["status"])
    assert "the agent's program 'claude' is not installed" in ran.err
    assert [] == [e for e in home.events() if e["kind"] == "attempt-started"]


def test_a_finding_is_fixed_and_the_new_head_is_reviewed_again(scene, home: House):
    """The review is of the head that is merged, by a session that is not the author's."""
    finding = {"path": "more.py", "line": 1, "severity": "error", "text": "x should be 2"}
    fix = bash("echo 'x = 2' > more.py && git commit -qam 'Fix more'")
    reviews = []

    def reviewer(request):
        reviews.append(request)
        fixed = "x = 2" in f"{request.system}{request.first}"
        yield structured({"findings": [] if fixed else [finding]})
        yield Say("reviewed")

    author = steps(
        *GOOD[:10],
        fix,
        claim("review-response", "--note 'f1: fixed in HEAD'"),
        claim("settings-update"),
        Say("ok"),
    )
    ran, _ = scene(author, reviewer=reviewer)

    assert "success" == ran.task("issue-1")["status"], f"{ran.err}\n{log_of(home)}"
    rounds = [e["data"] for e in home.events() if e["kind"] == "review"]
    assert [1, 0] == [len(r["findings"]) for r in rounds]
    assert rounds[-1]["head"] == ran.task("issue-1")["head_sha"]


def test_an_unanswered_finding_leaves_the_task_open(scene, home: House):
    finding = {"path": "more.py", "line": 1, "severity": "error", "text": "no"}
    reviewer = steps(structured({"findings": [finding]}), Say("reviewed"))

    ran, _ = scene(steps(*GOOD[:-1], *[Say("I ignore that.")] * 9), reviewer=reviewer)

    assert "failed" == ran.task("issue-1")["status"]
    assert "refuted" == ran.state("issue-1", "review-response")


def test_the_agent_sees_no_token_anywhere(scene, home: House):
    """Environment, files, remote URL, git configuration, the broker's parent: looked for by the agent itself."""
    secret = "ghs_" + "0123456789abcdefghij0123456789ABCDEF"
    look = bash(
        "env; git config --list --show-origin; git remote -v; cat $ORCHESTRATOR_CONTEXT; cat ~/.gitconfig ~/.netrc; "
        "for p in $(ps -eo pid=); do "
        "tr '\\0' '\\n' < /proc/$p/environ; tr '\\0' ' ' < /proc/$p/cmdline; done 2>/dev/null "
        "| grep -a -c ghs_0123"
    )
    _, api = scene(steps(look, Say("I looked.")), GITHUB_TOKEN=secret)

    seen = "\n".join(json.dumps(r.body) for r in api.requests)
    assert "ORCHESTRATOR_SOCKET" in seen, "the agent did look"
    for file in (home.repo.path / ".git" / "orchestrator").rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file
    assert secret not in seen


def test_an_honest_session_is_one_attempt(scene, home: House):
    """Commits come after the branch was claimed; that alone sends nobody back."""
    ran, api = scene(steps(*GOOD))

    task = ran.task("issue-1")
    assert ("success", 1, []) == (task["status"], task["attempts"], task["failures"]), ran.err
    assert [] == [e for e in home.events() if e["kind"] == "reminded"]
    assert len(GOOD) + 1 == len(api.requests), "the reviewer answers in one request"


@pytest.mark.parametrize("status", [529, 400], ids=["may pass", "will not pass"])
def test_an_api_error_after_everything_was_claimed_does_not_fail_a_finished_task(scene, home: House, status):
    """All that the agent still had to say was a closing word."""
    last = Fault(status=status, after=len(GOOD), message="no more")
    ran, api = scene(steps(*GOOD), last, CLAUDE_CODE_MAX_RETRIES="1")

    task = ran.task("issue-1")
    assert api.refused, "the closing word was refused"
    assert (0, "success", 1) == (ran.code, task["status"], task["attempts"]), f"{ran.err}\n{log_of(home)}"


def test_a_session_that_is_taken_up_again_costs_what_it_cost(scene, home: House):
    """The CLI prints what all of a resumed session cost so far; the task's cost does not count it twice."""
    overloaded = Fault(status=529, after=6, times=2, message="overloaded")
    ran, _ = scene(steps(*GOOD), overloaded, CLAUDE_CODE_MAX_RETRIES="1")

    task = ran.task("issue-1")
    folder = home.run_dir / "tasks" / "issue-1"

    def costs(*logs: Path) -> list[float]:
        lines = [line for log in logs for line in log.read_text().splitlines() if '"type":"result"' in line]
        return [json.loads(line)["total_cost_usd"] for line in lines]

    printed = costs(folder / "agent.log", folder / "agent-2.log")
    reviewed = costs(*folder.rglob("review*.log"))
    assert ("success", 2, 2) == (task["status"], task["attempts"], len(printed)), ran.err
    assert 0 < printed[0] < printed[1]
    assert [True] == [cost > 0 for cost in reviewed]
    assert pytest.approx(printed[1] + reviewed[0]) == task["cost_usd"]


def test_a_red_final_result_resumes_the_session_once_with_the_failing_tests(scene, home: House):
    """What broke after the last claim is told to the agent, which may mend it; then the facts decide."""
    late = bash("echo 'def double(n): return 7' > numbers_.py && git commit -qam 'one more thing'")
    seen = []
    mend = bash("git revert --no-edit HEAD -q 2>&1 || git revert --no-edit HEAD")

    def author(request):
        yield from steps(*GOOD[:-1], late)(request)
        turn = yield Say("Done.")
        seen.append(turn.text)
        yield mend
        yield claim("testing")
        yield Say("Mended.")

    ran, _ = scene(author)

    task = ran.task("issue-1")
    assert ("success", 2) == (task["status"], task["attempts"]), f"{ran.err}\n{log_of(home)}"
    assert "test_double" in seen[-1], "the agent is told which test failed, and how"
    assert [True] == [e["data"].get("final", False) for e in home.events() if e["kind"] == "reminded"]


def test_a_red_final_result_that_stays_red_decides(scene, home: House):
    """The agent has one more go, not two."""
    late = bash("echo oops > numbers_.py && git commit -qam 'one more thing'")
    ran, _ = scene(steps(*GOOD[:-1], late, *[Say("Done.")] * 9))

    task = ran.task("issue-1")
    assert (1, "failed", 2) == (ran.code, task["status"], task["attempts"])
    assert "refuted" == ran.state("issue-1", "testing")


def test_an_agent_may_decline_its_task_and_say_why(scene, home: House):
    """A result of its own kind: no success, no lie; nobody is sent back."""
    stop = bash("orchestrator-phase stop --because 'the API it names is gone' --needs 'another API'")
    ran, _ = scene(steps(*START, stop, Say("I stopped.")))

    task = ran.task("issue-1")
    assert (1, "declined", "action_required", 1) == (
        ran.code, task["status"], task["conclusion"], task["attempts"],
    ), f"{ran.err}\n{log_of(home)}"  # fmt: skip
    assert {"because": "the API it names is gone", "needs": "another API"} == task["declined"]
    assert (1, 0) == (ran.report["counts"]["declined"], ran.report["counts"]["success"])
    issue = (home.forge / "issues" / "1.md").read_text()
    assert "orchestrate:declined" in issue
    assert "orchestrate:failed" not in issue
    [comment] = (home.forge / "comments" / "1").glob("*.md")
    assert "✋ declined" in comment.read_text()
    assert "the API it names is gone" in comment.read_text()
    assert "It would need:** another API" in comment.read_text()


def test_a_claim_after_declining_takes_it_back(scene, home: House):
    """Who goes on is judged by the facts."""
    stop = bash("orchestrator-phase stop --because 'I cannot find the README'")
    ran, _ = scene(steps(*START, stop, *GOOD[3:]))

    assert (0, "success", None) == (ran.code, ran.task("issue-1")["status"], ran.task("issue-1")["declined"])


NO_CHANGE = (
    *START,
    PLAN,
    claim("implementation", "--no-change-needed 'more.py is there already'"),
    Say("Nothing to do."),
)


def test_no_change_is_put_to_a_separate_session_and_shown(scene, home: House):
    """The reviewer is asked whether the task is met as things are; both words stand in the comment."""
    seen = []

    def reviewer(request):
        seen.append(request.first)
        yield structured({"findings": []})

    ran, _ = scene(steps(*NO_CHANGE), reviewer=reviewer)

    task = ran.task("issue-1")
    assert (0, "no-change", "neutral") == (ran.code, task["status"], task["conclusion"]), ran.err
    assert "more.py is there already" in seen[0]
    [comment] = (home.forge / "comments" / "1").glob("*.md")
    assert "more.py is there already" in comment.read_text()
    assert "the base's tests: 1 passed" in comment.read_text()
    assert "a separate session found the task met as things are" in comment.read_text()


def test_no_change_that_a_separate_session_denies_is_refuted(scene, home: House):
    missing = {"path": "", "line": 0, "severity": "error", "text": "there is no more.py"}
    reviewer = steps(structured({"findings": [missing]}), Say("reviewed"))

    ran, _ = scene(steps(*NO_CHANGE, *[Say("It is there.")] * 9), reviewer=reviewer)

    assert (1, "failed") == (ran.code, ran.task("issue-1")["status"])
    assert "there is no more.py" in ran.task("issue-1")["error"]
