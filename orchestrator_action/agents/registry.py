"""The agents there are, by name. Adding one touches its folder, this file and the docs."""

from __future__ import annotations

from collections.abc import Callable


def words_of(name: str) -> Callable[[bytes], str]:
    """What a line of this agent's output says, in words; of an agent nobody knows, the line itself."""
    if name == "claude":
        from orchestrator_action.agents.claude import words

        return words.words_of
    return lambda line: line.decode("utf-8", "replace").strip()
