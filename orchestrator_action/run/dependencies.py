"""What issues wait for: other issues, named in their text or kept by the forge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.base import Forge
from orchestrator_action.plan.dependencies import named_in
from orchestrator_action.protocol.forge_values import Issue


def waits_of(forge: Forge, issues: Sequence[Issue]) -> dict[int, tuple[int, ...]]:
    """The issues that each issue waits for: by its text, by the forge's own dependencies, and for its sub-issues."""
    children: dict[int, list[int]] = {}
    for issue in issues:
        if issue.parent:
            children.setdefault(issue.parent, []).append(issue.number)
    return {
        i.number: (
            *named_in(i.body),
            *(forge.open_blockers(i.number) if i.blocked_by else ()),
            *children.get(i.number, ()),
        )
        for i in issues
    }


def open_outside(
    forge: Forge, issues: Sequence[Issue], waits: Mapping[int, Sequence[int]], say: Callable[[str], None]
) -> set[int]:
    """Of the issues that others wait for and that are not in this run, those that are open. Each is asked for once."""
    here = {i.number for i in issues}
    found = set()
    for number in sorted({n for some in waits.values() for n in some} - here):
        try:
            if forge.issue(number).state == "open":
                found.add(number)
        except ForgeError as exc:
            if exc.status != 404:
                raise
            say(f"nothing waits for #{number}: {exc.message}")
    return found
