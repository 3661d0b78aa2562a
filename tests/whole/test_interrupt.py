"""Ctrl-C ends a command without a traceback, from its first import on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.repos import clean_env

# A person presses Ctrl-C while this module is being imported: a real signal, at a place that can be named.
PRESSED = """
import importlib.abc, os, signal, sys
module = sys.argv.pop(1)
class Pressed(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Pressed())
from orchestrator_action.cli.main import main
main()
"""


@pytest.mark.parametrize(
    "module",
    [
        "typer",
        "orchestrator_action.cli.app",
        "orchestrator_action.git.repo",
        "orchestrator_action.run.watching",
    ],
)
def test_no_import_is_too_early(tmp_path: Path, module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRESSED, module, "status"],
        cwd=tmp_path, env=clean_env() | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode in {130, -signal.SIGINT}, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
