"""Results to text: comments, checks, pull bodies, the prompt, the job summary, the published JSON.

Everything comes in as plain values and goes out as text; nothing here writes, asks or decides. What an
agent or an issue said passes `defang` or `inline` on its way, and every whole document is masked
once more with the values we hold. A waiver is shown as a waiver, never as done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from orchestrator_action.protocol.forge_values import Annotation, Conclusion, Pull, ReviewFinding
from orchestrator_action.protocol.model import (
    GOOD_STATUSES,
    Conflict,
    PhaseState,
    PhaseVerdict,
    Status,
    Task,
    TaskResult,
    exceptions_of,
)
from orchestrator_action.protocol.phases import PHASES
from orchestrator_action.publish.report.beside import claim_beside_fact
from orchestrator_action.publish.report.candidates import candidate_rows, cross_lines
from orchestrator_action.publish.report.document import counts as counts
from orchestrator_action.publish.report.document import failures as failures
from orchestrator_action.publish.report.document import report_json as report_json
from orchestrator_action.publish.report.document import task_json as task_json
from orchestrator_action.text import figures
from orchestrator_action.text import limits as texts
from orchestrator_action.text.defang import let_ci_run
from orchestrator_action.text.template import fill, phase_title

Times = Mapping[str, Sequence[tuple[str, float, float]]]
"""Per task id: phase, start and end, in seconds since the run began."""

Ci = Literal["unknown", "started", "not-started", "dispatched", "skipped"]
"""Whether the forge's own workflows run on the pushed commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What a text says of the run it belongs to."""

    run_id: str
    agent: str = ""
    url: str = ""
    """The page of the workflow run, where there is one."""
    isolation: str = ""
    """The level of the walls that agent and tests ran in."""
    label: str = ""
    """The label that asks for work, where there is one to set again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTexts:
    """The texts of a check run, within GitHub's limits."""

    title: str
    summary: str
    text: str
    annotations: tuple[Annotation, ...] = ()


MOST_OF_AN_ERROR = 200
"""Characters of a cause in one line: so much lets what a forge said of a refusal through."""


# --- words ---------------------------------------------------------------------------------------------

STATUS_WORDS = {
    Status.SUCCESS: "✅ done",
    Status.NO_CHANGE: "✅ no change needed",
    Status.DECLINED: "✋ declined",
    Status.INCOMPLETE: "❌ incomplete",
    Status.FAILED: "❌ failed",
    Status.TIMEOUT: "⌛ out of time",
    Status.STALLED: "⌛ stalled",
    Status.CANCELLED: "🛑 cancelled",
    Status.BLOCKED: "⛔ blocked",
    Status.SKIPPED: "⏭️ skipped",
}
"""How a task ended: a sign for the eye and a word for everyone."""


def _named(phases: Sequence[PhaseVerdict], *, with_state: bool = False) -> str:
    return ", ".join(phase_title(p.phase) + (f" ({p.state.value})" if with_state else "") for p in phases)


def headline(phases: Sequence[PhaseVerdict], *, status: Status | None, error: str = "") -> str:
    """One plain line that says how a task stands: counts, waivers by name, what is open by name.

    `status` is None while the task runs.
    """
    proven = sum(p.state is PhaseState.PROVEN for p in phases)
    if status is None:
        return f"{proven} of {len(PHASES)} phases proven so far"
    reported = [p for p in phases if p.state is PhaseState.REPORTED]
    waived = [p for p in phases if p.state is PhaseState.WAIVED]
    open_ = [p for p in phases if not p.settled]
    parts = [status.value] if status is not Status.SUCCESS else []
    if status is Status.SUCCESS and (named := exceptions_of(phases)):
        noun = "thing" if any(e.get("kind") == "place" for e in named) else "test"
        parts = [
            f"Verified except {figures.count(len(named), noun)}: read {'this' if len(named) == 1 else 'these'}"
        ]
    if status is Status.NO_CHANGE and (no_change := no_change_reason(phases)):
        parts = [f"no change needed: {texts.plain(no_change, limit=120)}"]
    if error:
        parts.append(texts.plain(error, limit=MOST_OF_AN_ERROR))
    parts.append(f"{proven} of {len(PHASES)} phases proven")
    if reported:
        parts.append(f"{len(reported)} reported by work ({_named(reported)})")
    if waived:
        parts.append(f"{len(waived)} waived ({_named(waived)})")
    idle = sum(p.state in {PhaseState.NOT_APPLICABLE, PhaseState.OFF} for p in phases)
    if idle:
        parts.append(f"{idle} not applicable")
    if open_:
        more = f" and {len(open_) - 4} more" if len(open_) > 5 else ""
        parts.append(f"open: {_named(open_[: 4 if more else 5], with_state=True)}{more}")
    return "; ".join(parts)


def no_change_reason(phases: Sequence[PhaseVerdict]) -> str:
    """Why the agent said that no change is needed, or an empty string."""
    return next((p.reason for p in phases if p.phase == "implementation" and p.reason), "")


# --- what a forge is given ----------------------------------------------------------------------------


def issue_body(task: Task, secrets: Iterable[str] = ()) -> str:
    """The body of an issue opened for a prompt file."""
    return texts.cut(texts.defang(task.text, secrets) or "(no text)", texts.COMMENT_LIMIT - 1024, "bytes")


def pull_title(words: str, secrets: Iterable[str] = ()) -> str:
    """A pull's title from an agent's words: one line that calls nobody and closes nothing."""
    first = next((line for line in words.splitlines() if line.strip()), "")
    return texts.plain(let_ci_run(first.lstrip("# ")), secrets, limit=120) or "Proposed change"


def pull_body(task: Task, *, issue: int | None, text: str, run_id: str, secrets: Iterable[str] = ()) -> str:
    """The agent's words as a quotation, so that none can be taken for ours; then what we know: issue and run."""
    footer = fill("pull_body.md.j2", secrets, issue=issue, run_id=run_id, task_id=task.id)
    head = texts.marker("pull", f"{run_id}.{task.id}")
    room = texts.COMMENT_LIMIT - len(f"{head}{footer}".encode()) - 512
    said = texts.defang(text, secrets).strip() or "(The agent gave no description.)"
    return f"{head}\n**The agent says:**\n\n{quoted(said, room)}\n\n{footer}"


def quoted(said: str, room: int) -> str:
    """Markdown as a quotation of at most `room` bytes: no heading, table or mark in it stands on the page itself."""
    size = room
    while True:
        lines = texts.cut(said, size, "bytes").rstrip("\n").split("\n")
        made = "\n".join(f"> {line}".rstrip() for line in lines)
        if len(made.encode()) <= room:
            return made
        size -= max(64, (len(made.encode()) - room) // 2)


def defanged(findings: Iterable[ReviewFinding], secrets: Iterable[str] = ()) -> tuple[ReviewFinding, ...]:
    """Review findings whose texts may appear under our name."""
    held = tuple(secrets)
    return tuple(
        replace(
            f,
            path=texts.mask(texts.clean(f.path)[0].replace("\n", ""), held),
            severity=texts.inline(f.severity, limit=20),
            text=texts.cut(texts.defang(f.text, held), 8000),
        )
        for f in findings
    )


def review_body(findings: Sequence[ReviewFinding], head: str, secrets: Iterable[str] = ()) -> str:
    """What stands above the findings of a review: by whom, of what, and that it approves nothing."""
    return fill("review_body.md.j2", secrets, findings=findings, head=head)


def answer_text(said: str, secrets: Iterable[str] = ()) -> str:
    """The author's answer to a finding, as it may appear under our name."""
    return texts.cut(texts.defang(said, tuple(secrets)).strip(), 4000) or "(no answer)"


def issue_comment(
    result: TaskResult, *, run: RunInfo, running: bool = False, note: str = "", secrets: Iterable[str] = ()
) -> str:
    """The one comment on the issue: phases with their states, pull, time and cost.

    With `running`, `result.status` is not looked at. `note` is one more line of ours.
    """
    status = None if running else result.status
    body = fill(
        "issue_comment.md.j2",
        secrets,
        **_standing(result, status, run),
        marker=texts.marker("task", result.task_id),
        note=note,
        running=running,
    )
    return texts.cut(body, texts.COMMENT_LIMIT, "bytes")


def not_started(why: str, secrets: Iterable[str] = (), *, stays: bool = True) -> str:
    """Why no agent was set to work on an issue, or on a pull request where no label `stays`; and what happens next."""
    said = texts.inline(why, secrets, limit=1500)
    after = (
        "The label stays: the next run tries again" if stays else "The pull request is as it was: ask again"
    )
    return f"### orchestrator: not started\n\n{said}.\n\n{after}.\n"


def follow_up_answer(word: str, *, by: str = "", secrets: Iterable[str] = ()) -> str:
    """Our answer to what somebody asked on a pull request: how it ended, in a sentence. A thread needs no name."""
    said = texts.inline(word, secrets, limit=3000)
    said = f"{said[:1].upper()}{said[1:]}."
    return f"### orchestrator: what {texts.inline(by, limit=60)} asked\n\n{said}\n" if by else f"{said}\n"


def _standing(result: TaskResult, status: Status | None, run: RunInfo) -> dict[str, Any]:
    """What both comments say of how a task stands; `status` None while it runs."""
    beside = claim_beside_fact(result, status, label=run.label)
    return {
        "t": result,
        "run": run,
        "rows": rows_of(result.phases),
        "word": word_of(status, result.phases),
        "exceptions": _exceptions(status, result.phases),
        "declined": result.declined,
        "candidates": candidate_rows(result),
        "cross": cross_lines(result),
        "headline": headline(
            result.phases, status=status, error="" if beside and beside.measured else result.error
        ),
        "beside": beside,
    }


def word_of(status: Status | None, phases: Sequence[PhaseVerdict] = ()) -> str:
    """A sign and a word for how a task stands; None while it runs."""
    if status is None:
        return "⏳ working"
    return "⚠️ done, with exceptions" if _exceptions(status, phases) else STATUS_WORDS[status]


def _exceptions(status: Status | None, phases: Sequence[PhaseVerdict]) -> tuple[Mapping[str, str], ...]:
    """The tests that a person has to read, of a task that succeeded."""
    return exceptions_of(phases) if status is Status.SUCCESS else ()


def rows_of(phases: Sequence[PhaseVerdict]) -> list[dict[str, Any]]:
    """All eleven phases, also those nothing is known of yet; `said` is why each stands as it does."""
    known = {p.phase: p for p in phases}
    rows = []
    for phase in PHASES:
        verdict = known.get(phase.id) or PhaseVerdict(phase=phase.id, state=PhaseState.MISSING)
        said = "; ".join(f.message for f in verdict.findings) or verdict.reason
        if phase.id == "implementation" and verdict.reason and verdict.settled:
            said = "; ".join((said, *(f.message for f in verdict.facts[1:])))
        if verdict.state in {PhaseState.MISSING, PhaseState.NOT_APPLICABLE}:
            said = ""  # the state says it all; how to claim a phase is for the agent to read
        rows.append({"number": phase.number, "title": phase.title, "v": verdict, "said": said})
    return rows


def pull_comment(
    result: TaskResult,
    *,
    run: RunInfo,
    ci: Ci = "unknown",
    ci_input: str = "ci-workflow",
    findings: Sequence[ReviewFinding] = (),
    answers: Mapping[str, str] | None = None,
    conflicts: Sequence[Conflict] = (),
    secrets: Iterable[str] = (),
) -> str:
    """The comment on the pull: ledger, evidence, findings, resources, forecast conflicts, CI, the run.

    `answers` maps a review finding's id to how it ended. `ci_input` is the Action's input that names a
    workflow to dispatch. Too long a comment loses the details of its evidence first.
    """
    held = tuple(secrets)
    mine = [c for c in conflicts if result.task_id in (c.a, c.b)]
    review = next((p for p in result.phases if p.phase == "review"), None)
    reviewed = (
        next((f.message for f in review.facts if f.rule == "reviewed" and f.holds), "") if review else ""
    )
    for detailed in (True, False):
        body = fill(
            "pull_comment.md.j2",
            held,
            **_standing(result, result.status, run),
            marker=texts.marker("pull-report", result.task_id),
            verified=result.status in GOOD_STATUSES,
            ci=ci,
            ci_input=ci_input,
            findings=findings,
            reviewed=reviewed,
            answers=answers or {},
            conflicts=mine,
            detailed=detailed,
        )
        if len(body.encode()) <= texts.COMMENT_LIMIT:
            return body
    return texts.cut(body, texts.COMMENT_LIMIT, "bytes")


_LEVELS = {"error": "failure", "warning": "warning"}


def check_texts(
    phases: Sequence[PhaseVerdict],
    *,
    conclusion: Conclusion | None,
    head_sha: str,
    run: RunInfo,
    status: Status | None = None,
    error: str = "",
    pull: Pull | None = None,
    findings: Sequence[ReviewFinding] = (),
    result: TaskResult | None = None,
    secrets: Iterable[str] = (),
) -> CheckTexts:
    """Title, summary, text and annotations of a check run; `conclusion` None while it is in progress.

    With `result` the claim stands beside the fact. Waivers stand in the title. Annotations are the review's
    findings on lines.
    """
    held = tuple(secrets)
    ended = status or (None if conclusion is None else _status_of(conclusion))
    beside = claim_beside_fact(result, ended, label=run.label) if result else None
    wrong = beside.measured if beside and beside.at and ended not in GOOD_STATUSES else ()
    said_there = bool(wrong) and error in {f.message for p in phases for f in p.findings}
    title = headline(phases, status=ended, error="; ".join(wrong) if said_there else error)
    values = {
        "rows": rows_of(phases),
        "run": run,
        "head": head_sha,
        "pull": pull,
        "error": "" if said_there else error,
        "word": word_of(ended, phases),
        "exceptions": _exceptions(ended, phases),
        "headline": headline(phases, status=ended, error="" if said_there else error),
        "beside": beside,
    }
    return CheckTexts(
        title=texts.mask(title[:255], held),
        summary=texts.cut(fill("check_summary.md.j2", held, **values), texts.CHECK_SUMMARY_LIMIT, "bytes"),
        text=texts.cut(fill("check_text.md.j2", held, **values), texts.CHECK_TEXT_LIMIT, "bytes"),
        annotations=tuple(
            Annotation(
                path=texts.mask(texts.clean(f.path)[0].replace("\n", ""), held),
                line=f.line,
                message=texts.cut(texts.mask(texts.clean(f.text)[0], held), 4000),
                title=f"review {texts.plain(f.id, limit=20)}",
                level=_LEVELS.get(f.severity, "notice"),
            )
            for f in findings
            if f.path and f.line > 0
        ),
    )


def _status_of(conclusion: Conclusion) -> Status:
    """The status to speak of when only a check's conclusion is known."""
    return {
        Conclusion.SUCCESS: Status.SUCCESS,
        Conclusion.NEUTRAL: Status.NO_CHANGE,
        Conclusion.CANCELLED: Status.CANCELLED,
        Conclusion.TIMED_OUT: Status.TIMEOUT,
        Conclusion.ACTION_REQUIRED: Status.BLOCKED,
        Conclusion.SKIPPED: Status.SKIPPED,
    }.get(conclusion, Status.INCOMPLETE)
