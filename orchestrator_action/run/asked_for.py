"""The issues and prompt files that a user asked a run for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator_action.config.load import prompt_file
from orchestrator_action.config.schema import Config
from orchestrator_action.errors import ConfigError
from orchestrator_action.forge.base import Forge
from orchestrator_action.protocol.forge_values import Issue
from orchestrator_action.protocol.model import Prompt

if TYPE_CHECKING:
    from orchestrator_action.run.setup import RunRequest


def issues_asked_for(asked: RunRequest, config: Config, forge: Forge) -> Sequence[Issue]:
    """Those of the numbers, each open, or of the label; none where prompt files alone were named.

    Raises ConfigError for a number whose issue is not open.
    """
    if asked.issues:
        return [_open(forge.issue(n)) for n in dict.fromkeys(asked.issues)]
    if asked.prompts and not asked.label:
        return []
    return list(forge.issues(config.label, histories=True))


def _open(issue: Issue) -> Issue:
    if issue.state != "open":
        raise ConfigError(f"issue #{issue.number} is {issue.state}", hint="reopen it, or leave it out")
    return issue


def prompts_asked_for(paths: Sequence[Path]) -> list[Prompt]:
    """The prompt files, each once. Raises ConfigError for one that is given twice or cannot be read."""
    seen: dict[Path, Path] = {}
    for path in paths:
        real = path.resolve()
        if real in seen:
            raise ConfigError(f"prompt file {path} is given twice", hint="name each file once")
        seen[real] = path
    return [prompt_file(path) for path in paths]
