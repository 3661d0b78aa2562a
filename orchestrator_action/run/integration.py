"""Whether the verified branches of a run go together: merged in memory, and on request tested as one tree.

Each branch is verified by itself, from the run's base. Two that are well may still clash, in a path or in what they do.
The order is the one in which the fewest are left out: those that clash with the fewest others come first. With
`integration: test` the suite runs on the merged tree; when something is red that was not at the base, it is bisected.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator_action.errors import OrchestratorError
from orchestrator_action.git.merging import merge, merge_commit
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.conflicts import conflicts
from orchestrator_action.protocol.forge_values import Conclusion
from orchestrator_action.protocol.model import Conflict, Integration, Status, Task, TaskResult
from orchestrator_action.publish.report.integration import integration_comment
from orchestrator_action.run.finish import recorded_task_run
from orchestrator_action.state.context import RunContext
from orchestrator_action.text.limits import marker
from orchestrator_action.verify.change_runs import failing
from orchestrator_action.verify.measure import bench_of, suite_at_base

log = logging.getLogger(__name__)

_MOST_BRANCHES = 200
"""More branches than this are not tried: each that shares a path with another costs a merge."""
_NAME = "integration"
"""Under which the merged tree is checked out and its logs are kept."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A verified branch."""

    task_id: str
    head: str
    base: str


RunTests = Callable[[RunContext, Sequence[Branch], Integration], Integration]
"""What was merged, with what the tests of the merged tree come to."""


def integrate(
    run: RunContext, results: Sequence[TaskResult], *, test: RunTests | None = None
) -> Integration | None:
    """Try the verified branches together; None where there are fewer than two, or the repository wants none of it.

    `test` says what the merged tree's tests come to, where the repository wants to know; else they run here.
    """
    branches = [
        Branch(r.task_id, r.head_sha, r.base_sha)
        for r in results
        if r.status is Status.SUCCESS and r.head_sha and r.head_sha != r.base_sha
    ]
    return None if run.stand_in else try_together(run, branches, test or test_merged)


def try_together(run: RunContext, branches: Sequence[Branch], test: RunTests) -> Integration | None:
    """The same of branches that somebody has found to be verified."""
    if run.config.integration == "off" or not 2 <= len(branches) <= _MOST_BRANCHES or run.cancel.is_set():
        return None
    try:
        merged = merge_all(run.private, branches, run.base_sha)
        return test(run, branches, merged) if run.config.integration == "test" else merged
    except OrchestratorError as exc:
        log.warning("the branches could not be tried together: %s", exc.message)
        return None


# -- merging ----------------------------------------------------------------------------------------


def merge_all(git: Git, branches: Sequence[Branch], base: str) -> Integration:
    """Merge as many branches as go together. Raises GitError."""
    found = clashes_of(git, branches)
    degree = Counter(t for c in found for t in (c.a, c.b))
    commit, taken, clashes = base, list[Branch](), {frozenset((c.a, c.b)): c for c in found}
    for branch in sorted(branches, key=lambda b: degree[b.task_id]):  # stable: otherwise in plan order
        if any(frozenset((branch.task_id, t.task_id)) in clashes for t in taken):
            continue
        merged = merge(git, commit, branch.head)
        if merged.clashes:
            others = ", ".join(t.task_id for t in taken)
            clashes[frozenset((branch.task_id, others))] = Conflict(
                a=branch.task_id, b=others, paths=merged.clashes
            )
            continue
        commit = (
            branch.head
            if git.is_ancestor(commit, branch.head)
            else merge_commit(git, merged.tree, [commit, branch.head])
        )
        taken.append(branch)
    names = {b.task_id for b in taken}
    return Integration(
        order=tuple(b.task_id for b in taken),
        left_out=tuple(b.task_id for b in branches if b.task_id not in names),
        clashes=tuple(clashes.values()),
        commit=commit,
    )


def clashes_of(git: Git, branches: Sequence[Branch]) -> tuple[Conflict, ...]:
    """Pairs of branches that git cannot merge, by the paths; only those that touch a path both are tried."""
    touched = {b.task_id: {c.path for c in git.changes(b.base, b.head)} for b in branches}
    heads = {b.task_id: b.head for b in branches}
    tried = ((c, merge(git, heads[c.a], heads[c.b])) for c in conflicts(touched))
    return tuple(replace(c, paths=merged.clashes) for c, merged in tried if merged.clashes)


# -- testing ----------------------------------------------------------------------------------------


def test_merged(run: RunContext, branches: Sequence[Branch], merged: Integration) -> Integration:
    """The suite on the merged tree; when it is red and the base is not in the same way, which branches make it so."""
    is_red = _suite_of(run, {b.task_id: b.head for b in branches})
    if not is_red(merged.order):
        return replace(merged, tests="passed")
    good, red = bisect(merged.order, is_red)
    return with_red(run, branches, merged, good, red)


def with_red(
    run: RunContext, branches: Sequence[Branch], merged: Integration, good: Sequence[str], red: Sequence[str]
) -> Integration:
    """What was merged, cut to the branches that pass together."""
    known = {b.task_id: b for b in branches}
    again = merge_all(run.private, [known[t] for t in good], run.base_sha) if good else None
    commit = again.commit if again else run.base_sha
    return replace(merged, tests="failed", order=tuple(good), red=tuple(red), commit=commit)


def _suite_of(run: RunContext, heads: Mapping[str, str]) -> Callable[[Sequence[str]], bool]:
    """Whether something is red on some branches together that is not at the base."""
    nothing = TaskResult(
        task_id=_NAME, status=Status.SKIPPED, conclusion=Conclusion.SKIPPED, base_sha=run.base_sha
    )
    task_run = recorded_task_run(run, Task(id=_NAME, title="", text="", branch=""), nothing)
    task_run.directory.mkdir(parents=True, exist_ok=True)
    bench = bench_of(task_run, run.private)
    before = suite_at_base(run, run.base_sha, bench).result()
    known = {c.id for c in failing(before)}

    def is_red(some: Sequence[str]) -> bool:
        run.check_not_cancelled()
        commit = merge_all(
            run.private, [Branch(t, heads[t], run.base_sha) for t in some], run.base_sha
        ).commit
        done = bench.suite(commit)
        new = {c.id for c in failing(done)} - known
        return not done.passed and (bool(new) or before.passed or not done.cases)

    return is_red


def bisect(
    order: Sequence[str], is_red: Callable[[Sequence[str]], bool]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those of `order`, which is red as a whole, that pass together; and those that made it red.

    Each that is left out costs about as many suites as the number of branches has binary digits.
    """
    good, red, rest = list[str](), list[str](), list(order)
    while rest:
        if red and not is_red([*good, *rest]):
            return (*good, *rest), tuple(red)
        green, known = 0, len(rest)
        while known - green > 1:
            middle = (green + known) // 2
            if is_red([*good, *rest[:middle]]):
                known = middle
            else:
                green = middle
        red.append(rest[known - 1])
        good, rest = [*good, *rest[:green]], rest[known:]
    return tuple(good), tuple(red)


# -- telling ----------------------------------------------------------------------------------------


def tell_integration(run: RunContext, results: Sequence[TaskResult], found: Integration | None) -> None:
    """Name on both pull requests what does not go together. Best effort: the report says it too."""
    if found is None:
        return
    pulls = {r.task_id: r.pull.number for r in results if r.pull}
    for task_id, number in pulls.items():
        with contextlib.suppress(OrchestratorError):
            if body := integration_comment(found, task_id, pulls, run.secrets):
                run.forge.comment(number, marker=marker(_NAME, task_id), body=body)
