"""Orders from another machine: refs at the remote that name a run and a task of it, looked for while the run lives.

Whoever may push to the repository can give one. Listing refs costs no request of the API, and the order becomes
one of the files that the scheduler watches anyway.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from types import TracebackType

from orchestrator_action.config.schema import REF_PREFIX
from orchestrator_action.errors import GitError
from orchestrator_action.git.remote import Remote
from orchestrator_action.protocol.lease import leaseholder
from orchestrator_action.state import orders
from orchestrator_action.state.context import RunContext

log = logging.getLogger(__name__)

ORDERS_LOOK_S = 10.0
"""Between two looks."""
BY_COMMENT = "cancelled by a comment"


def _ref(holder: str, task: str) -> str:
    return f"{REF_PREFIX}orders/{holder}/{task}"


def order_cancel(remote: Remote, holder: str, task: str, commit: str) -> bool:
    """Order the run of `holder` to end a task; False when that was ordered before. Raises GitError."""
    ref = _ref(holder, task)
    if remote.sha(ref):
        return False
    remote.push_many({ref: commit}, known={ref: ""}, confirm=False)
    return True


class RemoteOrders:
    """Looks for orders to a run from a thread of its own, while the block runs; without a `remote`, for none.

    `holder` is as whom the run has its issues, `run_dir` where its scheduler finds what was ordered.
    """

    def __init__(
        self, run_dir: Path, remote: Remote | None, holder: str, *, every_s: float = ORDERS_LOOK_S
    ) -> None:
        self._run_dir, self._remote, self._every_s = run_dir, remote, every_s
        self._prefix = _ref(holder, "")
        self._over = threading.Event()

    def __enter__(self) -> RemoteOrders:
        if self._remote is not None:
            threading.Thread(
                target=self._watch, args=(self._remote,), name="remote-orders", daemon=True
            ).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def _watch(self, remote: Remote) -> None:
        failed = ""
        while not self._over.wait(self._every_s):
            try:
                found = remote.refs(f"{self._prefix}*")
            except GitError as exc:
                if exc.message != failed and not self._over.is_set():
                    log.warning("no orders can be seen: %s", exc.message)
                failed = exc.message
                continue
            for ref in found:
                words = orders.ONE + ref.removeprefix(self._prefix)
                orders.place(self._run_dir, words, words=BY_COMMENT)


def orders_to(run: RunContext) -> RemoteOrders:
    """Those to a run whose own remote is where people give them."""
    remote = run.remote if run.forge.has_users else None
    return RemoteOrders(run.run_dir, remote, leaseholder(run.env, run.run_id))
