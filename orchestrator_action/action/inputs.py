"""What the Action's inputs ask for. An input that bears the name of a key of the configuration sets that key."""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Any

from orchestrator_action.action.step import Step
from orchestrator_action.config.fields import DURATIONS
from orchestrator_action.config.schema import Config, TestCommand
from orchestrator_action.errors import ConfigError
from orchestrator_action.run.setup import RunRequest

_SEPARATED_BY_COMMAS = frozenset({"allowed_bots", "candidates"})


def request_of_inputs(step: Step) -> RunRequest:
    """What the inputs ask for. Raises ConfigError naming the input."""
    issue = step["ISSUE"].removeprefix("#")
    if issue and not (issue.isascii() and issue.isdecimal() and int(issue) > 0):
        raise ConfigError(f"the input issue is no number: {step['ISSUE']!r}", hint="as in 7")
    return RunRequest(
        repo=step.repo,
        issues=(int(issue),) if issue else (),
        label=step["LABEL"],
        forge="github",
        base=step["BASE_BRANCH"],
        config=step["CONFIG"],
        token_life_s=_token_life_s(step),
        flags=config_flags(step),
    )


def _token_life_s(step: Step) -> float:
    """At most, from now on. The token of the job itself is good as long as the job; an App's that was given, an hour.

    Source: docs.github.com, "Generating an installation access token for a GitHub App".
    """
    jobs_own = step["DEFAULT_TOKEN"] != "false"  # noqa: S105 - whether it is the default
    ends = step["GITHUB_TOKEN"].startswith("ghs_") and not jobs_own and not step["APP_ID"]
    return 3600.0 if ends else math.inf


def config_flags(step: Step) -> dict[str, Any]:
    """The keys of the configuration that inputs set; those of a mapping have no input."""
    hints = typing.get_type_hints(Config)
    given = {f.name: hints[f.name] for f in dataclasses.fields(Config) if step[f.name.upper()]}
    values = {name: _value(step, name, hint) for name, hint in given.items()}
    return {name: value for name, value in values.items() if value not in (None, [])}


def _value(step: Step, name: str, hint: Any) -> Any:
    if hint in (int, float) and name not in DURATIONS:
        return _number(step, name)
    if name in _SEPARATED_BY_COMMAS:
        return [word for line in step.lines(name.upper()) for word in line.replace(",", " ").split()]
    if hint in (tuple[str, ...], tuple[TestCommand, ...]):
        return list(step.lines(name.upper()))
    return step[name.upper()]


def _number(step: Step, name: str) -> int | float | None:
    text = step[name.upper()]
    if name == "max_parallel" and text == "auto":
        return None
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        raise ConfigError(
            f"the input {name.replace('_', '-')} is no number: {text!r}", hint="as in 4"
        ) from None
