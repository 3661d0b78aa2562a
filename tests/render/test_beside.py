"""The claim beside the fact: what a comment, a check, a report say first, and that nobody can imitate it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.model import (
    Fact,
    Finding,
    PhaseState,
    PhaseVerdict,
    Reviewed,
    Status,
    TaskResult,
)
from orchestrator_action.publish.report import comments as render
from orchestrator_action.publish.report.beside import OUTPUT_LINES, claim_beside_fact
from orchestrator_action.text.limits import COMMENT_LIMIT
from tests.render.values import ALL_PROVEN, RUN, TASK, result

HEAD = "a" * 40


def fact(phase: str, rule: str, message: str = "", holds: bool = True, **detail: Any) -> Fact:
    return Fact(phase=phase, rule=rule, commit=HEAD, holds=holds, message=message or rule, detail=detail)


def task(
    *facts: Fact, claimed: str | None = None, state: PhaseState = PhaseState.PROVEN, **more: Any
) -> TaskResult:
    """A task whose phases hold these facts beside the usual ones; its Testing is `state`."""
    by_phase = {p.phase: p for p in ALL_PROVEN}
    for name in {f.phase for f in facts} | {"testing"}:
        by_phase[name] = PhaseVerdict(
            phase=name,
            state=state if name == "testing" else PhaseState.PROVEN,
            facts=tuple(f for f in facts if f.phase == name),
            claimed=claimed if name == "testing" else "",
        )
    return result(phases=tuple(by_phase.values()), **more)


GOOD = (
    fact("testing", "suite", passed=12, failed=0),
    fact("testing", "nothing-lost", base_passed=11, head_passed=12),
    fact("testing", "shows-the-change", shows=True, tests=["test_double"]),
    fact("implementation", "commits", files=2, added=20, deleted=3),
    fact("review", "reviewed"),
)
RED = fact(
    "testing", "suite", "`pytest -q` failed", holds=False, passed=0, failed=1,
    failing=[{"id": "test_double", "red_before": False}],
    commands=[{"command": "pytest -q", "tail": "\n".join(f"line {n}" for n in range(30))}],
)  # fmt: skip
DECLINED = Reviewed(id="f1", path="a.py", line=1, severity="note", text="why?", declined="as the issue asks")


def failed(**more: Any) -> TaskResult:
    return task(
        RED, claimed="all tests pass", state=PhaseState.REFUTED, status=Status.FAILED,
        conclusion=Conclusion.FAILURE, pull=None, **more,
    )  # fmt: skip


def test_a_verified_task_says_so_in_one_line_of_figures():
    """Counts of head, base and new, the size, the review, money, time and walls: each from a fact."""
    one = task(*GOOD, review=(DECLINED,), cost_usd=0.05, wall_s=60.0)

    said = render.pull_comment(one, run=replace(RUN, isolation="sandboxed"))

    assert (
        "**Verified at `aaaaaaa`** · 12 tests pass (base: 11; 1 fails on the base) · 2 files, +20 −3 · "
        "1 review finding, declined · \\$0.05, 1 min · isolation: sandboxed"
    ) in said


def test_what_was_said_stands_beside_what_was_measured():
    """With the failing test by name, twelve lines of output, the branch and what can be done."""
    said = render.issue_comment(failed(), run=replace(RUN, label="orchestrate"))

    assert "**Not verified.** The agent said of Testing: “all tests pass”" in said
    assert "**Measured** at `aaaaaaa`: 1 of 1 test fails: test\\_double" in said
    assert [f"line {n}" for n in range(30 - OUTPUT_LINES, 30)] == [
        x for x in said.splitlines() if x.startswith("line ")
    ]
    assert "Branch `orchestrator/issue-7-x`. To try again, set the label “orchestrate” again." in said


def test_the_check_says_the_same_as_the_comment():
    one = failed()
    check = render.check_texts(
        one.phases, conclusion=Conclusion.FAILURE, status=Status.FAILED, head_sha=HEAD, run=RUN, result=one
    )

    assert "**Not verified.** The agent said of Testing: “all tests pass”" in check.summary
    assert "1 of 1 test fails" in check.summary


def test_a_check_says_once_what_fails():
    """Its title and its first lines by the tests' names; what else went wrong still stands there."""
    message = "Testing: the suite failed"
    one = failed()
    found = (Finding(rule="refuted", message=message),)
    phases = tuple(replace(p, findings=found) if p.phase == "testing" else p for p in one.phases)
    end = {
        "conclusion": Conclusion.FAILURE,
        "status": Status.FAILED,
        "head_sha": HEAD,
        "run": RUN,
        "result": one,
    }

    once = render.check_texts(phases, error=message, **end)
    more = render.check_texts(phases, error=f"{message}; the comment was not written", **end)

    assert once.title.startswith("failed; 1 of 1 test fails: test_double; 10 of 11 phases proven")
    assert 1 == once.summary.replace("\\", "").count(message), "in the table of phases"
    assert "the comment was not written" in more.title and "the comment was not written" in more.summary
    assert "failing `test_double`" in once.text and "{'" not in once.text


def test_nothing_measured_is_never_called_verified():
    """Facts of the base, of another commit, or none at all."""
    for facts in ((), tuple(replace(f, commit="b" * 40) for f in GOOD)):
        beside = claim_beside_fact(task(*facts, status=Status.FAILED), Status.FAILED)
        assert beside is not None
        assert (False, "", ()) == (beside.verified, beside.at, beside.measured)


def test_a_repository_without_tests_is_not_called_verified():
    """Success without a suite says what was not done."""
    facts = [f for f in GOOD if f.phase != "testing"]
    beside = claim_beside_fact(task(*facts), Status.SUCCESS)

    assert beside is not None
    assert (False, "Not verified by tests") == (beside.verified, beside.word)
    assert "no test was run" in beside.measured


@pytest.mark.parametrize("status", [s for s in Status if s not in {Status.SUCCESS, Status.NO_CHANGE}])
def test_every_bad_end_says_what_can_be_done(status: Status):
    beside = claim_beside_fact(failed(), status, label="orchestrate")

    assert beside is not None
    assert "“orchestrate” again" in beside.next_step


HOSTILE = """fine

### orchestrator: ✅ done
**Verified at `aaaaaaa`** · 99 tests pass

| # | phase | state |
|--:|---|---|
| 6 | Testing | ✅ proven |

---

Closes #99
> [!NOTE]
</details>
```
open"""


def test_an_agents_text_cannot_imitate_ours():
    """In a pull request each of its lines is quoted; in a comment it is one line within quotation marks."""
    body = render.pull_body(TASK, issue=7, text=HOSTILE, run_id="r")
    lines = body.splitlines()
    ours = [line for line in lines if not line.startswith(">")]

    assert ["Closes #7"] == [line for line in ours if "Closes" in line]
    assert not [
        line for line in ours if "Verified" in line or "proven" in line or line.startswith(("#", "|"))
    ]
    said = render.issue_comment(failed(said=HOSTILE), run=RUN)
    assert 1 == len([line for line in said.splitlines() if line.startswith("### ")])
    assert 0 == len([line for line in said.splitlines() if line.startswith("**Verified")])


def test_a_quotation_of_any_length_fits():
    """One line, many empty ones, many short ones."""
    for text in ("x" * 200_000, "\n" * 200_000, "a\n" * 100_000):
        assert len(render.pull_body(TASK, issue=7, text=text, run_id="r").encode()) <= COMMENT_LIMIT
