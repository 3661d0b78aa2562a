"""A later step of the job runs what was installed, or nothing: the scripts of action.yml, as a runner runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.action.test_files import ACTION
from tests.kit.runner import outputs_of
from tests.kit.tables import few

STEPS = {s["name"]: s for s in yaml.safe_load(ACTION.read_text(encoding="utf-8"))["runs"]["steps"]}


@dataclass
class Job:
    """What one job has: the installation, the action's source, the runner's files between its steps."""

    root: Path
    env: dict[str, str]

    def step(self, name: str, given: Mapping[str, str]) -> tuple[int, str, dict[str, str]]:
        """Run the script of a step as its `shell` says; variables it exports are there for the next one."""
        output, variables = self.root / "output", self.root / "env"
        output.write_text("")
        variables.write_text("")
        script = self.root / "script.sh"
        script.write_text(STEPS[name]["run"])
        argv = [part.replace("{0}", str(script)) for part in STEPS[name]["shell"].split()]
        fixed = {k: v for k, v in STEPS[name]["env"].items() if "${{" not in v}
        env = {**self.env, **fixed, **given, "GITHUB_OUTPUT": str(output), "GITHUB_ENV": str(variables)}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, cwd=self.root)
        self.env |= outputs_of(variables.read_text())
        return done.returncode, done.stdout + done.stderr, outputs_of(output.read_text())

    def watch(self) -> tuple[int, str, dict[str, str]]:
        places = {"PYTHON": str(self.venv / "bin/python"), "BYTECODE": str(self.root / "bytecode")}
        return self.step("Watch", {**places, "ACTION": str(self.root / "action")})

    def check(self, watched: Mapping[str, str]) -> int:
        names = {"LOOK": "look", "ORCHESTRATOR_WATCHED": "watched", "ORCHESTRATOR_INSTALLED": "digest"}
        return self.step("Check", {name: watched[output] for name, output in names.items()})[0]

    @property
    def venv(self) -> Path:
        return self.root / "venv"

    @property
    def packages(self) -> Path:
        return (
            self.venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        )

    @property
    def library(self) -> Path:
        return self.root / "python" / "lib"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A real environment; a small library stands for that of a Python which its user can write."""
    made = Job(tmp_path, {"PATH": os.environ["PATH"]})
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made.venv)], check=True)
    files = {
        made.packages / "orchestrator_action/errors.py": "x = 1\n", tmp_path / "bytecode/errors.pyc": "x",
        tmp_path / "action/action.yml": "name: x\n", made.library / "os.py": "x = 1\n",
        made.library / "__pycache__/os.pyc": "x", made.library / "test/test_os.py": "x = 1\n",
        made.library / "site-packages/pip.py": "x = 1\n", made.library / "json/decoder.py": "x = 1\n",
        tmp_path / "other" / "file": "x",
    }  # fmt: skip
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (made.venv / "linked").symlink_to(made.library)
    return made


@pytest.fixture
def watched(job: Job) -> dict[str, str]:
    """What the step before any agent hands on; the small library is put among the places."""
    code, said, outputs = job.watch()
    assert 0 == code, said
    places = outputs["watched"].split(":")
    assert str(job.venv) in places and str(Path(sys.executable).resolve()) in places
    assert os.path.dirname(os.__file__) == places[0], "Python's own library is the first"
    job.env = {"PATH": job.env["PATH"], "ORCHESTRATOR_WATCHED": ":".join([str(job.library), *places[1:]])}
    code, said, outputs = job.watch()
    assert 0 == code, said
    return outputs


CHANGES: dict[str, Callable[[Job], object]] = {
    "our code": lambda j: (j.packages / "orchestrator_action/errors.py").write_text("x = 2\n"),
    "a start-up file": lambda j: (j.packages / "sitecustomize.py").write_text("import os\n"),
    "a path file": lambda j: (j.packages / "x.pth").write_text("import os\n"),
    "the environment's settings": lambda j: (j.venv / "pyvenv.cfg").write_text("home = /evil\n"),
    "Python's library": lambda j: (j.library / "os.py").write_text("x = 2\n"),
    "a module added to it": lambda j: (j.library / "json/scanner.py").write_text("x = 2\n"),
    "our byte code": lambda j: (j.root / "bytecode/errors.pyc").write_text("y"),
    "the action's source": lambda j: (j.root / "action/action.yml").write_text("name: y\n"),
    "a file gone": lambda j: (j.library / "os.py").unlink(),
    "the interpreter's link": lambda j: relink(j.venv / "bin/python", j.root / "other/file"),
    "the link of a folder": lambda j: relink(j.venv / "linked", j.root / "other"),
}


def relink(path: Path, to: Path) -> None:
    path.unlink()
    path.symlink_to(to)


@pytest.mark.parametrize("change", few(CHANGES.values(), 4), ids=CHANGES.keys())
def test_a_later_step_does_not_run_what_was_changed(
    job: Job, watched: dict[str, str], change: Callable[[Job], object]
):
    """Neither the last step of this use, nor a second use of the action in the same job."""
    assert 0 == job.check(watched)

    change(job)

    assert 1 == job.check(watched)
    assert (1, True) == ((again := job.watch())[0], "it is not run again" in again[1])


def test_byte_code_beside_the_library_and_what_pip_installs_are_nobodys_harm(
    job: Job, watched: dict[str, str]
):
    """Every Python writes there; our steps read their byte code from a folder of their own."""
    (job.library / "__pycache__/os.pyc").write_text("y")
    (job.library / "site-packages/pytest.py").write_text("x")
    (job.library / "test/test_os.py").write_text("x = 2\n")

    assert 0 == job.check(watched)
    assert 0 == job.watch()[0]


def test_what_an_agent_left_in_the_environment_does_not_decide(
    job: Job, watched: dict[str, str], tmp_path: Path
):
    """A step's own variables win over what a killed step left in the runner's files, and so do absolute paths."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("find", "sort", "xargs", "sha256sum", "cut", "bash", "readlink"):
        (tools / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\necho {watched['digest']}\n")
        (tools / name).chmod(0o755)
    (tmp_path / "start.sh").write_text(f"touch {tmp_path}/ran\nexit 0\n")
    job.env |= {
        "PATH": f"{tools}:{job.env['PATH']}", "BASH_ENV": str(tmp_path / "start.sh"),
        "ORCHESTRATOR_INSTALLED": "", "ORCHESTRATOR_WATCHED": str(tmp_path / "other"),
    }  # fmt: skip
    CHANGES["our code"](job)

    assert 1 == job.check(watched)
    assert not (tmp_path / "ran").exists()
