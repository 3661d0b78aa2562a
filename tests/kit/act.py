"""The Action under a real runner: `act` in host mode, on the example workflows as they stand."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.kit.github_server import GitHubServer
from tests.kit.repos import Repo

PROJECT = Path(__file__).resolve().parents[2]
ACT = Path(sys.executable).with_name("act")
ACTION = "orchestrator-action/orchestrator-action@v0"
"""As the examples name it."""
REUSABLE = ".github/workflows/orchestrate.yml"
MATRIX = ".github/workflows/orchestrate-matrix.yml"
PINNED_ARTIFACT = re.compile(r"uses: (actions/(upload|download)-artifact@[0-9a-f]{40})")
PINNED_CHECKOUT = re.compile(r"uses: (actions/checkout@[0-9a-f]{40})")
PINNED_ATTEST = re.compile(r"uses: (actions/attest@[0-9a-f]{40})")
PINNED = re.compile(r"uses: (actions/setup-[a-z]+@[0-9a-f]{40})")

MUST_NOT_RUN = """name: not needed here
description: Python and Node are on this machine, so that this step is left out.
inputs: {python-version: {description: v}, node-version: {description: v}}
outputs: {python-path: {description: p, value: ""}}
runs:
  using: composite
  steps: [{run: exit 1, shell: bash}]
"""


CHECKOUT = """name: not GitHub's checkout
description: What is asked for lies on this machine; act itself brings the commit of the event, where no other is named.
inputs: {repository: {description: r}, ref: {description: r}, path: {description: p},
  fetch-depth: {description: f}, persist-credentials: {description: p}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {WANTED: "${{ inputs.repository }}@${{ inputs.ref }}", TO: "${{ inputs.path }}"}
      run: |
        if [ "$TO" = repository ]; then
          git clone -q "$ORCHESTRATOR_TEST_REMOTE" "$TO" && git -C "$TO" checkout -q "${WANTED#*@}"
        elif [ -z "$TO" ]; then
          git clone -q "$ORCHESTRATOR_TEST_CHECKOUT" . && git checkout -q "${WANTED#*@}"
          git remote set-url origin "$(git -C "$ORCHESTRATOR_TEST_CHECKOUT" remote get-url origin)"
        else
          test "$WANTED" = 'orchestrator-action/orchestrator-action@v0' && cp -R '@FROM@' "$TO"
        fi
"""

ATTEST = """name: not GitHub's attest
description: Sigstore is not on this machine, so what would be signed is written down.
inputs: {subject-name: {description: n}, subject-digest: {description: d}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {NAME: "${{ inputs.subject-name }}", DIGEST: "${{ inputs.subject-digest }}"}
      run: echo "$DIGEST $NAME" >"$ORCHESTRATOR_TEST_ARTIFACTS/attested"
"""
ARTIFACTS = {
    "upload": """name: not GitHub's upload-artifact
description: act serves an older protocol than the pinned action speaks, so a folder stands in for the server.
inputs: {name: {description: n}, path: {description: p}, overwrite: {description: o}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {NAME: "${{ inputs.name }}", FROM: "${{ inputs.path }}"}
      run: |
        test -e "$FROM" || exit 0
        mkdir -p "$ORCHESTRATOR_TEST_ARTIFACTS/$NAME"
        if [ -d "$FROM" ]; then cp -R "$FROM/." "$ORCHESTRATOR_TEST_ARTIFACTS/$NAME/"
        else cp "$FROM" "$ORCHESTRATOR_TEST_ARTIFACTS/$NAME/"; fi
""",
    "download": """name: not GitHub's download-artifact
description: Takes from the folder that stands in for the server; by pattern each artifact gets a folder of its name.
inputs: {name: {description: n, default: ""}, pattern: {description: p, default: ""}, path: {description: t}}
runs:
  using: composite
  steps:
    - shell: bash
      env: {NAME: "${{ inputs.name }}", PATTERN: "${{ inputs.pattern }}", TO: "${{ inputs.path }}"}
      run: |
        mkdir -p "$TO"
        if [ -n "$NAME" ]; then exec cp -R "$ORCHESTRATOR_TEST_ARTIFACTS/$NAME/." "$TO/"; fi
        for one in "$ORCHESTRATOR_TEST_ARTIFACTS"/$PATTERN; do if [ -e "$one" ]; then cp -R "$one" "$TO/"; fi; done
""",
}


@dataclass
class Act:
    """One checkout on one host runner."""

    github: GitHubServer
    repo: Repo
    temp: Path
    env: dict[str, str] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)

    def prepare(self) -> list[str]:
        """Put the Action and what it names where act finds them, once; the flags that say so."""
        if not self.flags:
            self.flags = self._prepared()
        return self.flags

    def _prepared(self) -> list[str]:
        action = self.temp / "action"
        action.mkdir()
        for name in ("action.yml", "requirements.lock"):
            shutil.copy(PROJECT / name, action)
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / "orchestrator_action", action / "orchestrator_action", ignore=ignore)
        shutil.copytree(PROJECT / ".github", action / ".github")
        unused = self.temp / "unused"
        unused.mkdir()
        (unused / "action.yml").write_text(MUST_NOT_RUN, encoding="utf-8")
        flags = ["--local-repository", f"{ACTION}={action}"]
        checkout = self.temp / "checkout-action"
        checkout.mkdir()
        (checkout / "action.yml").write_text(CHECKOUT.replace("@FROM@", str(action)), encoding="utf-8")
        for name, kind in set(PINNED_ARTIFACT.findall((action / MATRIX).read_text(encoding="utf-8"))):
            stand_in = self.temp / f"{kind}-artifact"
            stand_in.mkdir(exist_ok=True)
            (stand_in / "action.yml").write_text(ARTIFACTS[kind], encoding="utf-8")
            flags += ["--local-repository", f"{name}={stand_in}"]
        for name in set(PINNED_CHECKOUT.findall((action / REUSABLE).read_text(encoding="utf-8"))):
            flags += ["--local-repository", f"{name}={checkout}"]
        attest = self.temp / "attest-action"
        attest.mkdir()
        (attest / "action.yml").write_text(ATTEST, encoding="utf-8")
        for file in (PROJECT / "examples").glob("*.yml"):
            for name in PINNED_ATTEST.findall(file.read_text(encoding="utf-8")):
                flags += ["--local-repository", f"{name}={attest}"]
        for name in PINNED.findall((PROJECT / "action.yml").read_text(encoding="utf-8")):
            flags += ["--local-repository", f"{name}={unused}"]
        return flags

    def start(self, event: str, payload: Mapping[str, Any], *more: str) -> subprocess.Popen[str]:
        """Start the workflows of the checkout with a real event."""
        home = self.temp / "home"
        (home / ".config" / "act").mkdir(parents=True, exist_ok=True)
        (home / ".config" / "act" / "actrc").touch()
        (self.temp / "event.json").write_text(json.dumps(payload), encoding="utf-8")
        (self.temp / "secrets").write_text(f"GITHUB_TOKEN={self.github.token}\n", encoding="utf-8")
        variables = {
            "GITHUB_API_URL": self.github.url,
            "GITHUB_SERVER_URL": self.github.url,
            "GITHUB_REPOSITORY": self.github.repository,
            "ORCHESTRATOR_TEST_CHECKOUT": str(self.repo.path),
            **self.env,
        }
        args = [
            str(ACT), event, "-P", "ubuntu-latest=-self-hosted", "--no-cache-server",
            "--artifact-server-addr", "127.0.0.1", "-e", str(self.temp / "event.json"),
            "--secret-file", str(self.temp / "secrets"), "--actor", "octo", *self.prepare(), *more,
        ]  # fmt: skip
        for name, value in variables.items():
            args += ["--env", f"{name}={value}"]
        kept = {k: os.environ[k] for k in ("LANG", "TMPDIR", "PIP_CACHE_DIR") if k in os.environ}
        path = self.env.get("PATH", os.environ["PATH"])
        return subprocess.Popen(
            args, cwd=self.repo.path, env={**kept, "PATH": path, "HOME": str(home)}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip

    def run(
        self, event: str, payload: Mapping[str, Any], *more: str, timeout: float = 200
    ) -> tuple[int, str]:
        """Run to the end; exit code and log."""
        process = self.start(event, payload, *more)
        try:
            log, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            log, _ = process.communicate()
            raise AssertionError(f"act did not end:\n{log[-8000:]}") from None
        return process.returncode, log
