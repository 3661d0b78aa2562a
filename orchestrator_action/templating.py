"""The templates and what they may call. Undefined names are errors; whole documents are masked.

Jinja2 is imported when the first text is made: it costs 28 ms that a run without texts need not pay.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator_action.core import figures, text
from orchestrator_action.core.model import PhaseState
from orchestrator_action.core.phases import BY_ID

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"

_STATE_WORDS = {
    PhaseState.PROVEN: "✅ proven",
    PhaseState.WAIVED: "🟡 waived",
    PhaseState.OFF: "⚪ off",
    PhaseState.NOT_APPLICABLE: "⚪ not applicable",
    PhaseState.MISSING: "⬜ missing",
    PhaseState.UNPROVEN: "❔ unproven",
    PhaseState.REFUTED: "❌ refuted",
    PhaseState.STALE: "♻️ stale",
}
_TAIL_KEYS = ("tail", "output", "log_tail")


def state_words(state: PhaseState) -> str:
    """A phase's state: a sign for the eye and a word for everyone."""
    return _STATE_WORDS[PhaseState(state)]


def phase_title(phase: str) -> str:
    """The phase as people know it."""
    return BY_ID[phase].title if phase in BY_ID else text.plain(phase, limit=60)


def link(words: str, url: str) -> str:
    """A Markdown link, or the words alone when the address is not one of the web."""
    safe = text.web_address(url)
    return f"[{words}]({safe})" if safe else words


def tail_of(detail: Mapping[str, Any]) -> str:
    """The kept end of a measurement's output, or an empty string."""
    found = next((detail[key] for key in _TAIL_KEYS if isinstance(detail.get(key), str)), "")
    return str(found).strip("\n")


def figures_of(detail: Mapping[str, Any]) -> str:
    """A measurement's figures in one line of Markdown, with a separator before them; or nothing."""
    parts = []
    for key, value in detail.items():
        if key in _TAIL_KEYS or value in (None, "", [], {}):
            continue
        if isinstance(value, (list, tuple)):
            more = f" and {len(value) - 10} more" if len(value) > 10 else ""
            shown = ", ".join(text.code(str(v), limit=120) for v in value[:10]) + more
        elif isinstance(value, Mapping):
            shown = ", ".join(
                f"{text.inline(str(k))} {text.inline(str(v))}" for k, v in list(value.items())[:12]
            )
        elif isinstance(value, str):
            shown = text.code(value, limit=200)
        elif key.endswith("_s") and isinstance(value, (int, float)) and not isinstance(value, bool):
            key, shown = key.removesuffix("_s"), figures.duration(value)
        else:
            shown = text.inline(str(value), limit=60)
        parts.append(f"{text.inline(key.replace('_', ' '), limit=40)} {shown}")
    return " · " + " · ".join(parts) if parts else ""


@functools.cache
def environment() -> Environment:
    """The one Jinja environment of this process."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=select_autoescape(["html.j2"], default_for_string=False),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Callable[..., object]] = {
        "inline": text.inline,
        "code": text.code,
        "cell": functools.partial(text.code, cell=True),
        "fenced": text.fenced,
        "link": link,
        "duration": figures.duration,
        "usd": figures.usd,
        "mib": figures.mib,
        "state": state_words,
        "tail_of": tail_of,
        "seen": lambda value: text.without_markers(text.clean(str(value))[0]),
        "web": text.web_address,
        "figures_of": figures_of,
    }
    made.filters.update(filters)
    return made


def fill(template: str, secrets: Iterable[str], /, **values: object) -> str:
    """A template filled in, without any of `secrets`."""
    return text.mask(environment().get_template(template).render(**values), secrets)
