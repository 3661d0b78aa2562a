"""One forge of either kind, with what a person and another process can do to it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator_action.forge.base import Forge, Queue
from orchestrator_action.forge.folder.forge import LocalForge
from tests.kit.github_server import GitHubServer
from tests.kit.repos import Repo, git


@dataclass
class World:
    """One kind of forge, with what a person and another process can do to it."""

    forge: Forge
    queue: Queue
    again: Callable[[], Forge]
    """The same forge, opened by a process that remembers nothing."""
    write_issue: Callable[..., int]
    say: Callable[[int, str], None]
    """Somebody else comments."""
    delete: Callable[[int], None]
    delete_comment: Callable[[int, int], None]
    lines: Callable[[int], list[tuple[str, int]]]
    repo: Repo

    @property
    def head(self) -> str:
        return self.repo.at_remote("refs/heads/topic")


def on_github(request: pytest.FixtureRequest) -> World:
    github: GitHubServer = request.getfixturevalue("github")
    forge = request.getfixturevalue("forge")
    state = github.state

    def write_issue(title: str, body: str = "", labels: tuple[str, ...] = (), *, closed: bool = False) -> int:
        issue = state.add_issue(title, body, user="octo", labels=labels)
        issue.state = "closed" if closed else "open"
        return issue.number

    def lines(pull: int) -> list[tuple[str, int]]:
        found = state.issues[pull].pull
        assert found
        return [(c["path"], c["line"]) for r in found.reviews for c in r.comments]

    return World(
        forge=forge,
        queue=forge,
        again=request.getfixturevalue("connect"),
        write_issue=write_issue,
        say=lambda n, text: void(state.add_comment(state.issues[n], text, user="stranger")),
        delete=lambda n: setattr(state.issues[n], "deleted", True),
        delete_comment=lambda _, i: void(state.comments.pop(i)),
        lines=lines,
        repo=request.getfixturevalue("topic"),
    )


def on_a_folder(request: pytest.FixtureRequest) -> World:
    topic, tmp_path = request.getfixturevalue("topic"), request.getfixturevalue("tmp_path")
    folder: Path = tmp_path / "forge"
    forge = request.getfixturevalue("local")

    def write_issue(title: str, body: str = "", labels: tuple[str, ...] = (), *, closed: bool = False) -> int:
        at = folder / "issues"
        at.mkdir(exist_ok=True)
        number = max((int(p.stem) for p in at.glob("*.md")), default=0) + 1
        state = "closed" if closed else "open"
        head = f"title: '{title}'\nlabels: [{', '.join(labels)}]\nauthor: octo\nstate: {state}\n"
        (at / f"{number}.md").write_text(f"---\n{head}---\n\n{body}\n")
        return number

    def say(number: int, text: str) -> None:
        at = folder / "comments" / str(number)
        at.mkdir(parents=True, exist_ok=True)
        (at / "999.md").write_text(f"---\nauthor: stranger\n---\n\n{text}\n")

    def lines(pull: int) -> list[tuple[str, int]]:
        texts = [p.read_text() for p in (folder / "pulls" / str(pull) / "reviews").iterdir()]
        return [(m[1], int(m[2])) for t in texts for m in re.finditer(r"`([\w./]+):(\d+)`", t)]

    return World(
        forge=forge,
        queue=forge,
        again=lambda: open_local(topic, folder),
        write_issue=write_issue,
        say=say,
        delete=lambda n: (folder / "issues" / f"{n}.md").unlink(),
        delete_comment=lambda n, i: (folder / "comments" / str(n) / f"{i}.md").unlink(),
        lines=lines,
        repo=topic,
    )


WORLDS: dict[str, Callable[[pytest.FixtureRequest], World]] = {"local": on_a_folder, "github": on_github}
"""By the name in the registry of forges."""


def void(_: object) -> None:
    """Drop a value."""


def open_local(repo: Repo, folder: Path) -> LocalForge:
    """A local forge over the repository's bare remote."""
    return LocalForge(
        folder,
        read_ref=lambda branch: repo.at_remote(f"refs/heads/{branch}") or None,
        default_branch=lambda: git(repo.remote, "symbolic-ref", "--short", "HEAD"),
    )
