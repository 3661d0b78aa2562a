"""What a pull request is told of the other branches of its run: which it clashes with, and which go together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator_action.protocol.model import Conflict, Integration
from orchestrator_action.text.defang import code, inline
from orchestrator_action.text.figures import count

MOST_PATHS = 20


def integration_lines(found: Integration) -> list[str]:
    """The whole of it, a line each, in plain words."""
    all_of = len(found.order) + len(found.left_out) + len(found.red)
    some = "" if len(found.order) == all_of else f"{len(found.order)} of "
    tested = "pass together" if found.tests != "not run" else "can be merged"
    order = ", ".join(found.order) or "none"
    lines = [
        f"{some}{count(all_of, 'verified branch', 'verified branches')} {tested}, in this order: {order}"
    ]
    lines += [f"with {task} the tests of the merged tree fail" for task in found.red]
    return lines + [f"{c.a} and {c.b} clash on {', '.join(c.paths[:MOST_PATHS])}" for c in found.clashes]


def integration_comment(
    found: Integration, task_id: str, pulls: Mapping[str, int], secrets: Iterable[str] = ()
) -> str:
    """The comment on a task's pull request; empty when nothing stands in the way of its branch."""
    mine = [c for c in found.clashes if task_id in {c.a, *c.b.split(", ")}]
    if not mine and task_id not in found.red:
        return ""
    lines = [_clash(c, task_id, pulls) for c in mine]
    if task_id in found.red:
        lines.append("With this branch the tests of the merged tree fail; without it they pass.")
    whole = inline(integration_lines(found)[0], secrets, limit=4000)
    body = "\n".join(f"- {line}" for line in lines)
    return f"### orchestrator: beside the other branches of this run\n\n{body}\n\n{whole[:1].upper()}{whole[1:]}.\n"


def _clash(clash: Conflict, task_id: str, pulls: Mapping[str, int]) -> str:
    others = [t for t in (clash.a, *clash.b.split(", ")) if t != task_id]
    named = ", ".join(f"#{pulls[t]} ({code(t)})" if t in pulls else code(t) for t in others)
    more = len(clash.paths) - MOST_PATHS
    paths = ", ".join(code(p) for p in clash.paths[:MOST_PATHS]) + (f" and {more} more" if more > 0 else "")
    return f"It cannot be merged together with {named}: both change {paths}."
