"""Anybody's change in words: the sticky comment and the check of a pull request that no task of ours made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator_action.protocol.acceptance import ChangeVerdict
from orchestrator_action.protocol.documents import VerdictDocument
from orchestrator_action.protocol.forge_values import Annotation, Conclusion
from orchestrator_action.protocol.model import Fact
from orchestrator_action.publish.report.comments import CheckTexts
from orchestrator_action.publish.report.verdict import exception_lines
from orchestrator_action.state.documents import document_digest
from orchestrator_action.text import limits as texts
from orchestrator_action.text.figures import count
from orchestrator_action.text.template import fill

HEAD_LINE = re.compile(r"<!-- orchestrator-action:head sha=([0-9a-f]{40,64}) since=(\S+) -->")
"""The second line of our comment: at which head this was said first, and when. Nothing we quote can stand there."""
_MOST_ANNOTATIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTexts:
    """What is said of a change: the comment, and the texts of the check."""

    comment: str
    check: CheckTexts


def head_line(sha: str, since: str) -> str:
    """The line that `read_head_line` reads."""
    return f"<!-- orchestrator-action:head sha={sha} since={since} -->"


def read_head_line(body: str) -> tuple[str, str]:
    """The head that our comment speaks of, and since when; empty texts where it says nothing."""
    lines = body.splitlines()
    found = HEAD_LINE.fullmatch(lines[1].strip()) if len(lines) > 1 else None
    return (found[1], found[2]) if found else ("", "")


def change_headline(document: VerdictDocument, verdict: ChangeVerdict) -> str:
    """One line: verified or not, at which commit, and the fact that says most."""
    at = f"at `{document.commit[:7]}`"
    told = {f.rule: f.message for f in document.facts if f.holds}
    good = " · ".join(texts.inline(told[r], limit=160) for r in ("suite", "shows-the-change") if r in told)
    excepted = len(document.exceptions) + len(verdict.accepted)
    if verdict.conclusion is Conclusion.SUCCESS:
        return f"**Verified** {at}" + (f" · {good}" if good else "")
    if verdict.conclusion is Conclusion.NEUTRAL:
        return f"**Verified except {count(excepted, 'thing')}: read {'it' if excepted == 1 else 'them'}** {at} · {good}"
    if verdict.conclusion is Conclusion.ACTION_REQUIRED:
        return (
            f"**A person has to decide** {at}: {count(len(verdict.unproven), 'fact')} could not be measured."
        )
    do = "does" if len(verdict.refuted) == 1 else "do"
    return f"**Not verified** {at}: {count(len(verdict.refuted), 'fact')} {do} not hold."


def cure(verdict: ChangeVerdict) -> str:
    """Who can do what about it."""
    rule = verdict.open[0].rule if verdict.open else "FACT"
    return (
        "A push that mends it is measured anew. Somebody with write access may let a fact pass for this head with a "
        f"comment such as `/orchestrate accept {rule}: WHY`."
    )


def change_lines(document: VerdictDocument, verdict: ChangeVerdict) -> list[str]:
    """A change's verdict in lines: how it ends, then every fact."""
    lines = [f"{document.name} at {document.commit[:12]}: {verdict.conclusion}"]
    for fact in document.facts:
        sign = "ok  " if fact.holds else ("?   " if fact.detail.get("unproven") else "FAIL")
        lines.append(f"  {sign} {fact.rule}: {fact.message}")
    return lines


def change_texts(
    document: VerdictDocument, verdict: ChangeVerdict, *, marker: str, since: str, secrets: Iterable[str] = ()
) -> ChangeTexts:
    """Comment and check of a change. `since` is when this head was first judged, ISO 8601."""
    held = tuple(secrets)
    title = change_headline(document, verdict)
    body = fill("change_comment.md.j2", held, **_values(document, verdict, marker, since, title))
    summary = "\n".join(body.splitlines()[2:])
    return ChangeTexts(
        comment=texts.cut(body, texts.COMMENT_LIMIT, "bytes"),
        check=CheckTexts(
            title=texts.mask(re.sub(r"[*`]", "", title), held)[:255],
            summary=texts.cut(summary, texts.CHECK_SUMMARY_LIMIT, "bytes"),
            text="",
            annotations=tuple(_annotations(verdict.open, held))[:_MOST_ANNOTATIONS],
        ),
    )


def _values(
    document: VerdictDocument, verdict: ChangeVerdict, marker: str, since: str, title: str
) -> dict[str, Any]:
    passed = [f"{fact.rule}: {word.reason} ({word.by})" for fact, word in verdict.accepted]
    return {
        "marker": marker,
        "head_line": head_line(document.commit, since),
        "headline": title,
        "open": verdict.open,
        "cure": cure(verdict) if verdict.open else "",
        "let_pass": [*passed, *exception_lines(document.facts)],
        "facts": document.facts,
        "commands": " && ".join(document.test_commands) or "none",
        "base": document.base,
        "head": document.commit,
        "isolation": document.isolation,
        "digest": document_digest(document),
    }


def _annotations(facts: Sequence[Fact], secrets: tuple[str, ...]) -> Iterable[Annotation]:
    """A note on each line or file that a fact names."""
    for fact in facts:
        for key in ("lines", "lost", "failing", "paths"):
            found = fact.detail.get(key)
            for given in found if isinstance(found, (list, tuple)) else ():
                one = {"path": given} if isinstance(given, str) else given
                path = str(one.get("path") or one.get("file") or "") if isinstance(one, dict) else ""
                if not path or path.startswith("/"):
                    continue
                said = str(one.get("what") or one.get("how") or one.get("id") or fact.message)
                line = one.get("line")
                yield Annotation(
                    path=texts.mask(texts.clean(path)[0].replace("\n", ""), secrets),
                    line=line if isinstance(line, int) and line > 0 else 1,
                    message=texts.cut(texts.mask(texts.clean(said)[0], secrets), 4000),
                    title=texts.plain(fact.rule, limit=40),
                    level="warning" if fact.detail.get("unproven") else "failure",
                )
