"""What gates are told about the push: from which commit to which, the ref, the remote, the changed files.

As variables (`ORCHESTRATOR_FROM`, `_TO`, `_REF`, `_REMOTE`, `_FILES`) and as `{from} {to} {ref} {remote} {files}`
in a command. A ref's name is somebody's text: it reaches the shell as the value of a variable only.
"""

import os

from orchestrator_action.errors import ConfigError, GitError
from orchestrator_action.hook.fast_git import git, without_login, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator_action.hook.push import Push, PushWork

MOST_FILES_BYTES = 100_000
"""Linux takes 128 KiB in one argument, and a command is one."""
EMPTY_TREES = {
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
"""The id of the empty tree, by the length of ids. Source: `git hash-object -t tree /dev/null`."""
_VARIABLES = {
    "{from}": '"$ORCHESTRATOR_FROM"',
    "{to}": '"$ORCHESTRATOR_TO"',
    "{ref}": '"$ORCHESTRATOR_REF"',
    "{remote}": '"$ORCHESTRATOR_REMOTE"',
}


class PushFacts:
    """The variables of a commit's gates, and the paths that its changes touch and leave in place."""

    __slots__ = ("files", "variables")

    def __init__(self, variables: dict[str, str], files: list[str]) -> None:
        self.variables = variables
        self.files = files


def facts_of(item: "PushWork", push: "Push", *, folder: str) -> PushFacts:
    """Find out what is pushed; `ORCHESTRATOR_FILES` names a file in `folder` with one path a line.

    From is what the ref was at the remote; for a new ref, and where this clone does not have that, the
    commit at which the branch left the base; without a base the empty tree.
    Raises GitError when git cannot tell: a gate about no files would pass.
    """
    ref = item.first
    start = "" if ref.creates else ref.remote_oid
    code, out = _changed(start, item.commit) if start else (1, b"")
    if code:
        left_at = git("merge-base", push.base, item.commit)[1].decode().strip() if push.base else ""
        for start in filter(None, (left_at, EMPTY_TREES[len(item.commit)])):
            code, out = _changed(start, item.commit)
            if code == 0:
                break
        else:
            raise GitError(
                f"git cannot tell which files {item.commit[:12]} changes (exit code {code})",
                hint="run git diff in your checkout: its settings may be broken",
            )
    files = [os.fsdecode(path) for path in out.split(b"\0") if path]
    listing = os.path.join(folder, "changed-files")
    write_file(listing, os.fsencode("".join(f"{path}\n" for path in files)))
    variables = {
        "ORCHESTRATOR_FROM": start,
        "ORCHESTRATOR_TO": item.commit,
        "ORCHESTRATOR_REF": ref.remote,
        "ORCHESTRATOR_REMOTE": without_login(push.remote),
        "ORCHESTRATOR_FILES": listing,
    }
    return PushFacts(variables, files)


def _changed(start: str, end: str) -> tuple[int, bytes]:
    """The paths that differ and are there at the end, as `git diff -z` gives them."""
    options = (
        "--name-only",
        "--no-renames",
        "--no-relative",
        "--diff-filter=d",
        "--no-ext-diff",
        "-O/dev/null",
        "-z",
    )
    return git("diff", *options, start, end, "--")


def filled(command: str, facts: PushFacts) -> tuple[str, "Mapping[str, str]"]:
    """A gate's command with its places filled, and the variables it gets.

    Raises ConfigError when the changed files are too many for one command.
    """
    for place, variable in _VARIABLES.items():
        command = command.replace(place, variable)
    if "{files}" in command:
        words = " ".join(map(_shell_word, facts.files))
        if len(os.fsencode(words)) > MOST_FILES_BYTES:
            raise ConfigError(
                f"{len(facts.files)} changed files are too many for {{files}} in one command",
                hint='read the paths from the file "$ORCHESTRATOR_FILES", one a line',
            )
        command = command.replace("{files}", words)
    return command, facts.variables


def _shell_word(path: str) -> str:
    """A path as one word of a shell, and never taken for an option."""
    plain = f"./{path}" if path.startswith("-") else path
    return "'" + plain.replace("'", "'\\''") + "'"
