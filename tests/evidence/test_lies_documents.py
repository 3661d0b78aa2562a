"""Tests that are no test files: examples in documents and docstrings, and what a script makes tests of."""

from __future__ import annotations

import pytest

from orchestrator_action.verify.doctests import document_patterns, with_doctests_of
from tests.evidence.judge import PYTEST, UNITTEST, Change, Court
from tests.kit.tables import few

FAST = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
APP = "def double(x):\n    return 2 * x\n"
WRONG = APP.replace("2 * x", "7 if x == 2 else 2 * x")
ZERO = "from app import double\n\n\ndef test_zero():\n    assert double(0) == 0\n"
USE = "Use\n===\n\n>>> from app import double\n>>> double(2)\n4\n"
DOCUMENT = {"app.py": APP, "docs/use.rst": USE, "tests/test_app.py": ZERO}
DOCS = f"{PYTEST} --doctest-glob='*.rst'"
DOCSTRING = {
    "app.py": APP.replace("    return", '    """Twice.\n\n    >>> double(2)\n    4\n    """\n    return'),
    "tests/test_app.py": ZERO,
}
SAID = DOCSTRING["app.py"]
MODULES = f"{PYTEST} --doctest-modules"
SET = {**DOCSTRING, "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--doctest-modules'\n"}
SUITE = {
    **DOCUMENT,
    "tests/test_docs.py": "import doctest\n\n\ndef load_tests(loader, tests, pattern):\n    return doctest.DocFileSuite('../docs/use.rst')\n",
}
GENERATED = {
    "app.py": APP, ".gitignore": "generated/\n", "spec/cases.json": "[[1, 2], [2, 4]]\n",
    "Makefile": f"test:\n\tpython3 tools/gen.py\n\t{PYTEST} generated\n",
    "tools/gen.py": "import json, pathlib\n\nhead = 'import sys\\nsys.path.insert(0, \".\")\\nfrom app import double\\n'\n"
    "rows = enumerate(json.loads(pathlib.Path('spec/cases.json').read_text()))\npathlib.Path('generated').mkdir(exist_ok=True)\n"
    "pathlib.Path('generated/test_cases.py').write_text(head + ''.join(f'def test_{n}():\\n    assert double({x}) == {y}\\n' for n, (x, y) in rows))\n",
}  # fmt: skip
LIES: dict[str, tuple[dict[str, str], Change, str]] = {
    "a document": (DOCUMENT, {"app.py": WRONG, "docs/use.rst": USE.replace("\n4\n", "\n7\n")}, DOCS),
    "a document's example skipped": (DOCUMENT, {"app.py": WRONG, "docs/use.rst": USE.replace("double(2)", "double(2)  # doctest: +SKIP")}, DOCS),
    "a document of unittest's": (SUITE, {"app.py": WRONG, "docs/use.rst": USE.replace("\n4\n", "\n7\n")}, f"{UNITTEST} discover tests"),
    "a docstring": (DOCSTRING, {"app.py": SAID.replace("    4\n", "    7\n").replace("2 * x", "7 if x == 2 else 2 * x")}, MODULES),
    "a docstring that settings run": (SET, {"app.py": SAID.replace("    4\n", "    7\n").replace("2 * x", "7 if x == 2 else 2 * x")}, PYTEST),
    "a docstring's example swapped": (DOCSTRING, {"app.py": SAID.replace("double(2)\n    4", "double(0)\n    0").replace("2 * x", "7 if x == 2 else 2 * x")}, MODULES),
    "what a script makes tests of": (GENERATED, {"app.py": WRONG, "spec/cases.json": "[[1, 2], [2, 7]]\n"}, "make test"),
}  # fmt: skip
HONEST: dict[str, tuple[dict[str, str], Change, str]] = {
    "an example more in a docstring": (DOCSTRING, {"app.py": SAID.replace("    4\n", "    4\n    >>> double(3)\n    6\n")}, MODULES),
    "other words in a docstring": (DOCSTRING, {"app.py": SAID.replace("Twice.", "Two times x.")}, MODULES),
    "an example more in a document": (DOCUMENT, {"docs/use.rst": USE + "\n>>> double(3)\n6\n", "app.py": APP + "# more\n"}, DOCS),
    "a case more": (GENERATED, {"app.py": APP + "# more\n", "spec/cases.json": "[[1, 2], [2, 4], [3, 6]]\n"}, "make test"),
}  # fmt: skip


@pytest.mark.parametrize("lie", few(LIES, 3))
def test_a_lie_is_refuted(court: Court, lie: str):
    """The base's own examples are run on the new code."""
    judged = court.judge_case(*LIES[lie], repeats=1, **FAST)

    assert "refuted" == judged.end and "suite" not in judged.refuted, str(judged)


@pytest.mark.parametrize("case", few(HONEST, 2))
def test_an_honest_change_is_proven(court: Court, case: str):
    judged = court.judge_case(*HONEST[case], repeats=1, **FAST)

    assert "proven" == judged.end, str(judged)


METHOD = 'class A:\n    """A.\n\n    >>> 1\n    1\n    """\n\n    def f(self):\n        """É.\n\n        >>> 2\n        2\n        """\n'
RUST = "/// Twice.\n///\n/// ```\n/// assert_eq!(a::double(2), 4);\n/// ```\n#[must_use]\npub fn double(x: i32) -> i32 {\n    2 * x\n}\n"


@pytest.mark.parametrize(
    ("path", "text", "head", "laid"),
    [
        ("a.py", METHOD, METHOD.replace("        2\n", "        7\n"), METHOD),
        ("a.py", METHOD, METHOD.replace(">>> 1", ">>> 2"), METHOD),
        ("a.py", METHOD, METHOD.replace("A.", "B."), METHOD.replace("A.", "B.")),
        ("a.py", METHOD, "def f(:\n", "def f(:\n"),
        ("a.rs", RUST, RUST.replace("2), 4", "2), 7").replace("2 * x", "7"), RUST.replace("2 * x", "7")),
        ("a.rs", RUST, RUST.replace("```\n/// assert", "```ignore\n/// assert"), RUST),
        ("a.rs", RUST, RUST.replace("Twice", "Two times"), RUST.replace("Twice", "Two times")),
    ],
)  # fmt: skip
def test_documentation_whose_examples_changed_is_put_back(path: str, text: str, head: str, laid: str):
    """Other words of it, and the code, are the branch's."""
    assert laid == with_doctests_of(path, head, text)


def test_documents_that_are_tests_are_known_by_what_runs_them():
    said = "pytest --doctest-glob='*.rst' --doctest-glob README.md\ndoctest.DocFileSuite('../docs/use.txt', 'b.txt')"

    assert ("*.rst", "README.md", "use.txt", "b.txt") == document_patterns(said)
