"""Path patterns as people write them, and paths found in prose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_action.config.schema import Config
from orchestrator_action.protocol.paths import is_safe, listed, matches, matching, mentioned, shown


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("README.md", "README.md"),
        ("README.md", "sub/README.md"),
        ("README*", "README.rst"),
        ("docs/**", "docs/a/b.md"),
        ("docs/", "docs/a.md"),
        ("docs", "docs/a.md"),
        ("docs", "sub/docs/a.md"),
        ("**/*.md", "a.md"),
        ("**/*.md", "x/y/a.md"),
        ("*.md", "x/a.md"),
        ("/a.md", "a.md"),
        ("./docs/*", "docs/a.md"),
        (".github/workflows/**", ".github/workflows/ci.yml"),
        (".github/workflows/**", ".github/workflows"),
        ("**/CODEOWNERS", "CODEOWNERS"),
        ("**/CODEOWNERS", ".github/CODEOWNERS"),
        ("a/**/b", "a/b"),
        ("a/**/b", "a/x/y/b"),
        ("file?.txt", "file1.txt"),
        ("[ab].py", "b.py"),
        ("[!ab].py", "c.py"),
        ("näme/**", "näme/ü.txt"),
        (r"a\*b", "a*b"),
        ("src/*.py", "src/a.py"),
    ],
)
def test_a_pattern_means_what_gitignore_means(pattern: str, path: str):
    """For the forms people use."""
    assert matches(path, [pattern]) == pattern


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("docs/**", "src/docs/a.md"),
        ("docs/**", "docsy/a.md"),
        ("/a.md", "x/a.md"),
        ("*.md", "a.mdx"),
        ("src/*.py", "src/a/b.py"),
        ("README.md", "readme.md"),
        ("file?.txt", "file/.txt"),
        ("[ab].py", "c.py"),
        ("", "a"),
        ("  ", "a"),
        ("/", "a"),
        ("!", "a"),
        ("a.md", "axmd"),
        (".github/workflows/**", ".github/x.yml"),
    ],
)
def test_a_pattern_means_no_more(pattern: str, path: str):
    """Case counts, a star stops at a slash, an empty pattern means nothing."""
    assert matches(path, [pattern]) == ""


def test_the_last_pattern_decides():
    """So that an exception can be made, and taken back."""
    patterns = ["docs/**", "!docs/api/**", "docs/api/index.md"]

    assert matching(["docs/a", "docs/api/b", "docs/api/index.md", "x"], patterns) == (
        "docs/a",
        "docs/api/index.md",
    )


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_pattern_and_no_path_breaks_matching(pattern: str, path: str):
    """A pattern nobody can read matches itself or nothing; it is never an error."""
    assert matches(path, [pattern]) in {"", pattern}


_NAMES = st.text("abcXYZ019_.-äß ", min_size=1, max_size=8).filter(lambda n: n.strip(" .") == n and n)


@given(st.lists(_NAMES, min_size=1, max_size=5))
def test_everything_is_below_a_double_star(parts: list[str]):
    """And below its own first folder."""
    path = "/".join(parts)

    assert matches(path, ["**"])
    assert matches(path, [f"/{parts[0]}/**"])
    assert not matches(path, [f"/x{parts[0]}/**"])


def test_the_default_patterns_protect_what_runs_with_rights():
    """Workflows, actions, owners, agent settings."""
    protected = Config().protected

    for path in (
        ".github/workflows/ci.yml",
        ".github/actions/x/action.yml",
        "CODEOWNERS",
        "docs/CODEOWNERS",
        ".github/orchestrator.yml",
        ".claude/settings.json",
        ".mcp.json",
    ):
        assert matches(path, protected), path
    for path in ("src/a.py", ".github/ISSUE_TEMPLATE/bug.md", "github/workflows/x"):
        assert not matches(path, protected), path


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("change src/app.py and add tests/test_app.py.", ("src/app.py", "tests/test_app.py")),
        ("- `src/app.py`\n- `docs/`", ("src/app.py", "docs/")),
        ("edit [the readme](README.md)", ("README.md",)),
        ("In `Makefile`, the test target", ("Makefile",)),
        ("Update README.md (see app.py:12)", ("README.md", "app.py")),
        ("**src/a.ts**, then *b.ts*", ("src/a.ts", "b.ts")),
        ("touch `.gitignore` only", (".gitignore",)),
        ("1. parse src/größe/ñ.txt", ("src/größe/ñ.txt",)),
        ("add a/b/c", ("a/b/c",)),
        ("put it in `lib/core`", ("lib/core",)),
    ],
)
def test_paths_are_found_in_prose(text: str, paths: tuple[str, ...]):
    """As people and agents write plans."""
    assert {p.rstrip("/") for p in mentioned(text)} >= {p.rstrip("/") for p in paths}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I will do it and/or not, e.g. later, i.e. soon.",
        "see https://example.org/a/b.html",
        "use `--force`",
        "Fix the bug.",
        "50/50 chance",
        "../../etc/passwd and /etc/passwd",
        "`$HOME/x.txt`",
        "C:\\x\\y.txt",
        "user@example.org/x.txt".replace("user", ""),
        "do. it. now.",
        "version 1.2 or 3.4.5",
    ],
)
def test_other_words_are_no_paths(text: str):
    """Prose, links, options, absolute paths and ways out of the tree."""
    assert mentioned(text) == ()


@given(st.text(max_size=300))
def test_a_path_found_is_safe(text: str):
    """Whatever an agent writes."""
    assert all(is_safe(p) and not p.startswith("-") for p in mentioned(text))


@given(st.binary(max_size=30))
def test_any_name_can_be_shown(name: bytes):
    """Bytes that are no UTF-8, control characters, terminal escapes."""
    text = shown(name.decode("utf-8", "surrogateescape"))

    assert text.isprintable()
    assert text.encode("utf-8").decode("utf-8") == text


def test_long_lists_are_cut():
    """With the number that is left."""
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(n) for n in range(7)]) == "0, 1, 2, 3, 4 and 2 more"
