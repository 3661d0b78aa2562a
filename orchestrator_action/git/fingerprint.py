"""What a repository's configuration and hooks were, and what became of them, in plain sentences."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrator_action.git.process import spawn
from orchestrator_action.protocol.paths import shown

Fingerprint = Mapping[str, str]
"""Name → value: `config:<key>` settings, `hook:<name>` and `file:<name>` digests. JSON as it stands."""

_WATCHED_FILES = ("info/exclude", "info/attributes", "info/grafts", "objects/info/alternates", "shallow")
_HARMLESS = (
    "config:branch.", "config:gc.", "config:maintenance.", "config:lfs.", "config:submodule.",
    "config:extensions.worktreeconfig", "config:core.sparsecheckout",
)  # fmt: skip
"""What ordinary work in a checkout (a new branch, a fetch, a submodule) writes by itself."""
_BY_PACKAGE_MANAGERS = (".husky", ".husky/_")
"""core.hooksPath as `npm install` sets it in a repository that uses husky."""


_LFS = "git-lfs"
_LFS_HOOK = re.compile(
    r"#!/bin/sh\ncommand -v git-lfs >/dev/null 2>&1 \|\| \{ (?:echo|printf) >&2 (?:\"[^\"$`]*\" ?)+; exit 2; \}\n"
    r"git lfs (?P<name>post-checkout|post-commit|post-merge|pre-push) \"\$@\"\n?"
)
"""The hooks that git-lfs puts into a repository by itself as soon as one of its files is added or checked out."""


def take(directory: Path, env: Mapping[str, str]) -> dict[str, str]:
    """The fingerprint of a common git directory or of a view of one."""
    found = {f"config:{k}": v for k, v in _settings(directory / "config", env).items()}
    hooks = directory / "hooks"
    for hook in sorted(hooks.iterdir()) if hooks.is_dir() else []:
        if not hook.name.endswith(".sample"):
            found[f"hook:{hook.name}"] = _LFS if _is_of_lfs(hook) else _digest(hook)
    for name in _WATCHED_FILES:
        if (directory / name).exists():
            found[f"file:{name}"] = _digest(directory / name)
    return found


def _settings(config: Path, env: Mapping[str, str]) -> dict[str, str]:
    done = spawn(["config", "--file", str(config), "--no-includes", "--list", "-z"], env=env)
    if done.code:
        return {"(unreadable)": _digest(config)}
    pairs = [os.fsdecode(e).partition("\n") for e in done.out.split(b"\0") if e]
    found: dict[str, list[str]] = {}
    for key, _, value in pairs:
        found.setdefault(key, []).append(value)
    # Values are kept as digests: a fingerprint is written to disk, and a setting may hold a credential.
    return {k: _short("\0".join(v)) for k, v in found.items()}


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _is_of_lfs(hook: Path) -> bool:
    try:
        if hook.is_symlink() or hook.stat().st_size > 4096:
            return False
        found = _LFS_HOOK.fullmatch(hook.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return found is not None and found["name"] == hook.name


def _digest(path: Path) -> str:
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            return f"-> {path.readlink()}"
        runs = "x" if mode & 0o111 else "-"
        return (
            runs + hashlib.sha256(path.read_bytes()).hexdigest()[:16] if stat.S_ISREG(mode) else "not a file"
        )
    except OSError as exc:
        return f"unreadable: {exc.strerror}"


def compare(before: Fingerprint, after: Fingerprint, *, ignore: Iterable[str] = _HARMLESS) -> tuple[str, ...]:
    """One sentence per difference, naming what was changed."""
    skip = tuple(ignore)
    sentences = []
    for name in sorted({*before, *after}):
        if before.get(name) == after.get(name) or name.startswith(skip):
            continue
        if name not in before and name.startswith("config:remote."):
            continue  # a further remote is nobody's harm: ours was resolved before
        if name == "config:core.hookspath" and after.get(name) in {_short(v) for v in _BY_PACKAGE_MANAGERS}:
            continue
        if name not in before and after[name] == _LFS:
            continue
        kind, _, what = name.partition(":")
        did = "added" if name not in before else "removed" if name not in after else "changed"
        thing = {"config": "git setting", "hook": "git hook", "file": "git file"}[kind]
        sentences.append(f"{thing} {shown(what)} was {did}")
    return tuple(sentences)
