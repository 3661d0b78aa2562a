"""`--help` of every command, as it is printed at 80 columns: `make schema` writes it anew."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from orchestrator_action.cli.app import app

SNAPSHOT = Path(__file__).parent / "help.txt"


def pages(
    command: Any = None, name: str = "orchestrator-action", parent: Any = None
) -> Iterator[tuple[str, str]]:
    """Each command's name and help, groups first."""
    command = command or typer.main.get_command(app)
    context = type(parent or command.make_context(name, ["--help"], resilient_parsing=True))(
        command, info_name=name, parent=parent, terminal_width=80, help_option_names=["-h", "--help"]
    )
    yield context.command_path, command.get_help(context)
    for sub in getattr(command, "commands", {}).values():
        if not sub.hidden:
            yield from pages(sub, sub.name, context)


def printed() -> str:
    return "\n".join(f"$ {name} --help\n{text}\n" for name, text in pages())


def test_the_help_of_every_command_is_the_one_that_was_looked_at() -> None:
    assert SNAPSHOT.read_text(encoding="utf-8") == printed(), "make schema, and look at it"


def test_every_help_has_an_example_and_nothing_in_it_is_cut() -> None:
    for name, text in pages():
        assert f"Example: {name}" in re.sub(r"\s+", " ", text), name
        assert not re.search(r"[a-z.]\.\.\.$", text, re.MULTILINE), name
        assert all(len(line) <= 80 for line in text.splitlines()), name


if __name__ == "__main__":
    SNAPSHOT.write_text(printed(), encoding="utf-8")
    sys.stdout.write(f"written: {SNAPSHOT}\n")
