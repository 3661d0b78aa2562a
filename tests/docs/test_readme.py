"""What README, docs, help and schema say is what the code does."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from orchestrator_action.agents.registry import AGENTS, secret_variables
from orchestrator_action.cli.app import app
from orchestrator_action.config.load import SCHEMA_FILE, config_schema, load_text
from orchestrator_action.config.schema import Config
from orchestrator_action.errors import OrchestratorError
from orchestrator_action.protocol.model import PhaseState, Status
from orchestrator_action.protocol.phases import PHASES
from tests.docs import tables

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCS = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
EXAMPLES = {"agent-command", "egress", "test", "setup", "teardown", "phases", "hook"}
"""Keys whose value in docs/configuration.md is an example and not the default."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)


def test_the_configuration_block_is_valid_and_shows_every_key():
    [block] = [b for b in blocks("yaml") if b.startswith("label:")]

    config = load_text(block, source="docs/configuration.md")

    shown = set(re.findall(r"^([a-z-]+):", block, re.MULTILINE))
    assert {f.name.replace("_", "-") for f in dataclasses.fields(Config)} == shown
    for field in dataclasses.fields(Config):
        if field.name.replace("_", "-") not in EXAMPLES:
            assert getattr(Config(), field.name) == getattr(config, field.name), field.name
    assert Config().hook.protected_branches == config.hook.protected_branches
    assert Config().hook.timeout == config.hook.timeout


@pytest.mark.parametrize("name", tables.TABLES)
def test_a_table_is_made_from_what_it_tells_of(name: str):
    page = (ROOT / tables.TABLES[name][0]).read_text(encoding="utf-8")
    assert f"<!-- end of {name} -->" in page
    assert tables.written(name, page) == page, "make schema"
    assert all(key.get("description") for key in config_schema()["properties"].values())


def test_the_table_of_commands_is_the_commands():
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    table = DOCS.split("| command | does |")[1].split("\n\n")[0]

    assert commands == {m.split()[0] for m in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)}


def test_the_table_of_exit_codes_is_the_errors_codes():
    table = DOCS.split("| code | means |")[1].split("\n\n")[0]
    named = {int(n) for n in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}

    def codes(kind: type[OrchestratorError]) -> set[int]:
        return {kind.exit_code}.union(*(codes(k) for k in kind.__subclasses__()))

    assert codes(OrchestratorError) | {0, 1} == named


def test_the_table_of_phases_is_the_phases():
    rows = re.findall(r"^\| (\d+) \| ([A-Z][A-Za-z ]+) \|", DOCS, re.MULTILINE)

    assert [(str(p.number), p.title) for p in PHASES] == rows


@pytest.mark.parametrize("word", [*Status, *PhaseState])
def test_every_status_and_state_is_named(word):
    assert f"`{word}`" in DOCS


def test_the_published_schema_is_the_one_the_code_checks_against():
    """`python -m orchestrator_action.config.load` prints it."""
    assert config_schema() == json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def command_lines() -> list[str]:
    """Every command line of ours that README and docs show, in a block or in a sentence."""
    shown = [line for b in blocks("(?:console|sh|yaml)") for line in b.splitlines()]
    spans = [s for s in re.findall(r"`([^`\n]+)`", DOCS) if s.startswith("orchestrator-action ")]
    found = [m[1] for line in shown if (m := re.search(r'(?:^|\$ |run: ")(orchestrator-action .+)', line))]
    return [*found, *spans]


def parsed(words: list[str]) -> list[str]:
    """Have the real command line read these words; what it says against them."""
    command: Any = typer.main.get_command(app)
    if words and words[0] in {o for p in command.params for o in p.opts}:
        return []  # such as --version
    while hasattr(command, "commands"):
        if not words or words[0] not in command.commands:
            return [f"no command {words[:1]}"]
        command, *words = command.commands[words[0]], *words[1:]
    try:
        command.make_context(command.name, words)
    except Exception as exc:  # noqa: BLE001 - whatever it has against them is what we are after
        return [str(exc)]
    return []


def test_every_command_line_shown_is_one_the_program_takes():
    lines = command_lines()

    assert len(lines) >= 10
    assert {} == {line: wrong for line in lines if (wrong := parsed(shlex.split(line, comments=True)[1:]))}


def test_a_command_line_that_the_program_does_not_take_is_found():
    """The check above can fail."""
    assert parsed(["run", "--paralel", "4"]) and parsed(["hook", "instal"]) and parsed(["logs"])


def test_every_option_in_the_table_of_commands_exists():
    table = DOCS.split("| command | does |")[1].split("\n\n")[0]
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]

    for row in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE):
        name = row.split()[0]
        known = {o for p in commands[name].params for o in (*p.opts, *p.secondary_opts)}
        assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", row)) <= known, row


def test_the_console_blocks_name_targets_of_make():
    targets = {m for b in blocks("console") for m in re.findall(r"^\$ make ([a-z]+)", b, re.MULTILINE)}

    assert targets and all(
        re.search(rf"^{t}:", (ROOT / "Makefile").read_text(), re.MULTILINE) for t in targets
    )


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def prose_of(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "page",
    [*PAGES, *(ROOT / n for n in ("SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"))],
    ids=lambda p: p.name,
)
def test_every_link_leads_somewhere(page: Path):
    """To a file that is there, and to a heading of it; pictures too."""
    prose = prose_of(page)
    for target in re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", prose):
        path, _, anchor = "".join(target).partition("#")
        if "://" in path:
            continue
        there = page.parent / path if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in {slug(h) for h in re.findall(r"^#+ (.+)$", prose_of(there), re.MULTILINE)}, (
                target
            )


def test_every_page_of_the_docs_is_reached_from_the_readme():
    """One that nobody links is one that nobody reads."""
    linked = set(re.findall(r"\]\(docs/([a-z-]+\.md)", prose_of(PAGES[0])))

    assert linked == {page.name for page in PAGES[1:]}


def test_every_message_in_troubleshooting_is_one_the_program_says():
    """Word for word between the dots, so that somebody who searches for it finds it."""
    said = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "orchestrator_action").rglob("*.py"))
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `([^`]+)`", page, re.MULTILINE)

    assert len(messages) >= 15
    for message in messages:
        for part in filter(None, map(str.strip, re.split("…", message))):
            assert part in said, message


def yaml_examples() -> list[str]:
    return [b for b in blocks("yaml") if b.startswith("# .github/orchestrator.yml")]


@pytest.mark.parametrize("block", yaml_examples(), ids=lambda b: b.splitlines()[1][:40])
def test_every_example_of_the_configuration_is_valid(block: str):
    load_text(block, source="an example")


def test_every_hyphenated_name_is_one_we_have():
    """Of configuration, Action, report, statuses, phases: a name that was changed is not left behind."""
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    keys = set(re.findall(r'"([a-z-]+)": \{', SCHEMA_FILE.read_text(encoding="utf-8")))
    ours = {*keys, *action["inputs"], *action["outputs"], *Status, *PhaseState, *(p.id for p in PHASES)}
    ours |= {rule.id for p in PHASES for rule in p.rules}
    for file in (ROOT / ".github" / "workflows").glob("orchestrate*.yml"):
        called = yaml.load(file.read_text(encoding="utf-8"), yaml.BaseLoader)["on"].get("workflow_call") or {}
        ours |= set(called.get("inputs", {}))
    prose = re.sub(r"^```.*?^```", "", DOCS, flags=re.MULTILINE | re.DOTALL)

    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)(?:: [^`]*)?`", prose))

    assert {"max-turns", "ci-workflow", "depends-on"} <= named
    assert set() == named - ours - {"depends-on", "orchestrator-phase", *(h["id"] for h in hooks)}


def test_the_workflow_shown_is_the_example():
    [block] = [b for b in blocks("yaml") if b.startswith("# .github/workflows/orchestrate.yml")]

    assert yaml.safe_load((ROOT / "examples/on-label.yml").read_text(encoding="utf-8")) == yaml.safe_load(
        block
    )


def test_no_document_speaks_of_this_machine():
    for page in (*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"):
        assert not re.search(r"/(home|root|work|Users)/", page.read_text(encoding="utf-8")), page


def test_every_input_that_configures_is_a_key_of_the_configuration():
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    keys = {f.name.replace("_", "-") for f in dataclasses.fields(Config)}
    own = {
        "mode", "github-token", "app-id", "app-private-key", "issue", "config", "path", "branch", "document", "dry-run",
        "signing-key", "bases",
        *(name.lower().replace("_", "-") for name in secret_variables()), *(f"{name}-version" for name in AGENTS),
    }  # fmt: skip

    assert set(action["inputs"]) - own <= keys
