"""Files as people write them: titles stay text, faults name their line, an edit touches one key."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_action.config.frontmatter import edit, parse_document, render
from orchestrator_action.errors import ForgeError


@pytest.mark.parametrize(
    "written",
    ["12:30", "on", "No", "null", "0o17", "1e3", "2026-01-02", "'12:30'", '"on"', "=", "1_000", "0x1F"],
)
def test_a_title_stays_the_text_that_was_written(written: str) -> None:
    assert written.strip("'\"") == parse_document(f"---\ntitle: {written}\n---\nbody\n", name="1.md").title


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# Fix the thing\n\ntext\n", "Fix the thing"),
        ("intro\n\n## The heading wins ##\n", "The heading wins"),
        ("Setext\n======\n\nx", "Setext"),
        ("```\n# no heading\n```\njust a line\n", "just a line"),
        ("\n\nfirst line\nsecond", "first line"),
        ("---\nlabels: a\n---\n# From the body\n", "From the body"),
        ("---\ntitle:\nlabels: a\n---\nLine\n", "Line"),
        ("\ufeff---\r\ntitle: Ünïcode 🎉\r\n---\r\nbody\r\n", "Ünïcode 🎉"),
        ("---\ntitle: >\n  folded\n  title\n---\n", "folded title"),
        ("---\n# a comment\ntitle: 'it''s: x'\n...\nbody", "it's: x"),
        ("", ""),
    ],
)
def test_the_title_is_given_or_the_first_heading_or_the_first_line(text: str, title: str) -> None:
    assert title == parse_document(text, name="1.md").title


@pytest.mark.parametrize(
    ("written", "labels"),
    [
        ("orchestrate", ("orchestrate",)),
        ("orchestrate, good first issue", ("orchestrate", "good first issue")),
        ("[orchestrate, 'good first issue', on]", ("orchestrate", "good first issue", "on")),
        (
            "\n  - orchestrate\n  - orchestrate:running\n  - orchestrate",
            ("orchestrate", "orchestrate:running"),
        ),
        ("", ()),
        ("[]", ()),
    ],
)
def test_labels_are_a_text_or_a_list(written: str, labels: tuple[str, ...]) -> None:
    assert labels == parse_document(f"---\nlabels: {written}\n---\n", name="1.md").names("labels")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("---\ntitle: x\nlabels: [a\n---\nbody", 4),
        ("---\ntitle: a: b\n---\n", 2),
        ("---\ntitle: x\ntitle: y\n---\n", 3),
        ("---\ntitle: x\n\tlabels: y\n---\n", 3),
        ("---\ntitle: x\nlabels: y\n", 1),
        ("---\n- a\n- b\n---\n", 2),
        ("---\ntitle: x\nlabels: {a: b}\n---\n", 3),
        ("---\ntitle: x\nbell: \x07\n---\n", 3),
    ],
)
def test_broken_front_matter_names_file_and_line(text: str, line: int) -> None:
    with pytest.raises(ForgeError, match=rf"^issues/7\.md:{line}: ") as caught:
        parse_document(text, name="issues/7.md")

    assert caught.value.hint


def test_a_rule_at_the_top_of_plain_markdown_is_no_front_matter() -> None:
    """`---` and then prose, never closed, is a horizontal rule."""
    document = parse_document("---\n\nA rule above me.\n", name="1.md")

    assert ("A rule above me.", "---\n\nA rule above me.\n") == (document.title, document.body)


@given(
    title=st.text(st.characters(exclude_categories=["Cs"]), max_size=80),
    labels=st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20), max_size=4
    ),
    body=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200),
)
def test_what_is_rendered_is_read_back(title: str, labels: list[str], body: str) -> None:
    document = parse_document(render({"title": title, "labels": tuple(labels)}, body), name="1.md")

    assert {"title": title, "labels": tuple(labels)} == dict(document.keys)
    assert body.strip() == document.body.strip()


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=30)


@given(
    keys=st.dictionaries(
        st.from_regex(r"[a-z][a-z-]{0,8}", fullmatch=True), texts | st.lists(texts), max_size=5
    ),
    labels=st.lists(texts, max_size=3),
    flow=st.sampled_from([None, True, False]),
    body=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=60),
)
def test_any_front_matter_keeps_its_other_keys_through_an_edit(
    keys: dict[str, str | list[str]], labels: list[str], flow: bool | None, body: str
) -> None:
    """However another program laid it out."""
    head = yaml.safe_dump(keys, default_flow_style=flow, allow_unicode=True, sort_keys=False)
    before = f"---\n{head}---\n{body}"
    if "\n---" in head or "\n..." in head:
        return

    after = parse_document(edit(before, "labels", tuple(labels), name="1.md"), name="1.md")

    wanted = {
        k: tuple(v) if isinstance(v, list) else v for k, v in parse_document(before, name="1.md").keys.items()
    }
    assert {**wanted, "labels": tuple(labels)} == dict(after.keys)
    assert parse_document(before, name="1.md").body == after.body


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_an_edit_touches_one_key_and_nothing_else(newline: str, bom: str) -> None:
    """Comments, unknown keys, order and line ends are the writer's own."""
    before = (
        "---\n# mine\ntitle: 12:30\nlabels:\n  - a # why\n  - b\n# about size\nsize: L\n---\n\nbody  \n\n"
    )
    after = "---\n# mine\ntitle: 12:30\nlabels: [a]\n# about size\nsize: L\n---\n\nbody  \n\n"

    edited = edit(bom + before.replace("\n", newline), "labels", ("a",), name="1.md")

    assert bom + after.replace("\n", newline) == edited


def test_a_file_without_front_matter_gets_some() -> None:
    assert ("---\nlabels: [a]\n---\n\n# T\n") == edit("# T\n", "labels", ("a",), name="1.md")


def test_a_flow_mapping_is_edited_too() -> None:
    edited = edit("---\n{title: x, labels: [a]}\n---\nbody\n", "labels", ("b", "c"), name="1.md")

    assert ("x", ("b", "c"), "body\n") == (
        (d := parse_document(edited, name="1.md")).title,
        d.names("labels"),
        d.body,
    )
