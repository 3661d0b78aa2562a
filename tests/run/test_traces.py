"""A run as a trace: what a real collector's protocol carries to a receiver on loopback."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from orchestrator_action.run import on_finish
from orchestrator_action.run.traces import Span, trace_of
from orchestrator_action.state.journal import read_events
from tests.kit.receiver import receiver, spans_of
from tests.kit.whole import GOOD, LIES, PACKAGE, House

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_run_is_a_trace_of_tasks_attempts_and_phases(home: House) -> None:
    """Each span lies within its parent; what went wrong is an error; the headers are OpenTelemetry's own."""
    home.issue(1, "Add a module", GOOD)
    home.issue(2, "Treble", LIES)
    with receiver(503, 200) as there:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": there.url, "OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=of-the-collector",
            "OTEL_SERVICE_NAME": "agents of numbers", "TRACEPARENT": PARENT,
        }  # fmt: skip
        ran = home.run(env=env)

    assert (1, ["success", "failed"]) == (ran.code, [t["status"] for t in ran.report["tasks"]])
    assert "the trace was not sent" not in ran.err
    assert ["/v1/traces"] * 2 == [s.path for s in there.sent], "a busy collector is asked again"
    assert "of-the-collector" == there.sent[-1].headers["x-api-key"]
    resource, spans = spans_of(there.sent[-1].body)
    assert "agents of numbers" == resource["service.name"]
    by_id = {s.span_id: s for s in spans}
    [run] = [s for s in spans if s.parent_span_id not in by_id]
    assert ("run", PARENT.split("-")[1:3]) == (run.name, [run.trace_id.hex(), run.parent_span_id.hex()])
    assert run.status.code == 2 and "1 of 2" in run.status.message
    for span in spans:
        if span is not run:
            above = by_id[span.parent_span_id]
            kinds = (above.name.split()[0], span.name.split()[0])
            assert kinds in {("run", "task"), ("task", "attempt"), ("attempt", "phase")}
            assert above.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
    named = {s.name: s for s in spans}
    known = {a.key: a.value for a in named["task issue-1"].attributes}
    assert "success" == known["orchestrator.status"].string_value
    assert ran.task("issue-1")["head_sha"] == known["vcs.ref.head.revision"].string_value
    assert 0 == named["task issue-1"].status.code and 2 == named["task issue-2"].status.code
    assert {"phase Testing", "phase Implementation", "phase Review"} <= set(named)


def test_a_trace_that_is_not_taken_changes_nothing(home: House) -> None:
    home.issue(1, "Add a module", GOOD)
    with receiver(400) as there:
        ran = home.run(env={"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{there.url}/mine"})

    assert (0, ["/mine"]) == (ran.code, [s.path for s in there.sent])
    assert "the trace was not sent: 127.0.0.1 did not take it\n" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("env", "where"),
    [
        ({}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318/"}, "http://h:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t/x"}, "http://t/x"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_SDK_DISABLED": "true"}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_TRACES_EXPORTER": "none"}, ""),
    ],
)  # fmt: skip
def test_the_variables_of_opentelemetry_say_where(env: dict[str, str], where: str) -> None:
    assert where == on_finish.traces_endpoint(env)


PROGRAM = """
import sys
from orchestrator_action.run import on_finish
from orchestrator_action.run.installed_program import load_all
from orchestrator_action.run.traces import Span
env = {"OTEL_EXPORTER_OTLP_ENDPOINT": sys.argv[1]}
load_all()
assert on_finish.EXPORTER not in sys.modules, "nobody wanted it"
on_finish.load_exporter(env)
before = set(sys.modules)
inner = Span(name="task", began=1.0, ended=2.0, known={"a": "b", "c": 1, "d": 0.5}, fault="failed")
span = Span(name="run", began=1.0, ended=3.0, known={"e": None}, within=(inner,))
why = sys.modules[on_finish.EXPORTER].send_trace(span, on_finish.traces_endpoint(env), env)
print(why, sorted(set(sys.modules) - before))
"""


def test_nothing_is_loaded_once_agents_may_have_run() -> None:
    """What an agent writes over the SDK's files meanwhile runs in no process of ours."""
    with receiver() as there:
        done = subprocess.run(
            [sys.executable, "-I", "-c", PROGRAM, there.url], cwd=PACKAGE, capture_output=True, text=True, timeout=60
        )  # fmt: skip

    assert (" []\n", 0) == (done.stdout, done.returncode), done.stderr
    assert 2 == len(spans_of(there.sent[0].body)[1])


WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
from orchestrator_action.cli.main import main
raise SystemExit(main())
"""


def test_without_the_extra_it_is_said_in_one_line(home: House) -> None:
    """As on a machine where OpenTelemetry is not installed."""
    home.issue(1, "Add a module", GOOD)

    done = subprocess.run(
        [sys.executable, "-I", "-c", WITHOUT, "run", "--forge", f"local:{home.forge}", "--agent", "patch"],
        cwd=home.repo.path, env={**home.environment(), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100,
    )  # fmt: skip

    assert 0 == done.returncode, done.stderr
    how = "OpenTelemetry is not installed (pip install 'orchestrator-action[otel]')"
    assert f"the trace was not sent: {how}\n" in done.stderr


def test_the_trace_of_a_run_says_what_its_report_says(home: House) -> None:
    """Every task that began is a span, with its attempts; the run's span covers them."""
    home.issue(1, "Add a module", GOOD)
    home.run()
    report = json.loads((home.run_dir / "report.json").read_text())

    run = trace_of(read_events(home.run_dir / "journal.jsonl"), report)

    [task] = run.within
    [attempt] = task.within
    assert ("task issue-1", "attempt 1", "") == (task.name, attempt.name, run.fault)
    assert run.began <= task.began <= attempt.began <= attempt.ended <= run.ended
    assert 11 == len({s.known["orchestrator.phase"] for s in attempt.within})
    assert isinstance(run, Span) and report["run_id"] == run.known["cicd.pipeline.run.id"]
