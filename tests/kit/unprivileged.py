"""Steps of the Action as a user without privileges, as on a runner; the tests themselves may run as root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REQUIRE_ALL
from tests.kit.runner import Runner
from tests.kit.whole import PACKAGE

NOBODY = 65534
SYSTEM_PYTHON = Path("/usr/bin/python3")


def unprivileged() -> bool:
    """Whether the test itself runs as somebody without privileges."""
    return os.geteuid() != 0


def as_nobody() -> dict[str, Any]:
    """Arguments for subprocess that give up privileges, where there are any."""
    return {} if unprivileged() else {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def need_root() -> None:
    """Skip on a machine where the tests cannot be several users; fail in CI, where they are root."""
    if unprivileged():
        message = "only root can be several users"
        pytest.fail(message) if REQUIRE_ALL else pytest.skip(message)


def python_for_everybody(folder: Path) -> Path:
    """A Python in `folder` that a user without privileges can run, with our package in it."""
    if unprivileged():
        return Path(sys.executable)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if found.stdout.strip() != version:
        message = f"{SYSTEM_PYTHON} is not Python {version}: no interpreter for an unprivileged user"
        pytest.fail(message) if REQUIRE_ALL else pytest.skip(message)
    home = folder / "venv"
    subprocess.run([SYSTEM_PYTHON, "-m", "venv", "--without-pip", home], check=True)
    packages = next(Path(p) for p in sys.path if p.endswith("site-packages"))
    ours = home / "lib" / f"python{version}" / "site-packages" / "ours.pth"
    ours.write_text(f"{packages}\n{PACKAGE}\n")
    return home / "bin" / "python"


def give_away(path: Path) -> None:
    """Let the unprivileged user own everything below."""
    if not unprivileged():
        for folder, folders, files in os.walk(path):
            for name in (".", *folders, *files):
                os.chown(Path(folder, name), NOBODY, NOBODY, follow_symlinks=False)


class Unprivileged(Runner):
    """Steps run as an unprivileged user, with the program directories of a hosted runner."""

    python: Path
    anew = True

    def start(self, mode: str = "run", *, event: str = "schedule", payload=None, **inputs: str):
        env, files = self.environment(mode, event, payload, inputs)
        give_away(self.temp)
        process = subprocess.Popen(
            [self.python, "-I", "-m", "orchestrator_action.action"], cwd=self.repo.path, env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            **as_nobody(),
        )  # fmt: skip
        return process, files
