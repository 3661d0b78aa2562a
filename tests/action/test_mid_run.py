"""What people do while a run is at an issue: nothing is lost or there twice, and every place tells one story."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.action.test_one_story import one_story
from tests.kit.github_server import GitHubServer
from tests.kit.github_server.state import Issue
from tests.kit.repos import git
from tests.kit.runner import Runner
from tests.kit.whole import GOOD

BRANCH = "orchestrator/issue-1-add-more"
OPENED, REREAD, TOLD = ("POST", "/pulls$", ""), ("GET", r"/pulls/2$", ""), ("POST", "/graphql$", "CheckRun")
"""The moments just before: the pull request is opened, is read back, the end is told."""
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("graphql")]


@dataclass(frozen=True)
class Deed:
    """What somebody does, before which request, and how the task ends; `named` stands in its error."""

    before: tuple[str, str, str]
    act: Callable[[GitHubServer], object]
    named: str = ""

    @property
    def end(self) -> str:
        return "failed" if self.named else "success"


def the_pull(github: GitHubServer) -> Issue:
    [found] = [i for i in github.state.issues.values() if i.pull]
    return found


def commit_on(github: GitHubServer, branch: str, *parents: str) -> str:
    """A branch gets a commit of somebody's, with the files that it has and these parents."""
    repository = github.state.git_dir
    above = [word for parent in parents for word in ("-p", parent)]
    made = git(repository, "commit-tree", f"{branch}^{{tree}}", *above, "-m", "Somebody's own").strip()
    git(repository, "update-ref", f"refs/heads/{branch}", made)
    return made


def close(github: GitHubServer) -> None:
    github.state.issues[1].state = "closed"


def take_label_off(github: GitHubServer) -> None:
    github.state.drop_label(github.state.issues[1], "orchestrate:running", actor="octo")


def delete_comments(github: GitHubServer) -> None:
    github.state.comments.clear()


def write_over(github: GitHubServer) -> None:
    for comment in github.state.comments_on(1):
        comment.body = "Somebody wrote over this."


def close_pull(github: GitHubServer) -> None:
    the_pull(github).state = "closed"


def merge(github: GitHubServer) -> None:
    pull = the_pull(github)
    assert pull.pull
    head = git(github.state.git_dir, "rev-parse", BRANCH).strip()
    git(github.state.git_dir, "update-ref", "refs/heads/main", head)
    pull.state, pull.pull.merged_as, pull.pull.merged_at = "closed", head, github.state.now()


def give_another_base(github: GitHubServer) -> None:
    pull = the_pull(github).pull
    assert pull
    git(github.state.git_dir, "branch", "other", "main")
    pull.base = "other"


DEEDS = {
    "the issue is closed": Deed(OPENED, close),
    "title and text are edited": Deed(
        OPENED, lambda g: g.edit(1, user="octo", title="Another", body="Delete everything.")
    ),
    "the label of the run is taken off": Deed(OPENED, take_label_off),
    "the base is rewritten": Deed(OPENED, lambda g: commit_on(g, "main")),
    "our comment is deleted": Deed(TOLD, delete_comments),
    "somebody writes over our comment": Deed(OPENED, write_over),
    "the pull request is merged": Deed(REREAD, merge),
    "the pull request is closed": Deed(REREAD, close_pull, "it is closed"),
    "the pull request gets another base": Deed(REREAD, give_another_base, "its base is other"),
    "the branch is deleted": Deed(
        REREAD, lambda g: git(g.state.git_dir, "update-ref", "-d", f"refs/heads/{BRANCH}"), "its head is"
    ),
    "somebody pushes to the branch": Deed(REREAD, lambda g: commit_on(g, BRANCH, BRANCH), "its head is"),
}


def test_a_branch_that_is_deleted_before_there_is_a_pull_request_is_brought_back(
    runner: Runner, github: GitHubServer
):
    """GitHub refuses a pull request of a branch that is not there. What the agent committed is not lost with it."""
    github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    git_dir = github.state.git_dir
    github.before("POST", "/pulls$", lambda: git(git_dir, "update-ref", "-d", f"refs/heads/{BRANCH}"))

    done = runner.step(event="issues", payload=runner.labeled(1))

    assert "incomplete" == one_story(runner, done), done.log
    [task] = done.report["tasks"]
    assert "head invalid" in task["error"] and task["head_sha"] == github.state.sha_of(BRANCH)


@pytest.mark.parametrize("name", DEEDS)
def test_what_somebody_does_meanwhile_ends_in_one_story_and_doubles_nothing(
    runner: Runner, github: GitHubServer, name: str
):
    deed, done_to = DEEDS[name], list[str]()
    github.state.add_issue("Add more", GOOD, user="octo", labels=("orchestrate",))
    method, path, holding = deed.before
    github.before(method, path, lambda: (deed.act(github), done_to.append(name)), holding=holding)

    done = runner.step(event="issues", payload=runner.labeled(1))

    assert [name] == done_to, "the moment never came"
    assert deed.end == one_story(runner, done), done.log
    [task] = done.report["tasks"]
    assert deed.named in task["error"]
    assert 2 == task["pull"]["number"] == the_pull(github).number
    assert [f"orchestrate:{'failed' if deed.named else 'done'}"] == github.state.issues[1].labels
    assert [1, 1] == [len(github.state.comments_on(n)) for n in (1, 2)]
    if name == "somebody pushes to the branch":
        assert "Somebody's own" == git(github.state.git_dir, "log", "-1", "--format=%s", BRANCH).strip()
