"""A failure that the walls caused is named as such, by what the program itself printed last."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping

from orchestrator_action.sandbox.policy import Level, Policy
from orchestrator_action.sandbox.view import Shown, arrange, find_folders, real, shown_in

_READ_ONLY = re.compile(r"read-only file ?system|EROFS|Errno 30\b", re.IGNORECASE)
_MISSING = re.compile(
    r"no such file|ENOENT|Errno 2\b|not found|can(?:no|')t open|does not exist|cannot find", re.IGNORECASE
)
_DENIED = re.compile(r"permission denied|EACCES|Errno 13\b", re.IGNORECASE)
_PATH = re.compile(r"(?<![\w./])(/[\w.+@~-]+(?:/[\w.+@~-]+)+)")
_NO_NETWORK = re.compile(
    r"temporary failure in name resolution|could not resolve host|network is unreachable|getaddrinfo|EAI_AGAIN|"
    r"ENOTFOUND|no address associated with hostname|name or service not known",
    re.IGNORECASE,
)
_READ_ONLY_WORDS = "is read-only in the sandbox (`sandbox: {write: […]}` opens it)"
_HIDDEN_WORDS = "is hidden in the sandbox (`sandbox: {read: […]}` shows it)"
_NETWORK_WORDS = "its policy takes the network from it (`network` in the configuration)"

_BY_PROXY_WORDS = "in the sandbox only what uses HTTP_PROXY reaches a host (`egress` in the configuration)"


def hint_of(output: str, policy: Policy, env: Mapping[str, str]) -> str:
    """Why the walls may be what made a program fail, with the setting that opens them; empty when nothing says so.

    `env` is what the program was to get, before the walls changed it: it says which folders are hidden.
    """
    if not policy.walled:
        return ""
    rules = dict(arrange(policy, find_folders(env, masked=policy.mask)))
    for line in reversed(output.splitlines()):
        named = [(path, shown_in(real(path), rules)) for path in _PATH.findall(line)]
        if _READ_ONLY.search(line):
            path = _last(p for p, shown in named if shown is not Shown.WRITE) or "a path outside its tree"
            return f"{path} {_READ_ONLY_WORDS}"
        if _DENIED.search(line) and policy.level is Level.CONFINED and (path := _last(_ours(named))):
            return f"{path} {_READ_ONLY_WORDS}"
        hidden = _last(p for p, shown in named if shown is Shown.HIDDEN and os.path.lexists(p))
        if hidden and (_MISSING.search(line) or _DENIED.search(line)):
            return f"{hidden} {_HIDDEN_WORDS}"
        if not policy.network and _NO_NETWORK.search(line):
            return _BY_PROXY_WORDS if policy.way_out else _NETWORK_WORDS
    return ""


def _ours(named: Iterable[tuple[str, Shown]]) -> Iterator[str]:
    """Paths that we may write and the program may only read: Landlock calls both kinds of refusal the same."""
    for path, shown in named:
        there = path if os.path.lexists(path) else os.path.dirname(path)
        if shown is Shown.READ and os.access(there, os.W_OK):
            yield path


def _last(paths: Iterable[str]) -> str:
    return next(iter(reversed(list(paths))), "")
