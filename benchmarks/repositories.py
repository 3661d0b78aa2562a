"""Real repositories, from a label to a verified pull request with what `init` writes and nothing else.

    python -m benchmarks repositories --mirrors DIR [--results FILE] [--only NAME …] [--keep DIR]
    python -m benchmarks repositories --results FILE

DIR holds a git directory for each repository, as `DIR/owner+name/repo` or `DIR/owner/name`. Nothing of them is
kept here but name and commit. The change is a line at the end of the README, made by the `patch` agent, so what
is measured is set-up, test command, counts and the comparison with the base: everything but an agent's wit.

FILE keeps one line of JSON for each try, so that a list can be tried in several sittings; the table has the last try
of each. Without `--mirrors` nothing is run: the table of what FILE has is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A public repository at one commit. `why` says what there is to learn from it."""

    name: str
    commit: str
    language: str
    third_party: bool
    """Its tests need packages of other people."""
    monorepo: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How far a repository came, when, and with which commit of ours.

    `status` is the task's own word, or `refused` or `timeout`; `doctor` whether it found all it needs before.
    """

    name: str
    commit: str
    date: str
    ours: str
    status: str
    doctor: str
    passed: int | None
    suite_s: float | None
    wall_s: float
    why: str

    @property
    def verified(self) -> bool:
        """Whether tests that ran verified it: an allowed absence of tests is none."""
        return self.status == "success" and bool(self.passed)


_LIST = Path(__file__).with_suffix(".txt")
_LONGEST_S = 2700.0
_LINE = "\n<!-- A line that changes nothing. -->\n"


def read_list() -> tuple[Repository, ...]:
    """All that are to be tried: a line each of name, commit, language, what it has, and what there is to learn."""
    rows = (line.split(" ", 4) for line in _LIST.read_text(encoding="utf-8").splitlines())
    return tuple(
        Repository(
            name=name,
            commit=commit,
            language=language,
            third_party="third-party" in has,
            monorepo="monorepo" in has,
            why=why,
        )
        for name, commit, language, has, why in rows
    )


def main(options: Sequence[str]) -> None:
    """Run every repository whose mirror is there and that has no result, or those named, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks repositories")
    parser.add_argument("--mirrors", type=Path)
    parser.add_argument("--results", type=Path, default=_LIST.with_suffix(".jsonl"))
    parser.add_argument("--keep", type=Path, help="leave each checkout with its run below this folder")
    parser.add_argument("--only", nargs="*", default=[])
    asked = parser.parse_args(list(options))
    listed = read_list()
    if unknown := sorted(set(asked.only) - {r.name for r in listed}):
        parser.error(f"not in {_LIST.name}: {', '.join(unknown)}")
    tried = {o.name for o in read_results(asked.results)}
    for repository in listed if asked.mirrors else ():
        wanted = repository.name in asked.only if asked.only else repository.name not in tried
        mirror = find_mirror(repository.name, asked.mirrors)
        if wanted and mirror is None:
            print(f"{repository.name}: no mirror below {asked.mirrors}", flush=True)
        elif wanted and mirror is not None:
            outcome = try_repository(repository, mirror, keep=asked.keep)
            print(
                f"{outcome.name}: {outcome.status} {outcome.passed} {outcome.wall_s:.0f} s {outcome.why}",
                flush=True,
            )
            with asked.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(dataclasses.asdict(outcome)) + "\n")
    print("\n".join(table(listed, read_results(asked.results))))


def read_results(file: Path) -> list[Outcome]:
    """The last try of each repository; none where the file is not there."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return list({o.name: o for line in lines for o in [Outcome(**json.loads(line))]}.values())


def table(listed: Sequence[Repository], outcomes: Iterable[Outcome]) -> list[str]:
    """Lines of Markdown: what was tried, in the order of the list, and how many were verified."""
    found = {o.name: o for o in outcomes}
    lines = [
        "| repository | language | outcome | tests passed | suite | wall | tried | why |",
        "|---|---|---|--:|--:|--:|---|---|",
    ]
    lines += [_row(r, found[r.name]) for r in listed if r.name in found]
    tried = [(r, found[r.name]) for r in listed if r.name in found]
    verified = [r for r, o in tried if o.verified]
    lines += [
        "",
        (
            f"{len(verified)} of {len(tried)} verified by their tests, "
            f"in {len({r.language for r in verified})} languages; "
            f"{sum(r.third_party for r in verified)} of these need packages of other people, "
            f"{sum(r.monorepo for r in verified)} are monorepos. {len(listed) - len(tried)} of the list were not tried."
        ),
    ]
    return lines


def _row(repository: Repository, outcome: Outcome) -> str:
    passed = "" if outcome.passed is None else f"{outcome.passed}"
    suite = "" if outcome.suite_s is None else f"{outcome.suite_s:.0f} s"
    has = [repository.why, *(["monorepo"] if repository.monorepo else []), outcome.why]
    return (
        f"| {outcome.name} `{outcome.commit[:8]}` | {repository.language} | {outcome.status} | {passed} | {suite} "
        f"| {outcome.wall_s:.0f} s | {outcome.date} at `{outcome.ours[:7]}` | {'; '.join(filter(None, has))} |"
    )


def try_repository(repository: Repository, mirror: Path, *, keep: Path | None = None) -> Outcome:
    """Take one repository from label to pull request, in a folder that is gone afterwards unless `keep` is given."""
    start, here = time.monotonic(), Path(__file__).parent
    status, why, doctor = "", "", ""
    report: Mapping[str, Any] = {}
    with _folder(repository, keep) as folder:
        try:
            checkout = _checkout(repository, mirror, folder)
            doctor = _doctor(checkout, folder / "forge")
            report = _label_to_pull_request(checkout, folder / "forge")
        except subprocess.CalledProcessError as exc:
            status, why = "refused", _one_line(exc.stderr or exc.stdout or "")
        except subprocess.TimeoutExpired:
            status, why = "timeout", f"not ended in {_LONGEST_S:g} s"
    task = (report.get("tasks") or [{}])[0]
    suite = _suite(task)
    return Outcome(
        name=repository.name,
        commit=repository.commit,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        ours=_git(here, "rev-parse", "HEAD").strip(),
        status=status or str(task.get("status", "none")),
        doctor=doctor,
        passed=suite.get("passed"),
        suite_s=suite.get("duration_s"),
        wall_s=round(time.monotonic() - start, 1),
        why=why or _one_line(task.get("error") or report.get("error") or ""),
    )


@contextlib.contextmanager
def _folder(repository: Repository, keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        place = keep / repository.name.replace("/", "+")
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="bench-repository-", dir="/var/tmp") as folder:
        yield Path(folder)


def find_mirror(name: str, mirrors: Path) -> Path | None:
    """The git directory of a repository below the folder of mirrors."""
    owner, _, own = name.partition("/")
    places = (mirrors / f"{owner}+{own}" / "repo", mirrors / owner / own, mirrors / owner / f"{own}.git")
    found = (p / ".git" if (p / ".git").is_dir() else p for p in places if p.is_dir())
    return next(found, None)


def _checkout(repository: Repository, mirror: Path, folder: Path) -> Path:
    """The repository as a user has it, with its submodules where their mirrors are there, and what `init` writes."""
    checkout = folder / repository.name.partition("/")[2]
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
    return checkout


def _doctor(checkout: Path, forge: Path) -> str:
    """`green`, or the first thing that doctor misses."""
    done = _ours(checkout, "doctor", "--forge", f"local:{forge}", "--agent", "patch", check=False)
    return "green" if done.returncode == 0 else _one_line(done.stdout + done.stderr) or "red"


def _label_to_pull_request(checkout: Path, forge: Path) -> Mapping[str, Any]:
    diff = _diff(checkout)
    fence = "`" * max([3, *(1 + len(run) for run in re.findall("`+", diff))])
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


def _suite(task: Mapping[str, Any]) -> Mapping[str, Any]:
    """`passed` and `duration_s` of the suite as it was measured last; empty where none was."""
    facts = [
        f for phase in task.get("phases", []) for f in phase.get("facts", []) if f.get("rule") == "suite"
    ]
    runs = facts[-1].get("detail", {}).get("commands", []) if facts else []
    if not runs:
        return {}
    counts = [r["counts"]["passed"] for r in runs if r.get("counts")]
    return {
        "passed": sum(counts) if counts else None,
        "duration_s": round(sum(r["duration_s"] for r in runs), 1),
    }


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
