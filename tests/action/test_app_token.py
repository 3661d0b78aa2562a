"""A run as a GitHub App: its token is asked for with the App's key, and anew before it ends."""

from __future__ import annotations

import time

import pytest

from orchestrator_action.forge.github.forge import GitHubForge
from orchestrator_action.git.forge_access import RenewableToken
from orchestrator_action.run.token import APP_ID, APP_KEY, token_of
from tests.action.test_queue import issue, pulls_of
from tests.kit.github_server.app import App
from tests.kit.runner import Runner, wait_for

pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="module")
def key() -> App:
    """An App; to make its key takes a moment."""
    return App()


@pytest.fixture
def app(runner: Runner, key: App) -> App:
    made = App(key=key.key)
    runner.github.state.app = made
    return made


def test_a_run_outlives_its_first_token(runner: Runner, app: App):
    """Every token is over after two seconds: requests and pushes go on with the next."""
    app.lives_s = 2.0
    one = issue(runner)

    done = runner.step(github_token="", app_id=app.id, app_private_key=app.pem)

    assert ("success", ["orchestrate:done"]) == (done.outputs["conclusion"], one.labels), done.log
    assert len(app.ends) >= 2 and 1 == len(pulls_of(runner)), app.ends
    assert not [r for r in runner.github.requests if r.status == 401]
    assert app.pem.splitlines()[1] not in done.log and not [t for t in app.ends if t in done.log]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"app_id": "4242"}, "app-id and app-private-key belong together"),
        ({"app_id": "4242", "app_private_key": "no key"}, "app-private-key is no private key of an App"),
    ],
)
def test_what_names_no_app_is_said_in_one_line(runner: Runner, app: App, fields: dict[str, str], said: str):
    done = runner.step(**fields)

    assert (2, "failure") == (done.code, done.outputs["conclusion"]) and said in done.log, done.log


def test_an_app_that_is_not_installed_or_not_known_is_named_with_the_cure(runner: Runner, app: App):
    app.installed = False
    missing = runner.step(app_id=app.id, app_private_key=app.pem)
    other = runner.step(app_id="1", app_private_key=app.pem)

    assert (4, 4) == (missing.code, other.code)
    assert "install the App on octo/demo" in missing.log and "do not belong together" in other.log


def test_a_token_that_cannot_be_renewed_is_sent_as_it_is(runner: Runner, app: App):
    """The forge says what it thinks of it; nothing fails for our question."""
    app.lives_s = 1.0
    env = {
        "GITHUB_REPOSITORY": "octo/demo",
        "GITHUB_API_URL": runner.github.url,
        APP_ID: app.id,
        APP_KEY: app.pem,
    }
    token = token_of(env)
    assert isinstance(token, RenewableToken)
    forge = GitHubForge("octo/demo", token, base_url=runner.github.url, tries=1)
    assert "main" == forge.default_branch()
    app.installed = False
    over = max(app.ends.values())
    wait_for(lambda: time.time() > over, "the end of the token")

    assert str(token) == token.now()
    forge.close()


def test_no_task_begins_that_an_apps_given_token_may_not_outlive(runner: Runner):
    """Such a token is good for an hour; whether the job's own was given is the runner's word."""
    one = issue(runner)

    late = runner.step(default_token="false", timeout="58m")
    own = runner.step(default_token="true", timeout="58m")

    assert ("failure", "blocked") == (late.outputs["conclusion"], late.status(one.number)), late.log
    assert "give app-id and app-private-key" in late.log
    assert ("success", ["orchestrate:done"]) == (own.outputs["conclusion"], one.labels), own.log
