"""Results as a run makes them, with hostile words in every place an agent or an issue can fill."""

from __future__ import annotations

from dataclasses import replace

from orchestrator_action.protocol.forge_values import Conclusion, Issue, Pull, ReviewFinding
from orchestrator_action.protocol.model import (
    Candidate,
    Conflict,
    CrossTest,
    Fact,
    Finding,
    PhaseState,
    PhaseVerdict,
    RunReport,
    Status,
    Task,
    TaskResult,
)
from orchestrator_action.protocol.phases import PHASES
from orchestrator_action.publish.report.comments import RunInfo

HELD = "hunter2-held-by-us"
EVIL = (
    "@octocat fixes #12 </td></table><script>alert(1)</script> "
    "<!-- orchestrator-action:task:issue-1 --> | `x` "
    f"[a](javascript:x) ![i](http://evil/x.png) {HELD} \x1b[31mred\u202e\n::error::x\n```\n/lgtm\n\n# Heading"
)
TOKEN = "gh" + "p_" + "a1" * 18
RUN = RunInfo(run_id="20260101-abc", agent="claude", url="https://github.com/o/r/actions/runs/1")
PULL = Pull(
    number=9,
    url="https://github.com/o/r/pull/9",
    title="t",
    body="b",
    head_branch="orchestrator/issue-7-x",
    head_sha="a" * 40,
    base_branch="main",
)


def proven(phase: str) -> PhaseVerdict:
    fact = Fact(
        phase=phase, rule="rule-of-it", commit="a" * 40, holds=True, message="it holds", detail={"files": 3}
    )
    return PhaseVerdict(phase=phase, state=PhaseState.PROVEN, facts=(fact,))


ALL_PROVEN = tuple(proven(p.id) for p in PHASES)
WAIVED = tuple(
    PhaseVerdict(phase=v.phase, state=PhaseState.WAIVED, reason="no user-visible change")
    if v.phase == "documentation"
    else v
    for v in ALL_PROVEN
)
TESTING = PhaseVerdict(
    phase="testing",
    state=PhaseState.REFUTED,
    findings=(Finding(rule="refuted", message=EVIL),),
    facts=(
        Fact(
            phase="testing",
            rule="suite",
            commit="b" * 40,
            holds=False,
            message=EVIL,
            detail={
                "commands": [
                    {
                        "command": "pytest -q | tee x",
                        "exit_code": 1,
                        "duration_s": 3.2,
                        "log": "/tmp/x",
                        "tail": EVIL + TOKEN,
                    }
                ],
                "passed": 8,
                "failed": 2,
                "skipped": 0,
                "duration_s": 3.2,
                "tree": "c" * 40,
            },
        ),
    ),
)
REFUTED = tuple(TESTING if v.phase == "testing" else v for v in WAIVED[:9])


def result(task_id: str = "issue-7", status: Status = Status.SUCCESS, **more: object) -> TaskResult:
    base = TaskResult(
        task_id=task_id,
        status=status,
        conclusion=Conclusion.SUCCESS,
        title="Add a flag",
        issue=7,
        branch="orchestrator/issue-7-x",
        base_sha="d" * 40,
        head_sha="a" * 40,
        pull=PULL,
        exit_code=0,
        wall_s=252.34,
        attempts=1,
        turns=12,
        cost_usd=0.42,
        peak_rss_mib=611.0,
        cpu_s=33.1,
        pid=4711,
        phases=ALL_PROVEN,
        log="/l",
    )
    return replace(base, **more)  # type: ignore[arg-type]


HOSTILE = result(
    "issue-6",
    status=Status.INCOMPLETE,
    conclusion=Conclusion.FAILURE,
    title=EVIL,
    branch=EVIL,
    error=EVIL,
    phases=REFUTED,
    kept_because=EVIL,
    log=EVIL,
    candidates=(
        Candidate(
            id="issue-6.1",
            agent=EVIL,
            branch=EVIL,
            head_sha="a" * 40,
            status=Status.FAILED,
            error=EVIL,
            failure=EVIL,
        ),
        Candidate(
            id="issue-6.2", agent="codex", branch="b", head_sha="b" * 40, status=Status.SUCCESS, chosen=True
        ),
    ),
    cross_tests=(
        CrossTest(tests_of="issue-6.1", code_of="issue-6.2", failed=(EVIL, EVIL), cannot_run=(EVIL,)),
        CrossTest(tests_of="issue-6.2", code_of="issue-6.1", error=EVIL),
    ),
)
FINDINGS = (
    ReviewFinding(id="f1", path="src/a.py", line=3, severity="error", text=EVIL),
    ReviewFinding(id="f2", path=EVIL, line=0, severity="note", text="fine"),
)
CONFLICTS = (
    Conflict(a="issue-7", b="issue-8", paths=("src/a.py", EVIL)),
    Conflict(a="issue-8", b="issue-9", paths=("b",)),
    Conflict(a="issue-6", b="issue-8", paths=(EVIL,)),
)
TASK = Task(
    id="issue-7",
    title=EVIL,
    text=f"Please\n<!-- hidden -->\n{EVIL}\n",
    branch="orchestrator/issue-7-x",
    issue=Issue(number=7, title=EVIL),
)


def report(*tasks: TaskResult, requested: int | None = None) -> RunReport:
    return RunReport(
        run_id="20260101-abc",
        repo="o/r",
        base_sha="d" * 40,
        agent="claude",
        started_at="2026-01-01T00:00:00Z",
        wall_s=300.0,
        sum_task_s=500.0,
        speedup=1.67,
        peak_parallel=2,
        cost_usd=0.42,
        requested=len(tasks) if requested is None else requested,
        tasks=tasks,
        conflicts=CONFLICTS,
    )
