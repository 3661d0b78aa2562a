"""The audit trail of a task: its events as commits on `refs/orchestrator/tasks/<task-id>`.

Each commit holds one file of events per run, and only ever adds lines. So a clone that fetched the ref can
check three things without us: each event's own hash, that each follows the one before it, and that no
commit took back what an earlier one said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator_action.config.schema import REF_PREFIX
from orchestrator_action.git.cache import remembered
from orchestrator_action.git.process import identity_env
from orchestrator_action.git.remote import Remote
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.events import Event, broken_links, decode_event, encode_event, fold

TASKS_PREFIX = f"{REF_PREFIX}tasks/"
SUFFIX = ".jsonl"
_AUTHOR = identity_env("orchestrator-action[bot]", "orchestrator-action[bot]@users.noreply.github.com")


def ref_of(task_id: str) -> str:
    """The full name of a task's ref."""
    return f"{TASKS_PREFIX}{task_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What a ref says: events in the order of their runs, and everything that is wrong with them."""

    commit: str
    events: tuple[Event, ...]
    problems: tuple[str, ...] = ()


def record(git: Git, parent: str, run_id: str, events: Sequence[Event], message: str) -> str:
    """A commit above `parent` (or none) in which the run's file holds these events; returns it."""
    text = "".join(encode_event(e) + "\n" for e in events)
    blob = git.run("hash-object", "-w", "--stdin", stdin=text.encode(), write=True).text
    files = {**(_files(git, parent) if parent else {}), f"{run_id}{SUFFIX}": blob}
    rows = "".join(f"100644 blob {sha}\t{name}\0" for name, sha in sorted(files.items()))
    tree = git.run("mktree", "-z", stdin=rows.encode(), write=True).text
    parents = ["-p", parent] if parent else []
    args = ("commit-tree", "--no-gpg-sign", tree, *parents, "-F", "-")
    made = git.run(*args, stdin=message.encode(), env=_AUTHOR, write=True).text
    remembered(git.common_dir, "trail", (made,), lambda: files)
    return made


def _files(git: Git, commit: str) -> dict[str, str]:
    def ask() -> dict[str, str]:
        out = git.run("ls-tree", "-z", "--full-tree", commit).out.decode("utf-8", "replace")
        rows = (row.partition("\t") for row in out.split("\0") if row)
        return {name: meta.split(" ")[2] for meta, _, name in rows if name.endswith(SUFFIX)}

    return remembered(git.common_dir, "trail", (commit,), ask)


def read(git: Git, commit: str, task: str) -> Audit:
    """All events of `task`'s ref at `commit`, with every kind of tampering named."""
    if not git.rev_parse(commit):
        return Audit(commit=commit, events=(), problems=(f"{commit[:12]} is no commit",))
    problems: list[str] = []
    names = sorted(_files(git, commit))
    texts = _texts(git, commit, names)
    events: list[Event] = []
    for name in names:
        events += _events(name, texts[name], task, problems)
    problems += broken_links(events)
    problems += _taken_back(git, commit)
    return Audit(commit=commit, events=tuple(events), problems=tuple(problems))


def _texts(git: Git, commit: str, names: Iterable[str]) -> Mapping[str, str]:
    files = git.files(commit, list(names))
    return {name: (body or b"").decode("utf-8", "replace") for name, body in files.items()}


def taken_back(git: Git, known: str, commit: str) -> str:
    """Whether a trail once known here is not what the remote's grew from; in words, or an empty string."""
    if not known or git.is_ancestor(known, commit):
        return ""
    return (
        f"the remote's trail was taken back or replaced: it does not go on from {known[:12]}, as known here"
    )


def read_all(git: Git, remote: Remote) -> tuple[dict[str, tuple[Event, ...]], list[str]]:
    """The events of every task that has a trail at the remote, and the tasks whose trail is not what was written."""
    trails, changed = {}, []
    for ref in sorted(remote.refs(f"{TASKS_PREFIX}*")):
        task = ref.removeprefix(TASKS_PREFIX)
        found = read(git, remote.fetch_ref(ref), task)
        if found.problems:
            changed.append(task)
        else:
            trails[task] = tuple(found.events)
    return trails, changed


def _events(name: str, text: str, task: str, problems: list[str]) -> list[Event]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            event = decode_event(line)
            fold([event], event.task)  # a well-made hash may stand over anything
        except (LookupError, TypeError, AttributeError):
            problems.append(f"{name}:{number}: an event that is not ours")
            continue
        except ValueError as exc:
            problems.append(f"{name}:{number}: {exc}")
            continue
        if f"{event.run}{SUFFIX}" != name:
            problems.append(f"{name}:{number}: the event belongs to run {event.run}")
        if event.task != task:
            problems.append(f"{name}:{number}: the event belongs to {event.task or 'no task'}, not to {task}")
        found.append(event)
    return found


def _taken_back(git: Git, commit: str) -> list[str]:
    """Commits that removed or changed what their parent had already recorded."""
    problems = []
    commits = git.text("rev-list", "--first-parent", "--reverse", commit).split()
    before: Mapping[str, str] = {}
    for sha in commits:
        names = sorted(_files(git, sha))
        now = _texts(git, sha, names)
        for name, text in before.items():
            if not now.get(name, "").startswith(text):
                problems.append(f"commit {sha[:12]} takes back events of {name} that were recorded before")
        before = now
    return problems
