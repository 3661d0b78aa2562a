"""Credentials in commits: what a branch adds that must not be pushed."""

from __future__ import annotations

from orchestrator_action.git.cache import remembered
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.paths import shown
from orchestrator_action.text.token_shapes import passwords_in_urls, real_tokens

_MAX_SCANNED_BYTES = 5 * 1024**2


def secrets_in(git: Git, base: str, head: str) -> list[str]:
    """What the commits above `base` add that looks like a credential, each in words; never the value.

    Of every commit: what a later one takes out again is pushed with the branch all the same. A branch is searched
    once, though it is asked about before each push.
    """
    return remembered(git.common_dir, "secrets", (base, head), lambda: (_search(git, base, head),))[0]


def _search(git: Git, base: str, head: str) -> list[str]:
    listed = git.text("rev-list", "--objects", head, f"^{base}").split("\n")
    named = dict(line.partition(" ")[::2] for line in listed if " " in line)
    sizes = git.sizes(list(named))
    small = [sha for sha, size in zip(named, sizes, strict=True) if size and size <= _MAX_SCANNED_BYTES]
    suspects = [(s, _matches(body)) for s, body in zip(small, git.blobs(small), strict=True) if body]
    suspects = [(sha, found) for sha, found in suspects if found]
    before = git.files(base, sorted({named[sha] for sha, _ in suspects}))
    last = {c.new_blob for c in git.changes(base, head)}
    said = []
    for sha, found in suspects:
        path = named[sha]
        known = _matches(before[path] or b"")
        for what in sorted(w for w, values in found.items() if values - known.get(w, set())):
            earlier = (
                "" if sha in last else " in an earlier commit: make the branch's commits anew without it"
            )
            said.append(f"{shown(path)} holds {what}{earlier}")
    return sorted(dict.fromkeys(said))


def _matches(body: bytes) -> dict[str, set[str]]:
    """The credentials in a file, by their kind. Latin 1 gives every byte a character, so that nothing is lost."""
    text = body.decode("latin-1")
    found: dict[str, set[str]] = {}
    for kind, token in (*real_tokens(text), *passwords_in_urls(text)):
        found.setdefault(kind, set()).add(token)
    return found
