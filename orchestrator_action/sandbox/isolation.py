"""The walls of one run: what the probe found here, and the policies made from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator_action.sandbox.policy import Level, Policy, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """How far the untrusted processes of a run are walled in."""

    level: Level = Level.OPEN
    program: str = ""
    """bubblewrap, by absolute path."""
    held: tuple[str, ...] = ()
    """What the probe tried and did not reach, in words."""
    reached: tuple[str, ...] = ()
    why: str = ""
    """Why it is no higher level."""
    network: frozenset[str] = frozenset({"agents", "setup", "tests", "gates"})
    """Who keeps the network."""
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()

    def policy(
        self,
        role: Role,
        *,
        write: Iterable[Path] = (),
        read: Iterable[Path] = (),
        scratch: Path | None = None,
    ) -> Policy:
        """What a process of this role may touch; `write` is its own, `read` what it needs beside that."""
        return Policy(
            role=role,
            level=self.level,
            program=self.program,
            write=(*map(str, write), *self.write),
            read=(*map(str, read), *self.read),
            scratch=str(scratch or ""),
            network=role is Role.ON_FINISH or _NETWORK_OF.get(role, "") in self.network,
        )

    def sentence(self) -> str:
        """The level and what does not hold, in one line."""
        why = f" ({self.why})" if self.why else ""
        return self.level.word + why + (f"; within reach: {', '.join(self.reached)}" if self.reached else "")

    def json(self) -> dict[str, Any]:
        """As the report has it."""
        return {
            "level": self.level.word,
            "held": list(self.held),
            "reached": list(self.reached),
            "why": self.why,
        }


_NETWORK_OF = {
    Role.AGENT: "agents", Role.REVIEWER: "agents", Role.SETUP: "setup", Role.TEARDOWN: "setup",
    Role.TESTS: "tests", Role.GATE: "gates",
}  # fmt: skip
