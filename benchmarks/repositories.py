"""Real repositories, from a label to a verified pull request with what `init` writes and nothing else.

    python -m benchmarks repositories --mirrors DIR [--only NAME …]

DIR holds a git directory for each repository, as `DIR/owner+name/repo` or `DIR/owner/name`. Nothing of them is
kept here but name and commit. The change is a line at the end of the README, made by the `patch` agent, so what
is measured is set-up, test command, counts and the comparison with the base: everything but an agent's wit.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A public repository at one commit. `why` says what there is to learn from it."""

    name: str
    commit: str
    language: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How far a repository came. `status` is the task's own word, or `mirror missing`."""

    status: str
    passed: int | None
    wall_s: float
    why: str


REPOSITORIES = (
    Repository(
        name="pallets/itsdangerous",
        commit="672971d66a2ef9f85151e53283113f33d642dabd",
        language="Python",
        why="uv.lock, src layout",
    ),
    Repository(
        name="pypa/packaging",
        commit="053c884615f2e83d80705251b447769ec2599653",
        language="Python",
        why="dependency groups; a suite of many minutes",
    ),
    Repository(
        name="pallets/click",
        commit="2c8cd3ac958a7eb316d67f2d316c27086c4c0369",
        language="Python",
        why="uv.lock, src layout",
    ),
    Repository(
        name="python-humanize/humanize",
        commit="c3a124cdeb272d7f63bc0aa66f79c6fbafd2fc6d",
        language="Python",
        why="extras, hatch",
    ),
    Repository(
        name="un33k/python-slugify",
        commit="7b6d5d96c1995e6dccb39a19a13ba78d7d0a3ee4",
        language="Python",
        why="setup.py and test.py at the top",
    ),
    Repository(
        name="expressjs/express",
        commit="a3714473feb3d2908add734d340e7755fd85e0a3",
        language="JavaScript",
        why="mocha; fails in a dot folder",
    ),
    Repository(
        name="sindresorhus/p-limit",
        commit="df476048d023ff868cd45b35ee47f5fb0ca2b25a",
        language="JavaScript",
        why="xo, ava and tsd in one script",
    ),
    Repository(
        name="sindresorhus/slugify",
        commit="d572cba97a8f661d201f4e8bdc0842bc532c9773",
        language="JavaScript",
        why="xo and ava",
    ),
    Repository(
        name="npm/node-semver",
        commit="6e05b7637396ac66522cff8731f07cfe0ef49a29",
        language="JavaScript",
        why="node-tap with full coverage",
    ),
    Repository(
        name="tj/commander.js",
        commit="ba6d13ddb4243e5913367734f8c159089ffe7834",
        language="JavaScript",
        why="package-lock.json, jest",
    ),
    Repository(
        name="google/uuid",
        commit="2d3c2a9cc518326daf99a383f07c4d3c44317e4d",
        language="Go",
        why="no dependency",
    ),
    Repository(
        name="gorilla/mux",
        commit="db9d1d0073d27a0a2d9a8c1bc52aa0af4374d265",
        language="Go",
        why="no dependency",
    ),
    Repository(
        name="spf13/pflag",
        commit="5fdac2d16c16d60605cb8baa887e8c5c38ef623f",
        language="Go",
        why="no dependency",
    ),
    Repository(
        name="DaveGamble/cJSON",
        commit="a29814f285cc531c00223743ad3c55cd38c0dc56",
        language="C",
        why="CMake before a Makefile",
    ),
    Repository(
        name="benhoyt/inih", commit="26254ee9de7681f8825433415443e7116ff24b98", language="C", why="Meson"
    ),
    Repository(
        name="antirez/sds",
        commit="5347739b1581fcba74fd5cab1fc21d2aef317d71",
        language="C",
        why="no test target",
    ),
    Repository(
        name="jqlang/jq",
        commit="579e6f76cffd7643ba4002a2c3618a5ea710589a",
        language="C",
        why="autotools, submodule",
    ),
    Repository(
        name="jpmens/jo",
        commit="15d20a9ca21354bce636cad5de319ca316275c4b",
        language="C",
        why="autotools or Meson",
    ),
    Repository(
        name="dtolnay/itoa",
        commit="1577ed901354d0d7448ac162328f9dbf5183124c",
        language="Rust",
        why="needs crates.io",
    ),
)
"""All that were tried, with the commits they were tried at."""

_LONGEST_S = 2700.0
_LINE = "\n<!-- A line that changes nothing. -->\n"


def main(options: Sequence[str]) -> None:
    """Run every repository whose mirror is there, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks repositories")
    parser.add_argument("--mirrors", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[])
    asked = parser.parse_args(list(options))
    rows = [r for r in REPOSITORIES if not asked.only or r.name in asked.only]
    print(
        "| repository | language | outcome | tests passed | wall | why |\n|---|---|---|--:|--:|---|",
        flush=True,
    )
    outcomes = [_print_row(repository, asked.mirrors) for repository in rows]
    verified = sum(o.status == "success" and bool(o.passed) for o in outcomes)
    print(f"\n{verified} of {len(rows)} verified by their tests", flush=True)


def _print_row(repository: Repository, mirrors: Path) -> Outcome:
    outcome = try_repository(repository, mirrors)
    passed = "" if outcome.passed is None else f"{outcome.passed}"
    print(
        f"| {repository.name} `{repository.commit[:8]}` | {repository.language} | {outcome.status} | {passed} "
        f"| {outcome.wall_s:.0f} s | {outcome.why} |",
        flush=True,
    )
    return outcome


def try_repository(repository: Repository, mirrors: Path) -> Outcome:
    """Take one repository from label to pull request, in a folder that is gone afterwards."""
    mirror = find_mirror(repository.name, mirrors)
    if mirror is None:
        return Outcome(status="mirror missing", passed=None, wall_s=0.0, why=f"not below {mirrors}")
    with tempfile.TemporaryDirectory(prefix="bench-repository-", dir="/var/tmp") as folder:
        start = time.monotonic()
        try:
            report = _label_to_pull_request(repository, mirror, Path(folder))
        except subprocess.CalledProcessError as exc:
            why = _one_line(exc.stderr or exc.stdout or "")
            return Outcome(status="refused", passed=None, wall_s=time.monotonic() - start, why=why)
        except subprocess.TimeoutExpired:
            return Outcome(
                status="timeout", passed=None, wall_s=_LONGEST_S, why=f"not ended in {_LONGEST_S:g} s"
            )
        return _outcome(report, time.monotonic() - start)


def find_mirror(name: str, mirrors: Path) -> Path | None:
    """The git directory of a repository below the folder of mirrors."""
    owner, _, own = name.partition("/")
    places = (mirrors / f"{owner}+{own}" / "repo", mirrors / owner / own, mirrors / owner / f"{own}.git")
    found = (p / ".git" if (p / ".git").is_dir() else p for p in places if p.is_dir())
    return next(found, None)


def _label_to_pull_request(repository: Repository, mirror: Path, folder: Path) -> Mapping[str, Any]:
    checkout, forge = folder / repository.name.partition("/")[2], folder / "forge"
    _git(folder, "clone", "--quiet", "--no-checkout", f"file://{mirror}", str(checkout))
    _git(checkout, "checkout", "--quiet", "-B", "main", repository.commit)
    _git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(folder / "remote.git"))
    _git(checkout, "remote", "set-url", "origin", str(folder / "remote.git"))
    _ours(checkout, "init", "--yes")
    _git(checkout, "add", "-f", ".github/orchestrator.yml", ".github/workflows")
    _git(checkout, "commit", "--quiet", "-m", "Let orchestrator-action in")
    _git(checkout, "push", "--quiet", "origin", "main")
    _git(checkout, "fetch", "--quiet", "origin")
    _git(checkout, "remote", "set-head", "origin", "main")
    diff = _diff(checkout)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", diff)), default=2))
    body = f"Say so in the README.\n\n{fence}diff\n{diff}{fence}\n"
    _ours(checkout, "issue", "new", "Add a line", "--body", body, "--forge", f"local:{forge}")
    arguments = ("run", "--label", "orchestrate", "--forge", f"local:{forge}", "--agent", "patch", "--json")
    done = _ours(checkout, *arguments, check=False)
    if not done.stdout.strip():
        raise subprocess.CalledProcessError(done.returncode, arguments, done.stdout, done.stderr)
    report: Mapping[str, Any] = json.loads(done.stdout)
    return report


def _diff(checkout: Path) -> str:
    """A diff that adds a line to the README, as a person would paste it into an issue."""
    readme = next(
        p for p in sorted(checkout.iterdir()) if p.name.lower().startswith("readme") and p.is_file()
    )
    before = readme.read_bytes()
    readme.write_bytes(before + _LINE.encode())
    said = _git(checkout, "diff")
    readme.write_bytes(before)
    return said


def _outcome(report: Mapping[str, Any], wall_s: float) -> Outcome:
    tasks = report.get("tasks") or [{}]
    task = tasks[0]
    facts = [
        f for phase in task.get("phases", []) for f in phase.get("facts", []) if phase.get("id") == "testing"
    ]
    facts = facts or [f for phase in task.get("phases", []) for f in phase.get("facts", [])]
    passed = next(
        (d["passed"] for f in facts if (d := f.get("detail") or {}).get("passed") is not None), None
    )
    error = task.get("error") or report.get("error") or ""
    return Outcome(status=str(task.get("status", "none")), passed=passed, wall_s=wall_s, why=_one_line(error))


def _one_line(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    said = next((line for line in lines if line.startswith("error:")), lines[-1] if lines else "")
    return said.replace("|", "\\|")[:160]


def _git(folder: Path, *arguments: str) -> str:
    return _run(["git", *arguments], folder, check=True).stdout


def _ours(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return _run([sys.executable, "-I", "-m", "orchestrator_action.cli.main", *arguments], folder, check=check)


def _run(argv: Sequence[str], folder: Path, *, check: bool) -> subprocess.CompletedProcess[str]:
    names = ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME")
    emails = ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL")
    env = {k: v for k, v in os.environ.items() if "TOKEN" not in k and not k.startswith("GIT_DIR")}
    env |= dict.fromkeys(names, "benchmark") | dict.fromkeys(emails, "benchmark@example.invalid")
    return subprocess.run(
        argv, cwd=folder, env=env, capture_output=True, text=True, check=check, timeout=_LONGEST_S,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
