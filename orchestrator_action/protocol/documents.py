"""What one step hands to the next: Plan, Bundle, Verdict document.

In one process they are handed on as values; between jobs they travel as files (`state.documents` reads and
writes them, and refuses what does not fit). Pure: nothing here touches the world.

A Verdict document is an in-toto Statement whose subject is the commit, so that tools which know attestations
can read it. Source: github.com/in-toto/attestation, "spec/v1/statement.md" and "spec/v1/digest_set.md".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator_action.protocol.model import Claim, Declined, Fact, Status, Task

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://orchestrator-action.invalid/verdict/v1"
DOCUMENT_SCHEMA = 1
"""Of all three documents; a reader refuses a number that it does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which tasks a run works on, from which commit, under which policy."""

    schema: int = DOCUMENT_SCHEMA
    run_id: str
    repository: str
    forge: str
    """As `--forge` takes it."""
    base_branch: str
    base_sha: str
    config: Mapping[str, Any]
    """The configuration in force, as a record: that of the base commit with the flags laid over it."""
    policy_digest: str
    """SHA-256 of `config`, see `digest_of`."""
    test_commands: tuple[str, ...]
    tasks: tuple[Task, ...] = ()
    shards: tuple[tuple[str, ...], ...] = ()
    """The ids of the tasks of each shard. Shard 1 is the first."""
    waves: tuple[int, ...] = ()
    """How many of the shards each wave has, in their order. A wave's tasks grow from verified ones of those before."""
    holder: str = ""
    """Under which name the issues of this run are leased."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeRequest:
    """What an agent asked to be written to the forge; whoever holds the token decides on it."""

    kind: str
    """`pull-request`: so far the only one. The review and the answers to it stand in the trail."""
    title: str = ""
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What became of one task where its agent worked. All of it is a claim of that machine."""

    schema: int = DOCUMENT_SCHEMA
    run_id: str
    task_id: str
    branch: str
    base_sha: str
    head_sha: str
    """Empty when nothing was committed."""
    status: Status
    """How the task ended, as its machine says."""
    error: str = ""
    declined: Declined | None = None
    claims: tuple[Claim, ...] = ()
    """The last claim of each phase; the same ones stand in the trail."""
    requests: tuple[ForgeRequest, ...] = ()
    trail: str = ""
    """The hash of the last event of the trail; empty when the task was never begun."""
    said: str = ""
    """The agent's closing words."""
    machine: str = ""
    """What tells that machine from the one that verifies."""
    attempts: int = 0
    turns: int | None = None
    cost_usd: float | None = None
    wall_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictDocument:
    """What was measured at one commit, against which base, how, and the conclusion drawn from it."""

    schema: int = DOCUMENT_SCHEMA
    commit: str
    """The subject: the full name of the commit, SHA-1 or SHA-256."""
    name: str
    """What the commit is the head of: a branch, or `pull/12/head`."""
    base: str
    repository: str = ""
    """`owner/name` at the forge; empty for a folder."""
    conclusion: str
    """In the words of GitHub's checks: success, failure, neutral, action_required, …"""
    facts: tuple[Fact, ...]
    exceptions: tuple[str, ...] = ()
    """Findings that a named person or a named reason lets pass; each in words."""
    policy_digest: str = ""
    test_commands: tuple[str, ...] = ()
    isolation: str = ""
    """The sandbox level in force while this was measured."""
    plan_digest: str = ""
    """SHA-256 of the plan's file, when this is the verdict on a bundle."""
    bundle_digest: str = ""
    """Of the bundle that was measured, see `git.bundle_files`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Versions of what measured: git, python, orchestrator-action, the system."""
    measured_at: str = ""
    """ISO 8601, UTC."""

    def statement(self) -> dict[str, Any]:
        """The document as an in-toto Statement, as JSON values."""
        return {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": self.name, "digest": {"gitCommit": self.commit}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "schema": self.schema,
                "base": self.base,
                "repository": self.repository,
                "conclusion": self.conclusion,
                "facts": [
                    {"phase": f.phase, "rule": f.rule, "commit": f.commit, "holds": f.holds,
                     "message": f.message, "detail": dict(f.detail)}
                    for f in self.facts
                ],
                "exceptions": list(self.exceptions),
                "policy_digest": self.policy_digest,
                "test_commands": list(self.test_commands),
                "isolation": self.isolation,
                "plan_digest": self.plan_digest,
                "bundle_digest": self.bundle_digest,
                "environment": dict(self.environment),
                "measured_at": self.measured_at,
            },
        }  # fmt: skip


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spare space: the bytes that are hashed and signed.

    Raises ValueError for a number that JSON has not (NaN, infinity).
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest_of(value: Any) -> str:
    """SHA-256 of the canonical form, in hex: how one document names another."""
    return hashlib.sha256(canonical(value)).hexdigest()
