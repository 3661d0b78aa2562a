"""`plan --out`, `base`, `work`, `verify --bundle`, `review`: a run in steps, which may be as many machines."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator_action.cli.options import (
    HERE,
    Accept,
    BaseDigest,
    BaseSuiteFile,
    BundleDigest,
    Bundles,
    Json,
    PlanDigest,
    Repo,
    Verdicts,
    digests_of,
)
from orchestrator_action.cli.run import tell, watch
from orchestrator_action.cli.terminal import print_json, put_lines, say, write_text
from orchestrator_action.errors import ConfigError
from orchestrator_action.process.own_environment import environment

if TYPE_CHECKING:
    from orchestrator_action.plan.admission import Admission
    from orchestrator_action.protocol.documents import Plan
    from orchestrator_action.run.setup import RunRequest
    from orchestrator_action.run.steps.files import ReadPlan
    from orchestrator_action.run.steps.work import Before, WrittenBundle
    from orchestrator_action.state.context import RunContext

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan, as plan --out wrote it.")]


def write_plan(
    asked: RunRequest,
    out: Path,
    shards: int,
    admission: Admission,
    *,
    waves: int,
    most: int,
    as_json: bool,
) -> None:
    """Take the tasks, write the plan, and say its digest."""
    from orchestrator_action.process.cancel import on_signals
    from orchestrator_action.protocol.lease import leaseholder
    from orchestrator_action.run.steps import plan as step

    admission.run = leaseholder(environment())
    with on_signals() as cancel:
        made = step.write_plan(
            asked, environment(), cancel, out, shards, waves=waves, most=most, say=say, admit=admission
        )
    plan = made.plan
    if as_json:
        print_json(
            {
                "schema": 1, "run_id": plan.run_id, "plan": str(out), "sha256": made.digest,
                "base_sha": plan.base_sha, "shards": [list(s) for s in plan.shards],
                "waves": [list(numbers) for numbers in _waves(plan)],
                "tasks": [t.id for t in plan.tasks], "matrix": _matrix(plan),
                "integration": str(plan.config.get("integration", "")) if len(plan.tasks) > 1 else "off",
            }
        )  # fmt: skip
        return
    put_lines(
        [
            f"run {plan.run_id}: {len(plan.tasks)} task(s), base {plan.base_branch} {plan.base_sha[:12]}",
            *(
                f"{f'wave {wave}, ' if len(plan.waves) > 1 else ''}shard {n}: {', '.join(plan.shards[n - 1])}"
                for wave, numbers in enumerate(_waves(plan), 1)
                for n in numbers
            ),
            f"plan {out} sha256:{made.digest}",
        ]
    )


def _waves(plan: Plan) -> list[range]:
    """The numbers of the shards of each wave."""
    ends = [sum(plan.waves[:n]) for n in range(len(plan.waves) + 1)]
    return [range(begin + 1, end + 1) for begin, end in itertools.pairwise(ends)]


def _matrix(plan: Plan) -> list[dict[str, Any]]:
    """The jobs of each wave of a plan, as a workflow's matrices take them; `place` numbers the shards of a wave."""
    from orchestrator_action.plan.shards import verify_jobs
    from orchestrator_action.run.steps.plan import MAX_SHARDS

    waves = []
    for numbers in _waves(plan):
        jobs = verify_jobs([plan.shards[n - 1] for n in numbers], MAX_SHARDS)
        waves.append(
            {
                "work": [{"shard": n, "place": place} for place, n in enumerate(numbers, 1)],
                "verify": [
                    {"job": n, "shard": numbers[place - 1], "place": place, "tasks": " ".join(tasks)}
                    for n, (place, tasks) in enumerate(jobs, 1)
                ],
            }
        )
    return waves


def base(
    plan: PlanFile,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Write what was measured to this file.")],
    plan_sha256: PlanDigest = "",
    repo: Repo = HERE,
    json_: Json = False,
) -> None:
    """Run the tests at a plan's base once, for all work and verify jobs. Needs no secret; runs no agent.

    Example: orchestrator-action base plan.json --out base.json
    """
    from orchestrator_action.process.cancel import on_signals
    from orchestrator_action.run.steps import base as step
    from orchestrator_action.run.steps.files import digest_of_bytes, read_plan
    from orchestrator_action.verify.test_run import judge_run

    read = read_plan(plan, plan_sha256)
    with on_signals() as cancel:
        measured = step.measure_base(read, repo, environment(), cancel)
    body = step.encode_base(measured)
    write_text(out, body.decode())
    rows = [
        {"commands": list(s.commands), "passed": s.passed, "says": judge_run(s).message}
        for s in measured.suites
    ]
    digest = digest_of_bytes(body)
    if json_:
        print_json(
            {"schema": 1, "base_sha": measured.base_sha, "out": str(out), "sha256": digest, "suites": rows}
        )
    else:
        put_lines(
            [*(f"base {measured.base_sha[:12]}: {r['says']}" for r in rows), f"base {out} sha256:{digest}"]
        )
    raise typer.Exit(0 if all(r["passed"] for r in rows) else 1)


def work(
    plan: PlanFile,
    bundles: Bundles = None,
    *,
    shard: Annotated[int, typer.Option(metavar="K", help="Which shard of the plan, 1 being the first.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Write the bundle of each task to DIR/TASK.")],
    verdict: Verdicts = None,
    accept: Accept = None,
    plan_sha256: PlanDigest = "",
    base_suite: BaseSuiteFile = None,
    base_suite_sha256: BaseDigest = "",
    digests: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the digest of each bundle there as soon as it is written."),
    ] = None,
    settle: Annotated[
        bool,
        typer.Option("--settle", help="Only write what a killed work on this machine had committed."),
    ] = False,
    repo: Repo = HERE,
    json_: Json = False,
) -> None:
    """Work on one shard of a plan and write a bundle for each of its tasks. Writes nothing to the forge.

    Bundles and verdicts are those of the waves before: a task begins on the verified branches of what it depends on.

    Example: orchestrator-action work plan.json --shard 1 --out bundles
    """
    from orchestrator_action.process.cancel import on_signals
    from orchestrator_action.protocol.ends import exit_code
    from orchestrator_action.run.steps import work as step
    from orchestrator_action.run.steps.files import read_plan

    read = read_plan(plan, plan_sha256)
    begin = _begins(shard, base_suite, read, base_suite_sha256)
    before = _before(bundles, verdict, accept)
    index = _Index(digests, _read_index(digests) if settle else {})
    with on_signals() as cancel:
        if settle:
            step.settle(read, shard, out, repo, environment(), cancel, say=say, wrote=index.add)
            return
        done = step.work(
            read, shard, out, repo, environment(), cancel,
            before=before, say=say, begin=begin, watch=_watch, tell=tell, wrote=index.add,
        )  # fmt: skip
    _tell_bundles(read.plan.run_id, shard, done.bundles, as_json=json_)
    raise typer.Exit(exit_code(done.report.tasks, interrupted=cancel.is_set()))


def _begins(shard: int, base_suite: Path | None, plan: ReadPlan, digest: str) -> Callable[[RunContext], None]:
    """What is said as the run begins; from then on it has the base suite that the base job measured, if any."""
    from orchestrator_action.run.steps.base import read_base, use_base

    known = read_base(base_suite, plan, digest) if base_suite is not None else None

    def begin(run: RunContext) -> None:
        say(f"run {run.run_id}, shard {shard}: agent {run.config.agent}, base {run.base_sha[:12]}")
        say(f"isolation: {run.isolation.sentence()}")
        if known is not None and (why_not := use_base(run, known)):
            say(why_not)

    return begin


def _before(
    bundles: Sequence[Path] | None, verdict: Sequence[Path] | None, accept: list[str] | None
) -> Before:
    """What the waves before brought, and a line for each verdict that does not count."""
    from orchestrator_action.run.steps.files import read_verdicts
    from orchestrator_action.run.steps.work import Before

    accepted = None if accept is None else digests_of(accept)
    verdicts, problems = read_verdicts(verdict or (), accepted)
    for problem in problems:
        say(f"a verdict is refused: {problem}")
    return Before(folders=bundles or (), verdicts=verdicts, accept=accepted)


def _watch(run: RunContext) -> AbstractContextManager[object]:
    return watch(run.run_dir, run.agents)


def _tell_bundles(run_id: str, shard: int, written: Sequence[WrittenBundle], *, as_json: bool) -> None:
    rows = [
        {"task_id": b.task_id, "bundle": str(b.folder), "sha256": b.digest, "status": b.status}
        for b in written
    ]
    if as_json:
        print_json({"schema": 1, "run_id": run_id, "shard": shard, "bundles": rows})
    else:
        put_lines([f"bundle {r['bundle']} sha256:{r['sha256']} ({r['status']}, as work says)" for r in rows])


class _Index:
    """A file with the digest of each bundle by its task, on one line of JSON: whole at every moment."""

    def __init__(self, path: Path | None, known: dict[str, str]) -> None:
        self._path, self._known = path, known
        if path is not None:
            write_text(path, self._text())

    def add(self, bundle: WrittenBundle) -> None:
        """Name one more bundle."""
        from orchestrator_action.process.files import replace_file

        self._known[bundle.task_id] = bundle.digest
        if self._path is not None:
            replace_file(self._path, self._text())

    def _text(self) -> str:
        return json.dumps(self._known, sort_keys=True) + "\n"


def _read_index(path: Path | None) -> dict[str, str]:
    """What an earlier `work` wrote to its file of digests; nothing where there is none."""
    try:
        known = json.loads(path.read_text()) if path is not None else {}
    except (OSError, ValueError):
        return {}
    return {str(task): str(digest) for task, digest in known.items()} if isinstance(known, dict) else {}


def verify_bundle(
    repo: Path,
    plan: Path | None,
    bundle: Path | None,
    out: Path | None,
    plan_sha256: str,
    bundle_sha256: str,
    *,
    base_suite: Path | None = None,
    base_suite_sha256: str = "",
    as_json: bool,
) -> int:
    """Measure a bundle and write the verdict document; 0 when nothing measured is open."""
    from orchestrator_action.process.cancel import on_signals
    from orchestrator_action.protocol.acceptance import conclude_change
    from orchestrator_action.publish.report.change import change_lines
    from orchestrator_action.run.steps import verify as step
    from orchestrator_action.run.steps.base import read_base
    from orchestrator_action.run.steps.files import digest_of_bytes, read_plan
    from orchestrator_action.state.documents import encode_document

    if plan is None or bundle is None:
        raise ConfigError("a bundle is verified against its plan", hint="give both: --plan FILE --bundle DIR")
    read = read_plan(plan, plan_sha256)
    known = read_base(base_suite, read, base_suite_sha256) if base_suite is not None else None
    with on_signals() as cancel:
        document = step.verify_bundle(
            read, bundle, repo, environment(), cancel, expected=bundle_sha256, base=known, say=say
        )
    verdict, body = conclude_change(document.facts), encode_document(document)
    if out is not None:
        write_text(out, body.decode())
        say(f"verdict {out} sha256:{digest_of_bytes(body)}")
    if as_json:
        print_json(document.statement())
    else:
        put_lines(change_lines(document, verdict))
    return 0 if verdict.conclusion in {"success", "neutral"} else 1


def review(
    plan: PlanFile,
    bundle: Annotated[Path, typer.Option(metavar="DIR", help="The bundle of one task.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Write the review to this file.")],
    plan_sha256: PlanDigest = "",
    bundle_sha256: BundleDigest = "",
    repo: Repo = HERE,
) -> None:
    """Have a bundle reviewed on a machine where no agent worked. Needs the agent's key; writes nothing to the forge.

    Example: orchestrator-action review plan.json --bundle bundles/issue-7 --out reviews/issue-7.json
    """
    from orchestrator_action.process.cancel import on_signals
    from orchestrator_action.run.steps import review as step
    from orchestrator_action.run.steps.files import digest_of_bytes, read_plan

    read = read_plan(plan, plan_sha256)
    with on_signals() as cancel:
        made = step.review_bundle(read, bundle, repo, environment(), cancel, expected=bundle_sha256)
    body = step.encode_review(made)
    write_text(out, body.decode())
    put_lines(
        [
            *(
                f"{f.phase} {f.rule}: {'holds' if f.holds else 'does not hold'}: {f.message}"
                for f in made.facts
            ),
            f"review {out} sha256:{digest_of_bytes(body)}",
        ]
    )
    raise typer.Exit(0 if all(f.holds for f in made.facts) else 1)
