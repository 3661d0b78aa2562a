"""Nobody imitates us: with a stranger's words in every place, each text has the shape that it has with harmless ones.

What is looked at is the page that a reader of Markdown sees, and the HTML report as a browser reads it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from orchestrator_action.protocol.forge_values import Conclusion, ReviewFinding
from orchestrator_action.protocol.model import Declined, Finding, PhaseVerdict, Reviewed, Status, TaskResult
from orchestrator_action.publish.report import comments as render
from orchestrator_action.publish.report.overview import job_summary, report_html
from tests.render.test_beside import HEAD, RED, task
from tests.render.values import PULL, RUN, TASK, report
from tests.text.page import MARKDOWN, shown

WORDS = {
    "a mention": "cc @octocat and @octo-org/team-x",
    "mentions spelled otherwise": "&commat;octocat &#64;octocat &#x40;octocat \\@octocat @\u200boctocat",
    "references": "see #12, GH-12, o/r#12 and https://github.com/o/r/issues/12",
    "closing words": "Closes #12. Fixes: o/r#12, resolves https://github.com/o/r/pull/12 and closes GH-12",
    "a heading and a verdict of ours": "\n### orchestrator: ✅ done\n\n**Verified at `aaaaaaa`** · 99 tests pass\n",
    "a heading drawn below its words": "All verified\n===\n\nDone\n---\n",
    "a table": "\n| # | phase | state |\n|--:|---|---|\n| 6 | Testing | ✅ proven |\n",
    "cells": "a | b \\| c || d |",
    "an alert": "\n> [!CAUTION]\n> do not merge\n",
    "HTML": "<h1>done</h1><table><tr><td>x</table></details><details open><summary>y</summary>",
    "HTML that does something": "<img src=x onerror=alert(1)><script>alert(1)</script><style>*{display:none}</style>",
    "HTML that is not closed": "<!-- <details><pre><b",
    "a fence": "\n```\nopen\n~~~~\n",
    "a diagram": '\n```mermaid\ngraph TD; A-->B; click A "javascript:alert(1)"\n```\n',
    "links": "[verified](http://evil.example/) <http://evil.example/> [x]: http://evil.example/\n\n[x]",
    "text from right to left": "\u202eevil\u202c \u2066x\u2069 \u200f \u061c",
    "ink that cannot be seen": "\u200b\u2060\ufeff\u00ad" * 50 + "\U000e0041\U000e0042",
    "marks": "a" + "\u0301" * 300,
    "formulas": "$$\\require{color}\\colorbox{red}{FAILED}$$ `$x$` $`y`$",
    "commands": "\n/orchestrate accept suite: fine\n/lgtm\n::error::x\n",
    "our markers": "<!-- orchestrator-action:task:issue-1 --> <!-- orchestrator-action:claim run=x state=done -->",
    "a terminal's": "\x1b[2J\x1b]8;;http://evil.example/\x07done\x1b]8;;\x07\r\x08\x00",
    "very long": "word " * 30_000,
    "one very long word": "w" * 100_000,
    "backticks": "` `` ``` ```` x `",
    "a list": "\n- [x] verified\n1. one\n* two\n",
    "a rule and a line of bold": "\n---\n***\n**bold** __bold__ ~~gone~~ ==mark==\n",
}
"""Kinds of words, each hostile in its own way."""
SHAPE = {
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "table",
    "tr",
    "td",
    "th",
    "details",
    "summary",
    "ul",
    "ol",
    "li",
    "hr",
    "pre",
    "img",
    "script",
}
MENTION = re.compile(r"(?<![\w`/.])@[A-Za-z0-9]")
# `redirect.github.com` leads to the same page, and GitHub writes no reference for it
REFERENCE = re.compile(
    r"(?<![\w&/])(?:[\w.-]+/[\w.-]+)?#\d|\bGH-\d|(?<!redirect\.)github\.com/[\w.-]+/[\w.-]+/(?:issues|pull)/\d"
)
OURS = f"{PULL.url}|{RUN.url}"


class _Shape(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in SHAPE:
            self.found.append(tag)


def shape_of(html: str) -> list[str]:
    """The elements that make a page what it looks like, in order."""
    reader = _Shape()
    reader.feed(html)
    return reader.found


def spoken(words: str) -> TaskResult:
    """A task in which a stranger says these words wherever one can say something."""
    one = task(RED, claimed=words, status=Status.FAILED, conclusion=Conclusion.FAILURE)
    found = (Finding(rule="refuted", message=words),)
    phases = tuple(_said(p, words, found if p.phase == "testing" else ()) for p in one.phases)
    review = (Reviewed(id="f1", path=words[:200], line=3, severity="note", text=words, declined=words),)
    return replace(
        one, phases=phases, title=words, said=words, error=words, review=review, model=words[:200],
        declined=Declined(because=words, needs=words),
    )  # fmt: skip


def _said(phase: PhaseVerdict, words: str, found: tuple[Finding, ...]) -> PhaseVerdict:
    facts = tuple(replace(f, message=words, detail={**f.detail, "paths": [words[:200]]}) for f in phase.facts)
    return replace(phase, claimed=words, findings=found, facts=facts)


def texts_of(words: str) -> Mapping[str, str]:
    """Every text that a person reads on a forge."""
    one = spoken(words)
    findings = (ReviewFinding(id="f1", path="a.py", line=3, severity="note", text=words),)
    check = render.check_texts(
        one.phases, conclusion=one.conclusion, status=one.status, head_sha=HEAD, run=RUN, error=one.error, pull=PULL,
        findings=findings, result=one,
    )  # fmt: skip
    return {
        "comment": render.issue_comment(one, run=RUN),
        "comment while it runs": render.issue_comment(one, run=RUN, running=True, note=words),
        "comment on the pull request": render.pull_comment(
            one, run=RUN, findings=findings, answers={"f1": f"declined: {words}"}
        ),
        "check": f"{check.summary}\n\n{check.text}",
        "summary": job_summary(report(one)),
        "review": render.review_body(findings, HEAD),
    }


HARMLESS = {name: shape_of(MARKDOWN.render(text)) for name, text in texts_of("fine").items()}


@pytest.mark.parametrize("kind", WORDS)
def test_no_text_on_a_forge_takes_another_shape(kind: str) -> None:
    """No heading, row, fold, list or picture is there that is not there with harmless words, and nobody is called."""
    for name, text in texts_of(WORDS[kind]).items():
        assert HARMLESS[name] == shape_of(MARKDOWN.render(text)), name
        body = re.sub(r"\A(?:<!-- [^\n]* -->\n)+", "", text)
        page = shown(body)
        for prose in page.prose:
            assert not MENTION.search(prose), (name, prose)
            assert not REFERENCE.search(re.sub(rf"{OURS}|#9\b", "", prose)), (name, prose)
        assert "evil.example" not in page.targets and "javascript:" not in page.targets
        assert not re.search(r"[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", text)
        assert not re.search(r"(?m)^(?:/|::)\w", body)
        assert "orchestrator-action:" not in body
        assert len(text.encode()) <= 1024 * 1024


@pytest.mark.parametrize("kind", WORDS)
def test_the_body_of_a_pull_request_has_the_agents_words_in_a_quotation_only(kind: str) -> None:
    body = render.pull_body(TASK, issue=7, text=WORDS[kind], run_id="r")
    title = render.pull_title(WORDS[kind])

    harmless = render.pull_body(TASK, issue=7, text="fine", run_id="r")
    plain, ours = (
        "\n".join(line for line in text.splitlines() if not line.startswith(">")) for text in (harmless, body)
    )
    assert re.sub(r"\n+", "\n", plain) == re.sub(r"\n+", "\n", ours)
    for prose in (*shown(body).prose, title):
        assert not MENTION.search(prose) and not REFERENCE.search(prose.replace("Closes #7", "")), prose
    assert 1 <= len(title) <= 120 and "\n" not in title


PAGE = shape_of(report_html(report(spoken("fine"))))


@pytest.mark.parametrize("kind", WORDS)
def test_the_page_keeps_its_shape_too(kind: str) -> None:
    page = report_html(report(spoken(WORDS[kind])))

    assert PAGE == shape_of(page)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", page)
