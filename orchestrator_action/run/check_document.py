"""A verdict document checked against a clone: it is whole, it speaks of commits that are there, its word follows.

It proves nothing about who measured: that is what a signature or an attestation is for. Nothing is run here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.acceptance import ChangeVerdict, conclude_change
from orchestrator_action.protocol.documents import VerdictDocument, digest_of
from orchestrator_action.state.documents import decode


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedDocument:
    """A document that could be read, and what is wrong with it."""

    document: VerdictDocument
    verdict: ChangeVerdict
    """What its facts come to, drawn anew."""
    digest: str
    problems: tuple[str, ...]


def check_document(git: Git, body: bytes, *, source: str) -> CheckedDocument:
    """Read a document strictly and compare it with the repository. Raises ConfigError when it is none."""
    document = decode(VerdictDocument, body, source=source)
    verdict = conclude_change(document.facts)
    problems = [*_commits(git, document), *_facts(document)]
    if document.conclusion != verdict.conclusion:
        problems.append(
            f"it concludes {document.conclusion!r}, but its facts come to {str(verdict.conclusion)!r}"
        )
    return CheckedDocument(
        document=document, verdict=verdict, digest=digest_of(document.statement()), problems=tuple(problems)
    )


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
