"""Who is told that a run has ended: a command and a webhook, whose answers change nothing of how it ended."""

from __future__ import annotations

import json
import socket
import sys
import time
from dataclasses import replace

import pytest

from orchestrator_action.process.cancel import Cancel
from orchestrator_action.run.on_finish import NO_TIME, TRACE, tell_finish
from orchestrator_action.run.run import run_tasks
from orchestrator_action.run.setup import RunRequest, start_run
from orchestrator_action.state.fold import recall
from orchestrator_action.state.limits import SETTLE_S
from tests.kit.receiver import receiver
from tests.kit.whole import GOOD, House

TEST = f"test: {sys.executable} -m unittest discover\n"
TOKEN = "gh" + "p_" + "a1" * 18


def test_a_command_and_a_webhook_get_the_report(home: House) -> None:
    """A server that is busy is asked again; to resume what has ended tells nobody again.

    The command is at the base, and sees what is named and no token.
    """
    show = 'cat README.md; env | sort; cat "$ORCHESTRATOR_REPORT"'
    with receiver(503, 200) as there:
        home.configure(
            f"{TEST}on-finish:\n  webhook: $HOOK\n  command: {json.dumps(show)}\n  env: [CHAT_KEY, GITHUB_TOKEN]\n"
        )
        home.issue(1, "Add a module", GOOD)
        env = {"HOOK": f"{there.url}/services/T0/s3cret", "CHAT_KEY": "of the chat", "GITHUB_TOKEN": TOKEN}

        ran = home.run(env=env)
        again = home.cli("resume", home.run_dir.name, env=env)

    assert (0, 0) == (ran.code, again.code), ran.err + again.err
    assert "on-finish" not in ran.err + again.err
    report = json.loads((home.run_dir / "report.json").read_text())
    assert 2 == len(there.sent)
    assert ("/services/T0/s3cret", report) == (there.sent[-1].path, json.loads(there.sent[-1].body))
    assert "application/json" == there.sent[-1].headers["Content-Type"]
    said = (home.run_dir / "tasks/on-finish/on-finish.log").read_text()
    assert said.startswith("# Numbers\n")
    assert "CHAT_KEY=of the chat" in said.splitlines()
    assert TOKEN not in said and "s3cret" not in said
    assert report == json.loads(said[said.index("{\n") :])
    home.assert_tidy()


@pytest.mark.slow
def test_what_cannot_be_told_is_named_and_changes_nothing(home: House) -> None:
    """The run ends as it was measured; the address of the webhook, which may be a secret, is not shown."""
    with receiver(400) as there:
        home.configure(
            f"{TEST}on-finish:\n  webhook: $HOOK\n  command: echo error no such channel >&2; exit 3\n"
        )
        home.issue(1, "Add a module", GOOD)

        ran = home.run(env={"HOOK": f"{there.url}/services/T0/s3cret"})

    assert (0, "success") == (ran.code, ran.task("issue-1")["status"])
    assert 1 == len(there.sent)
    assert "on-finish: the webhook did not take the report: 127.0.0.1 answered 400\n" in ran.err
    assert "on-finish: the command failed: exit 3: error no such channel; its output is in " in ran.err
    assert "s3cret" not in ran.err


@pytest.mark.slow
def test_a_command_and_a_webhook_have_only_their_time(home: House) -> None:
    """One that never ends, and a variable that holds no address."""
    home.configure(f"{TEST}on-finish: {{webhook: $HOOK, command: sleep 600, timeout: 1s}}\n")
    home.issue(1, "Add a module", GOOD)

    ran = home.run()

    assert (0, "success") == (ran.code, ran.task("issue-1")["status"])
    assert "the webhook did not take the report: the variable HOOK holds no address" in ran.err
    assert "on-finish: the command failed: " in ran.err
    home.assert_tidy()


def test_a_run_that_is_being_cancelled_tells_them_in_the_time_it_has_left(home: House) -> None:
    """All at once, so that none waits for another; of one that does not answer it is said, and the journal keeps it."""
    with receiver() as there, socket.create_server(("127.0.0.1", 0)) as silent:
        home.configure(f"{TEST}on-finish: {{webhook: {there.url}, command: 'echo told'}}\n")
        home.issue(1, "Add a module", "Nothing to do.")
        slow = f"http://127.0.0.1:{silent.getsockname()[1]}"
        env = {**home.environment(), "OTEL_EXPORTER_OTLP_ENDPOINT": slow}
        asked = RunRequest(repo=home.repo.path, forge=f"local:{home.forge}", flags={"agent": "patch"})
        cancel = Cancel()
        with start_run(asked, env, Cancel(), say=lambda _: None) as (found, run):
            run_tasks(found.tasks, run, slots=1, tell=lambda _: None)
            cancel.set("cancelled by a test")
            lines = tell_finish(replace(run, cancel=cancel), run.run_dir / "report.json")
            took = time.monotonic() - cancel.since
            untold = recall(run.journal.events).untold

    assert [NO_TIME.format(TRACE)] == list(lines)
    assert (TRACE,) == untold
    assert SETTLE_S <= took < SETTLE_S + 1
    assert 1 == len(there.sent)
    assert "told\n" == (home.run_dir / "tasks/on-finish/on-finish.log").read_text()
