"""The block scanner against markdown-it-py, an independent reading of the same specification."""

from __future__ import annotations

import re

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from orchestrator_action.text.markdown import FENCED, line_kinds

PIECES = (
    "```",
    "````",
    "~~~",
    "```diff",
    "~~~ a ` b",
    "``` a`b",
    "> ",
    ">",
    "- ",
    "-",
    "1. ",
    "2) ",
    "* ",
    "   ",
    "    ",
    "\t",
    "  ",
    " ",
    "text",
    "# h",
    "***",
    "---",
    "===",
    "<!--",
    "-->",
    "<div>",
    "</div>",
    "<pre>",
    "</pre>",
    "<b>",
    "<x-y a='1'>",
    "<?x",
    "?>",
    "<!D",
    "[a]: b",
    "\n",
    "\n",
    "\n",
    "\n\n",
    "",
)


def reference(text: str) -> list[tuple[int, int]]:
    """Line ranges of the fences markdown-it-py finds."""
    return [tuple(t.map) for t in MarkdownIt("commonmark").parse(text) if t.type == "fence"]  # type: ignore[misc]


def ours(text: str) -> list[tuple[int, int]]:
    """Line ranges of the fences we find."""
    found: list[tuple[int, int]] = []
    last = None
    for number, line in enumerate(line_kinds(text)):
        if line.kind in FENCED:
            if last == line.leaf:
                found[-1] = (found[-1][0], number + 1)
            else:
                found.append((number, number + 1))
            last = line.leaf
    return found


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PIECES), max_size=24).map("".join))
@example("- a\n  ```\n  x\n```\ny\n```")
@example("> ```\nx\n```\n")
@example("<!--\n```\n-->\n```\nx\n```\n")
@example("-\n\n  ```\n  x\n")
@example("1.  a\n\n    ```diff\n    -x\n    ```\n")
def test_fences_are_those_of_commonmark(text):
    """What we keep untouched is what a person sees as code."""
    # markdown-it-py takes definitions out line by line, cmark (and GitHub) when their paragraph ends.
    assume(not re.search(r"\]: b.*\n *\d", text))
    expected = reference(text)
    found = ours(text)
    # markdown-it-py leaves out the blank lines that end an unclosed fence in a container.
    assert [a for a, _ in expected] == [a for a, _ in found], text
    for (_, want), (_, have) in zip(expected, found, strict=True):
        rest = text.split("\n")[min(want, have) : max(want, have)]
        assert all(not r.strip(" \t>") for r in rest), (text, expected, found)
