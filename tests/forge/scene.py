"""A repository on the loopback GitHub with one of everything, and each kind of write, done once."""

from __future__ import annotations

from typing import Any

from orchestrator_action.forge.github.forge import GitHubForge
from orchestrator_action.protocol.forge_values import Annotation, Conclusion, ReviewFinding
from tests.kit.github_server import GitHubServer
from tests.kit.repos import Repo

MANY = [Annotation(path="a.py", line=i, message=f"m{i}") for i in range(1, 121)]


class Scene:
    """A forge with an issue, a pull and a check, and how often each kind of thing is there."""

    def __init__(self, forge: GitHubForge, github: GitHubServer, repo: Repo) -> None:
        self.forge, self.github, self.head = forge, github, repo.at_remote("refs/heads/topic")
        self.number = github.state.add_issue("one", "b", user="octo", labels=("orchestrate",)).number

    def check(self) -> Any:
        return self.forge.start_check(
            head_sha=self.head, name="orchestrator", external_id="r", title="t", summary="s"
        )

    def pull(self) -> Any:
        return self.forge.open_pull(branch="topic", base="main", title="T", body="b")

    def effects(self) -> dict[str, int]:
        state = self.github.state
        pulls = [i for i in state.issues.values() if i.pull]
        return {
            "comments": len(state.comments),
            "pulls": len(pulls),
            "issues": len(state.issues) - len(pulls) - 1,
            "reviews": sum(len(i.pull.reviews) for i in pulls if i.pull),
            "replies": sum(
                "in_reply_to_id" in c for i in pulls if i.pull for r in i.pull.reviews for c in r.comments
            ),
            "checks": len(state.checks),
            "annotations": sum(len(c.annotations) for c in state.checks.values()),
            "done": sum(c.conclusion == "failure" for c in state.checks.values()),
            "running": sum("orchestrate:running" in i.labels for i in state.issues.values()),
            "waiting": sum("orchestrate" in i.labels for i in state.issues.values()),
        }


def comment(s: Scene) -> None:
    s.forge.comment(s.number, marker="m", body="hello")


def create_issue(s: Scene) -> None:
    s.forge.create_issue("T", "b", marker="m")


def open_pull(s: Scene) -> None:
    assert s.pull().head_sha == s.head


def review(s: Scene) -> None:
    finding = ReviewFinding(id="f1", path="a.py", line=10, severity="high", text="wrong")
    s.forge.review(s.pull().number, head_sha=s.head, body="r", findings=[finding], marker="m")


def answer(s: Scene) -> None:
    review(s)
    s.forge.answer(s.pull().number, {"f1": "fixed in abc", "f9": "no such finding"})


def start_check(s: Scene) -> None:
    s.check()


def start_check_on_new_pull(s: Scene) -> None:
    """Where no check can be yet, none is looked for; after a failure it is."""
    s.pull()
    s.check()


def finish_check(s: Scene) -> None:
    done = s.forge.finish_check(
        s.check(), conclusion=Conclusion.FAILURE, title="t", summary="s", annotations=MANY
    )
    assert done.conclusion is Conclusion.FAILURE


def add_label(s: Scene) -> None:
    s.forge.set_labels(s.number, add=["orchestrate:running"])


def take_label(s: Scene) -> None:
    assert s.forge.take_label(s.number, "orchestrate") is True
