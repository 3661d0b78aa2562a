"""What a document says: its headings, and its blocks of code byte for byte."""

from __future__ import annotations

import pytest

from orchestrator_action.text.markdown import code_blocks, first_heading, first_line


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("```diff\n-a\n+b\n```\n", [("diff", "-a\n+b\n")]),
        ("~~~~ Patch x=1\n a\r\n~~~\n~~~~\n", [("patch", " a\r\n~~~\n")]),
        ("```diff\n+\x00\u2028\n```\n```\nplain\n```", [("diff", "+\x00\u2028\n"), ("", "plain\n")]),
        ("````md\n```diff\n-a\n```\n````\n", [("md", "```diff\n-a\n```\n")]),
        ("```diff\n-cut off\n", []),
        ("> ```diff\n> -quoted\n> ```\n", []),
        ("```diff\n```\n", [("diff", "")]),
    ],
)
def test_code_blocks_are_closed_fences_and_keep_every_byte(text, found):
    """A patch with CRLF applies to a file with CRLF only."""
    assert found == list(code_blocks(text))


def test_a_heading_is_no_line_of_code_and_a_first_line_is_no_rule():
    text = "***\n\n```\n# no\n```\n<!-- no -->\n\n*words* of\nmore\n\nHeading `x`\n---\n"

    assert ("Heading `x`", "*words* of") == (first_heading(text), first_line(text))
    assert ("", "") == (first_heading("```\n# a\n```\n"), first_line("```\n# a\n```\n"))
