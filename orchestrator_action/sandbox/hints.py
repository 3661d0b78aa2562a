"""A failure that the walls caused is named as such, by what the program itself printed last."""

from __future__ import annotations

import re

from orchestrator_action.sandbox.policy import Policy

_READ_ONLY = re.compile(r"read-only file ?system|EROFS|Errno 30\b", re.IGNORECASE)
_PATH = re.compile(r"(?<![\w./])(/[\w.+@~-]+(?:/[\w.+@~-]+)+)")
_NO_NETWORK = re.compile(
    r"temporary failure in name resolution|could not resolve host|network is unreachable|getaddrinfo|EAI_AGAIN|"
    r"ENOTFOUND|no address associated with hostname|name or service not known",
    re.IGNORECASE,
)
_NETWORK_WORDS = "its policy takes the network from it (`network` in the configuration)"


def hint_of(output: str, policy: Policy) -> str:
    """Why the walls may be what made a program fail, with the setting that opens them; empty when nothing says so."""
    if not policy.walled:
        return ""
    for line in reversed(output.splitlines()):
        if _READ_ONLY.search(line):
            return (
                f"{_read_only(line, policy)} is read-only in the sandbox (`sandbox: {{write: […]}}` opens it)"
            )
        if not policy.network and _NO_NETWORK.search(line):
            return _NETWORK_WORDS
    return ""


def _read_only(line: str, policy: Policy) -> str:
    """The path that the line names, when it is none of those that may be written."""
    paths = [p for p in _PATH.findall(line) if not any(p == w or p.startswith(f"{w}/") for w in policy.write)]
    return paths[-1] if paths else "a path outside its tree"
