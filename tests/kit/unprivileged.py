"""Steps of the Action as a user without privileges, as on a runner; the tests themselves may run as root."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from tests.kit.runner import Runner

NOBODY = 65534


def unprivileged() -> bool:
    """Whether the test itself runs as somebody without privileges."""
    return os.geteuid() != 0


def as_nobody() -> dict[str, Any]:
    """Arguments for subprocess that give up privileges, where there are any."""
    return {} if unprivileged() else {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def give_away(path: Path) -> None:
    """Let the unprivileged user own everything below."""
    if not unprivileged():
        for folder, folders, files in os.walk(path):
            for name in (".", *folders, *files):
                os.chown(Path(folder, name), NOBODY, NOBODY, follow_symlinks=False)


class Unprivileged(Runner):
    """Steps run as an unprivileged user, with the program directories of a hosted runner."""

    python: Path

    def start(self, mode: str = "run", *, event: str = "schedule", payload=None, **inputs: str):
        env, files = self.environment(mode, event, payload, inputs)
        give_away(self.temp)
        process = subprocess.Popen(
            [self.python, "-I", "-m", "orchestrator_action.action"], cwd=self.repo.path, env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            **as_nobody(),
        )  # fmt: skip
        return process, files
