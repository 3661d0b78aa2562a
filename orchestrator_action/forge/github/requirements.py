"""What a run needs of a repository on GitHub, asked before an agent is paid.

GitHub tells no token what it may do, so each permission is tried by a request that can change nothing whatever the
answer: a reference that is there already, a label whose name is too long, a pull request of a branch onto itself.
GitHub looks at the permission first: 403 says that it is missing, 422 that it is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from orchestrator_action.errors import ForgeError
from orchestrator_action.forge.base import Requirement
from orchestrator_action.forge.github.client import Api, RateLimitError, UnclearError, understood

NO_COMMIT = "0" * 40
TOO_LONG = "orchestrator: may labels be made? " + "x" * 30
"""A label has at most 50 characters. Source: docs.github.com, "Managing labels"."""
MAY_NOT_OPEN = "not permitted to create or approve pull requests"
OPENING = (
    "allow it under Settings, Actions, General, Workflow permissions: "
    "Allow GitHub Actions to create and approve pull requests"
)
_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "contains": lambda text, pattern: pattern in text,
    "regex": lambda text, pattern: re.search(pattern, text) is not None,
}
"""Source: docs.github.com, REST API, "Repository rules", metadata restrictions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Probe:
    """A request that is refused in any case: with 403 or 404 only where the permission is missing."""

    permission: str
    why: str
    path: str
    body: Mapping[str, Any]


def requirements(api: Api, *, branch: str, base: str, email: str, label: str = "") -> tuple[Requirement, ...]:
    """Each thing as it stands. `branch` is one we would push, `email` the author of its commits.

    `label` is the one that asks for work; it is not looked for when empty.

    Raises ForgeError when GitHub cannot be asked, or does not know the token.
    """
    repository = api.get("", f"the repository {api.repository}")
    if understood(lambda: bool(repository["archived"]), "the repository"):
        found = f"{api.repository} is archived: nothing can be pushed, proposed or said there"
        return (Requirement(what="repository", found=found, ok=False, hint="unarchive it under Settings"),)
    if repository.get("disabled"):
        found = f"{api.repository} is disabled by GitHub: nothing can be pushed there"
        return (Requirement(what="repository", found=found, ok=False, hint="ask GitHub's support why"),)
    tried = [_try(api, probe) for probe in _probes(base)]
    return (
        Requirement(what="repository", found=f"{api.repository} is not archived", ok=True),
        *tried,
        *([_label(api, label)] if label else []),
        *_rules(api, branch, email),
    )


def _probes(base: str) -> Sequence[_Probe]:
    return (
        _Probe(
            permission="contents: write", why="to push branches", path="/git/refs",
            body={"ref": f"refs/heads/{base}", "sha": NO_COMMIT},
        ),
        _Probe(
            permission="issues: write", why="for labels and comments", path="/labels", body={"name": TOO_LONG}
        ),
        _Probe(
            permission="pull-requests: write", why="to open pull requests", path="/pulls",
            body={"title": "May pull requests be opened?", "head": base, "base": base},
        ),
    )  # fmt: skip


def _try(api: Api, probe: _Probe) -> Requirement:
    what = f"permission {probe.permission}"
    try:
        api.send("POST", probe.path, what, dict(probe.body))
    except (RateLimitError, UnclearError):
        raise
    except ForgeError as exc:
        if MAY_NOT_OPEN in exc.message:
            found = "GitHub Actions may not open pull requests in this repository"
            return Requirement(what="pull requests", found=found, ok=False, hint=OPENING)
        if exc.status == 403 and "locked" in exc.message:
            hint = "unlock it, or wait until its migration has ended"
            found = f"{api.repository} is locked: {_words(exc)}"
            return Requirement(what="repository", found=found, ok=False, hint=hint)
        if exc.status in {403, 404}:
            found = f"the token lacks {probe.permission}, {probe.why}: {_words(exc)}"
            hint = f"grant `{probe.permission}` under `permissions:` in the workflow, or to the token"
            return Requirement(what=what, found=found, ok=False, hint=hint)
        if exc.status != 422:
            raise
    return Requirement(what=what, found=f"the token has it, {probe.why}", ok=True)


def _label(api: Api, label: str) -> Requirement:
    """Whether the label that asks for work is there to be set."""
    try:
        api.get(f"/labels/{quote(label, safe='')}", f"the label {label}")
    except (RateLimitError, UnclearError):
        raise
    except ForgeError as exc:
        if exc.status != 404:
            return Requirement(what="label", found=f"{label}: not known: {_words(exc)}", ok=None)
        found = f"the repository has no label {label!r}, so nobody can ask for work"
        return Requirement(
            what="label", found=found, ok=False, hint="orchestrator-action init --github makes it"
        )
    return Requirement(what="label", found=f"{label} is there", ok=True)


def _words(exc: ForgeError) -> str:
    """GitHub's own words of a refusal."""
    return exc.message.partition(": ")[2] or exc.message


def _rules(api: Api, branch: str, email: str) -> Iterator[Requirement]:
    """What active rules refuse of the branch we would push, unless the token may bypass them."""
    what = "rules of branches"
    try:
        rules = list(api.pages(f"/rules/branches/{quote(branch, safe='')}", what))
    except (RateLimitError, UnclearError):
        raise
    except ForgeError as exc:
        if exc.status == 401:
            raise
        yield Requirement(what=what, found=f"not known: {_words(exc)}", ok=None)
        return
    refusals = [(r, why) for r in rules if (why := understood(lambda: _refusal(r, branch, email), what))]  # noqa: B023
    bypassed = {n: _may_bypass(api, n) for n in {int(r["ruleset_id"]) for r, _ in refusals}}
    wrong = [(r, why) for r, why in refusals if not bypassed[int(r["ruleset_id"])]]
    for rule, why in wrong:
        hint = (
            f"leave {branch.partition('/')[0]}/** out of the ruleset "
            f"{rule['ruleset_id']} of {rule.get('ruleset_source', api.repository)}, or let the token bypass it"
        )
        yield Requirement(what=what, found=why, ok=False, hint=hint)
    if not wrong:
        yield Requirement(what=what, found=f"none refuses {branch}", ok=True)


def _refusal(rule: Mapping[str, Any], branch: str, email: str) -> str:
    """Why a rule would refuse our branch; empty when it does not, or nobody can say beforehand."""
    kind, given = str(rule["type"]), rule.get("parameters") or {}
    if kind == "required_signatures":
        return f"signed commits are required on {branch}, and an agent's are not signed"
    if kind == "required_status_checks" and not given.get("do_not_enforce_on_create"):
        return f"status checks are required on {branch}, and a commit that is pushed has none yet"
    if kind in {"creation", "update"}:
        return f"nobody may {'make' if kind == 'creation' else 'update'} branches such as {branch}"
    named = {
        "branch_name_pattern": ("the name", branch),
        "commit_author_email_pattern": ("the author", email),
        "committer_email_pattern": ("the committer", email),
    }
    if kind in named and not _matches(named[kind][1], given):
        word, text = named[kind]
        return f"{word} {text!r} is refused on {branch}: {given['operator']} {given['pattern']!r}"
    return ""


def _matches(text: str, given: Mapping[str, Any]) -> bool:
    """Whether a text is as a pattern of a rule asks; also for a pattern that nobody here can read."""
    holds = _OPERATORS.get(str(given["operator"]))
    try:
        return holds is None or holds(text, str(given["pattern"])) is not bool(given.get("negate"))
    except re.error:
        return True


def _may_bypass(api: Api, number: int) -> bool:
    """Whether the token may bypass a ruleset; False where GitHub does not say."""
    try:
        data = api.get(f"/rulesets/{number}", f"the ruleset {number}")
    except (RateLimitError, UnclearError):
        raise
    except ForgeError:
        return False
    return str(data.get("current_user_can_bypass")) in {"always", "exempt"}
