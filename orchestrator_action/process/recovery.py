"""What an earlier run, or a double fault of this one, left running: found by identity only, and ended.

A record names boot, PID and start time of an attempt's guard, of its program and of what left the
program's session, and the marker its environment carries. A PID that now belongs to somebody else is
never signalled, and neither is anything whose orchestrator is still alive.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from orchestrator_action.process import record as record_file
from orchestrator_action.process import table as procs
from orchestrator_action.process.spawner import SPAWNER
from orchestrator_action.protocol.attempt import Ending, Outcome

END_PATIENCE_S = 5.0
"""Until a process that does not die of KILL is given up."""
ROUND_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What was found and ended. `kept` are records whose orchestrator still runs."""

    ended: tuple[int, ...] = ()
    survivors: tuple[int, ...] = ()
    kept: tuple[Path, ...] = ()


def read_record(path: Path) -> Outcome | None:
    """How the attempt of this record ended, or None while that is not on record (or it cannot be read)."""
    record = load_record(path)
    if record is None or record.get("state") != "ended":
        return None
    known = {f.name for f in fields(Outcome)}
    try:
        return Outcome(
            **{k: v for k, v in record.items() if k in known} | {"ending": Ending(record["ending"])}
        )
    except (KeyError, TypeError, ValueError):
        return None


def end_leftovers(records: Iterable[Path]) -> Swept:
    """End whatever still runs of the attempts these records name, and close each record as `lost`.

    For `resume`, before anything is started again. Call it with the lock of the run held; a record whose
    orchestrator is alive, and is not this process, is left alone all the same.
    """
    ended: list[int] = []
    survivors: list[int] = []
    kept: list[Path] = []
    for path in records:
        record = load_record(path)
        if record is None or record.get("state") == "ended":
            continue
        if _owned_by_another(record):
            kept.append(path)
            continue
        here, left = _end(lambda record=record: _belonging(record))  # type: ignore[misc]
        ended += here
        survivors += left
        _close(path, record)
    return Swept(ended=tuple(ended), survivors=tuple(survivors), kept=tuple(kept))


def end_attempt(record: Mapping[str, Any]) -> Swept:
    """End what is left of one attempt of this process after both its guards above were killed.

    `record` is as in a record file. What we had adopted of it is reaped, one PID at a time.
    """
    ended, survivors = _end(lambda: _belonging(record))
    for pid in ended:
        _reap(pid)
    return Swept(ended=tuple(ended), survivors=tuple(survivors))


def sweep(*, keep: Collection[int] = ()) -> Swept:
    """End every process this one has adopted; the last act of a run, when nothing else is under way.

    An adopted process is a child in a session not our own: whatever we start ourselves stays in ours,
    except the spawner, which is left alone, and what `keep` names. Needs `procs.become_subreaper`, or
    orphans go elsewhere.
    """
    me = os.getpid()
    session = os.getsid(0)
    spared = {*keep, SPAWNER.pid}

    def adopted() -> list[procs.Process]:
        ours = [p for p in procs.descendants(me, exact=True) if p.ppid == me and p.pid not in spared]
        strangers = [p for p in ours if p.sid != session]
        below = [c for p in strangers for c in procs.descendants(p.pid)]
        for process in strangers:
            _reap(process.pid)
        return [p for p in (*strangers, *below) if not p.ended]

    ended, survivors = _end(adopted)
    return Swept(ended=tuple(ended), survivors=tuple(survivors))


def _reap(pid: int) -> None:
    """Take this one zombie away, if it is one; never another's."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _end(find: Callable[[], list[procs.Process]]) -> tuple[list[int], list[int]]:
    """Kill what `find` finds until it finds nothing; the PIDs that were killed, and those that remain."""
    deadline = time.monotonic() + END_PATIENCE_S
    killed: dict[int, None] = {}
    while left := find():
        if time.monotonic() > deadline:
            return [pid for pid in killed if pid not in {p.pid for p in left}], [p.pid for p in left]
        killed.update((p.pid, None) for p in procs.kill_all(find))
        time.sleep(ROUND_S)
    return list(killed), []


def _belonging(record: Mapping[str, Any]) -> list[procs.Process]:
    """Every living process that provably belongs to this record; none after a reboot."""
    if record.get("boot") != procs.boot_id() or not procs.boot_id():
        return []
    table = {p.pid: p for p in procs.everyone() if not p.ended}
    named = [(record["shim"], record["shim_ticks"]), (record["pid"], record["start_ticks"])]
    named += [(pid, ticks) for pid, ticks in record.get("escaped", ())]
    roots = [pid for pid, ticks in named if pid in table and table[pid].start_ticks == ticks]
    marker = os.fsencode(record.get("marker", ""))
    if marker:
        first = record["start_ticks"]
        roots += [p.pid for p in table.values() if p.start_ticks >= first and procs.carries(p.pid, marker)]
    found = {pid: table[pid] for pid in roots}
    for pid in roots:
        found.update((p.pid, p) for p in procs.below(pid, table.values()))
    found.pop(os.getpid(), None)
    return list(found.values())


def _owned_by_another(record: dict[str, Any]) -> bool:
    owner = procs.Identity(
        boot=record.get("boot", ""), pid=record.get("owner", 0), start_ticks=record.get("owner_ticks", 0)
    )
    return owner.pid != os.getpid() and procs.is_alive(owner)


def load_record(path: Path) -> dict[str, Any] | None:
    """The record as it was written; None when there is none, or it says nothing that can be trusted."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return (
        record
        if isinstance(record, dict) and {"boot", "pid", "start_ticks", "shim"} <= record.keys()
        else None
    )


def _close(path: Path, record: dict[str, Any]) -> None:
    """Say in the record that it is over, unless the guard came to say it better."""
    if (now := load_record(path)) is not None and now.get("state") == "ended":
        return
    closed = {**record, "state": "ended", "ending": Ending.LOST, "error": "ended by a later run"}
    with suppress(OSError):
        record_file.write_record(str(path.absolute()), closed)
