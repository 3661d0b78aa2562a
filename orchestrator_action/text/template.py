"""The templates and what they may call. Undefined names are errors; whole documents are masked.

Jinja2 is imported when the first text is made: it costs 28 ms that a run without texts need not pay.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator_action.protocol.model import PhaseState
from orchestrator_action.protocol.phases import BY_ID
from orchestrator_action.text import figures
from orchestrator_action.text import limits as text

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"

_STATE_WORDS = {
    PhaseState.PROVEN: "✅ proven",
    PhaseState.REPORTED: "💬 reported by work",
    PhaseState.WAIVED: "🟡 waived",
    PhaseState.OFF: "⚪ off",
    PhaseState.NOT_APPLICABLE: "⚪ not applicable",
    PhaseState.MISSING: "⬜ missing",
    PhaseState.UNPROVEN: "❔ unproven",
    PhaseState.REFUTED: "❌ refuted",
    PhaseState.STALE: "♻️ stale",
}
_TAIL_KEYS = ("tail", "output", "log_tail")
_NOT_SHOWN = frozenset({*_TAIL_KEYS, "log", "tree", "unproven"})


def state_words(state: PhaseState) -> str:
    """A phase's state: a sign for the eye and a word for everyone."""
    return _STATE_WORDS[PhaseState(state)]


def phase_title(phase: str) -> str:
    """The phase as people know it."""
    return BY_ID[phase].title if phase in BY_ID else text.plain(phase, limit=60)


def markdown_link(words: str, url: str) -> str:
    """A Markdown link, or the words alone when the address is not one of the web."""
    safe = text.web_address(url)
    return f"[{words}]({safe})" if safe else words


def _runs(detail: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The commands a measurement ran, where it says so."""
    runs = detail.get("commands")
    return [r for r in runs if isinstance(r, Mapping)] if isinstance(runs, (list, tuple)) else []


def output_tail(detail: Mapping[str, Any]) -> str:
    """The kept end of a measurement's output, or an empty string."""
    tails = [(str(r.get("command", "")), str(r.get("tail") or "").strip("\n")) for r in _runs(detail)]
    if any(tail for _, tail in tails):
        return "\n".join(f"$ {command}\n{tail}" for command, tail in tails)
    found = next((detail[key] for key in _TAIL_KEYS if isinstance(detail.get(key), str)), "")
    return str(found).strip("\n")


def _named(value: object) -> str:
    """One of a list: a record by its name, anything else as it is."""
    if not isinstance(value, Mapping):
        return str(value)
    names = (value.get(key) for key in ("id", "name", "path", "file"))
    return next((str(n) for n in names if n), ", ".join(f"{k} {v}" for k, v in value.items() if v))


def _figure(value: object) -> str:
    """A value as plain text; of a long list the first ten."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v}" for k, v in list(value.items())[:12] if v is not None)
    if isinstance(value, (list, tuple)):
        more = f" and {len(value) - 10} more" if len(value) > 10 else ""
        return ", ".join(_named(v) for v in value[:10]) + more
    return str(value)


def measured(detail: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """A measurement's figures: what of, how much, and whether that reads as code."""
    found: list[tuple[str, str, bool]] = []
    for run in _runs(detail):
        found.append(("command", str(run.get("command", "")), True))
        ended = run.get("exit_code") if run.get("exit_code") is not None else run.get("ending")
        if ended is not None:
            found.append(("exit code" if run.get("exit_code") is not None else "ended", str(ended), False))
    for key, value in detail.items():
        if key in _NOT_SHOWN or value in (None, "", [], {}, False) or (key == "commands" and _runs(detail)):
            continue
        if key.endswith("_s") and isinstance(value, (int, float)):
            found.append((key.removesuffix("_s").replace("_", " "), figures.duration(value), False))
        elif value is True:
            found.append((key.replace("_", " "), "yes", False))
        else:
            found.append((key.replace("_", " "), _figure(value), isinstance(value, (str, list, tuple))))
    return found


def figures_of(detail: Mapping[str, Any]) -> str:
    """The same in one line of Markdown, with a separator before each; or nothing."""
    return "".join(
        f" · {markdown_link(name, value)}"
        if text.web_address(value)
        else f" · {text.inline(name, limit=40)} {(text.code if as_code else text.inline)(value, limit=200)}"
        for name, value, as_code in measured(detail)
    )


@functools.cache
def template_environment() -> Environment:
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
        "link": markdown_link,
        "duration": figures.duration,
        "usd": figures.usd,
        "mib": figures.mib,
        "state": state_words,
        "tail_of": output_tail,
        "seen": lambda value: text.without_markers(text.clean(str(value))[0]),
        "web": text.web_address,
        "figures_of": figures_of,
        "measured": measured,
    }
    made.filters.update(filters)
    return made


def fill(template: str, secrets: Iterable[str], /, **values: object) -> str:
    """A template filled in, without any of `secrets`."""
    return text.mask(template_environment().get_template(template).render(**values), secrets)
