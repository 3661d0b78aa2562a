"""Options and arguments that several commands share, and what they come to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator_action.errors import ConfigError

if TYPE_CHECKING:
    from orchestrator_action.run.setup import RunRequest

HERE = Path()
Repo = Annotated[
    Path,
    typer.Option(
        metavar="DIR", help="The repository, any directory of it (default: here).", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
Prompts = Annotated[list[Path] | None, typer.Argument(metavar="TASK.md", help="Prompt files, a task each.")]
Label = Annotated[
    str, typer.Option(metavar="LABEL", help="Take the open issues with this label (default: orchestrate).")
]
Issues = Annotated[
    list[int] | None, typer.Option("--issue", metavar="N", help="Take this issue; repeatable.")
]
ForgeName = Annotated[
    str, typer.Option("--forge", metavar="FORGE", help="github, local or local:DIR (default: by the remote).")
]
AgentName = Annotated[
    str,
    typer.Option(
        "--agent",
        metavar="AGENT",
        help="Who works: NAME or NAME:MODEL, as in docs/agents.md (default: claude).",
    ),
]
Candidates = Annotated[
    str,
    typer.Option(
        metavar="N|NAMES",
        help="Agents that try each task side by side, the best one counts: 3, or codex,gemini (default: 1).",
    ),
]
Parallel = Annotated[
    str, typer.Option("--max-parallel", metavar="N", help="Tasks at once, or auto (default: 4).")
]
Timeout = Annotated[
    str, typer.Option(metavar="TIME", help="Wall-clock limit of a task, as 90s or 45m (default: 45m).")
]
Turns = Annotated[
    int | None, typer.Option("--max-turns", metavar="N", help="Turns of a task's agent (default: 50).")
]
TaskBudget = Annotated[
    float | None, typer.Option("--max-budget-usd", metavar="N", help="Cost limit of a task (default: none).")
]
RunBudget = Annotated[
    float | None, typer.Option("--max-run-usd", metavar="N", help="Cost limit of the run (default: none).")
]
DayBudget = Annotated[
    float | None,
    typer.Option("--max-day-usd", metavar="N", help="Cost limit of a day's runs (default: none)."),
]
Base = Annotated[str, typer.Option(metavar="REF", help="Base branch (default: the remote's default branch).")]
Test = Annotated[
    list[str] | None,
    typer.Option(metavar="COMMAND", help="Test command; repeatable (default: configured or detected)."),
]
Bundles = Annotated[list[Path] | None, typer.Argument(metavar="[BUNDLE]...", help="Bundles, a folder each.")]
Verdicts = Annotated[
    list[Path] | None, typer.Option(metavar="FILE", help="A verdict document of verify; repeatable.")
]
Accept = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HEX",
        help="Of the files that are handed over, only those of these digests count; repeatable.",
    ),
]
PlanDigest = Annotated[
    str, typer.Option("--plan-sha256", metavar="HEX", help="Refuse a plan with another digest.")
]
BundleDigest = Annotated[
    str, typer.Option("--bundle-sha256", metavar="HEX", help="Refuse a bundle with another digest.")
]
BaseSuiteFile = Annotated[
    Path | None,
    typer.Option("--base-suite", metavar="FILE", help="What `base` measured; nothing of it is run again."),
]
BaseDigest = Annotated[
    str,
    typer.Option("--base-suite-sha256", metavar="HEX", help="Refuse a measured base with another digest."),
]
Sarif = Annotated[Path | None, typer.Option(metavar="FILE", help="Write what does not hold as SARIF 2.1.0.")]
Junit = Annotated[Path | None, typer.Option(metavar="FILE", help="Write each fact as a case of JUnit XML.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, a beginning of it, or last.")]


def request_of_options(
    repo: Path,
    *,
    prompts: list[Path] | None = None,
    label: str = "",
    issues: list[int] | None = None,
    forge: str = "",
    base: str = "",
    agent: str = "",
    candidates: str = "",
    max_parallel: str = "",
    timeout: str = "",
    test: list[str] | None = None,
    max_turns: int | None = None,
    max_budget_usd: float | None = None,
    max_run_usd: float | None = None,
    max_day_usd: float | None = None,
) -> RunRequest:
    """What the options ask for; empty is "not said". Raises ConfigError naming the option."""
    from orchestrator_action.run.setup import RunRequest

    if any(n < 1 for n in issues or ()):
        raise ConfigError("--issue takes a positive number", hint="as in --issue 7")
    flags: dict[str, Any] = {
        "label": label or None,
        "agent": agent or None,
        "candidates": [c.strip() for c in candidates.split(",")] if candidates else None,
        "max_parallel": _slots(max_parallel) if max_parallel else None,
        "timeout": timeout or None,
        "test": test or None,
        "max_turns": max_turns,
        "max_budget_usd": max_budget_usd,
        "max_run_usd": max_run_usd,
        "max_day_usd": max_day_usd,
    }
    return RunRequest(
        repo=repo,
        prompts=tuple(prompts or ()),
        issues=tuple(issues or ()),
        label=label,
        forge=forge,
        base=base,
        flags=flags,
    )


def _slots(text: str) -> int:
    if text == "auto":
        from orchestrator_action.process.concurrency import read_machine, sensible_parallel

        return sensible_parallel(read_machine())
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise ConfigError(
            f"--max-parallel {text!r} is no positive number", hint="as in --max-parallel 4, or auto"
        )
    return int(text)


def digests_of(given: Any) -> frozenset[str]:
    """Digests as people and workflows give them: one each, or many in one word, with blanks or commas between."""
    words = [w.removeprefix("sha256:") for text in given for w in re.split(r"[\s,]+", text) if w]
    if wrong := [w for w in words if not re.fullmatch(r"[0-9a-f]{64}", w)]:
        raise ConfigError(
            f"--accept {wrong[0][:40]!r} is no SHA-256", hint="64 hexadecimal digits, as sha256sum prints"
        )
    return frozenset(words)
