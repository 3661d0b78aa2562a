"""Somebody who pushes to a branch or a fork and opens a pull request for it on the loopback GitHub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.kit.github_server.state import Pull
from tests.kit.repos import git
from tests.kit.runner import Runner, Stepped, example, wait_for


class Person:
    """Somebody who pushes to a branch and opens a pull request for it."""

    def __init__(self, runner: Runner, folder: Path, login: str, *, role: str, kind: str = "User") -> None:
        self.runner, self.github, self.login = runner, runner.github, login
        self.tree = folder / login.removesuffix("[bot]")
        git(folder, "clone", "-q", str(runner.repo.remote), str(self.tree))
        known = self.github.state.user(login)
        known.role, known.type = role, kind
        self.number = 0

    def push(self, files: dict[str, str], *, fork: str = "") -> str:
        """Commit and push; the first time a pull request is opened. A `fork` has no branch of ours, only its ref."""
        for name, text in files.items():
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_text(text)
        git(self.tree, "add", "-A")
        git(self.tree, "commit", "-q", "--allow-empty", "-m", "A change")
        if not fork:
            git(self.tree, "push", "-q", "-f", "origin", "HEAD:refs/heads/feature")
        if not self.number:
            made = self.github.state.add_issue("A change", "", user=self.login)
            made.pull = Pull(head="feature", base="main", draft=False, fork=fork)
            self.number = made.number
        git(self.tree, "push", "-q", "-f", "origin", f"HEAD:refs/pull/{self.number}/head")
        return git(self.tree, "rev-parse", "HEAD").strip()

    def verify(self, event: str = "pull_request") -> Stepped:
        """The step that the event of this pull request starts."""
        return self.verify_as("verify", event)

    def verify_as(self, mode: str, event: str = "pull_request") -> Stepped:
        """The same in another mode."""
        payload: dict[str, Any] = example("pull_request", "synchronize")
        payload["pull_request"] |= {"number": self.number}
        payload["repository"]["full_name"] = self.github.repository
        return self.runner.step(mode, event=event, payload=payload)

    def says(self, body: str) -> None:
        """A comment on the pull request, later than the measurement that it answers: GitHub tells whole seconds."""
        self.wait_a_second()
        self.github.state.add_comment(self.github.state.issues[self.number], body, user=self.login)

    def wait_a_second(self) -> None:
        """Until GitHub's clock, which has whole seconds, shows a later one than now."""
        began = self.github.state.now()
        wait_for(lambda: self.github.state.now() > began, "the next second")

    def checks(self, head: str) -> list[str | None]:
        return [c.conclusion for c in self.github.state.checks.values() if c.head_sha == head]

    def comments(self) -> list[str]:
        return [
            c.body
            for c in self.github.state.comments.values()
            if c.number == self.number and "head sha=" in c.body
        ]
