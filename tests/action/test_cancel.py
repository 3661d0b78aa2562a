"""A cancelled step: everything ended and told in time, and what could not be told is settled once."""

from __future__ import annotations

import json
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from tests.kit.github_server.state import Issue
from tests.kit.receiver import receiver, spans_of
from tests.kit.repos import git
from tests.kit.runner import Runner, ended, wait_for
from tests.kit.whole import alive, new_file

SOFT_S, HARD_S = 4.0, 6.5
"""GitHub sends SIGTERM 7.5 s after SIGINT; by then all is over. Other tests on this machine cost time, too."""
STUBBORN = "trap '' INT TERM; mktemp {mark}-XXXXXX; sleep 600; sleep 600"


POLITE = "mktemp {mark}-XXXXXX; exec sleep 600"


def slow(
    runner: Runner, tmp_path: Path, tasks: int, *, setup: str = "", ends: str = STUBBORN, more: str = ""
) -> tuple[list[Issue], Path]:
    """Issues whose tests ignore signals and never end, and write where we see it that they have begun."""
    mark = tmp_path / "signals" / "begun"
    mark.parent.mkdir()
    stubborn = ends.format(mark=mark)
    test = f"if ls m[0-9]*.py; then {stubborn}; fi; {sys.executable} -m unittest discover"
    config = f'agent: patch\nmax-parallel: 4\ntest: "{test}"\n'
    if setup:
        config = f'agent: patch\nsetup: "{setup}; {stubborn}"\ntest: "true"\nphases: {{testing: waivable}}\n'
    config += f"sandbox: {{write: [{mark.parent}]}}\n{more}"
    (runner.repo.path / ".github" / "orchestrator.yml").write_text(config)
    git(runner.repo.path, "commit", "-qam", "slow")
    git(runner.repo.path, "push", "-q", str(runner.repo.remote), "HEAD:main")
    state = runner.github.state
    issues = [state.add_issue(f"Task {n}", new_file(f"m{n}.py"), user="octo") for n in range(tasks)]
    for one in issues:
        runner.github.label(one.number, "orchestrate", actor="octo")
    return issues, mark


def begun(mark: Path) -> int:
    return len(list(mark.parent.glob(f"{mark.name}-*")))


def test_a_cancel_ends_and_tells_everything_in_time(runner: Runner, tmp_path: Path):
    issues, mark = slow(runner, tmp_path, 4)
    process, files = runner.start()
    wait_for(lambda: begun(mark) == 4, "four tests")

    at = time.monotonic()
    process.send_signal(signal.SIGINT)
    log, _ = process.communicate(timeout=30)
    took = time.monotonic() - at

    done = ended(process.returncode, log, files)
    assert (130, "cancelled") == (done.code, done.outputs["conclusion"]), log
    assert took <= HARD_S, f"{took:.1f} s\n{log}"
    assert [["orchestrate:failed"]] * 4 == [i.labels for i in issues], log
    assert {"cancelled"} == {c.conclusion for c in runner.github.state.checks.values()}
    for one in issues:
        [comment] = runner.github.state.comments_on(one.number)
        assert "cancelled" in comment.body
    assert [] == alive(runner.repo.path, runner.temp)
    print(f"4 stubborn tasks: cancelled and told in {took:.2f} s (goal {SOFT_S})")


def test_a_cancelled_run_tells_whoever_waits_for_its_end(runner: Runner, tmp_path: Path):
    """Each of them once: in the time that is left, or when the run is settled."""
    with receiver() as hook, receiver() as collector:
        on_finish = f"on-finish: {{webhook: {hook.url}/hook, command: echo told}}\n"
        [one], mark = slow(runner, tmp_path, 1, ends=POLITE, more=on_finish)
        runner.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
        process, files = runner.start()
        wait_for(lambda: begun(mark) == 1, "the test")

        at = time.monotonic()
        process.send_signal(signal.SIGINT)
        log, _ = process.communicate(timeout=30)
        took = time.monotonic() - at
        in_time = len(hook.sent), len(collector.sent)
        settled = runner.step("settle")

    done = ended(process.returncode, log, files)
    assert (130, True) == (done.code, took <= HARD_S), f"{took:.1f} s\n{log}"
    assert (1, 1) == (len(hook.sent), len(collector.sent)), f"{log}\n{settled.log}"
    [told] = json.loads(hook.sent[0].body)["tasks"]
    assert ("cancelled", "cancelled by SIGINT") == (told["status"], told["error"])
    _, spans = spans_of(collector.sent[0].body)
    known = {s.name: {a.key: a.value.string_value for a in s.attributes} for s in spans}
    assert "cancellation" == known["run"]["cicd.pipeline.result"]
    assert "cancellation" == known["task issue-1"]["cicd.pipeline.task.run.result"]
    assert "1 🛑 cancelled" in done.summary and "set the label again" in done.summary
    [comment] = runner.github.state.comments_on(one.number)
    assert "Nothing goes on by itself. To try again, set the label “orchestrate” again." in comment.body
    [said] = runner.repo.path.glob(".git/orchestrator/runs/*/tasks/on-finish/on-finish.log")
    assert "told\n" == said.read_text(), f"{log}\n{settled.log}"
    print(f"webhook, collector: {in_time} told in {took:.2f} s, the rest when the run was settled")


def test_uncommitted_work_is_kept_at_the_remote(runner: Runner, tmp_path: Path):
    [one], mark = slow(runner, tmp_path, 1, setup="echo precious > wip.txt")
    process, _ = runner.start()
    wait_for(lambda: begun(mark) == 1, "the set-up")

    process.send_signal(signal.SIGINT)
    log, _ = process.communicate(timeout=30)

    kept = git(
        runner.repo.remote, "show", f"refs/orchestrator/salvage/issue-{one.number}:wip.txt", check=False
    )
    assert "precious" == kept, log


def test_github_that_hangs_keeps_no_cancel_and_is_told_later_once(runner: Runner, tmp_path: Path):
    [one], mark = slow(runner, tmp_path, 1, more="on-finish: {webhook: $HOOK}\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        runner.env["HOOK"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process, _ = runner.start()
        wait_for(lambda: begun(mark) == 1, "the test")
        hang = runner.github.fail("hang", times=1000)

        at = time.monotonic()
        process.send_signal(signal.SIGINT)
        log, _ = process.communicate(timeout=30)
        took = time.monotonic() - at
    assert (130, True) == (process.returncode, took <= HARD_S), f"{took:.1f} s\n{log}"
    assert ["orchestrate:running"] == one.labels
    assert "the webhook of on-finish was not told before the run had to end" in log

    hang.times = 0
    with receiver() as there:
        runner.env["HOOK"] = there.url
        first = runner.step("settle")
        before = (len(runner.github.state.comments), len(runner.github.state.checks))
        second = runner.step("settle")

    assert (0, 0) == (first.code, second.code), first.log
    assert ["orchestrate:failed"] == one.labels, first.log
    assert before == (len(runner.github.state.comments), len(runner.github.state.checks))
    assert "told that it has ended: the webhook of on-finish" in first.summary
    assert ["cancelled"] == [t["status"] for s in there.sent for t in json.loads(s.body)["tasks"]], first.log
    [comment] = runner.github.state.comments_on(one.number)
    assert "cancelled" in comment.body
    [check] = runner.github.state.checks.values()
    assert ("completed", "cancelled") == (check.status, check.conclusion)


def test_a_killed_step_is_settled_by_the_next(runner: Runner, tmp_path: Path):
    """It writes the report that the run could not write any more, and tells whoever waits for it."""
    with receiver() as there:
        [one], mark = slow(runner, tmp_path, 1, more=f"on-finish: {{webhook: {there.url}}}\n")
        began = time.monotonic()
        process, _ = runner.start()
        wait_for(lambda: begun(mark) == 1, "the test")

        process.kill()
        process.communicate(timeout=30)
        wait_for(lambda: not alive(runner.repo.path, runner.temp), "the end of all processes", within_s=15)
        done = runner.step("settle")
        passed_s = time.monotonic() - began

    assert (0, ["orchestrate:failed"]) == (done.code, one.labels), done.log
    [comment] = runner.github.state.comments_on(one.number)
    assert "cancelled" in comment.body and "state=failed" in comment.body
    assert "## orchestrator: 0 of 1 task succeeded" in done.summary and "1 🛑 cancelled" in done.summary
    [sent] = there.sent
    report = json.loads(sent.body)
    [task] = report["tasks"]
    assert ("cancelled", 1, True) == (task["status"], report["requested"], 0 < report["wall_s"] < passed_s)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancel_before_the_first_task_leaves_the_label(
    runner: Runner, tmp_path: Path, number: signal.Signals
):
    """Nothing began, so nothing ended: the next run takes the issue."""
    [one], _ = slow(runner, tmp_path, 1)
    runner.github.fail("hang", "GET", "/issues$", times=1000)
    process, files = runner.start()
    wait_for(lambda: any(r.fault or r.path for r in runner.github.git_requests), "the fetch")

    process.send_signal(number)
    log, _ = process.communicate(timeout=30)

    done = ended(process.returncode, log, files)
    assert (130, "cancelled") == (done.code, done.outputs["conclusion"]), log
    assert ["orchestrate"] == one.labels
    assert "No task had begun" in done.summary


def test_a_killed_run_is_closed_also_where_its_agent_is_not_installed_any_more(
    runner: Runner, tmp_path: Path
):
    """The step that settles has not the agent's program on its PATH: it starts none."""
    mark, program = tmp_path / "signals" / "begun", tmp_path / "an-agent"
    mark.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {mark}-$$\nsleep 600\n")
    program.chmod(0o755)
    config = f'agent: command\nagent-command: {{argv: ["{program}"]}}\ntest: "true"\nphases: {{testing: waivable}}\n'
    config += f"sandbox: {{write: [{mark.parent}]}}\n"
    (runner.repo.path / ".github" / "orchestrator.yml").write_text(config)
    git(runner.repo.path, "commit", "-qam", "An agent")
    git(runner.repo.path, "push", "-q", str(runner.repo.remote), "HEAD:main")
    one = runner.github.state.add_issue("Task", "Do it", user="octo", labels=("orchestrate",))
    process, _ = runner.start(agent="command")
    wait_for(lambda: begun(mark) == 1, "the agent")

    process.kill()
    process.communicate(timeout=30)
    wait_for(lambda: not alive(runner.repo.path, runner.temp), "the end of all processes", within_s=15)
    program.unlink()
    done = runner.step("settle")

    assert (0, ["orchestrate:failed"]) == (done.code, one.labels), done.log
