"""Events as short lines that a person understands. One renderer: the live board, plain lines, `logs`, the Action.

Pure: an event of the journal comes in, words go out. What an agent's own lines say is told by its reader, see
`agents`; both are somebody else's text, so whoever prints them on a runner or a terminal makes them harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator_action.protocol.events import Event
from orchestrator_action.protocol.phases import BY_ID
from orchestrator_action.text import figures
from orchestrator_action.text import limits as texts

MOST_CHARS = 200
"""Of one line: a terminal's width or two."""


def event_words(event: Event) -> str:
    """What an event says, in one line; empty for those that only machines need."""
    tell = _WORDS.get(event.kind)
    return short(tell(event.data)) if tell else ""


def short(text: str, limit: int = MOST_CHARS) -> str:
    """One printable line of at most `limit` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in texts.mask_shapes(text)).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def phase_name(phase: object) -> str:
    """The phase as people know it."""
    return BY_ID[phase].title if isinstance(phase, str) and phase in BY_ID else str(phase)


def _started(data: Mapping[str, Any]) -> str:
    number = data.get("attempt", 1)
    return "agent starts" if number == 1 else f"agent starts again (attempt {number})"


def _ended(data: Mapping[str, Any]) -> str:
    code, cost = data.get("exit_code"), data.get("cost_usd")
    how = f"exit {code}" if code is not None else str(data.get("ending", ""))
    turns = data.get("turns")
    rest = [figures.count(turns, "turn")] if isinstance(turns, int) else []
    rest += [figures.usd(cost)] if isinstance(cost, (int, float)) else []
    return f"agent ended: {', '.join([how, *rest])}"


def _claim(data: Mapping[str, Any]) -> str:
    title = phase_name(data.get("phase"))
    for key, words in (("waive", f"waives {title}"), ("no_change", "says that no change is needed")):
        if data.get(key):
            return f"{words}: {data[key]}"
    return f"claims {title}"


def _fact(data: Mapping[str, Any]) -> str:
    """What does not hold; of what does, the tests, and one that shows the change: the report has the rest."""
    detail: Mapping[str, Any] = found if isinstance(found := data.get("detail"), Mapping) else {}
    if data.get("holds") and data.get("rule") != "suite" and not detail.get("shows"):
        return ""
    sign = "measured" if data.get("holds") else "not measured" if detail.get("unproven") else "does not hold"
    return f"{phase_name(data.get('phase'))}, {sign}: {data.get('message', '')}"


def _review(data: Mapping[str, Any]) -> str:
    return f"reviewed: {figures.count(len(data.get('findings', ())), 'finding')}"


def _answer(data: Mapping[str, Any]) -> str:
    fixed = str(data.get("fixed_in", ""))
    return f"answers {data.get('finding')}: " + (
        f"fixed in {fixed[:12]}" if fixed else f"declined: {data.get('declined', '')}"
    )


def _task_ended(data: Mapping[str, Any]) -> str:
    error = data.get("error")
    return f"{data.get('status')} after {figures.duration(data.get('wall_s'))}" + (
        f": {error}" if error else ""
    )


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "claimed": lambda d: f"takes issue #{d.get('number')}",
    "task-started": lambda d: f"begins on {d.get('branch')} at {str(d.get('base_sha'))[:12]}",
    "attempt-started": _started,
    "attempt-ended": _ended,
    "claim": _claim,
    "refused": lambda d: f"claim of {phase_name(d.get('phase'))} refused: {d.get('why', '')}",
    "fact": _fact,
    "plan": lambda _: "hands in a plan",
    "issue": lambda d: "asks for an issue" if d.get("stand_in") else f"opens issue #{d.get('number')}",
    "pushed": lambda d: f"branch pushed at {str(d.get('sha'))[:12]}",
    "pull": lambda d: (
        "asks for a pull request" if d.get("stand_in") else f"opens pull request #{d.get('number')}"
    ),
    "review": _review,
    "answer": _answer,
    "reminded": lambda d: f"sent back; open: {', '.join(map(str, d.get('open', ())))}",
    "requeued": lambda d: f"waits for another place: {d.get('why', '')}",
    "retried": lambda d: f"will be tried again: {d.get('failure') or d.get('why') or 'it failed'}",
    "handed-over": lambda d: (
        f"{d.get('to')} takes over from {d.get('from')}: {d.get('why') or d.get('failure')}"
    ),
    "chosen": lambda d: (
        f"{d.get('candidate')} ({d.get('agent')}) is the best of {len(d.get('candidates', ()))} candidates"
    ),
    "salvaged": lambda d: f"uncommitted work saved as {str(d.get('sha'))[:12]}",
    "judged": lambda _: "judged; the result goes to the forge",
    "pending": lambda d: f"not on the forge yet: {d.get('what')}",
    "declined": lambda d: f"stops: {d.get('because') or d.get('why', '')}",
    "egress-refused": lambda d: str(d.get("words", "")),
    "task-ended": _task_ended,
}
