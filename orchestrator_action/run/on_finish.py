"""Who is told that a run has ended: a webhook and a command of the repository, and a collector of traces.

What they answer changes nothing of how the run ended; what fails is named. A cancelled run tells them, too, in the
time that it has left; whom it did not reach is told when the run is settled. The command is the base commit's. It
runs in a clean checkout of the base and sees the variables that the configuration names, never a forge's token.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import logging
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from orchestrator_action.config.schema import OnFinish
from orchestrator_action.errors import JournalError, OrchestratorError
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.process.concurrency import Slots
from orchestrator_action.process.gate import RateGate, tried
from orchestrator_action.protocol.attempt import Ending
from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.model import Status, Task, TaskResult
from orchestrator_action.run.finish import recorded_task_run
from orchestrator_action.run.run import UNSETTLED
from orchestrator_action.run.traces import trace_of
from orchestrator_action.sandbox.policy import Role
from orchestrator_action.state.context import RunContext, command_env
from orchestrator_action.state.fold import recall
from orchestrator_action.state.limits import RunLimits
from orchestrator_action.text.redact import mask
from orchestrator_action.verify.setup import last_words

log = logging.getLogger(__name__)

CHECKOUT_NAME = "on-finish"
"""Under this name the base is checked out for the command, and its log is kept."""
WEBHOOK, COMMAND, TRACE = "the webhook of on-finish", "the command of on-finish", "the collector of traces"
"""Who is told, by the names that the journal has for it."""
LEFT_OUT = "on-finish: the command was left out: this step runs nothing of the repository"
NO_TIME = "{} was not told before the run had to end; mode settle, or the next run of this checkout, does it"
REPORT_VARIABLE = "ORCHESTRATOR_REPORT"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
EXPORTER = "orchestrator_action.run.otlp"
"""Needs the extra `otel`, so it is loaded where a trace is wanted only."""
WEBHOOK_RETRIES = 4
FIRST_S, LONGEST_S = 1.0, 10.0
"""Between two tries, at first and at most."""
TRY_S = 15.0
"""Until a server that does not answer has had its try."""
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be others a moment later."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What became of one try; `again_s` is None when another one would be of no use."""

    why_not: str = ""
    again_s: float | None = None


def tell_finish(
    run: RunContext, report: Path, *, commands: bool = True, only: Collection[str] | None = None
) -> tuple[str, ...]:
    """Give the report to the command and the webhook of the configuration, and the trace to its collector.

    Returns what failed, a line each. All of them are told at the same time. Of a run that somebody cancels they have
    what is left of its time: who does not confirm in it is named, stays `untold` in the journal, and is told by
    whoever settles the run. `only` names those that are still to be told, everybody when it is None. Without
    `commands` nothing of the repository runs here, and a command is named as left out.
    """
    free = replace(run, cancel=Cancel())  # what has begun may use the time that a cancelled run has left
    ways = {who: way for who, way in _ways(free, report) if only is None or who in only}
    left_out = () if commands or COMMAND not in ways else (LEFT_OUT,)
    if left_out:
        del ways[COMMAND]
    return (*left_out, *(_tell(run, ways) if ways else ()))


def _ways(run: RunContext, report: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    """Who is to be told, and how. Each way returns what failed, or an empty string."""
    wanted = run.config.on_finish
    if wanted.webhook:
        yield (
            WEBHOOK,
            lambda: _after("on-finish: the webhook did not take the report: ", _post(run, wanted, report)),
        )
    if wanted.command:
        yield COMMAND, lambda: _after("on-finish: the command failed: ", _run_command(run, wanted, report))
    if traces_endpoint(run.env):
        yield TRACE, lambda: _after("the trace was not sent: ", _send_trace(run, report))


def _after(what: str, why: str) -> str:
    return what + why if why else ""


def _tell(run: RunContext, ways: Mapping[str, Callable[[], str]]) -> tuple[str, ...]:
    """Tell all of them at once; what failed, and who could not be told in the time that a cancelled run has."""
    limits = RunLimits(slots=Slots(1), gate=RateGate(1), user=run.cancel)
    said: dict[str, str] = {}

    def tell(who: str) -> None:
        try:
            said[who] = ways[who]()
        except Exception as exc:
            log.error("a bug of ours who=%s", who, exc_info=exc)
            said[who] = f"{who}: a bug of ours: {type(exc).__name__}: {exc}"
        with contextlib.suppress(JournalError):  # the run has gone on without it
            run.journal.append("posted", what=who)

    for who in ways:
        run.journal.append("pending", what=who)
    with contextlib.suppress(OSError):
        (run.run_dir / UNSETTLED).touch()
    if time.monotonic() < limits.give_up_at(run.cancel):
        limits.bounded(CHECKOUT_NAME, lambda: _side_by_side(tell, ways), run.cancel, None)
    state = recall(run.journal.events)
    if not state.untold and not state.pending:
        (run.run_dir / UNSETTLED).unlink(missing_ok=True)
    return tuple(line for who in ways if (line := said.get(who, NO_TIME.format(who))))


def _side_by_side(tell: Callable[[str], None], names: Iterable[str]) -> None:
    """Call `tell` with each of the names at the same time, and wait for all of them."""
    threads = [Thread(target=tell, args=(who,), name=who, daemon=True) for who in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# -- the trace -------------------------------------------------------------------------------------


def traces_endpoint(env: Mapping[str, str]) -> str:
    """Where traces go, by OpenTelemetry's variables; empty when nobody wants them."""
    whole, base = (env.get(name, "").strip() for name in ENDPOINTS)
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true" or env.get("OTEL_TRACES_EXPORTER") == "none":
        return ""
    return whole or (f"{base.rstrip('/')}/v1/traces" if base else "")


def load_exporter(env: Mapping[str, str]) -> None:
    """Have what sends traces in memory before an agent starts, where it is wanted and installed."""
    if traces_endpoint(env):
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(EXPORTER).rehearse(env)


def _send_trace(run: RunContext, report: Path) -> str:
    url = traces_endpoint(run.env)
    if not url:
        return ""
    if EXPORTER not in sys.modules:
        return "OpenTelemetry is not installed (pip install 'orchestrator-action[otel]')"
    trace = trace_of(run.journal.events, json.loads(report.read_bytes()))
    return str(sys.modules[EXPORTER].send_trace(trace, url, run.env))


# -- the webhook -----------------------------------------------------------------------------------


def _post(run: RunContext, wanted: OnFinish, report: Path) -> str:
    """Post the report; why it was not taken, without the address: that may be a secret."""
    url = wanted.webhook
    if url.startswith("$"):
        url = run.env.get(url[1:], "").strip()
        if not url.startswith(("https://", "http://")):
            return f"the variable {wanted.webhook[1:]} holds no address"
    body, host = report.read_bytes(), urlsplit(url).hostname or "its host"
    ends_at = time.monotonic() + wanted.timeout if wanted.timeout else float("inf")

    def once() -> _Answer:
        return _try(url, host, body, max(0.1, min(TRY_S, ends_at - time.monotonic())))

    def pause(seconds: float) -> bool:
        return time.monotonic() + seconds >= ends_at or run.cancel.wait(seconds)

    return tried(
        once,
        retries=WEBHOOK_RETRIES,
        transient=lambda a: a.again_s,
        pause=pause,
        first_s=FIRST_S,
        longest_s=LONGEST_S,
    ).why_not


def _try(url: str, host: str, body: bytes, patience_s: float) -> _Answer:
    import requests  # 15 ms, which commands that start no agent do not need; a run has it in memory

    with requests.Session() as session:
        session.auth = lambda request: request  # otherwise requests would look into ~/.netrc
        try:
            answer = session.post(
                url, data=body, headers={"Content-Type": "application/json"}, timeout=patience_s,
                allow_redirects=False, stream=True,
            )  # fmt: skip
        except (requests.ConnectionError, requests.Timeout) as exc:
            slow = isinstance(exc, requests.Timeout)
            return _Answer(
                why_not=f"{host} does not answer" if slow else f"{host} cannot be reached", again_s=0.0
            )
        except (requests.RequestException, ValueError) as exc:
            return _Answer(why_not=f"its address cannot be used ({type(exc).__name__})")
    if answer.ok and not answer.is_redirect:
        return _Answer()
    asked = answer.headers.get("Retry-After", "")
    again = (float(asked) if asked.isdecimal() else 0.0) if answer.status_code in _BUSY else None
    return _Answer(why_not=f"{host} answered {answer.status_code}", again_s=again)


# -- the command -----------------------------------------------------------------------------------


def _run_command(run: RunContext, wanted: OnFinish, report: Path) -> str:
    """Run the command within the walls of the run; why it failed, or an empty string."""
    nothing = TaskResult(
        task_id=CHECKOUT_NAME, status=Status.SKIPPED, conclusion=Conclusion.SKIPPED, base_sha=run.base_sha
    )
    task = Task(id=CHECKOUT_NAME, title="", text="", branch="")
    bench = recorded_task_run(run, task, nothing)
    bench.directory.mkdir(parents=True, exist_ok=True)
    copy, log = bench.directory / "report.json", bench.directory / "on-finish.log"
    try:
        shutil.copyfile(report, copy)
        tree = run.trees.measure(CHECKOUT_NAME, run.base_sha)
        try:
            outcome = bench.run_command(
                ["/bin/sh", "-c", wanted.command],
                cwd=tree.path,
                env={**command_env(run.env, wanted.env), REPORT_VARIABLE: str(copy)},
                log=log,
                timeout_s=wanted.timeout,
                role=Role.ON_FINISH,
            )
        finally:
            run.trees.remove(tree)
    except (OrchestratorError, OSError) as exc:
        return str(exc)
    if outcome.ending is Ending.EXITED and outcome.exit_code == 0:
        return ""
    how = (
        f"exit {outcome.exit_code}"
        if outcome.exit_code is not None
        else outcome.error or outcome.ending.value
    )
    said = mask(last_words(log), [*run.secrets, *(v for n in wanted.env if (v := run.env.get(n)))])
    return f"{how}{said and f': {said}'}; its output is in {log}"
