"""The Verdict document of a task's result: facts, base, commands, isolation, versions; what others can check."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Mapping

from orchestrator_action import __version__
from orchestrator_action.protocol.documents import VerdictDocument
from orchestrator_action.protocol.model import Fact, TaskResult


def document_of(
    result: TaskResult,
    *,
    policy_digest: str = "",
    test_commands: Iterable[str] = (),
    isolation: str = "",
    git_version: str = "",
    now: float,
) -> VerdictDocument:
    """What was measured of a task at its head. `now` in seconds since the epoch."""
    facts = tuple(f for phase in result.phases for f in phase.facts)
    return VerdictDocument(
        commit=result.head_sha,
        name=result.branch or result.task_id,
        base=result.base_sha,
        conclusion=str(result.conclusion),
        facts=facts,
        exceptions=tuple(exception_lines(facts)),
        policy_digest=policy_digest,
        test_commands=tuple(test_commands),
        isolation=isolation,
        environment=versions(git_version),
        measured_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
    )


def exception_lines(facts: Iterable[Fact]) -> list[str]:
    """Every test that was named to be let pass, in words; each once."""
    found = [
        f"{one.get('test') or one.get('id')}: {one.get('reason', '')}".rstrip(": ")
        for fact in facts
        for one in fact.detail.get("exceptions", ())
        if isinstance(one, Mapping)
    ]
    return list(dict.fromkeys(found))


def versions(git_version: str = "") -> dict[str, str]:
    """What measured: the versions of our program, of Python, of git, and the system."""
    found = {
        "orchestrator-action": __version__,
        "python": platform.python_version(),
        "git": git_version,
        "system": f"{platform.system()} {platform.machine()}",
    }
    return {name: value for name, value in found.items() if value}
