"""A runner's step without a runner: the Action's program with the variables and files a runner gives it."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from tests.conftest import NPM, need
from tests.kit import forked
from tests.kit.github_server import GitHubServer
from tests.kit.repos import Repo, git

MODULE = "orchestrator_action.action"
RUN_ID = 4711
EXAMPLES = NPM / "@octokit/webhooks-examples/api.github.com/index.json"


def example(name: str, action: str = "", *, having: str = "") -> dict[str, Any]:
    """A real payload of GitHub's from npm @octokit/webhooks-examples; `having` is a key it must hold."""
    for kind in json.loads(need(EXAMPLES, "@octokit/webhooks-examples").read_text(encoding="utf-8")):
        if kind["name"] == name:
            for found in kind["examples"]:
                if found.get("action", "") == action and (not having or having in found):
                    return copy.deepcopy(found)
    raise LookupError(f"no example of {name} {action}")


@dataclass(frozen=True)
class Stepped:
    """How a step ended: exit code, its log, its outputs and the job summary."""

    code: int
    log: str
    outputs: Mapping[str, str]
    summary: str
    env_file: str

    @property
    def report(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.outputs["results"])
        return body

    def status(self, number: int) -> str:
        [found] = [t["status"] for t in self.report["tasks"] if t["task_id"] == f"issue-{number}"]
        return str(found)


@dataclass
class Runner:
    """A checkout of the loopback GitHub's repository on a runner, and the steps run in it."""

    github: GitHubServer
    repo: Repo
    temp: Path
    env: dict[str, str] = field(default_factory=dict)
    number: int = 0
    anew: ClassVar[bool] = False
    """Whether an interpreter is started for a step: its token is then where a runner puts it."""

    def labeled(self, number: int, label: str = "orchestrate") -> dict[str, Any]:
        """The payload of the event that the label on this issue made: a real one, its names swapped."""
        issue = self.github.state.issues[number]
        payload = example("issues", "labeled", having="label")
        payload["issue"] |= {
            "number": number, "title": issue.title, "body": issue.body, "updated_at": issue.updated_at,
            "labels": [{"name": n} for n in issue.labels],
        }  # fmt: skip
        payload["issue"].pop("pull_request", None)
        payload["label"]["name"] = label
        payload["repository"]["full_name"] = self.github.repository
        return payload

    def commented(self, number: int, body: str, *, user: str, kind: str = "User") -> dict[str, Any]:
        """The payload of a comment's event."""
        issue = self.github.state.issues[number]
        payload = example("issue_comment", "created")
        payload["issue"] |= {"number": number, "title": issue.title, "body": issue.body}
        payload["issue"].pop("pull_request", None)
        payload["repository"]["default_branch"] = "main"
        payload["comment"] |= {"body": body, "created_at": self.github.state.now()}
        payload["comment"]["user"] |= {"login": user, "type": kind}
        return payload

    def environment(
        self, mode: str, event: str, payload: Mapping[str, Any] | None, inputs: Mapping[str, str]
    ) -> tuple[dict[str, str], Path]:
        """The variables of one step, and the folder of its files."""
        self.number += 1
        files = self.temp / f"_runner_file_commands_{self.number}"
        files.mkdir(parents=True)
        for name in ("output", "env", "path", "state", "summary"):
            (files / name).touch()
        (files / "event.json").write_text(json.dumps(payload or {}), encoding="utf-8")
        kept = {k: os.environ[k] for k in ("PATH", "HOME", "LANG", "TMPDIR") if k in os.environ}
        given = {"github_token": self.github.token, "agent": "patch", **inputs}
        return {
            **kept,
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.github.url,
            "GITHUB_SERVER_URL": self.github.url,
            "GITHUB_REPOSITORY": self.github.repository,
            "GITHUB_RUN_ID": str(RUN_ID),
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_ACTOR": "octo",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(files / "event.json"),
            "GITHUB_WORKSPACE": str(self.repo.path),
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_OUTPUT": str(files / "output"),
            "GITHUB_ENV": str(files / "env"),
            "GITHUB_PATH": str(files / "path"),
            "GITHUB_STATE": str(files / "state"),
            "GITHUB_STEP_SUMMARY": str(files / "summary"),
            "INPUT_MODE": mode,
            **{f"INPUT_{k.upper()}": v for k, v in given.items()},
            **self.env,
        }, files

    def start(
        self, mode: str = "run", *, event: str = "schedule", payload: Mapping[str, Any] | None = None,
        **inputs: str,
    ) -> tuple[subprocess.Popen[str], Path]:  # fmt: skip
        """Start a step; its files are in the folder."""
        env, files = self.environment(mode, event, payload, inputs)
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", MODULE], cwd=self.repo.path, env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        return process, files

    def step(self, mode: str = "run", *, within_s: float = 110, **more: Any) -> Stepped:
        """Run a step to its end."""
        if not self.anew:
            return self._forked(mode, within_s, **more)
        process, files = self.start(mode, **more)
        try:
            log, _ = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            log, _ = process.communicate()
            raise AssertionError(f"the step did not end:\n{log}") from None
        return ended(process.returncode, log, files)

    def _forked(
        self, mode: str, within_s: float, *, event: str = "schedule", payload: Mapping[str, Any] | None = None,
        **inputs: str,
    ) -> Stepped:  # fmt: skip
        env, files = self.environment(mode, event, payload, inputs)
        done = forked.run(MODULE, (), cwd=self.repo.path, env=env, timeout=within_s, merged=True)
        return ended(done.returncode, done.stdout, files)


def ended(code: int, log: str, files: Path) -> Stepped:
    """What a runner reads when a step has ended."""
    return Stepped(
        code, log, outputs_of((files / "output").read_text()), (files / "summary").read_text(),
        (files / "env").read_text() + (files / "path").read_text(),
    )  # fmt: skip


def outputs_of(text: str) -> dict[str, str]:
    """The outputs in a file of a runner's: both forms, the last one counts."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        heredoc = re.fullmatch(r"([^=]+?)<<(.+)", line)
        if heredoc:
            value = []
            for inner in lines:
                if inner == heredoc[2]:
                    break
                value.append(inner)
            found[heredoc[1]] = "\n".join(value)
        elif "=" in line:
            name, _, one = line.partition("=")
            found[name] = one
    return found


def wait_for(there: Callable[[], Any], what: str, *, within_s: float = 60.0) -> None:
    """Wait until something is there. Raises AssertionError when it does not come."""
    deadline = time.monotonic() + within_s
    while not there():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {within_s:g} s")
        time.sleep(0.02)


def checked_out(github: GitHubServer, repo: Repo, to: Path) -> Repo:
    """The repository as `actions/checkout` leaves it with `persist-credentials: false`."""
    git(to.parent, "clone", "-q", str(repo.remote), str(to))
    git(to, "remote", "set-url", "origin", github.clone_url.removesuffix(".git"))
    return Repo(to, repo.remote)
