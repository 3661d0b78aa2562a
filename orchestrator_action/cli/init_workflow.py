"""The workflow that `init` writes: the example of its use, made to fit this repository."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

from orchestrator_action.config.schema import DEFAULT_LABEL
from orchestrator_action.errors import ConfigError, OrchestratorError
from orchestrator_action.forge.github.address import is_github, repository_of
from orchestrator_action.git.repo import Git
from orchestrator_action.verify.ecosystems.detection import read_files

RELEASED = "orchestrator-action/orchestrator-action@v0"
JOBS_RELEASED = "orchestrator-action/orchestrator-action/.github/workflows/orchestrate-matrix.yml@v0"
_DEFAULT_BRANCH = "    branches: [main] # your default branch\n"
_USES = f"      - uses: {RELEASED}"
_BETTER = "      # Better: the commit of the release that you have read, in place of v0.\n"
_BETTER_JOBS = _BETTER.removeprefix("  ")
_UNPINNED = " # zizmor: ignore[unpinned-uses]"
SETUP_PYTHON = "actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97 # v7.0.0"
SETUP_GO = "actions/setup-go@b7ad1dad31e06c5925ef5d2fc7ad053ef454303e # v7.0.0"
SETUP_NODE = "actions/setup-node@820762786026740c76f36085b0efc47a31fe5020 # v7.0.0"
VERSION_FILES = (
    (".python-version", SETUP_PYTHON, "python-version-file", ""),
    (".nvmrc", SETUP_NODE, "node-version-file", "package-manager-cache: false"),
    (".node-version", SETUP_NODE, "node-version-file", "package-manager-cache: false"),
    ("go.mod", SETUP_GO, "go-version-file", "cache: false"),
)
"""A file that says which version is wanted, and the action that reads it. None keeps a cache: what a job in which an
agent worked leaves in one, later workflows of the repository would run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the caller wants otherwise than the example has it; empty is "not said"."""

    label: str = ""
    runs_on: str = ""
    base: str = ""


def check_label(label: str) -> None:
    """Raise ConfigError for what GitHub, or a workflow's expression, cannot take as a label."""
    if label and (len(label) > 50 or not label.isprintable() or "'" in label or "," in label):
        raise ConfigError(
            f"{label!r} cannot be the label", hint="at most 50 printable characters, no ' and no comma"
        )


def fit(example: str, wishes: Wishes, *, action: str, steps: str, default_branch: str = "") -> str:
    """The example with this label, runner, branch and copy of ours; `steps` stand before the first use of it."""
    text = example
    if branch := wishes.base or default_branch:
        text = text.replace(_DEFAULT_BRANCH, _DEFAULT_BRANCH.replace("main", _word(branch)))
    if wishes.label:
        asked = f"github.event.label.name == '{wishes.label}'"
        text = text.replace(f"github.event.label.name == '{DEFAULT_LABEL}'", asked)
        text = text.replace(f"      label: {DEFAULT_LABEL}\n", f"      label: {json.dumps(wishes.label)}\n")
        text = text.replace(f"`{DEFAULT_LABEL}`", f"`{wishes.label}`")
    if wishes.runs_on:
        text = text.replace(
            "      runs-on: ubuntu-latest\n", f"      runs-on: {json.dumps(wishes.runs_on)}\n"
        )
        text = text.replace("runs-on: ubuntu-latest", f"runs-on: {_scalar(wishes.runs_on)}")
    if steps and _USES in text:
        at = text.index(_BETTER) if _BETTER in text else text.index(_USES)
        text = text[:at] + steps + text[at:]
    if action != RELEASED:
        repository, _, commit = action.partition("@")
        jobs = f"{repository}/.github/workflows/orchestrate-matrix.yml@{commit}"
        for old, new in (
            (_BETTER, ""),
            (_BETTER_JOBS, ""),
            (_UNPINNED, ""),
            (RELEASED, action),
            (JOBS_RELEASED, jobs),
        ):
            text = text.replace(old, new)
    return text


def default_branch_of(git: Git) -> str:
    """What the remote's default branch was called when it was cloned; empty where that is not known here."""
    done = git.run("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD", check=False)
    return done.text.partition("/")[2] if done.code == 0 else ""


def _scalar(text: str) -> str:
    """A runner's label as YAML; several, separated by commas, as a list."""
    names = [n.strip() for n in text.split(",") if n.strip()]
    plain = [_word(n) for n in names]
    return plain[0] if len(plain) == 1 else f"[{', '.join(plain)}]"


def _word(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z][\w.-]*", text) else json.dumps(text)


def this_copy(env: Mapping[str, str]) -> str:
    """`owner/name@commit` of what runs here, where that is on the forge's server; otherwise the release."""
    try:
        told = distribution("orchestrator-action").read_text("direct_url.json")
        source = json.loads(told) if told else {}
    except (PackageNotFoundError, ValueError):
        source = {}
    url, commit = str(source.get("url", "")), str(source.get("vcs_info", {}).get("commit_id", ""))
    if url.startswith("file:"):
        url, commit = of_checkout(Path(unquote(urlsplit(url).path)), env)
    named = {n: v for n, v in env.items() if n != "GITHUB_REPOSITORY"}  # that names the other one
    if not commit or not is_github(url, named):
        return RELEASED
    try:
        return f"{repository_of(url, named)}@{commit}"
    except ConfigError:
        return RELEASED


def of_checkout(folder: Path, env: Mapping[str, str]) -> tuple[str, str]:
    """Where a checkout of ours was cloned from, and its commit."""
    try:
        git = Git.open(folder, env)
        return git.config().get("remote.origin.url", ""), git.head()
    except OrchestratorError:
        return "", ""


def runner_steps(git: Git) -> str:
    """Steps that bring the versions which this repository asks for. Everything else its set-up brings by itself."""
    head = git.head()
    paths = set(read_files(git, head).paths) if head else set()
    steps: list[str] = []
    for name, action, key, more in VERSION_FILES:
        if name in paths and not any(action in step for step in steps):
            lines = [f"- uses: {action}", "  with:", f"    {key}: {name}", *([f"    {more}"] if more else [])]
            steps.append("".join(f"      {line}\n" for line in lines))
    return "".join(steps)
