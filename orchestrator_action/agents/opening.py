"""What a session is opened with: the task's prompt and the repository's own instructions.

Sessions run so that a checkout has no say in hooks, servers or addresses; its instruction files are not read
then either. They are handed over here, as they stand in the base commit: what a branch under work says of how to
work counts for nothing. Stdlib only; asks git for the files.
"""

from __future__ import annotations

import subprocess

PARTS = 5
"""As many as the plugin's command asks for."""
PART_BYTES = 29_000
"""Claude Code takes 30,000 bytes from one command in a slash command, else it puts a preview in its place."""
INSTRUCTIONS = ("CLAUDE.md", ".claude/CLAUDE.md", "AGENTS.md", "GEMINI.md")
_LONGEST_INSTRUCTIONS = 24_000


def opening(prompt: str, *, worktree: str, base_sha: str) -> str:
    """The whole text: the base commit's instruction files, then the prompt with the task."""
    return "\n".join([*_instructions(worktree, base_sha), prompt])


def opening_part(text: str, number: int, *, limit: int = PART_BYTES) -> str:
    """Part `number`, from 1, of at most `limit` bytes; the last of PARTS says where the rest is.

    Parts end at line ends where they can; printed one after the other they are the text again.
    """
    parts = _cut(text, limit)
    if number > len(parts):
        return "(nothing more)"
    if number == PARTS and len(parts) > PARTS:
        return f"{parts[number - 1]}\n(cut here: `orchestrator-phase show` prints the whole task)"
    return parts[number - 1]


def _cut(text: str, limit: int) -> list[str]:
    parts = []
    rest = text.encode("utf-8", "replace")
    while len(rest) > limit:
        newline = rest.rfind(b"\n", limit // 2, limit)
        end = newline if newline > 0 else limit
        while newline <= 0 and rest[end] & 0xC0 == 0x80:  # never inside a character
            end -= 1
        parts.append(rest[:end].decode())
        rest = rest[end + (newline > 0) :]
    return [*parts, rest.decode()]


def _instructions(worktree: str, base_sha: str) -> list[str]:
    told = []
    for name in INSTRUCTIONS:
        text = _at_base(worktree, base_sha, name)[:_LONGEST_INSTRUCTIONS].strip()
        if text and text not in told:
            told += [f"# Instructions of this repository ({name}, base commit)\n", text, ""]
    return told


def _at_base(worktree: str, base_sha: str, name: str) -> str:
    """The file as it stands in the base commit; empty when it is not there or git cannot say."""
    if not base_sha:
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", worktree, "cat-file", "blob", f"{base_sha}:{name}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
