"""A run in four steps, in four clones: what the docs' script does, and each step by itself."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import need
from tests.kit.repos import git
from tests.kit.runner import wait_for
from tests.kit.whole import PACKAGE, House, Ran

PAGE = PACKAGE / "docs" / "other-engines.md"
STEPS = ("plan", "work", "verify", "publish")


def script() -> str:
    """The script of the docs page, as it stands there."""
    [found] = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return str(found)


def elsewhere(folder: Path) -> list[str]:
    """What starts a command as if on another machine: a namespace shows it another boot id."""
    bwrap = need(shutil.which("bwrap"), "bubblewrap")
    other = folder / "boot_id"
    other.write_text("00000000-0000-4000-8000-000000000000\n")
    return [bwrap, "--dev-bind", "/", "/", "--ro-bind", str(other), "/proc/sys/kernel/random/boot_id"]


@dataclass(frozen=True)
class Split:
    """A house whose runs go through four clones; `files` is all that they share."""

    home: House

    @property
    def files(self) -> Path:
        return self.home.repo.path.parent / "files"

    def clone(self, step: str) -> Path:
        at = self.home.repo.path.parent / "clones" / step / self.home.repo.path.name
        if not at.exists():
            at.parent.mkdir(parents=True)
            git(at.parent, "clone", "-q", str(self.home.repo.remote), str(at))
        return at

    def cli(
        self, step: str, *args: str, env: Mapping[str, str] | None = None, before: Sequence[str] = ()
    ) -> Ran:
        """One command in the clone of a step; `before` is what starts it."""
        if not before:
            return self.home.cli_at(self.clone(step), *args, env=env)
        done = subprocess.run(
            [*before, *self.home.command(*args)], cwd=self.clone(step), env={**self.home.environment(), **(env or {})},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=110, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    # -- each step, with the files where the script has them

    @property
    def plan_file(self) -> Path:
        return self.files / "plan.json"

    def plan(self, *args: str, shards: int = 1, agent: str = "patch") -> dict[str, Any]:
        ran = self.try_plan("--agent", agent, "--shards", str(shards), "--json", *args)
        assert 0 == ran.code, ran.err
        return dict(json.loads(ran.out))

    def try_plan(self, *args: str) -> Ran:
        """The command, whatever comes of it."""
        self.files.mkdir(exist_ok=True)
        forge = f"local:{self.home.forge}"
        return self.cli("plan", "plan", "--forge", forge, "--out", str(self.plan_file), *args)

    @property
    def base_file(self) -> Path:
        return self.files / "base.json"

    def base(self, *args: str) -> Ran:
        return self.cli("base", "base", str(self.plan_file), "--out", str(self.base_file), "--json", *args)

    def work(
        self, shard: int = 1, *args: str, before: Sequence[str] = (), clone: str = "work"
    ) -> dict[str, Any]:
        ran = self.cli(
            clone, "work", str(self.plan_file), "--shard", str(shard), "--out", str(self.files / "bundles"), "--json",
            *args, before=before,
        )  # fmt: skip
        assert ran.code in {0, 1}, ran.err
        return dict(json.loads(ran.out))

    @property
    def digests(self) -> Path:
        return self.files / "digests.json"

    def kill_work(self, until: Callable[[], bool], shard: int = 1, sign: int = signal.SIGKILL) -> None:
        """Start `work` and end it from outside, with all that it started, as soon as `until` holds."""
        args = ["work", str(self.plan_file), "--shard", str(shard), "--out", str(self.files / "bundles")]
        process = subprocess.Popen(
            self.home.command(*args, "--digests", str(self.digests)), cwd=self.clone("work"),
            env=self.home.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        wait_for(until, "what work is killed at", within_s=100)
        os.killpg(process.pid, sign)
        process.wait()

    def settle(self, shard: int = 1) -> Ran:
        """What a job does after its `work` was killed."""
        return self.cli(
            "work", "work", str(self.plan_file), "--shard", str(shard), "--out", str(self.files / "bundles"),
            "--digests", str(self.digests), "--settle",
        )  # fmt: skip

    def bundle(self, task: str) -> Path:
        return self.files / "bundles" / task

    def verify(self, task: str, *args: str) -> Ran:
        out = self.files / "verdicts" / f"{task}.json"
        out.parent.mkdir(exist_ok=True)
        return self.cli(
            "verify", "verify", "--plan", str(self.plan_file), "--bundle", str(self.bundle(task)), "--out", str(out),
            "--json", *args,
        )  # fmt: skip

    def verdict_digests(self) -> list[str]:
        """As `sha256sum` prints them."""
        return [hashlib.sha256(v.read_bytes()).hexdigest() for v in (self.files / "verdicts").glob("*.json")]

    def review(self, task: str, *args: str) -> Ran:
        out = self.files / "reviews" / f"{task}.json"
        out.parent.mkdir(exist_ok=True)
        return self.cli(
            "review", "review", str(self.plan_file), "--bundle", str(self.bundle(task)), "--out", str(out), *args
        )  # fmt: skip

    @property
    def together(self) -> Path:
        return self.files / "together.json"

    def integrate(self, *args: str) -> Ran:
        """The step between verify and publish, with all that publish will get."""
        given = [a for a in self._publishing()[2:] if a != "--json"]
        return self.cli(
            "integrate", "integrate", str(self.plan_file), *given, "--out", str(self.together), *args
        )

    def publish(self, *args: str, clone: str = "publish", bundles: Sequence[Path] | None = None) -> Ran:
        return self.cli(clone, *self._publishing(bundles), *args)

    def _publishing(self, bundles: Sequence[Path] | None = None) -> list[str]:
        folder = self.files / "bundles"
        found = sorted(folder.iterdir()) if bundles is None and folder.exists() else list(bundles or ())
        verdicts = [
            v for file in sorted((self.files / "verdicts").glob("*.json")) for v in ("--verdict", str(file))
        ]
        reviews = [
            r for file in sorted((self.files / "reviews").glob("*.json")) for r in ("--review", str(file))
        ]
        tested = ["--integration", str(self.together)] if self.together.exists() else []
        return ["publish", str(self.plan_file), *map(str, found), *verdicts, *reviews, *tested, "--json"]

    def kill_publish(self, *, at: str, clone: str) -> None:
        """Start `publish` and kill it as soon as its journal has an event of the kind `at`."""
        run_id = json.loads(self.plan_file.read_text())["run_id"]
        journal = self.clone(clone) / ".git" / "orchestrator" / "runs" / run_id / "journal.jsonl"
        process = subprocess.Popen(
            self.home.command(*self._publishing()), cwd=self.clone(clone), env=self.home.environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        wait_for(lambda: journal.exists() and f'"kind":"{at}"' in journal.read_text(), at, within_s=100)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def all(self, *args: str) -> Ran:
        """Plan, work, verify and publish, one after the other, as the script has it."""
        for shard in range(1, len(self.plan(*args)["shards"]) + 1):
            self.work(shard)
        for bundle in sorted((self.files / "bundles").iterdir()):
            ran = self.verify(bundle.name)
            assert ran.code in {0, 1}, ran.err
        return self.publish()

    def run_script(self, *, shards: int = 1, waves: int = 1) -> Ran:
        self.files.mkdir(exist_ok=True)
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        clones = {f"{step.upper()}_CLONE": str(self.clone(step)) for step in STEPS}
        env = {
            **self.home.environment(), **clones, "PATH": path, "FILES": str(self.files), "AGENT": "patch",
            "FORGE": f"local:{self.home.forge}", "SHARDS": str(shards), "WAVES": str(waves),
        }  # fmt: skip
        done = subprocess.run(
            ["/bin/sh", "-c", script()], env=env, cwd=self.home.repo.path.parent, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=110, check=False,
        )  # fmt: skip
        # the report is the last line that the script prints
        return Ran(done.returncode, done.stdout.splitlines()[-1] if done.stdout else "", done.stderr)
