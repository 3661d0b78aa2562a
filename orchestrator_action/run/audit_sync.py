"""Keeps a task's audit trail and branch at the remote while the task runs, phase by phase.

A runner may die at any moment; what was proven and committed until the last phase boundary is then on the
remote, and any other machine can read it. It happens beside the work: a claim is never kept waiting for it,
boundaries that follow each other quickly share one push, and a push that fails is tried at the next one. Where a
push takes long (a slow remote, a busy machine) they share more: a quarter of the time goes into pushes, no more.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from orchestrator_action.errors import GitError
from orchestrator_action.git import audit_trail as audit
from orchestrator_action.publish.publish import push
from orchestrator_action.state.context import TaskRun

log = logging.getLogger(__name__)

SHARED_S, LONGEST_S = 0.25, 5.0
"""How long a phase boundary waits for the next one, in seconds, so that both share a push: at least, and at most."""


class Trail:
    """The trail of one task of a run."""

    def __init__(self, task_run: TaskRun) -> None:
        self._task_run, self._run, self._task = task_run, task_run.run, task_run.task
        self._ref = audit.ref_of(self._task.id)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"trail-{self._task.id}")
        self._lock, self._closing = threading.Lock(), threading.Event()
        self._next: Future[None] | None = None
        self._tip: str | None = None
        self._at_remote = ""
        self._written = 0
        self._wait_s = SHARED_S
        self.problem = ""
        """Why the remote does not have the latest, in git's words."""

    def mark(self) -> None:
        """A phase boundary: bring the remote up to date, soon."""
        with self._lock:
            if self._next is None or self._next.running() or self._next.done():
                self._next = self._pool.submit(self._sync)

    def close(self) -> None:
        """Bring the remote up to date now, and take no more. A run that is being cancelled does not wait."""
        cancelled = self._run.cancel.is_set()
        self._closing.set()
        if not cancelled:
            self.mark()
        self._pool.shutdown(wait=not cancelled, cancel_futures=cancelled)

    def _sync(self) -> None:
        if self._closing.wait(self._wait_s) and self._run.cancel.is_set():
            return
        began = time.monotonic()
        try:
            self._push_branch()
            self._record()
            self._push()
        except GitError as exc:
            self.problem = exc.message
            log.warning("the audit trail is not at the remote task=%s: %s", self._task.id, exc.message)
        else:
            self.problem = ""
        self._wait_s = min(max(SHARED_S, 3 * (time.monotonic() - began)), LONGEST_S)

    def _record(self) -> None:
        git, events = self._run.git, self._run.journal.of(self._task.id)
        if self._tip is None:
            self._at_remote = self._tip = self._run.remote.fetch_ref(self._ref)
        if len(events) == self._written:
            return
        last = events[-1]
        message = f"{self._task.id}: {last.kind} ({len(events)} events of run {last.run})\n"
        self._tip = audit.record(git, self._tip, last.run, events, message)
        self._written = len(events)
        git.update_ref(self._ref, self._tip)

    def _push_branch(self) -> None:
        """The branch goes as far as its commits were found good: within limits, no protected path touched."""
        ledger = self._run.journal.ledger(self._task.id)
        facts = [ledger.fact("implementation", rule) for rule in ("commits", "protected-untouched")]
        good = {f.commit for f in facts if f and f.holds}
        if len(good) != 1 or not all(f and f.holds for f in facts):
            return
        sha = good.pop()
        if not ledger.pushed_sha or not self._run.private.is_ancestor(sha, ledger.pushed_sha):
            push(self._task_run, sha)

    def _push(self) -> None:
        if self._tip is None or self._tip == self._at_remote:
            return
        moves, known = {self._ref: self._tip}, {self._ref: self._at_remote}
        self._run.remote.push_many(moves, known=known, confirm=False)
        self._at_remote = self._tip
