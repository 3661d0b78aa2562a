"""What GitHub refuses is told in plain words, tried no further, and got round where there is a way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.github.forge import GitHubForge
from orchestrator_action.protocol.forge_values import Conclusion
from tests.forge.conftest import Waits
from tests.forge.scene import Scene, comment
from tests.kit.github_server import AFTER, APP, PAT, GitHubServer
from tests.kit.repos import Repo


def test_an_expired_token_is_named_and_not_tried_again(
    forge: GitHubForge, github: GitHubServer, topic: Repo
) -> None:
    scene = Scene(forge, github, topic)
    fault = github.fail("401", times=99)

    with pytest.raises(ForgeError) as caught:
        comment(scene)

    assert (401, 1) == (caught.value.status, fault.struck)
    assert "token" in caught.value.hint


def test_a_wrong_token_appears_in_no_message(github: GitHubServer) -> None:
    forge = GitHubForge(github.repository, "ghp_wrongSecretValue", base_url=github.url)

    with pytest.raises(ForgeError) as caught:
        forge.issue(1)

    assert 401 == caught.value.status
    assert "wrongSecret" not in f"{caught.value.message}{caught.value.hint}{caught.value.__cause__!r}"
    forge.close()


@pytest.mark.parametrize("kind", ["404", "410"])
def test_an_issue_deleted_meanwhile_is_a_404(
    forge: GitHubForge, github: GitHubServer, topic: Repo, kind: str
) -> None:
    scene = Scene(forge, github, topic)
    github.fail(kind, "GET", r"/issues/\d+$")

    with pytest.raises(ForgeError, match=f"#{scene.number} ") as caught:
        forge.issue(scene.number)

    assert 404 == caught.value.status


def test_a_refusal_for_lack_of_rights_is_not_retried(
    connect: Callable[..., GitHubForge], github: GitHubServer, topic: Repo
) -> None:
    github.state.tokens[APP].permissions = {"issues": "read"}
    scene = Scene(connect(APP), github, topic)

    with pytest.raises(ForgeError, match="Resource not accessible") as caught:
        comment(scene)

    assert 403 == caught.value.status
    assert "permission" in caught.value.hint
    assert 1 == github.count("POST")


def test_a_link_to_another_host_is_not_followed(
    forge: GitHubForge, github: GitHubServer, topic: Repo
) -> None:
    Scene(forge, github, topic)
    github.fail("other-host", "GET", "/issues$")

    with pytest.raises(ForgeError, match="another host"):
        list(forge.issues("orchestrate"))


def test_a_renamed_repository_is_said_to_have_moved(
    forge: GitHubForge, github: GitHubServer, topic: Repo
) -> None:
    scene = Scene(forge, github, topic)
    github.fail("307", times=2)

    for call in (lambda: forge.issue(scene.number), lambda: comment(scene)):
        with pytest.raises(ForgeError, match="moved"):
            call()


def test_an_answer_without_the_asked_for_label_is_not_believed(
    forge: GitHubForge, github: GitHubServer, topic: Repo
) -> None:
    """PyGithub drops the query when it follows a redirect; what GitHub then lists is everything."""
    scene = Scene(forge, github, topic)
    github.state.add_issue("not labelled", "b", user="octo")
    github.state.add_issue("closed", "b", user="octo", labels=("orchestrate",)).state = "closed"
    github.fail("301", "GET", "/issues$")

    assert [scene.number] == [i.number for i in forge.issues("Orchestrate")]


def test_somebody_in_a_hurry_gives_up_at_once(
    connect: Callable[..., GitHubForge], github: GitHubServer, topic: Repo, waits: Waits
) -> None:
    scene = Scene(connect(timeout_s=1, tries=1, max_wait_s=0.0), github, topic)
    faults = [github.fail("secondary", wait_s=1), github.fail("502"), github.fail("hang")]

    for _ in faults:
        with pytest.raises(ForgeError):
            comment(scene)

    assert [1, 1, 1] == [f.struck for f in faults]
    assert [] == waits.seconds


def test_a_pull_that_appears_meanwhile_is_taken(
    connect: Callable[..., GitHubForge], github: GitHubServer, topic: Repo
) -> None:
    """422 "already exists" on the first try is no error."""
    other = Scene(connect(), github, topic)
    number = other.pull().number

    mine = connect().open_pull(branch="topic", base="main", title="Mine", body="c")

    assert (number, "Mine") == (mine.number, mine.title)
    assert 1 == other.effects()["pulls"]


def test_other_422s_are_told_in_githubs_words(forge: GitHubForge, github: GitHubServer) -> None:
    with pytest.raises(ForgeError, match=r"No commits between|head") as caught:
        forge.open_pull(branch="main", base="main", title="T", body="b")

    assert 422 == caught.value.status


def test_without_drafts_a_plain_pull_is_opened_and_said(
    forge: GitHubForge, github: GitHubServer, topic: Repo
) -> None:
    github.state.drafts = False

    pull = forge.open_pull(branch="topic", base="main", title="T", body="b")

    assert not pull.draft
    assert any("draft" in w for w in forge.warnings)


def test_a_status_takes_the_place_of_a_check_run_where_those_are_refused(
    connect: Callable[..., GitHubForge], github: GitHubServer, topic: Repo
) -> None:
    """A personal token cannot make check runs."""
    scene = Scene(connect(PAT), github, topic)

    check = scene.check()
    done = scene.forge.finish_check(check, conclusion=Conclusion.FAILURE, title="3 of 11" * 40, summary="s")
    again = scene.forge.start_check(
        head_sha=scene.head, name="orchestrator", external_id="r2", title="t", summary="s"
    )

    assert ("status", "status", Conclusion.FAILURE) == (check.kind, done.kind, done.conclusion)
    assert ["pending", "failure", "pending"] == [s.state for s in github.state.statuses]
    assert again.kind == "status"
    assert 1 == len(scene.forge.warnings)
    assert ["orchestrator"] == [c.name for c in connect(PAT).checks(scene.head)]


def test_a_dispatch_is_never_sent_twice(forge: GitHubForge, github: GitHubServer) -> None:
    github.state.workflows.add("ci.yml")
    github.fail("502", "POST", "dispatches", when=AFTER)

    with pytest.raises(ForgeError, match="502"):
        forge.dispatch("ci.yml", ref="main", inputs={"a": "b"})

    assert [{"workflow": "ci.yml", "ref": "main", "inputs": {"a": "b"}}] == github.state.dispatched
