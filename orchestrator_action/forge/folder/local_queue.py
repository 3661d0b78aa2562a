"""What a folder answers where GitHub has users, edits, workflows and a budget of requests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.base import CompletedCheck, MarkedComment, Requirement
from orchestrator_action.protocol.forge_values import History


class LocalPermissions:
    """Whoever can write the folder owns it; nothing is saved by asking for several things at once."""

    def histories(self, label: str, numbers: Collection[int]) -> Mapping[int, History]:
        """`events` reads a file, and files keep no edits; there is nothing to be saved here."""
        del label, numbers
        return {}

    def permission(self, user: str) -> str:
        """Whoever can write the folder owns it."""
        return "admin" if user else "none"

    def requirements(self, *, branch: str, base: str, email: str, label: str = "") -> tuple[Requirement, ...]:
        """Nothing: a folder that can be written refuses nothing."""
        del branch, base, email, label
        return ()

    def account_type(self, user: str) -> str:
        """A person."""
        return "User" if user else ""

    def run_alive(self, run_id: str) -> bool | None:  # noqa: ARG002
        """There are no workflow runs here."""
        return None

    def before_push(self, branch: str, head: str) -> str:
        """Nobody writes down pushes here."""
        del branch, head
        return ""

    def dispatch(self, workflow: str, *, ref: str, inputs: Mapping[str, str] | None = None) -> None:
        """There are no workflows here."""
        del ref, inputs
        raise ForgeError(f"a local forge has no workflow {workflow!r}", hint="use --forge github")

    def write_together(
        self,
        words: Sequence[MarkedComment],
        *,
        number: int,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        check: CompletedCheck | None = None,
    ) -> bool:
        """There is nothing to be saved here."""
        del words, number, add, remove, check
        return False
