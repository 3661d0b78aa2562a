"""The scripts of a package.json: which command `npm test` comes to, and where an option for its runner goes."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from orchestrator_action.process.files import open_in
from orchestrator_action.verify.ecosystems.base import command_words, is_simple

_BY_SCRIPT = re.compile(
    r"^(?P<manager>npm|pnpm|yarn|bun)(?P<run> run| run-script)? (?P<script>t|tst|test[\w:.-]*)(?P<rest>(?: .*)?)$"
)
_STARTED = re.compile(r"\b(?:npm|pnpm|yarn|bun)(?: run(?:-script)?)? ([\w:.-]+)")
_MOST_COMMANDS = 30
_ABBREVIATED = {"t": "test", "tst": "test"}
WRAPPERS = frozenset(
    {"cross-env", "c8", "nyc", "npx", "env", "dotenv", "--", "node", "exec", "run", "--no-install", "--yes"}
)
VALUED = frozenset(
    {"--require", "-r", "--import", "--loader", "--experimental-loader", "--reporter", "-R", "--config", "-c",
     "--timeout", "-t", "--exclude", "--ignore", "--test-reporter", "--test-concurrency", "--file", "--ui", "-u",
     "--testTimeout", "--project", "--environment", "--dir", "--root", "--conditions", "-C", "--extension"}
)  # fmt: skip


def script_of(command: str, tree: Path) -> str | None:
    """The script that `npm test` and its like start, or the command itself; None when nothing can be known."""
    match = _BY_SCRIPT.fullmatch(command.strip())
    if match is None:
        return command if is_simple(command) else None
    return _scripts(tree).get(_ABBREVIATED.get(match["script"], match["script"]))


def _scripts(tree: Path) -> dict[str, str]:
    try:
        with open_in(tree, "package.json") as file:
            scripts = json.load(file)["scripts"]
        return {str(name): str(text) for name, text in scripts.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def starts_script(command: str) -> bool:
    """Whether it is `npm test` or its like."""
    return _BY_SCRIPT.fullmatch(command.strip()) is not None


def script_commands(command: str, tree: Path) -> list[str]:
    """The commands that a command comes to through the scripts of the tree's package.json, itself included."""
    scripts, found, left = _scripts(tree), list[str](), [command]
    while left and len(found) < _MOST_COMMANDS:
        for part in re.split(r"&&|\|\||;", left.pop(0)):
            found.append(part.strip())
            names = [_ABBREVIATED.get(name, name) for name in _STARTED.findall(part)]
            left += [scripts[name] for name in names if name in scripts]
    return found


def runs_alone(script: str, name: str) -> bool:
    """Whether a script is one command, and that is `name`, behind wrappers such as `cross-env A=1 c8`."""
    if not is_simple(script):
        return False
    for word in command_words(script):
        if word.rpartition("/")[2] in {name, f"{name}.js", f"{name}.mjs", f"_{name}"}:
            return True
        if not (word in WRAPPERS or "=" in word or word.startswith("-")):
            return False
    return False


def behind(command: str, options: Sequence[str]) -> str:
    """The command with options for the script's runner; npm wants `--` before them."""
    match = _BY_SCRIPT.fullmatch(command.strip())
    if match is None or match["manager"] != "npm":
        return f"{command} {shlex.join(options)}"
    dashes = "" if " -- " in f"{match['rest']} " else " --"
    return f"{command}{dashes} {shlex.join(options)}"
