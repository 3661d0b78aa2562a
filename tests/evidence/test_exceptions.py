"""Tests that an issue asks to change: named by id with the reason, shown to a person, asked of the reviewer."""

from __future__ import annotations

import pytest

from orchestrator_action.verify.exceptions import reason_for
from tests.evidence.judge import PYTEST, Court

FAST = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
APP = "def greet(name):\n    return 'Hello ' + name\n"
TEST = (
    "import pytest\nfrom app import greet\n\n\ndef test_greet():\n    assert greet('A') == 'Hello A'\n\n\n"
    "@pytest.mark.parametrize('n', ['B', 'C'])\ndef test_more(n):\n    assert greet(n).endswith(n)\n"
)
BASE = {"app.py": APP, "tests/test_app.py": TEST, "README.md": "x\n"}
OTHER = {
    "app.py": APP.replace("Hello", "Hi"),
    "tests/test_app.py": TEST.replace("Hello A", "Hi A"),
}
ID = "tests/test_app.py::test_greet"


def test_a_test_that_the_issue_changes_is_an_exception_when_it_is_named(court: Court):
    """Without a word it refutes; named with its reason a person reads it."""
    assert "refuted" == court.judge(BASE, OTHER, PYTEST, **FAST).end

    named = court.judge(BASE, OTHER, PYTEST, note=f"{ID}: the issue asks for another greeting", **FAST)

    assert "except 1" == named.end, str(named)
    [exception] = named["base-tests"].detail["exceptions"]
    assert (ID, "the issue asks for another greeting") == (exception["id"], exception["reason"])


@pytest.mark.parametrize(
    "note",
    ["changed the tests as the issue asks", "tests/test_app.py: as the issue asks", f"{ID}",
     "test_greet: as the issue asks", "tests/test_app.py::test_more: as the issue asks", f"{ID}: -"],
)  # fmt: skip
def test_a_test_that_is_not_named_with_a_reason_refutes(note: str):
    assert "" == reason_for(note, ID, "tests/test_app.py")


@pytest.mark.parametrize(
    ("note", "case"),
    [
        (f"- `{ID}`: because the issue asks for it", ID),
        (f"{ID}\n  because the issue asks for it", ID),
        ("tests/test_app.py::test_more: because the issue asks for it", "tests/test_app.py::test_more[B]"),
        ("tests/test_app.py::test_more[B]: because the issue asks for it", "tests/test_app.py::test_more[B]"),
        (f"{ID}, tests/test_app.py::test_x: because the issue asks for it", ID),
    ],
)
def test_a_test_may_be_named_in_these_ways(note: str, case: str):
    assert "because the issue asks for it" == reason_for(note, case, "tests/test_app.py")


def test_one_parameter_does_not_name_another():
    """Nor does a name that begins with another's."""
    note = "tests/test_app.py::test_more[B]: because the issue asks for it"

    assert "" == reason_for(note, "tests/test_app.py::test_more[C]", "tests/test_app.py")
    assert "" == reason_for(note, "tests/test_app.py::test_mo", "tests/test_app.py")


def test_a_file_names_all_of_its_tests_only_when_it_is_gone():
    note = "tests/test_app.py: the feature is removed as the issue asks"

    assert reason_for(note, ID, "tests/test_app.py", file_gone=True)
    assert "" == reason_for(note, ID, "tests/test_app.py")


def test_a_skip_that_is_named_is_shown_as_an_exception(court: Court):
    """Never as plain proven."""
    skipped = {
        "tests/test_app.py": TEST.replace("def test_greet", "@pytest.mark.skip\ndef test_greet"),
        "app.py": APP + "# more\n",
    }

    judged = court.judge(BASE, skipped, PYTEST, note=f"{ID}: it needs a network that is not there", **FAST)

    assert "except 1" == judged.end, str(judged)
    assert "skipped" == judged["nothing-lost"].detail["exceptions"][0]["what"]
