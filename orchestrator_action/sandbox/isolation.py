"""The walls of one run: what the probe found here, and the policies made from it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator_action.sandbox.egress import Egress
from orchestrator_action.sandbox.policy import Level, Policy, Role, WayOut


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
    egress: tuple[str, ...] | None = None
    """The hosts that agents and reviewers reach beside their model's; None: all, as far as they keep the network."""
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()
    """What nobody sees wherever it lies: the user's checkout, with what is not committed there."""

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
            mask=self.mask,
            scratch=str(scratch or ""),
            network=role is Role.ON_FINISH
            or (_NETWORK_OF.get(role, "") in self.network and not (self.filters and role in _WITH_A_MODEL)),
        )

    @property
    def filters(self) -> bool:
        """Whether agents and reviewers reach named hosts only."""
        return self.level is Level.SANDBOXED and (self.egress is not None or "agents" not in self.network)

    @contextlib.contextmanager
    def reaching(
        self, policy: Policy, hosts: Iterable[str], env: Mapping[str, str]
    ) -> Iterator[tuple[Policy, Callable[[], str]]]:
        """The policy of an agent whose model is at `hosts`, and what says in words which hosts it was refused.

        `env` names the proxies by which this machine itself reaches others.
        """
        allowed = (*hosts, *(self.egress or ()))
        if not self.filters or not allowed:
            yield policy, str
            return
        with Egress(allowed, env) as out:
            way_out = WayOut(socket=out.path, ports=out.ports_within)
            yield replace(policy, way_out=way_out, read=(*policy.read, out.path)), out.words

    def sentence(self) -> str:
        """The level and what does not hold, in one line."""
        why = f" ({self.why})" if self.why else ""
        reached = f"; within reach: {', '.join(self.reached)}" if self.reached else ""
        return self.level.word + why + reached + (f"; {self.egress_words()}" if self.egress_words() else "")

    def egress_words(self) -> str:
        """What agents reach, where that was asked for; and that it is not held, where it is not."""
        if self.filters:
            return f"agents reach {', '.join(['their model', *(self.egress or ())])}, nothing else"
        return "" if self.egress is None else "egress is not held at this level: agents reach every host"

    def json(self) -> dict[str, Any]:
        """As the report has it."""
        return {
            "level": self.level.word,
            "held": list(self.held),
            "reached": list(self.reached),
            "why": self.why,
            "egress": None if self.egress is None else list(self.egress),
        }


_WITH_A_MODEL = (Role.AGENT, Role.REVIEWER)
_NETWORK_OF = {
    Role.AGENT: "agents", Role.REVIEWER: "agents", Role.SETUP: "setup", Role.TEARDOWN: "setup",
    Role.TESTS: "tests", Role.GATE: "gates",
}  # fmt: skip
