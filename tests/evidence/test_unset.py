"""A failing test that asks for a variable: the message names it."""

from __future__ import annotations

import pytest

from orchestrator_action.verify.unset import unset_variables


@pytest.mark.parametrize(
    "output",
    [
        "KeyError: 'API_KEY'",
        "Error: environment variable API_KEY is missing",
        "API_KEY is not set",
        "run.sh: line 3: API_KEY: unbound variable",
        "sh: 1: API_KEY: parameter not set",
        "TypeError: process.env.API_KEY is undefined",
        'KeyError: key not found: "API_KEY"',
        "The API_KEY environment variable must be given",
    ],
)
def test_an_unset_variable_is_named(output: str):
    """In the words of Python, shells, Node, Ruby and people."""
    assert ("API_KEY",) == unset_variables(f"...\n{output}\n", {"PATH": "/bin"})


@pytest.mark.parametrize(
    "output", ["KeyError: 'name'", "HTTP is required", "FAILED test_a", "AssertionError: A_B"]
)
def test_other_words_are_no_variable(output: str):
    """A wrong key in a dictionary is the program's own fault."""
    assert () == unset_variables(output, {"HTTP": ""})


def test_a_variable_that_is_set_is_not_missing():
    """However often the output names it."""
    assert () == unset_variables("environment variable API_KEY is not valid", {"API_KEY": "x"})
