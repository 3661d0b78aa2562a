"""Task branches (`orchestrator/…`): the ledger of the task, judged at the pushed commit.

The same fold and the same judge as everywhere, up to Documentation: what comes after needs the push. The
policy is the base's. Journals of runs here come first, then the audit trails this clone has as
`refs/orchestrator/tasks/*`. A task branch of which neither knows anything has every phase open.
"""

import os

from orchestrator_action.errors import JournalError
from orchestrator_action.hook.fast_git import PushSite, git, lines_of
from orchestrator_action.protocol.events import Event, Ledger, broken_links, decode_event, fold
from orchestrator_action.protocol.judge import judge
from orchestrator_action.protocol.model import Demand
from orchestrator_action.protocol.phases import BY_ID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator_action.hook.push import Ref

LAST = "documentation"
TRAILS = "refs/orchestrator/tasks"
"""As core.config.REF_PREFIX and runtime.audit, which needs GitPython; a test keeps them together."""


def open_phases(
    where: PushSite, refs: "Iterable[Ref]", known: "Mapping[str, str]", phases: "Mapping[str, str]"
) -> list[str]:
    """One line per task branch with open phases and per phase what closes it; empty when nothing is open.

    `phases` are the base's demands that differ from the default.
    """
    policy = {phase: Demand(demand) for phase, demand in phases.items()}
    streams, damaged = _streams(where)
    streams = [*_trails(damaged), *streams]
    lines: list[str] = []
    for ref in refs:
        commit = known.get(f"{ref.oid}^{{commit}}")
        if commit:
            branch = ref.remote.removeprefix("refs/heads/")
            lines += _judge(_ledger(streams, branch), branch, commit, policy)
    if lines:
        lines += damaged
    return lines


def _judge(ledger: Ledger, branch: str, commit: str, policy: "Mapping[str, Demand]") -> list[str]:
    verdict = judge(ledger, policy=policy, head=commit, upto=LAST)
    still = [phase for phase in verdict.phases if not phase.settled]
    if not still:
        return []
    names = ", ".join(phase.phase for phase in still)
    lines = [f"error: task branch {branch} at {commit[:12]} has open phases: {names}"]
    for phase in still:
        lines += [f"  {phase.phase} ({finding.rule}): {finding.message}" for finding in phase.findings]
        lines.append(f"    close it: {BY_ID[phase.phase].claim}")
    if not ledger.run:
        lines.append(f"  neither a journal in .git/orchestrator/runs nor a ref under {TRAILS} knows of it")
    task = ledger.task or branch.removeprefix("orchestrator/")
    lines.append(
        f"hint: let the agent close them: orchestrator-action resume {ledger.run or 'RUN'} (task {task})"
    )
    return lines


def _ledger(streams: "Iterable[tuple[str, list[Event]]]", branch: str) -> Ledger:
    """The newest ledger of a branch: of several runs on one branch, the last one that started it."""
    found = Ledger(task="")
    newest = -1.0
    for task, events in streams:
        starts = [e.at for e in events if e.kind == "task-started" and e.data.get("branch") == branch]
        if starts and max(starts) >= newest:
            newest = max(starts)
            found = fold(events, task)
    return found


def _trails(damaged: list[str]) -> list[tuple[str, list[Event]]]:
    """The same, from audit trails. One that is not whole does not count, and is added to `damaged`."""
    _, out = git("for-each-ref", "--format=%(refname)", TRAILS)
    streams: list[tuple[str, list[Event]]] = []
    for ref in lines_of(out):
        _, rows = git("ls-tree", "-z", "--full-tree", ref)
        blobs = [row.partition("\t")[0].split(" ")[2] for row in os.fsdecode(rows).split("\0") if row]
        try:
            text = b"".join(git("cat-file", "blob", blob)[1] for blob in blobs).decode("utf-8")
            events = [decode_event(line) for line in text.splitlines()]
            problems = broken_links(events)
        except ValueError as exc:
            events, problems = [], (str(exc),)
        if problems:
            damaged.append(f"hint: {ref} does not count: {problems[0]}")
            continue
        streams += _by_task(events)
    return streams


def _by_task(events: "Iterable[Event]") -> list[tuple[str, list[Event]]]:
    found: dict[str, list[Event]] = {}
    for event in events:
        if event.task:
            found.setdefault(event.task, []).append(event)
    return list(found.items())


def _streams(where: PushSite) -> tuple[list[tuple[str, list[Event]]], list[str]]:
    """The events of each task of each run here, and a line for every journal that cannot be trusted."""
    from pathlib import Path

    from orchestrator_action.state.journal import read_events

    streams: list[tuple[str, list[Event]]] = []
    damaged = []
    for path in sorted(Path(where.common, "orchestrator", "runs").glob("*/journal.jsonl")):
        try:
            events = read_events(path)
        except (JournalError, OSError) as exc:
            damaged.append(f"hint: {os.fspath(path)} does not count: {exc}")
            continue
        streams += _by_task(events)
    return streams, damaged
