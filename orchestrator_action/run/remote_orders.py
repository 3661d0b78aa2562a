"""Orders from another machine: refs at the remote that name a run and a task of it, looked for while the run lives.

Whoever may push to the repository can give one. Listing refs costs no request of the API, and the order becomes
one of the files that the scheduler watches anyway.
"""

from __future__ import annotations

import logging
import threading
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
    """Looks for orders to a run from a thread of its own, while the block runs."""

    def __init__(self, run: RunContext, *, every_s: float = ORDERS_LOOK_S) -> None:
        self._run, self._every_s = run, every_s
        self._prefix = _ref(leaseholder(run.env, run.run_id), "")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="remote-orders", daemon=True)

    def __enter__(self) -> RemoteOrders:
        if self._run.forge.has_users:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                found = self._run.remote.refs(f"{self._prefix}*")
            except GitError as exc:
                log.warning("no orders can be seen: %s", exc.message)
                continue
            for ref in found:
                orders.place(self._run.run_dir, orders.ONE + ref.removeprefix(self._prefix), words=BY_COMMENT)
