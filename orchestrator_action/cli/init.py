"""`init`: the workflow of one's choice and a configuration, shown as a diff first; nothing is overwritten."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from orchestrator_action.cli.init_github import Item, Looked, look_at_github
from orchestrator_action.cli.init_workflow import (
    Wishes,
    check_label,
    default_branch_of,
    fit,
    runner_steps,
    this_copy,
)
from orchestrator_action.config.load import load_bytes
from orchestrator_action.config.schema import CONFIG_PATH, DEFAULT_LABEL, Config
from orchestrator_action.errors import ConfigError
from orchestrator_action.git.repo import Git
from orchestrator_action.process.files import replace_file
from orchestrator_action.verify.ecosystems.detection import detect_at, read_files
from orchestrator_action.verify.setup import detect_setup

KINDS = {
    "label": ("on-label.yml", ".github/workflows/orchestrate.yml"),
    "jobs": ("on-label-jobs.yml", ".github/workflows/orchestrate.yml"),
    "comment": ("on-comment.yml", ".github/workflows/orchestrate-comment.yml"),
    "schedule": ("scheduled.yml", ".github/workflows/orchestrate-scheduled.yml"),
    "verify": ("verify.yml", ".github/workflows/orchestrate-verify.yml"),
    "check": ("check-pull-requests.yml", ".github/workflows/orchestrate-check.yml"),
}
"""The example of each use, and where it goes."""
FORM = ("ISSUE_TEMPLATE/agent-task.yml", ".github/ISSUE_TEMPLATE/agent-task.yml")
"""The form for issues. It sets no label: anybody may fill it in, and only who may write may start an agent."""
PUBLIC = {
    "jobs": "agents work in jobs of their own, without a token that may write",
    "label": "the workflow in four jobs brings no versions, and this one asks for some, so all is one job",
}
"""Why a public repository gets this workflow."""
NEXT = {
    "label": ", and label an issue `orchestrate`",
    "jobs": ", and label an issue `orchestrate`",
    "comment": ", and comment `/orchestrate` on an issue",
    "schedule": ", and label issues `orchestrate`: they are worked on at night",
    "verify": ": pull requests of agents are judged again from then on",
    "check": ": every pull request is checked from then on, whoever made it",
}
"""What is left to be done then, of each use."""


def init(
    repo: Path,
    kind: str,
    *,
    agree: Callable[[], bool],
    say: Callable[[str], None],
    env: Mapping[str, str],
    wishes: Wishes | None = None,
    github: bool = False,
    form: bool = False,
) -> int:
    """Write the workflow for `kind` and the configuration into the repository; the exit code.

    With `form`, also a form for issues. With `github`, also see to the repository's labels and settings there.
    `agree` is asked once, after the diff and the list were shown.
    Raises ConfigError for a kind nobody knows, ForgeError when GitHub refuses.
    """
    git, root = _checkout(repo, kind)
    wishes = wishes or Wishes()
    check_label(wishes.label)
    steps = runner_steps(git)
    there = look_at_github(git, _agent(root), wishes, env) if github else Looked()
    if kind == "label" and there.public and not (root / KINDS["label"][1]).exists():
        kind = "label" if steps else "jobs"
        say(f"the repository is public: {PUBLIC[kind]}")
    example, target = KINDS[kind]
    workflow = fit(
        _example(example), wishes, action=this_copy(env), steps=steps, default_branch=default_branch_of(git)
    )
    wanted = {target: workflow, CONFIG_PATH: configuration(git, wishes)}
    if form:
        wanted[FORM[1]] = fit(_example(FORM[0]), wishes, action="", steps="")
    new = _new(root, wanted, say)
    for item in there.items:
        say(item.line)
    todo = [item for item in there.items if item.act]
    if not new and not todo:
        say("nothing to write: everything is there already")
        return 0
    if not agree():
        say("nothing was written")
        return 1
    for name, text in new.items():
        _write(root, name, text)
        say(f"written: {name}")
    done = [_do(item, say) for item in todo]
    say("\n".join(_left_to_do(root, kind)))
    return 0 if all(done) else 1


def _checkout(repo: Path, kind: str) -> tuple[Git, Path]:
    """The repository, and its checkout, which is written to.

    Raises ConfigError for a kind nobody knows, and where nothing can be written.
    """
    if kind not in KINDS:
        raise ConfigError(f"no workflow for {kind!r}", hint=f"one of {', '.join(KINDS)}")
    git = Git.open(repo)
    if git.work_tree is None:
        raise ConfigError(f"{repo} is a bare repository", hint="run it in a checkout")
    if not git.head():
        raise ConfigError(
            "there is no commit in which tests could be found", hint="commit, and run init again"
        )
    return git, git.work_tree


def _do(item: Item, say: Callable[[str], None]) -> bool:
    """Do what was agreed to and say what came of it; False when it failed."""
    said = item.act() if item.act else None
    say(f"done: {item.what}: {said or item.found}")
    return said is None or said.startswith("success")


def _left_to_do(root: Path, kind: str) -> Iterator[str]:
    secret = "" if kind == "check" else "add the secret ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN, "
    yield f"next: {secret}commit, push{NEXT[kind]}"
    if kind in {"label", "jobs", "schedule"} and not (root / KINDS["comment"][1]).exists():
        yield "comments such as `/orchestrate fix …` are heard after: orchestrator-action init comment"
    yield "your own pushes are judged after: orchestrator-action hook install"


def _write(root: Path, name: str, text: str) -> None:
    """Write one new file. Raises ConfigError when its folder is none, or leads out of the repository."""
    folder = (root / name).parent
    if not folder.resolve().is_relative_to(root.resolve()):
        raise ConfigError(
            f"{folder} leads to {folder.resolve()}, out of the repository", hint="make it a folder of its own"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(root / name, text)
    except OSError as exc:
        raise ConfigError(
            f"cannot write {root / name}: {exc.strerror}", hint="make its folder a folder that you may write"
        ) from None


def _example(name: str) -> str:
    """An example as it stands, from the package or from a checkout of ours."""
    here = Path(__file__).parent.parent
    for folder in (here / "examples", here.parent / "examples"):
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8")
    raise ConfigError(f"the example {name} is not installed", hint="reinstall orchestrator-action")


def _agent(root: Path) -> str:
    """The agent of the configuration that is there; the default's where none is."""
    path = root / CONFIG_PATH
    return load_bytes(path.read_bytes(), source=CONFIG_PATH).agent if path.is_file() else Config().agent


def configuration(git: Git, wishes: Wishes) -> str:
    """A first configuration, with the test command that was found."""
    head = git.head()
    found = detect_at(git, head) if head else None
    lines = ["# Every key is optional; what is written here is checked by: orchestrator-action doctor"]
    if found and found.commands:
        lines += [f"# found: {found.how}", f"test: {json.dumps(list(found.commands))}"]
        lines += [f"# set-up, found again for each tree: {how}" for how in detect_setup(git, head).how]
    else:
        lines += [
            "# No test command was found. Without tests no change can be proven by them: set `test` as soon as",
            "# there are some, and take the next line out.",
            "phases: {testing: off}",
            "# test: make test",
        ]
    lines += [f"label: {json.dumps(wishes.label) if wishes.label else DEFAULT_LABEL}"]
    lines += [f"base-branch: {json.dumps(wishes.base)}"] if wishes.base else []
    lines += ["max-parallel: 4", "timeout: 45m"]
    lines += [
        "# Walls around agents, tests and gates, as high as they hold on the machine. `required`: there or no run.",
        "isolation: auto",
    ]
    lines += _hook(found.commands if found else (), _dependency_folders(git, head) if head else [])
    return "\n".join(lines) + "\n"


FOLDER_OF_MANIFEST = {"package.json": "node_modules", "composer.json": "vendor"}
"""By manifest, the folder of the checkout that packages are installed into; a gate's tree has none of its own."""


def _dependency_folders(git: Git, head: str) -> list[str]:
    """What gates need of the checkout beside the commit."""
    paths = read_files(git, head).paths
    return [folder for manifest, folder in FOLDER_OF_MANIFEST.items() if manifest in paths]


def _hook(commands: Sequence[str], links: Sequence[str]) -> list[str]:
    """The `hook` section: the detected tests as gates of a push. `links` are folders that they need.

    As prettier writes it: the tests of many repositories check the style of every file they hold.
    """
    lines = [
        "# The local pre-push hook (orchestrator-action hook install) reads this from the default branch of the",
        "# remote: it counts once it is there.",
        "hook:",
        '  protected-branches: [main, master, "release/*"]',
    ]
    if commands:
        lines.append("  gates:")
    link = [f"      link: [{', '.join(links)}]"] if links else []
    for number, command in enumerate(commands, 1):
        name = "tests" if len(commands) == 1 else f"tests-{number}"
        lines += [f"    - name: {name}", f"      command: {json.dumps(command)}", "      timeout: 5m", *link]
    return lines


def _new(root: Path, wanted: Mapping[str, str], say: Callable[[str], None]) -> dict[str, str]:
    """The files that are not there yet; the diff of each is shown, and of those that are left as they are."""
    new = {}
    for name, text in wanted.items():
        path = root / name
        there = path.exists() or path.is_symlink()
        old = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        if there and old == text:
            say(f"{name} is there already")
            continue
        before = f"a/{name}" if there else "/dev/null"
        diff = difflib.unified_diff(old.splitlines(), text.splitlines(), before, f"b/{name}", lineterm="")
        say("\n".join(diff))
        if there:
            say(f"{name} is there and stays as it is")
        else:
            new[name] = text
    return new
