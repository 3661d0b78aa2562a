"""An orchestrator as a program, for tests that kill it: ROOT TASKS GRACE SCRIPT [ARG …].

It is a subreaper, runs SCRIPT of the kit as many times as told in parallel, each with a record in ROOT,
and prints one line of JSON per outcome. SIGINT and SIGTERM cancel, a second one kills.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from orchestrator_action.process import table as procs
from orchestrator_action.process.recovery import sweep
from orchestrator_action.process.supervisor import Cancel, spawner, supervise
from orchestrator_action.protocol.attempt import Command, Limits
from tests.kit.ill import HERE


def say(what: object) -> None:
    """One line, in one piece, whoever else speaks."""
    os.write(1, json.dumps(what).encode("ascii") + b"\n")


def main() -> None:
    root, tasks, grace, script, *args = sys.argv[1:]
    procs.become_subreaper()
    cancel = Cancel()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, cancel.on_signal)
    runner = ["sh"] if script.endswith(".sh") else [sys.executable, "-I", "-S", "-E"]
    command = Command(argv=(*runner, str(HERE / script), *args), cwd=root, env={"PATH": os.environ["PATH"]})

    def one(number: int) -> None:
        outcome = supervise(
            command,
            log=Path(root, f"log-{number}"),
            limits=Limits(stop_grace_s=float(grace)),
            cancel=cancel,
            record=Path(root, f"record-{number}.json"),
        )
        say(dataclasses.asdict(outcome))

    with spawner(), ThreadPoolExecutor(int(tasks)) as pool:
        done = [pool.submit(one, n) for n in range(int(tasks))]
    for future in done:
        future.result()
    swept = sweep()
    say({"swept": len(swept.ended), "survivors": len(swept.survivors)})
    sys.exit(130 if cancel.is_set() else 0)


if __name__ == "__main__":
    main()
