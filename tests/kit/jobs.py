"""The jobs of `orchestrate-matrix.yml` without a runner: its own shell lines and conditions, read from the file.

Each job has folders of its own. `act` keeps the outputs of one job of a matrix only, and these carry the digests; here
they are put together as GitHub's documentation says: of several jobs that set the same output, the last one counts.
What is not GitHub's: checkout is a clone, the install is this environment, and artifacts are a folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.kit.github_server import GitHubServer
from tests.kit.repos import Repo
from tests.kit.runner import RUN_ID, checked_out, outputs_of, wait_for
from tests.kit.whole import PACKAGE

MATRIX = PACKAGE / ".github" / "workflows" / "orchestrate-matrix.yml"
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")


@dataclass(frozen=True)
class Kill:
    """When a step is killed, with all of its process group; with `machine` nothing of its job happens after it."""

    until: Callable[[], Any]
    machine: bool = False


@dataclass
class Job:
    """One job that ran: how it ended, what its steps printed."""

    name: str
    folder: Path
    outputs: dict[str, str] = field(default_factory=dict)
    failed: bool = False
    log: str = ""
    steps: dict[str, dict[str, str]] = field(default_factory=dict)
    """The outputs of each step that has an id."""


@dataclass
class Jobs:
    """One run of the workflow. `env` is what its machines have beside what a runner gives."""

    github: GitHubServer
    library: Repo
    root: Path
    inputs: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of each job by its name: of all jobs of a matrix together."""
    run_id: int = RUN_ID
    """Of the workflow's run."""
    attempt: int = 1
    """Of the workflow's run: 2 once somebody runs its failed jobs again."""
    ran: int = 0

    def run(self, name: str, kills: Mapping[int, Kill] | None = None) -> list[Job]:
        """Run a job, or all of its matrix one after the other; of the jobs numbered in `kills` a step is killed."""
        job = yaml.safe_load(MATRIX.read_text(encoding="utf-8"))["jobs"][name]
        self.outputs[name] = {}
        if not self._holds(str(job.get("if", "")), Job(name, self.root), {}):
            return []
        rows: Sequence[Mapping[str, Any]] = [{}]
        if "strategy" in job:
            rows = json.loads(self._filled(job["strategy"]["matrix"]["include"], Job(name, self.root), {}))
        done = []
        for number, row in enumerate(rows, 1):
            ran = self._job(name, job, row, (kills or {}).get(number))
            self.outputs[name] |= {k: v for k, v in ran.outputs.items() if v}
            done.append(ran)
        return done

    def _job(self, name: str, job: Mapping[str, Any], row: Mapping[str, Any], kill: Kill | None) -> Job:
        self.ran += 1
        ran = Job(name, self.root / f"{self.ran:02}-{name}")
        (ran.folder / "temp").mkdir(parents=True)
        for step in job["steps"]:
            if not self._holds(str(step.get("if", "success()")), ran, row):
                continue
            killed = kill if "run" in step and step.get("id") == name else None
            good = self._step(step, ran, row, killed)
            if killed and killed.machine:
                ran.failed = True
                return ran
            ran.failed |= not good and not step.get("continue-on-error", False)
        ran.outputs = {k: self._filled(v, ran, row) for k, v in job.get("outputs", {}).items()}
        return ran

    # one step

    def _step(self, step: Mapping[str, Any], ran: Job, row: Mapping[str, Any], kill: Kill | None) -> bool:
        if "run" in step:
            return self._script(step, ran, row, kill)
        given = {k: self._filled(str(v), ran, row) for k, v in step.get("with", {}).items()}
        kind = str(step["uses"]).partition("@")[0].rpartition("/")[2]
        if kind == "checkout":
            return self._checkout(ran, given)
        if kind == "action":
            ran.steps["install"] = {"python": sys.executable}
            return True
        return self._upload(ran, given) if kind == "upload-artifact" else self._download(ran, given)

    def _checkout(self, ran: Job, given: Mapping[str, str]) -> bool:
        if given["path"] == "repository":
            repo = checked_out(self.github, self.library, ran.folder / "repository")
            if given.get("ref"):
                repo.git("checkout", "-q", given["ref"])
        return True

    def _upload(self, ran: Job, given: Mapping[str, str]) -> bool:
        there, to = ran.folder / given["path"], self.artifacts / given["name"]
        if there.exists():
            shutil.rmtree(to, ignore_errors=True)
            shutil.copytree(there, to) if there.is_dir() else (to.mkdir(parents=True), shutil.copy(there, to))
        return True

    def _download(self, ran: Job, given: Mapping[str, str]) -> bool:
        to = ran.folder / given["path"]
        if "pattern" in given:
            for one in self.artifacts.glob(given["pattern"]):
                shutil.copytree(one, to / one.name)
            return True
        if not (self.artifacts / given["name"]).exists():
            return False
        shutil.copytree(self.artifacts / given["name"], to)
        return True

    def _script(self, step: Mapping[str, Any], ran: Job, row: Mapping[str, Any], kill: Kill | None) -> bool:
        output = ran.folder / f"output-{step.get('id', '')}"
        output.touch()
        kept = {k: os.environ[k] for k in ("PATH", "HOME", "LANG", "TMPDIR") if k in os.environ}
        env = {
            **kept, **self.env, "GITHUB_ACTIONS": "true", "GITHUB_API_URL": self.github.url,
            "GITHUB_SERVER_URL": self.github.url, "GITHUB_REPOSITORY": self.github.repository,
            "GITHUB_RUN_ID": str(self.run_id), "GITHUB_RUN_ATTEMPT": str(self.attempt), "GITHUB_ACTOR": "octo",
            "RUNNER_TEMP": str(ran.folder / "temp"), "GITHUB_OUTPUT": str(output),
            **{k: self._filled(str(v), ran, row) for k, v in step.get("env", {}).items()},
        }  # fmt: skip
        with (ran.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], cwd=ran.folder, env=env,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            if kill is not None:
                wait_for(kill.until, f"what {ran.name} is killed at", within_s=200)
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait(300)
        ran.log = (ran.folder / "log").read_text(errors="replace")
        ran.steps[str(step.get("id", ""))] = outputs_of(output.read_text())
        return code == 0

    def lose(self, artifact: str) -> None:
        """An artifact expires, or somebody deletes it; what its job said stays."""
        shutil.rmtree(self.artifacts / artifact)

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    # expressions

    def _filled(self, text: str, ran: Job, row: Mapping[str, Any]) -> str:
        return _EXPRESSION.sub(lambda found: self._value(found[1], ran, row), text)

    def _value(self, name: str, ran: Job, row: Mapping[str, Any]) -> str:
        if whole := re.fullmatch(r"toJSON\(needs\.(\w+)\.outputs\)", name):
            return json.dumps(self.outputs.get(whole[1], {}))
        if inner := re.fullmatch(r"fromJSON\((.+)\)", name):
            return self._value(inner[1], ran, row)
        if "||" in name:  # which Action is checked out: this one, whatever it says
            return ""
        kind, _, rest = name.partition(".")
        if kind == "needs":
            job, _, output = rest.partition(".outputs.")
            return self.outputs.get(job, {}).get(output, "")
        if kind == "steps":
            step, _, output = rest.partition(".outputs.")
            return ran.steps.get(step, {}).get(output, "")
        if name == "github.token":
            return self.github.token
        known: Mapping[str, Mapping[str, Any]] = {
            "inputs": self.inputs,
            "secrets": self.secrets,
            "matrix": row,
        }
        return str(known[kind].get(rest, ""))

    def _holds(self, condition: str, ran: Job, row: Mapping[str, Any]) -> bool:
        """The conditions of this file: terms that all have to hold."""
        inner = condition.removeprefix("${{").removesuffix("}}").strip()
        always = "always()" in inner or "cancelled()" in inner
        return (always or not ran.failed) and all(
            self._term(t.strip(), ran, row) for t in inner.split("&&") if t.strip()
        )

    def _term(self, term: str, ran: Job, row: Mapping[str, Any]) -> bool:
        if term in {"always()", "!cancelled()", "success()"}:
            return True
        name, same, wanted = re.fullmatch(r"([\w.-]+)(?: (==|!=) '(.*)')?", term).groups()  # type: ignore[union-attr]
        found = self._value(name, ran, row)
        if not same:
            return found not in {"", "false"}
        return (found == wanted) == (same == "==")
