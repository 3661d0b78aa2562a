"""Credentials in commits: what a branch adds that must not be pushed."""

from __future__ import annotations

import re

from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.paths import shown

_SECRETS = {
    "a private key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b|\bgithub_pat_[A-Za-z0-9_]{60,255}\b",
    "an Anthropic key": r"\bsk-ant-[A-Za-z0-9_-]{20,}",
    "an OpenAI key": r"\bsk-(?!ant-)(?:proj-|svcacct-)?[A-Za-z0-9_-]{40,}",
    "an AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a Google key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "a GitLab token": r"\bglpat-[0-9A-Za-z_-]{20,}",
    "a Slack token": r"\bxox[abeoprs]-[0-9A-Za-z-]{20,}",
    "an npm token": r"\bnpm_[A-Za-z0-9]{36}\b|_authToken\s*=\s*(?!\$)[^\s$]{16,}",
    "a PyPI token": r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{20,}",
    "a Stripe key": r"\b[rs]k_live_[0-9A-Za-z]{20,}",
    "a password in a URL": r"\bhttps?://[^/\s:@$<{*]+:[^/\s@$<{*]{16,}@",
}  # fmt: skip
_PATTERNS = {what: re.compile(pattern.encode()) for what, pattern in _SECRETS.items()}
_DISTINCT_BYTES = 10
"""Below that a match is a placeholder such as `ghp_xxxxxxxx`."""
_MAX_SCANNED_BYTES = 5 * 1024**2


def secrets_in(git: Git, base: str, head: str) -> list[str]:
    """What the commits above `base` add that looks like a credential, each in words; never the value.

    Of every commit: what a later one takes out again is pushed with the branch all the same.
    """
    listed = git.text("rev-list", "--objects", head, f"^{base}").splitlines()
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


def _matches(body: bytes) -> dict[str, set[bytes]]:
    found = {}
    for what, pattern in _PATTERNS.items():
        values = {m.group(0) for m in pattern.finditer(body)}
        if values := {v for v in values if len(set(v)) >= _DISTINCT_BYTES}:
            found[what] = values
    return found
