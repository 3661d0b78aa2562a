"""The journal of a run: an append-only file that is the truth, and files that are replaced whole.

Every event is on disk (`fdatasync`) before the outside effect it announces. One process holds the
journal at a time, by `flock`; the kernel lets go of it when that process dies. A torn last line is
what a crash leaves and is cut off; a damaged line before it is refused with its number. What somebody
deletes, cuts or replaces while it is held, an agent say, is written anew: its holder knows what was in it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator_action.errors import JournalError
from orchestrator_action.process.files import lock_file, replace_file
from orchestrator_action.protocol.events import (
    Event,
    Ledger,
    broken_links,
    decode_event,
    encode_event,
    fold,
    seal,
)

log = logging.getLogger(__name__)

LOCK_WAIT_S = 0.2
"""`status` holds the lock for an instant when it asks whether anybody else does."""


def new_run_id(now: float) -> str:
    """A run's id: UTC time and six random hex digits, sortable."""
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime(now)) + "-" + secrets.token_hex(3)


def read_events(path: Path, *, strict: bool = True) -> tuple[Event, ...]:
    """The events of a journal, without a torn last line.

    With `strict`, raises JournalError naming the line of any damage in the middle, and when a stream
    does not follow from itself. Source of the rule: a crash tears the end, only a hand changes the middle.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise JournalError(
            f"no journal at {path}", hint="orchestrator-action status lists the runs"
        ) from None
    events = tuple(event for event, _ in _good_lines(path, raw))
    if strict and (problems := broken_links(events)):
        raise JournalError(
            f"{path}: {problems[0]}", hint="the journal was changed by hand; keep it and start anew"
        )
    return events


def _good_lines(path: Path, raw: bytes) -> Iterator[tuple[Event, int]]:
    """Events with the offset behind each. Stops before a damaged tail, refuses damage in the middle."""
    offset, lines = 0, raw.split(b"\n")
    for number, line in enumerate(lines, 1):
        end = offset + len(line) + 1
        if not line and number == len(lines):
            return
        try:
            event = decode_event(line.decode("utf-8"))
            if end > len(raw):
                return
        except ValueError as exc:
            if _later_event(lines[number:]):
                raise JournalError(
                    f"{path}:{number}: {exc}", hint="the journal was changed by hand; keep it and start anew"
                ) from None
            return
        yield event, end
        offset = end


def _later_event(lines: list[bytes]) -> bool:
    for line in lines:
        with contextlib.suppress(ValueError):
            decode_event(line.decode("utf-8"))
            return True
    return False


class Journal:
    """The open journal of a run; safe to use from many threads."""

    def __init__(self, path: Path, run: str, *, clock: Callable[[], float] = time.time) -> None:
        """Open or take up the journal at `path`.

        Raises JournalError when another living process holds it, or when it is damaged in the middle.
        """
        self.path, self.run = path, run
        self._clock, self._lock = clock, threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as exc:
            raise JournalError(
                f"cannot open the journal {path}: {exc.strerror}", hint="make its folder writable"
            ) from exc
        try:
            self._take()
            raw = path.read_bytes()
            good = list(_good_lines(path, raw))
            if problems := broken_links(e for e, _ in good):
                raise JournalError(f"{path}: {problems[0]}", hint="keep it and start a new run")
            self._size = good[-1][1] if good else 0
            if self._size < len(raw):
                os.ftruncate(self._file, self._size)
        except BaseException:
            os.close(self._file)
            raise
        self.events: list[Event] = [e for e, _ in good]
        self._prev = {e.task: e.hash for e in self.events}
        self._by_task: dict[str, list[Event]] = {}
        for event in self.events:
            self._by_task.setdefault(event.task, []).append(event)

    def _take(self) -> None:
        if lock_file(self._file, wait_s=LOCK_WAIT_S):
            return
        raise JournalError(
            f"run {self.run} is being worked on by another orchestrator",
            hint=f"wait for it, or: orchestrator-action cancel {self.run}",
        )

    def append(self, kind: str, task: str = "", **data: Any) -> Event:
        """Add an event; it is on disk when this returns.

        Raises JournalError when the disk does not take it: then nothing may be done that relies on it.
        """
        with self._lock:
            event = seal(
                seq=self.events[-1].seq + 1 if self.events else 1,
                at=round(self._clock(), 3),
                run=self.run,
                task=task,
                kind=kind,
                data=json.loads(json.dumps(data)),
                prev=self._prev.get(task, ""),
            )
            self._write(encode_event(event).encode() + b"\n")
            self.events.append(event)
            self._by_task.setdefault(task, []).append(event)
            self._prev[task] = event.hash
            return event

    def _write(self, line: bytes) -> None:
        if self._file < 0:
            raise JournalError(f"the journal {self.path} is closed", hint="the run has ended")
        try:
            if not self._is_ours():
                self._write_anew()
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(28, "no space left on device")
            (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(self._file)
            self._size += len(line)
        except OSError as exc:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise JournalError(
                f"cannot write the journal {self.path}: {exc.strerror}",
                hint="free some space, then resume the run",
            ) from exc

    def _is_ours(self) -> bool:
        """Whether the file is where it was, and as long as we left it."""
        try:
            there = self.path.stat()
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._file)) and there.st_size == self._size

    def _write_anew(self) -> None:
        log.warning("the journal was changed by somebody else, and is written anew: %s", self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            lock_file(file)
            text = "".join(f"{encode_event(event)}\n" for event in self.events).encode()
            with open(file, "wb", closefd=False) as out:
                out.write(text)
            os.fsync(file)
            fresh.replace(self.path)
        except BaseException:
            os.close(file)
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise
        os.close(self._file)
        self._file, self._size = file, len(text)

    def of(self, task: str) -> list[Event]:
        """The events of one task so far."""
        with self._lock:
            return list(self._by_task.get(task, ()))

    def ledger(self, task: str) -> Ledger:
        """The ledger of one task as it stands."""
        return fold(self.of(task), task)

    def write_report(self, report: Mapping[str, Any]) -> Path:
        """Replace `report.json` beside the journal."""
        target = self.path.with_name("report.json")
        try:
            replace_file(target, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
        except OSError as exc:
            raise JournalError(
                f"cannot write the report {target}: {exc.strerror}",
                hint="free some space, then resume the run",
            ) from exc
        return target

    def close(self) -> None:
        """Let the lock go; nothing is taken any more."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
            self._file = -1
