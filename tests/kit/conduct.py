"""A whole orchestrator as a program, with agents of a test's own making: FORGE AGENT [SLOTS] in a repository.

AGENT is JSON: {"programs": [...], "resumes": false, …}, see `scripted`. `run`, `resume` and signals work as
in the command line; what it prints for people goes to stderr, the report to stdout. With the flag `dies_at`
it kills itself at that step, see `dying`; `stop_grace_s` is how long its guards are polite. Without walls,
as its programs register by their real PIDs.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from orchestrator_action.cli.entry import leave, prepare_streams
from orchestrator_action.cli.run import tell
from orchestrator_action.cli.terminal import print_json, say
from orchestrator_action.errors import OrchestratorError
from orchestrator_action.git.repo import Git
from orchestrator_action.process.cancel import on_signals
from orchestrator_action.process.own_environment import environment
from orchestrator_action.publish.report.comments import report_json
from orchestrator_action.run import recover as resume
from orchestrator_action.run import setup
from orchestrator_action.run.run import run_tasks
from orchestrator_action.sandbox.isolation import Isolation
from orchestrator_action.state.context import STOP_GRACE_S
from orchestrator_action.state.store import find_run
from tests.kit.dying import Death
from tests.kit.scripted import ScriptedAgent


def main() -> int:
    verb, forge, agent, *rest = sys.argv[1:]
    made = ScriptedAgent(**json.loads(agent))
    env = environment()
    flags = {
        "agent": "patch",
        "isolation": "off",
        "max_parallel": int(rest[0]) if rest else 4,
        **json.loads(rest[1] if rest[1:] else "{}"),
    }
    death, grace_s = Death(flags.pop("dies_at", 0)), flags.pop("stop_grace_s", STOP_GRACE_S)
    try:
        with on_signals() as cancel:
            if verb == "resume":
                git = Git.open(Path())
                with resume.resume_run(find_run(git, "last"), git, env, cancel, say=say) as taken:
                    run = death.within(replace(taken.run, agents=lambda _: made, isolation=Isolation()))
                    report = resume.resume(replace(taken, run=run), say=say, tell=tell)
            else:
                prompts = tuple(Path(p) for p in flags.pop("prompts", ()))
                asked = setup.RunRequest(repo=Path(), prompts=prompts, forge=forge, flags=flags)
                with setup.start_run(asked, env, cancel, say=say) as (found, run):
                    limits = replace(run.limits, stop_grace_s=grace_s)
                    run = death.within(replace(run, agents=lambda _: made, limits=limits))
                    slots = setup.slots_of(found, auto=False)
                    report = run_tasks(found.tasks, run, slots=slots, tell=tell)
    except OrchestratorError as exc:
        say(f"error: {exc.message}\nhint: {exc.hint}")
        return exc.exit_code
    print_json(report_json(report), within_s=0.5 if cancel.is_set() else 0.0)
    return (
        130 if cancel.is_set() else int(any(t.status not in {"success", "no-change"} for t in report.tasks))
    )


if __name__ == "__main__":
    prepare_streams()
    leave(main())
