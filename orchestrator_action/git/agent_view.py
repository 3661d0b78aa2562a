"""The git directory as an agent sees it: the objects and refs of all, a configuration of its own.

`git config user.name` in a linked worktree writes the configuration every worktree shares, and a hook
put into `.git/hooks` runs for everybody. So a worktree we hand out gets a directory of its own in place
of the shared one: objects, refs, logs and the rest are links to the real ones, while `config`, `hooks`
and `info` are copies. The agent may write there what it likes: nobody else reads it, our own git never
does (it is given GIT_COMMON_DIR), and what was written is known to be this task's doing.

The copy of the configuration has no credentials: what actions/checkout left for itself stays behind.
This is git's own contrib/workdir/git-new-workdir with the links that matter turned into copies.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from orchestrator_action.errors import WorktreeError
from orchestrator_action.git.process import spawn
from orchestrator_action.process.files import replace_file
from orchestrator_action.protocol.paths import shown

COPIED = ("config", "hooks", "info", "HEAD", "worktrees")
"""A symbolic link as HEAD would not be taken for a repository's."""

MADE, REFUSED = "orchestrator-made", "orchestrator-refused"
"""Files in a view: refs that its own git made, and refs it was kept from moving."""

_SHARED = (
    b"\n[core]\n\tfilesRefLockTimeout = 10000\n\tpackedRefsTimeout = 30000\n"
    b"[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
    b"[extensions]\n\tpreciousObjects = true\n"
)
"""Milliseconds: many agents move refs of one repository, and git's own 100 ms and 1 s are for people. Nor does a
commit tidy up behind everybody's back: killed on the way, it leaves a lock that ends all later maintenance. And
no object is deleted: `gc --prune=now` takes those of a commit that another task is just making, whose branch
does not name it yet. A `gc` packs refs then and leaves the objects alone; `prune` says that it must not."""

_PASSING = re.compile(
    r"\.lock$|^(FETCH|ORIG|MERGE|CHERRY_PICK|REVERT|BISECT)_HEAD$|^index|^COMMIT_EDITMSG$|^gc\."
)
_CREDENTIALS = re.compile(
    r"^(http\..*extraheader|http\.extraheader|credential\..*|includeif\..*|include\..*|core\.sshcommand|"
    r"http\..*(sslkey|sslcert|cookiefile|proxy.*)|remote\..*\.proxy|core\.askpass)$"
)
_USERINFO = re.compile(r"^([a-z][a-z0-9+.-]*://)[^/@]*@", re.IGNORECASE)


_GUARD = """#!/bin/sh
# All tasks and the user share the refs. This worktree moves its own branch, and what it made itself.
[ "$1" = prepared ] || exit 0
packing() {{
  case $(tr '\\0' ' ' 2>/dev/null <"/proc/$PPID/cmdline" || ps -o args= -p "$PPID" 2>/dev/null) in
    *"git pack-refs "*) return 0 ;;
  esac
  return 1
}}
while read -r old new ref; do
  case $ref in
    {own}) continue ;;
    refs/heads/{prefix}* | refs/orchestrator/*) made=/dev/null ;;
    refs/heads/* | refs/tags/*) made={made} ;;
    *) continue ;;
  esac
  grep -qxF -e "$ref" "$made" 2>/dev/null && continue
  grep -qxF -e "$old $ref" {packed} 2>/dev/null && [ -z "$(echo "$new" | tr -d 0)" ] && continue
  now=$(git rev-parse --verify --quiet "$ref")
  [ "$now" = "$new" ] && continue
  packing && continue
  if [ "$now" ] || [ "$made" = /dev/null ]; then
    echo "$ref" >>{refused}
    echo "$ref is not this task's own: it stays where it is" >&2
    exit 1
  fi
  echo "$ref" >>"$made"
done
"""
"""A `reference-transaction` hook. Source: git-scm.com, githooks(5).

Packing refs moves none: it writes each as it was read, and deletes the file of one that stands in
`packed-refs`. A real deletion of such a ref comes without its old value first. When another task moves the
ref meanwhile, only the name of the program tells packing from moving: git itself then leaves the file alone."""


def make_view(common: Path, view: Path, env: Mapping[str, str], *, branch: str) -> None:
    """Make (or make again) the view of `common` at `view`, for work on `branch`."""
    if view.is_symlink() or view.exists():
        shutil.rmtree(view)
    view.mkdir(parents=True)
    for entry in common.iterdir():
        if entry.name not in COPIED and not _PASSING.search(entry.name):
            (view / entry.name).symlink_to(entry)
    # Only its own worktree: git dies on reading one that another git is just making, and a prune by an
    # agent is nobody else's business.
    (view / "worktrees").mkdir()
    (view / "worktrees" / view.parent.name).symlink_to(view.parent)
    if not (common / "packed-refs").exists():
        (view / "packed-refs").symlink_to(common / "packed-refs")
    shutil.copyfile(common / "HEAD", view / "HEAD")
    _copy_tree(common / "info", view / "info")
    _copy_tree(common / "hooks", view / "hooks")
    _guard_refs(view, branch)
    shutil.copyfile(common / "config", view / "config")
    scrub(view / "config", env)
    with (view / "config").open("ab") as file:
        file.write(_SHARED)


def _guard_refs(view: Path, branch: str) -> None:
    """Refuse, in the agent's own git, to move what others rely on. A hook of the user's own goes first."""
    hook = view / "hooks" / "reference-transaction"
    if hook.exists() or hook.is_symlink():
        return
    files = {"made": MADE, "refused": REFUSED, "packed": "packed-refs"}
    words = {
        "own": f"refs/heads/{branch}",
        "prefix": branch.partition("/")[0] + "/",
        **{k: str(view / name) for k, name in files.items()},
    }
    hook.write_text(
        _GUARD.format(**{k: shlex.quote(v) for k, v in words.items()}),
        encoding="utf-8",
        errors="surrogateescape",
    )
    hook.chmod(0o755)


def refused(view: Path) -> tuple[str, ...]:
    """Refs that the agent's git was kept from moving."""
    try:
        lines = (view / REFUSED).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    return tuple(dict.fromkeys(shown(line) for line in lines))


def _copy_tree(source: Path, target: Path) -> None:
    target.mkdir()
    if source.is_dir():
        shutil.copytree(
            source, target, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sample")
        )


def scrub(config: Path, env: Mapping[str, str], *, also: str = r"(?!)") -> None:
    """Take credentials, what leads to them, and keys that match `also`, out of a copied configuration."""
    listed = spawn(["config", "--file", str(config), "--no-includes", "--list", "-z"], env=env)
    if listed.code:
        raise WorktreeError(
            f"{config.name} of the repository cannot be read", hint="git config --list --local"
        )
    pairs = [os.fsdecode(e).partition("\n") for e in listed.out.split(b"\0") if e]
    for key in dict.fromkeys(
        k for k, _, _ in pairs if _CREDENTIALS.match(k.lower()) or re.fullmatch(also, k)
    ):
        spawn(["config", "--file", str(config), "--unset-all", key], env=env)
    for key, _, value in pairs:
        if key.endswith(("url", ".insteadof")) and _USERINFO.match(value) and "://" in value:
            clean = _USERINFO.sub(r"\1", value)
            spawn(["config", "--file", str(config), "--replace-all", key, clean, re.escape(value)], env=env)


def use_view(admin: Path, view: Path | None, common: Path) -> None:
    """Point the worktree directory `admin` at a view, or back at the shared directory with None."""
    target = str(view) if view else os.path.relpath(common, admin)
    replace_file(admin / "commondir", f"{target}\n".encode("utf-8", "surrogateescape"), sync=False)


def drop_view(view: Path) -> None:
    """Remove a view; links are removed, not what they point at."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(view)
