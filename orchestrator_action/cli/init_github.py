"""`init --github`: what of the repository on GitHub is not as a run needs it, and what is done about it when agreed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator_action.agents.registry import keys_of
from orchestrator_action.cli.init_workflow import Wishes
from orchestrator_action.config.schema import DEFAULT_LABEL, STATE_LABELS
from orchestrator_action.errors import ConfigError
from orchestrator_action.forge.github.address import api_url, repository_of
from orchestrator_action.forge.github.client import Api
from orchestrator_action.forge.github.onboarding import Onboarding
from orchestrator_action.git.repo import Git
from orchestrator_action.run.token import token_of

WORKFLOW = "orchestrate.yml"
SETTING = "Settings, Actions, General, Workflow permissions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of the list: how a thing stands, and what would be done about it."""

    what: str
    found: str
    act: Callable[[], str | None] | None = None
    """What is done when the user agrees, and how it ended where that is not sure beforehand; None: nothing has to be
    done, or only a person can."""
    hint: str = ""
    ok: bool = True

    @property
    def line(self) -> str:
        """As it is shown."""
        word = "todo" if self.act else "ok  " if self.ok else "you "
        return f"{word} {self.what}: {self.found}" + (f"\n     hint: {self.hint}" if self.hint else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """How a repository stands on GitHub."""

    public: bool = False
    items: Sequence[Item] = ()


def look_at_github(git: Git, agent: str, wishes: Wishes, env: Mapping[str, str]) -> Looked:
    """The list of one repository. Raises ConfigError without a token, ForgeError when GitHub refuses."""
    token = token_of(env)
    if not token:
        raise ConfigError(
            "init --github asks GitHub with your token",
            hint="GITHUB_TOKEN=$(gh auth token), or leave --github out",
        )
    url = git.config().get("remote.origin.url", "")
    api = Api(repository_of(url, env), token, base_url=api_url(env))
    try:
        there = Onboarding(api)
        items = tuple(_items(there, api.repository, agent, wishes))
        return Looked(public=there.is_public(), items=items)
    finally:
        api.close()


def _items(there: Onboarding, repository: str, agent: str, wishes: Wishes) -> Iterator[Item]:
    base = wishes.base or there.default_branch()
    if wishes.base and not there.has_branch(wishes.base):
        raise ConfigError(
            f"{repository} has no branch {wishes.base!r}", hint="push it first, or leave --base out"
        )
    yield Item(what="repository", found=f"{repository}, pull requests go to {base}")
    wanted = (wishes.label or DEFAULT_LABEL, *STATE_LABELS)
    missing = there.missing_labels(wanted)
    for name in wanted:
        if name in missing:
            yield Item(
                what="label", found=f"{name} will be made", act=functools.partial(there.make_label, name)
            )
        else:
            yield Item(what="label", found=f"{name} is there")
    yield _opening(there)
    if keys := keys_of(agent)[:2]:
        yield _secret(there, keys)
    yield _trial(there, base)


def _trial(there: Onboarding, base: str) -> Item:
    """A run of the workflow that starts no agent: all that it needs is looked at where it will work."""
    what, last = "trial run", there.last_trial(WORKFLOW)
    if last is None:
        hint = "commit and push the workflow, and run this again"
        return Item(what=what, found=f"the default branch has no {WORKFLOW} yet", ok=False, hint=hint)
    if last.startswith("success"):
        return Item(what=what, found=last)
    found = f"{WORKFLOW} will be started, and waited for" + (f"; the last one: {last}" if last else "")
    return Item(what=what, found=found, act=functools.partial(there.run_trial, WORKFLOW, base))


def _opening(there: Onboarding) -> Item:
    what, allowed = "pull requests", there.may_open_pulls()
    if allowed:
        return Item(what=what, found="GitHub Actions may open them")
    if allowed is None:
        found = "this token is not told whether GitHub Actions may open them"
        return Item(what=what, found=found, ok=False, hint=f"look under {SETTING}")
    return Item(
        what=what, found="GitHub Actions may not open them yet; it will be allowed", act=there.allow_pulls
    )


def _secret(there: Onboarding, keys: tuple[str, ...]) -> Item:
    known = {name: there.has_secret(name) for name in keys}
    if present := [name for name, has in known.items() if has]:
        return Item(what="secret", found=f"{present[0]} is there")
    hint = f"gh secret set {keys[0]}"
    if None in known.values():
        found = f"this token is not told whether {' or '.join(keys)} is there"
        return Item(what="secret", found=found, ok=False, hint=hint)
    return Item(what="secret", found=f"{' or '.join(keys)} is missing", ok=False, hint=hint)
