"""One step of the Action: its inputs, the environment without them, and what it says to the runner."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestrator_action.action.runner_files import RunnerFiles, annotation_command, print_foreign
from orchestrator_action.action.tamper_guard import RunnerGuard
from orchestrator_action.errors import ConfigError
from orchestrator_action.text.limits import harmless_log_line, mask

APP = ("APP_ID", "APP_PRIVATE_KEY")
"""Inputs that name an App whose token is renewed."""
_SHORTEST_SECRET = 32
"""Of a line of a key in PEM; its first and last line are shorter, and no secret."""


class Step:
    """One step of the Action: its inputs, the environment without them, and what it says."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        from orchestrator_action.agents.registry import (
            secret_variables,  # after this process is closed to others
        )

        self.inputs = {
            k.removeprefix("INPUT_"): v.strip() for k, v in environ.items() if k.startswith("INPUT_")
        }
        self.env = {k: v for k, v in environ.items() if not k.startswith("INPUT_")}
        secrets = ("GITHUB_TOKEN", *secret_variables())
        self.env.update({name: self[name] for name in secrets if self[name]})
        self.env.update({f"ORCHESTRATOR_{name}": self[name] for name in APP if self[name]})
        keys = f"{self['APP_PRIVATE_KEY']}\n{self['SIGNING_KEY']}".splitlines()
        self.secrets = (
            *(v for n in secrets if (v := self.env.get(n))),
            *(line for line in keys if len(line) > _SHORTEST_SECRET),
        )
        self.files = RunnerFiles.of(environ, self.secrets)
        self._whole = threading.Lock()
        self.guard = RunnerGuard.of(environ)

    def __getitem__(self, name: str) -> str:
        return self.inputs.get(name, "")

    def say(self, line: str) -> None:
        """A line of the log that no runner obeys and that holds no secret."""
        with self._whole:
            for one in line.splitlines() or [""]:
                print(harmless_log_line(one, self.secrets), flush=True)

    def fold(self, title: str, lines: Iterable[str]) -> None:
        """Somebody else's lines as one folded group of the log; no line of another thread gets into it."""
        with self._whole:
            print_foreign(sys.stdout, title, lines, secrets=self.secrets)

    def remark(self, level: str, message: str) -> None:
        """An annotation of the run: notice, warning or error."""
        said = "\n".join(
            harmless_log_line(one, self.secrets) for one in mask(message, self.secrets).splitlines()
        )
        with self._whole:
            print(annotation_command(level, said, title="orchestrator"), flush=True)

    def lines(self, name: str) -> tuple[str, ...]:
        """An input of one value a line."""
        return tuple(line.strip() for line in self[name].splitlines() if line.strip())

    @property
    def repo(self) -> Path:
        """Where the repository is checked out."""
        return Path(self.env.get("GITHUB_WORKSPACE") or ".", self["PATH"] or ".")

    def payload(self) -> dict[str, Any]:
        """The event that started the workflow; empty when the runner has none."""
        path = self.env.get("GITHUB_EVENT_PATH", "")
        if not path or not Path(path).is_file():
            return {}
        try:
            body = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as exc:
            raise ConfigError(
                f"the event file {path} is no JSON: {exc}", hint="see GITHUB_EVENT_PATH"
            ) from None
        return body if isinstance(body, dict) else {}
