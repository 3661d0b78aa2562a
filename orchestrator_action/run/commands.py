"""What people order by a comment without asking for work: to end what is under way, or to explain how it stands.

No agent starts, and nothing of the repository runs. Each order gets one answer where it was given.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from orchestrator_action.config.schema import LABEL_FAILED, LABEL_RUNNING
from orchestrator_action.errors import NothingToDo, OrchestratorError
from orchestrator_action.forge.base import Queue
from orchestrator_action.git import audit_trail as audit
from orchestrator_action.plan import follow_up
from orchestrator_action.plan.admission import Admission
from orchestrator_action.plan.trigger import Order, Trigger
from orchestrator_action.protocol.events import Event, fold, last_measured
from orchestrator_action.protocol.forge_values import Issue
from orchestrator_action.protocol.judge import judge
from orchestrator_action.protocol.lease import Lease, find_lease, is_dead
from orchestrator_action.publish.report.explanation import Standing, explain
from orchestrator_action.run.recover import Say
from orchestrator_action.run.remote_orders import ORDERS_LOOK_S, order_cancel
from orchestrator_action.run.setup import RunRequest, Survey, survey
from orchestrator_action.text.limits import marker


def obey(asked: RunRequest, env: Mapping[str, str], order: Order, admission: Admission, *, say: Say) -> None:
    """Carry out an order and answer it. Raises NothingToDo when it does not count."""
    with (
        tempfile.TemporaryDirectory(prefix="oa-order-") as private,
        survey(asked, env, private=Path(private)) as found,
    ):
        number = _issue_of(found, order)
        if why := admission.may_not(found.forge, found.config, order.request):  # type: ignore[arg-type]
            raise NothingToDo(why, hint="only people with write access are heard")
        issue = found.forge.issue(number)
        do = _cancel if order.verb == "cancel" else _explain
        answer = do(found, issue, admission)
        say(answer)
        if not admission.dry:
            body = f"### orchestrator: {order.verb}\n\n{answer}\n"
            found.forge.comment(order.number, marker=marker("order", order.request.key), body=body)


def _issue_of(found: Survey, order: Order) -> int:
    if not order.on_pull:
        return order.number
    number = follow_up.issue_of(found.forge, found.forge.pull(order.number))
    if not number:
        raise NothingToDo(f"#{order.number} is no open pull request of ours", hint="")
    return number


def _lease(found: Survey, issue: Issue) -> Lease | None:
    """The lease of the run that is at the issue, or was."""
    told = cast("Queue", found.forge).ours(issue.number, marker("task", f"issue-{issue.number}"))
    return find_lease(told.body) if told else None


# -- cancel ----------------------------------------------------------------------------------------------


def _cancel(found: Survey, issue: Issue, admission: Admission) -> str:
    """End what is under way on an issue, or take its wish back; what was done, in a sentence."""
    lease, queue = _lease(found, issue), cast("Queue", found.forge)
    label = found.config.label
    said = []
    if label.casefold() in map(str.casefold, issue.labels):
        if not admission.dry:
            queue.take_label(issue.number, label)
        said.append(f"The label `{label}` is taken off: no run begins with the issue.")
    if LABEL_RUNNING not in issue.labels:
        return " ".join(said) or "Nothing is under way, and nothing waits: there is nothing to cancel."
    if lease is None or lease.state != "running" or is_dead(lease.run, admission.run, queue.run_alive):
        if not admission.dry:
            found.forge.set_labels(issue.number, add=[LABEL_FAILED], remove=[LABEL_RUNNING])
        return " ".join([*said, "The run that was at the issue is dead; it is not taken up by the next one."])
    task = f"issue-{issue.number}"
    if not admission.dry:
        order_cancel(found.remote, lease.run, task, found.base_sha)
    told = f"Run `{lease.run}` is told to end its agent: it looks every {ORDERS_LOOK_S:.0f} seconds."
    return " ".join([*said, told, "Its comment on the issue says how that ended."])


# -- explain ---------------------------------------------------------------------------------------------


def _explain(found: Survey, issue: Issue, admission: Admission) -> str:
    """How the issue stands and why, from what the remote has."""
    lease, alive = _lease(found, issue), False
    if lease is not None and lease.state == "running" and LABEL_RUNNING in issue.labels:
        alive = not is_dead(lease.run, admission.run, cast("Queue", found.forge).run_alive)
    events = _trail(found, f"issue-{issue.number}")
    ledger = fold(events, f"issue-{issue.number}")
    head = last_measured(events, ledger.task) or ledger.base_sha
    verdict = judge(ledger, policy=found.config.phases, head=head) if head else None
    waits = found.config.label.casefold() in map(str.casefold, issue.labels)
    standing = Standing(
        issue=issue, label=found.config.label, at_work=lease.run if lease and alive else "", waits=waits,
        refused=_refusal(found, issue, admission) if waits and not alive else (),
        events=[e for e in events if e.run == ledger.run], ledger=ledger, verdict=verdict,
    )  # fmt: skip
    return explain(standing)


def _trail(found: Survey, task: str) -> tuple[Event, ...]:
    try:
        tip = found.remote.fetch_ref(audit.ref_of(task))
        return audit.read(found.git, tip, task).events if tip else ()
    except (OrchestratorError, LookupError, TypeError, ValueError):
        return ()


def _refusal(found: Survey, issue: Issue, admission: Admission) -> tuple[str, ...]:
    """What a run that began now would say of the issue; empty when it would begin with it."""
    said: list[str] = []
    trial = replace(admission, trigger=Trigger(), say=said.append, asked=(), dry=True, refused={})
    return () if trial(found.forge, found.config, [issue]) else tuple(said)
