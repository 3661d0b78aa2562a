"""What README, help and schema say is what the code does."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
import typer.main
import yaml

from orchestrator_action.commands.app import app
from orchestrator_action.core.config import Config
from orchestrator_action.core.model import PhaseState, Status
from orchestrator_action.core.phases import PHASES
from orchestrator_action.errors import OrchestratorError
from orchestrator_action.load import SCHEMA_FILE, config_schema, load_text

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = {"test", "setup", "teardown", "phases", "hook"}
"""Keys whose value in the README is an example and not the default."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_configuration_block_is_valid_and_shows_every_key():
    [block] = [b for b in blocks("yaml") if b.startswith("label:")]

    config = load_text(block, source="README.md")

    shown = set(re.findall(r"^([a-z-]+):", block, re.MULTILINE))
    assert {f.name.replace("_", "-") for f in dataclasses.fields(Config)} == shown
    for field in dataclasses.fields(Config):
        if field.name.replace("_", "-") not in EXAMPLES:
            assert getattr(Config(), field.name) == getattr(config, field.name), field.name
    assert Config().hook.protected_branches == config.hook.protected_branches
    assert Config().hook.timeout == config.hook.timeout


def test_the_table_of_commands_is_the_commands():
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    table = README.split("| command | does |")[1].split("\n\n")[0]

    assert commands == {m.split()[0] for m in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)}


def test_the_table_of_exit_codes_is_the_errors_codes():
    table = README.split("| code | means |")[1].split("\n\n")[0]
    named = {int(n) for n in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}

    def codes(kind: type[OrchestratorError]) -> set[int]:
        return {kind.exit_code}.union(*(codes(k) for k in kind.__subclasses__()))

    assert codes(OrchestratorError) | {0, 1} == named


def test_the_table_of_phases_is_the_phases():
    rows = re.findall(r"^\| (\d+) \| ([A-Z][A-Za-z ]+) \|", README, re.MULTILINE)

    assert [(str(p.number), p.title) for p in PHASES] == rows


@pytest.mark.parametrize("word", [*Status, *PhaseState])
def test_every_status_and_state_is_named(word):
    assert f"`{word}`" in README


def test_the_published_schema_is_the_one_the_code_checks_against():
    """`python -m orchestrator_action.load` prints it."""
    assert config_schema() == json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def test_the_console_blocks_name_commands_that_exist():
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    used = {
        m for b in blocks("console") for m in re.findall(r"^\$ orchestrator-action ([a-z]+)", b, re.MULTILINE)
    }
    targets = {m for b in blocks("console") for m in re.findall(r"^\$ make ([a-z]+)", b, re.MULTILINE)}

    assert used and used <= commands
    assert targets and all(
        re.search(rf"^{t}:", (ROOT / "Makefile").read_text(), re.MULTILINE) for t in targets
    )


def test_no_document_speaks_of_this_machine():
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        assert not re.search(r"/(home|root|work|Users)/", (ROOT / name).read_text(encoding="utf-8")), name


def test_the_tables_of_inputs_and_outputs_are_the_actions():
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    table = README.split("| input | what it says | default |")[1]
    inputs, outputs = table.split("| output | what it says |")

    assert list(action["inputs"]) == re.findall(r"^\| `([a-z-]+)` \|", inputs, re.MULTILINE)
    named = re.findall(r"^\| `([a-z-]+)` \|", outputs.split("\n\n")[0], re.MULTILINE)
    assert list(action["outputs"]) == named


def test_every_input_that_configures_is_a_key_of_the_configuration():
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    keys = {f.name.replace("_", "-") for f in dataclasses.fields(Config)}
    own = {
        "mode", "anthropic-api-key", "claude-code-oauth-token", "github-token", "issue", "claude-version",
        "config", "path", "branch", "dry-run",
    }  # fmt: skip

    assert set(action["inputs"]) - own <= keys
