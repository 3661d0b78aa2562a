"""The jobs of `orchestrate-matrix.yml` and its waves without a runner: their own shell lines and conditions.

Each job has folders of its own. `act` keeps the outputs of one job of a matrix only, and these carry the digests; here
they are put together as GitHub's documentation says: of several jobs that set the same output, the last one counts, and
a workflow that is called hands on what its own `outputs` say.
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
WAVE = MATRIX.with_name("orchestrate-wave.yml")
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")


def _jobs(file: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"])


@dataclass(frozen=True)
class Kill:
    """When a step is killed, with all of its process group; with `machine` nothing of its job happens after it."""

    until: Callable[[], Any]
    machine: bool = False


@dataclass
class Scope:
    """What the expressions of one workflow file see; `outputs` are those of each job of it by its name."""

    inputs: Mapping[str, str]
    secrets: Mapping[str, str]
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class Job:
    """One job that ran: how it ended, what its steps printed."""

    name: str
    folder: Path
    scope: Scope
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
    run_id: int = RUN_ID
    """Of the workflow's run."""
    attempt: int = 1
    """Of the workflow's run: 2 once somebody runs its failed jobs again."""
    ran: int = 0
    waves: dict[int, Scope] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scope = Scope({"waves": "3", **self.inputs}, self.secrets)

    def run(self, name: str, kills: Mapping[int, Kill] | None = None, *, wave: int = 1) -> list[Job]:
        """Run a job, or all of its matrix one after the other; of the jobs numbered in `kills` a step is killed.

        Which wave is asked for the jobs that each of them has. None ran where its condition does not hold.
        """
        job, scope = _jobs(MATRIX).get(name), self.scope
        if job is None:
            entered = self._entered(wave)
            if entered is None:
                return []
            job, scope = _jobs(WAVE)[name], entered
        at = Job(name, self.root, scope)
        scope.outputs[name] = {}
        done = []
        if self._holds(str(job.get("if", "")), at, {}):
            for number, row in enumerate(self._rows(job, at), 1):
                ran = self._job(name, job, row, (kills or {}).get(number), scope)
                scope.outputs[name] |= {k: v for k, v in ran.outputs.items() if v}
                done.append(ran)
        self._hand_on(wave)
        return done

    def _rows(self, job: Mapping[str, Any], at: Job) -> Sequence[Mapping[str, Any]]:
        if "strategy" not in job:
            return [{}]
        return list(json.loads(self._filled(job["strategy"]["matrix"]["include"], at, {})))

    def _entered(self, wave: int) -> Scope | None:
        """A wave's own scope, of the first time that one of its jobs is run; None where it is skipped."""
        call, at = _jobs(MATRIX)[f"wave-{wave}"], Job(f"wave-{wave}", self.root, self.scope)
        if not self._holds(str(call["if"]), at, {}):
            return None
        if wave not in self.waves:
            inputs, secrets = (
                {k: self._filled(str(v), at, {}) for k, v in call[kind].items()}
                for kind in ("with", "secrets")
            )
            self.waves[wave] = Scope(inputs, secrets)
        return self.waves[wave]

    def _hand_on(self, wave: int) -> None:
        """Have the outputs of a wave seen by the jobs outside."""
        if wave in self.waves:
            said = yaml.safe_load(WAVE.read_text(encoding="utf-8"))[True]["workflow_call"]["outputs"]
            at = Job("outputs", self.root, self.waves[wave])
            self.scope.outputs[f"wave-{wave}"] = {
                k: self._filled(v["value"], at, {}) for k, v in said.items()
            }

    def _job(
        self, name: str, job: Mapping[str, Any], row: Mapping[str, Any], kill: Kill | None, scope: Scope
    ) -> Job:
        self.ran += 1
        ran = Job(name, self.root / f"{self.ran:02}-{name}", scope)
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

    def forget(self, job: str, output: str, *, wave: int = 1) -> None:
        """A job of a wave never came to say one of its outputs."""
        del self.waves[wave].outputs[job][output]
        self._hand_on(wave)

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    # expressions

    def _filled(self, text: str, ran: Job, row: Mapping[str, Any]) -> str:
        return _EXPRESSION.sub(lambda found: self._value(found[1], ran, row), text)

    def _value(self, name: str, ran: Job, row: Mapping[str, Any]) -> str:
        outputs = ran.scope.outputs
        if whole := re.fullmatch(r"toJSON\((?:needs|jobs)\.([\w-]+)\.outputs\)", name):
            return json.dumps(outputs.get(whole[1], {}))
        if inner := re.fullmatch(r"fromJSON\((.+)\)", name):
            return self._value(inner[1], ran, row)
        if "||" in name:  # which Action is checked out: this one, whatever it says
            return ""
        kind, _, rest = name.partition(".")
        if kind == "needs":
            job, _, output = rest.partition(".outputs.")
            return outputs.get(job, {}).get(output, "")
        if kind == "steps":
            step, _, output = rest.partition(".outputs.")
            return ran.steps.get(step, {}).get(output, "")
        if name == "github.token":
            return self.github.token
        known: Mapping[str, Mapping[str, Any]] = {
            "inputs": ran.scope.inputs,
            "secrets": ran.scope.secrets,
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
