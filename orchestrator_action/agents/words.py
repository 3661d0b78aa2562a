"""What an agent does, in words for a person: the part that is the same whatever agent does it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath

LONGEST_WORDS = 600
"""Characters of what is said at once."""
_TESTS = re.compile(
    r"\b(?:pytest|unittest|tox|nox|jest|vitest|mocha|ctest|phpunit|rspec)\b|"
    r"\b(?:npm|pnpm|yarn|bun|go|cargo|make|mvn|gradlew?|dotnet|deno|node --)\s*(?:run\s+)?test\b"
)
_CLAIM = re.compile(r"\borchestrator-phase\s+(show|status|start|done|wait|stop)\b\s*([a-z-]*)")
_CLAIM_WORDS = {
    "show": "reads its task", "status": "looks what is open", "start": "begins {}", "done": "claims {}",
    "wait": "waits for {}", "stop": "says that it stops",
}  # fmt: skip


def shell_words(command: str) -> str:
    """What a shell command is for: a claim, the tests, or the command itself."""
    if claim := _CLAIM.search(command):
        return _CLAIM_WORDS[claim[1]].format(claim[2] or "a phase")
    return "runs the tests" if _TESTS.search(command) else f"runs {command}"


def file_words(path: str) -> str:
    """A path as a person names it: from the tree on, which is not known here, so its last three parts."""
    path = path or "a file"
    return "/".join(PurePath(path).parts[-3:]) if path.startswith("/") else path


def tool_words(tool: str, path: str, verbs: Mapping[str, str]) -> str:
    """What a call of a tool does to a file, by the agent's own names of its tools; else which tool it uses."""
    verb = verbs.get(tool)
    return f"{verb} {file_words(path)}" if verb else f"uses {tool or 'a tool'}"


def cut_words(words: str) -> str:
    """Words on one line, of a length for a person."""
    words = " ".join(words.split())
    return words if len(words) <= LONGEST_WORDS else words[: LONGEST_WORDS - 1] + "…"
