"""What of an issue's text reaches an agent: what its page shows, and fenced code as it is."""

from __future__ import annotations

import time

import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from orchestrator_action.text.limits import sanitise
from tests.text.corpus import CASES, Case
from tests.text.page import shown

WORD = "XYZZY"
MARKUP = (
    "```",
    "````",
    "~~~",
    "> ",
    "- ",
    "1. ",
    "   ",
    "    ",
    "\t",
    "text",
    "# h",
    "***",
    "---",
    "<!--",
    "-->",
    "--!>",
    "<div>",
    "</div>",
    "<div hidden>",
    "<span style='display:none'>",
    "</span>",
    "<b>",
    "<?",
    "?>",
    "<![CDATA[",
    "]]>",
    "<!D",
    ">",
    "<",
    "!",
    "[a]: b",
    "[a]",
    "![",
    "](",
    "http://x",
    ")",
    ' "',
    '" ',
    "(",
    "[",
    "]",
    "]:",
    "`",
    "``",
    "\n",
    "\n",
    "\n\n",
    "\r\n",
    "\\",
    "&",
    "<a title='",
    "'>",
    "<details>",
    "</details>",
    "<p",
    "<!-- x -->",
    "<script>",
    "</script>",
    "<pre>",
    "</pre>",
    "|",
)
NOISE = (
    "\u200b",
    "\u202e",
    "\U000e0041",
    "\x1b[31m",
    "\x1b",
    "\x9b",
    "\x07",
    "\x00",
    "\ufe0f",
    "❤",
    "\ud800",
    "&#8203;",
    "&shy;",
    "ghp_" + "a" * 20,
    "ghp_",
    "a" * 20,
    "-----BEGIN PRIVATE KEY-----",
    "[^1]",
    "[^1]: x",
    "orchestrator-action:",
    "task:",
    "ｏrchestrator-action:x:1",
    "\r",
)
any_text = st.lists(st.sampled_from(MARKUP + NOISE), max_size=30).map("".join) | st.text(max_size=60)


def test_the_corpus_is_not_thin():
    """Sixty hostile texts at least, each of which demands something."""
    assert len(CASES) >= 60
    assert all(case.gone or case.stays for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_nobody_sees_does_not_reach_the_agent(case: Case):
    """Each text of the corpus loses what its front matter names, and keeps the rest."""
    result = sanitise(case.text)

    assert [] == [gone for gone in case.gone if gone in result.text], result.text
    assert [] == [stay for stay in case.stays if stay not in result.text], result.text
    assert set(case.removed) <= set(result.removed)
    assert bool(result.removed) == (result.text != case.text)
    assert result.text == sanitise(result.text).text
    result.text.encode("utf-8")


@settings(max_examples=400, deadline=None)
@given(any_text)
def test_sanitising_twice_changes_nothing_more(text):
    """What comes out is clean: a second look finds nothing."""
    once = sanitise(text)

    assert (once.text, ()) == (sanitise(once.text).text, sanitise(once.text).removed)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from((*MARKUP, WORD, f" {WORD} ", WORD)), max_size=16).map("".join))
def test_a_word_the_page_does_not_show_is_gone(text):
    """Judged by an independent renderer and an HTML parser; targets of links are the one exception."""
    assume("<!-->" not in text and "<!--->" not in text)  # html.parser of 3.11 reads on, browsers do not
    try:
        page = shown(text)
    except AssertionError:  # html.parser gives up on such as `<![x`
        reject()
    cleaned = sanitise(text).text

    if WORD in cleaned and WORD not in page.targets and WORD not in page.languages:
        assert WORD in page.text, (text, cleaned)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.text(alphabet="ab<>!-&;\"'[]()\\*_`#|+ \t/", max_size=20), max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["diff", "", "python"]),
)
def test_fenced_code_keeps_every_byte(lines, end, language):
    """Also blanks at line ends, tabs, CRLF and whatever looks like markup."""
    fence = "`" * 30
    block = end.join([f"{fence}{language}", *lines, fence]) + end

    assert f"Apply this:{end}{end}{block}" == sanitise(f"Apply this:{end}{end}{block}").text


@pytest.mark.parametrize(
    "piece",
    [
        "<!--",
        "<a ",
        '<a b="',
        "<div hidden>",
        "![",
        "[a](",
        "[a]: b 'c\n",
        "`",
        "- ",
        "> ",
        "<!<!--",
        "\x1b]",
        "&#8203",
        "ghp_",
        "-----BEGIN PRIVATE KEY-----\n",
        "orchestrator-action",
        "`a` ``b`` ",
        "[",
        "<p\n",
        "<b></b>",
        "<?",
        "{}[",
        "a@",
        "https://a:",
        "`a`<b>",
        "| ` ",
        "|-|\n` | ",
        "<div hidden><b>",
        "<script>",
    ],
)
def test_no_text_of_the_largest_size_takes_long(piece):
    """A body of GitHub's limit, made of one troublesome piece, is done within seconds."""
    text = (piece * (65_536 // len(piece) + 1))[:65_536]
    start = time.process_time()

    sanitise(text)

    assert time.process_time() - start < 20
