"""Agent text under our name: readable, and without power."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator_action.text.limits import code, defang, fenced, inline, marker, plain, title, web_address
from tests.text.page import MARKDOWN, shown

PIECES = (
    "```",
    "````",
    "~~~",
    "> ",
    "- ",
    "1. ",
    "   ",
    "    ",
    "\t",
    " ",
    "text",
    "# ",
    "***",
    "---",
    "<!--",
    "-->",
    "<div>",
    "</div>",
    "<b>",
    "<?",
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
    "[",
    "]",
    "`",
    "``",
    "\n",
    "\n",
    "\n\n",
    "\\",
    "&",
    "|",
    "@",
    "@user",
    " @user",
    "@org/team",
    "#",
    "#12",
    " #12",
    "o/r#3",
    "GH-",
    "GH-4",
    "4",
    "&#64;",
    "&#35;",
    "&commat;",
    "&num;",
    "&#x40;",
    "user",
    "_",
    "*",
    "**",
    "~~",
    "https://github.com/o/r/issues/5",
    "//github.com/o/r/pull/5",
    "github&#46;com/o/r/commit/abc1234",
    "/",
    "/cmd",
    "/cc x",
    "<!-- orchestrator-action:x:1 -->",
    "\u200b",
    "fixes ",
    "<a href='http://x'>",
    "</details>",
    "<img src=x>",
    "\r\n",
    "\x1b[1m",
    "\ud800",
)
agent_text = st.lists(st.sampled_from(PIECES), max_size=18).map("".join) | st.text(max_size=60)
OURS = frozenset(re.findall(r"\w+", "p ul ol li blockquote code pre em strong a h1 h2 h3 h4 h5 h6 hr br s"))
MENTION = re.compile(r"(?:^|[^A-Za-z0-9_`])@[A-Za-z0-9]")
REFERENCE = re.compile(r"(?:^|\W)#\d|(?i:(?:^|[^A-Za-z0-9])GH-\d)|[\w.-]+#\d")
BACKLINK = re.compile(r"(?:https?:)?//(?:www\.)?github\.com/[\w.-]+/[\w.-]+/")


@settings(max_examples=800, deadline=None, derandomize=True)
@given(agent_text)
@example("<div>\n`@a`\n</div> @user fixes #1")
@example("`a\n@user`")
def test_no_text_of_an_agent_calls_links_or_embeds(text):
    """Judged on the rendered page: no mention, reference, backlink, image or HTML of its own."""
    page = shown(defang(text))

    assert page.tags <= OURS
    for node in page.prose:
        assert not MENTION.search(node), node
        assert not REFERENCE.search(node), node
    assert not BACKLINK.search(" ".join(page.prose)), page.prose
    assert not BACKLINK.search(page.targets), page.targets


def test_backticks_in_two_cells_are_no_code():
    """GitHub splits a table's row before it looks for code."""
    text = defang("| a | b |\n|---|---|\n| ` | @octocat ` |\n| ` | ` ` @octocat ` |\n| `@in code` | #1 |\n")

    assert "@octocat" not in text
    assert "`@in code`" in text
    assert "#1" not in text


@settings(max_examples=500, deadline=None)
@given(agent_text)
def test_what_follows_an_agents_text_is_not_swallowed(text):
    """A fence, a comment or an element left open ends with the text."""
    rendered = MARKDOWN.render(f"{defang(text)}\n\nOUR **words**\n")

    assert "<p>OUR <strong>words</strong></p>" in rendered


@settings(max_examples=500, deadline=None)
@given(agent_text)
def test_defanging_twice_changes_nothing_more(text):
    """A comment built from a comment stays readable."""
    assert defang(text) == defang(defang(text))


@settings(max_examples=300, deadline=None)
@given(agent_text)
def test_no_line_is_a_command_for_a_bot(text):
    """Bots read the raw text, inside fences too."""
    assert not re.search(r"(?m)^/[A-Za-z][\w-]*\s*?(?: |$)", defang(text))


@pytest.mark.parametrize(
    ("text", "shown_text"),
    [
        (
            "Hello *world*, see `x < y` and [docs](docs/a.md).",
            "Hello *world*, see `x < y` and [docs](docs/a.md).",
        ),
        ("```py\n@decorator\nx = a[1]  #1\n```\n", "```py\n@decorator\nx = a[1]  #1\n```\n"),
        ("mail me@example.org", "mail me@example.org"),
        (
            "1. one\n2. two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
            "1. one\n2. two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
        ),
        ("run /usr/bin/x", "run /usr/bin/x"),
        ("`@app.route` and `#1`", "`@app.route` and `#1`"),
    ],
)
def test_ordinary_words_and_code_stay_as_they_are(text, shown_text):
    """Power is taken, not looks."""
    assert shown_text == defang(text)


@pytest.mark.parametrize(
    "power",
    [
        "@octocat",
        "@org/team",
        "#12",
        "GH-12",
        "o/r#12",
        "<b>",
        "![",
        marker("task", "issue-1"),
        "o/r@1234567",
        "&#64;octocat",
        "https://github.com/o/r/issues/12",
    ],
)
@pytest.mark.parametrize("where", ["{}", "x\n{}", "> {}", "- {}", "({})", "**{}**", "a\n\n{} b"])
def test_each_kind_of_power_is_gone_wherever_it_stands(power, where):
    """At the start of a line, in a quote, a list, brackets or emphasis."""
    assert power not in defang(where.format(power))


@settings(max_examples=300, deadline=None)
@given(agent_text)
def test_a_cell_stays_in_its_cell(text):
    """Foreign words in a table neither end the row nor the column, and mean nothing."""
    for shown_as in (inline(text), code(text, cell=True)):
        assert "\n" not in shown_as
        rendered = MARKDOWN.render(f"| a | b |\n|---|---|\n| {shown_as} | END |\n")
        assert rendered.count("<td>") == 2, (text, shown_as, rendered)
        assert "<td>END</td>" in rendered


@settings(max_examples=200, deadline=None)
@given(agent_text)
def test_a_fenced_block_shows_whatever_it_is_given(text):
    """The fence is longer than any in it."""
    rendered = MARKDOWN.render(f"{fenced(text)}\n\nOUR words\n")

    assert 1 == rendered.count("<pre>")
    assert rendered.endswith("<p>OUR words</p>\n")


@settings(max_examples=300, deadline=None)
@given(agent_text)
def test_a_title_is_one_quiet_line(text):
    """A pull's title may become a commit message, where mentions and closing keywords act."""
    made = title(text)

    assert made
    assert "\n" not in made
    assert len(made) <= 256
    assert not MENTION.search(made)
    assert not re.search(r"#\d", made)


def test_plain_text_is_shortened_with_a_sign():
    """As a person would: an ellipsis, and never longer than asked."""
    assert "abcdefghi…" == plain("abcdefghijklmnop", limit=10)


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "http://x) [y](z", "https://a b", "//x", "http://x/\n", 'https://x/"', "data:x"],
)
def test_only_addresses_of_the_web_become_links(url):
    """Nothing that could end the link or run."""
    assert "" == web_address(url)
    assert "https://github.com/o/r/pull/1" == web_address("https://github.com/o/r/pull/1")


@pytest.mark.parametrize(
    "piece", ["@a ", "`", "#1", "<", "&#64;", "> ", "- ", "![", "[a]: b\n", "```\n", "/a\n"]
)
def test_no_agent_text_of_the_largest_size_takes_long(piece):
    """A comment of GitHub's limit, made of one troublesome piece."""
    text = (piece * (65_536 // len(piece) + 1))[:65_536]
    start = time.process_time()

    defang(text)

    assert time.process_time() - start < 20
