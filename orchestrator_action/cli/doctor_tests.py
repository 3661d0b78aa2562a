"""What `doctor --tests` tries: set-up and the tests at the base, as a run does before an agent is paid."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from orchestrator_action.cli.doctor_row import Row
from orchestrator_action.config.schema import CONFIG_PATH
from orchestrator_action.errors import OrchestratorError
from orchestrator_action.process.cancel import on_signals
from orchestrator_action.process.supervisor import spawner
from orchestrator_action.protocol.model import Task
from orchestrator_action.run import setup
from orchestrator_action.run.bases import Bases
from orchestrator_action.state.context import RunContext
from orchestrator_action.state.store import state_dir

WHAT = "tests at the base"
_LOOK_S = 0.1


def tried_row(repo: Path, env: Mapping[str, str], forge: str) -> Row:
    """Whether set-up and a first test end at the base; a run blocks its tasks where they do not."""
    asked = setup.RunRequest(repo=repo, forge=forge)
    task = Task(id="doctor", title="", text="", branch="")
    try:
        with (
            on_signals() as cancel,
            setup.start_run_without_tasks(asked, env, cancel) as run,
            spawner(),
            contextlib.closing(Bases(run, [task])) as bases,
        ):
            bases.start()
            while not bases.is_looked_at(task):
                run.check_not_cancelled()
                cancel.wait(_LOOK_S)
            end = bases.end(task)
            why = _with_kept_log(end.error, run) if end else ""
            base = f"{run.base_branch} {run.base_sha[:12]}"
            run.trees.drop_bases()
    except OrchestratorError as exc:
        return Row(what=WHAT, found=exc.message, ok=False, hint=exc.hint)
    if not why:
        return Row(what=WHAT, found=f"set-up and tests work at {base}")
    hint = f"see `setup` and `test` in {CONFIG_PATH}"
    return Row(what=WHAT, found=f"nothing can be measured at {base}: {why}", ok=False, hint=hint)


def _with_kept_log(why: str, run: RunContext) -> str:
    """The words with the log that they name where it stays: the folder of a run that judged nothing goes."""
    named = next((log for log in run.run_dir.rglob("*.log") if str(log) in why), None)
    if named is None:
        return why
    kept = state_dir(run.git) / "doctor-tests.log"
    kept.write_bytes(named.read_bytes())
    return why.replace(str(named), str(kept))
