"""A verdict document checked against a clone: it is whole, it speaks of commits that are there, its word follows.

It proves nothing about who measured: that is what a signature or an attestation is for. Nothing is run here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

from orchestrator_action.errors import ConfigError
from orchestrator_action.forge.github.address import owner_and_name
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.acceptance import ChangeVerdict, conclude_change
from orchestrator_action.protocol.documents import VerdictDocument
from orchestrator_action.state.documents import decode_document


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedDocument:
    """A document that could be read, and what is wrong with it."""

    document: VerdictDocument
    verdict: ChangeVerdict
    """What its facts come to, drawn anew."""
    digest: str
    """SHA-256 of the Statement's bytes."""
    problems: tuple[str, ...]


def check_document(git: Git, body: bytes, *, source: str, commit: str = "") -> CheckedDocument:
    """Read a document strictly and compare it with the repository. Raises ConfigError when it is none.

    `commit` is the one it has to be about, if any.
    """
    document = decode_document(VerdictDocument, body, source=source)
    verdict = conclude_change(document.facts)
    problems = [*_repository(git, document), *_commits(git, document), *_facts(document)]
    if commit and document.commit != commit:
        problems.append(f"it speaks of commit {document.commit[:12]}, not of {commit[:12]}")
    if document.conclusion != verdict.conclusion:
        problems.append(
            f"it concludes {document.conclusion!r}, but its facts come to {str(verdict.conclusion)!r}"
        )
    return CheckedDocument(
        document=document, verdict=verdict, digest=hashlib.sha256(body).hexdigest(), problems=tuple(problems)
    )


def expected_commit(git: Git, rev: str) -> str:
    """The full name of the commit that somebody means; empty for none. Raises ConfigError when it is not here."""
    found = git.rev_parse(rev) if rev else ""
    if rev and not found:
        raise ConfigError(f"no commit {rev!r} is in this repository", hint="fetch it first")
    return found or ""


def _repository(git: Git, document: VerdictDocument) -> list[str]:
    """What the remotes of a clone say of a document's repository: a fork has the same commits."""
    known = [name for url in git.remotes().values() if (name := owner_and_name(url))]
    if (
        not document.repository
        or not known
        or document.repository.casefold() in {n.casefold() for n in known}
    ):
        return []
    return [f"it speaks of the repository {document.repository}, and this is a clone of {known[0]}"]


def _commits(git: Git, document: VerdictDocument) -> list[str]:
    for what, sha in (("commit", document.commit), ("base", document.base)):
        if git.rev_parse(sha) != sha:
            return [f"its {what} {sha[:12]} is not in this repository"]
    if not git.is_ancestor(document.base, document.commit):
        return [f"its commit {document.commit[:12]} does not grow from its base {document.base[:12]}"]
    return []


def _facts(document: VerdictDocument) -> list[str]:
    """A fact of another commit, or the same fact twice, is none of this document."""
    strange = [f.rule for f in document.facts if f.commit != document.commit]
    found = [f"the fact {rule} was measured at another commit" for rule in strange[:3]]
    keys = [(f.phase, f.rule) for f in document.facts]
    twice = [rule for (_, rule), times in Counter(keys).items() if times > 1]
    return found + [f"the fact {rule} stands twice" for rule in twice]
