"""Who is told that a run has ended: a webhook and a command of the repository, and a collector of traces.

What they answer changes nothing of how the run ended; what fails is named. The command is the base commit's. It
runs in a clean checkout of the base and sees the variables that the configuration names, never a forge's token.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator_action.config.schema import OnFinish
from orchestrator_action.errors import OrchestratorError
from orchestrator_action.process.concurrency import Slots
from orchestrator_action.process.gate import RateGate, tried
from orchestrator_action.protocol.attempt import Ending
from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.model import Status, Task, TaskResult
from orchestrator_action.run.finish import recorded_task_run
from orchestrator_action.run.traces import trace_of
from orchestrator_action.sandbox.policy import Role
from orchestrator_action.state.context import RunContext, command_env
from orchestrator_action.state.limits import RunLimits
from orchestrator_action.text.redact import mask
from orchestrator_action.verify.setup import last_words

CHECKOUT_NAME = "on-finish"
"""Under this name the base is checked out for the command, and its log is kept."""
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


def tell_finish(run: RunContext, report: Path, *, commands: bool = True) -> tuple[str, ...]:
    """Give the report to the command and the webhook of the configuration, and the trace to its collector.

    Returns what failed, a line each. A run that somebody cancelled tells nobody: it has seconds to end.
    Without `commands` nothing of the repository runs here, and a command is named as left out.
    """
    wanted = run.config.on_finish
    if run.cancel.is_set() or not (wanted.command or wanted.webhook or traces_endpoint(run.env)):
        return ()
    limits = RunLimits(slots=Slots(1), gate=RateGate(1), user=run.cancel)
    given_up = ("on-finish: given up: the run was cancelled meanwhile",)
    return limits.bounded(
        CHECKOUT_NAME, lambda: tuple(_failures(run, wanted, report, commands=commands)), run.cancel, given_up
    )


def _failures(run: RunContext, wanted: OnFinish, report: Path, *, commands: bool) -> Iterator[str]:
    if wanted.webhook and (why := _post(run, wanted, report)):
        yield f"on-finish: the webhook did not take the report: {why}"
    if wanted.command and not commands:
        yield "on-finish: the command was left out: this step runs nothing of the repository"
    elif wanted.command and (why := _run_command(run, wanted, report)):
        yield f"on-finish: the command failed: {why}"
    if why := _send_trace(run, report):
        yield f"the trace was not sent: {why}"


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
