"""The walls of one run: what the probe found here, and the policies made from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestrator_action.sandbox.policy import Level, Policy, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """How far the untrusted processes of a run are walled in."""

    level: Level = Level.OPEN

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
            write=tuple(map(str, write)),
            read=tuple(map(str, read)),
            scratch=str(scratch or ""),
        )
