"""What an agent's tools are refused, with the reason it is told: the logic of the plugin's PreToolUse hook.

A guard rail, not a wall. The wall is that the agent holds no token, and that a git which holds one
obeys nothing the agent wrote; this spares an honest agent the detour and the others a broken remote.
Stdlib only and pure but for resolving links in paths: it runs before every shell call of a session.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from orchestrator_action.agents.claude.shell import SUBSTITUTION, SimpleCommand, commands

PUSH = "pushing is not for agents: `orchestrator-phase done pull-request` pushes and opens the pull request"
REMOTE = "remotes stay as they are: all tasks share them"
CONFIG = "git's configuration is shared by all tasks; set a value for one command with `git -c NAME=VALUE`"
ONE_OFF = "this setting would have git run or reach something that is not part of the task"
GIT_FILES = "git's own files (configuration, hooks) are not part of the task"
NO_VERIFY = "hooks must not be skipped: mend what they object to"
WORKTREE = "one worktree per task: stay in this one, and make, move or remove none"
NO_CREDENTIALS = "credentials are not for agents; the broker does what needs them"

_SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh", "ash", "fish", "busybox"})
_INTERPRETER = re.compile(r"(python|pypy|node|deno|bun|perl|ruby|php)[\d.]*")
_WRAPPERS = re.compile(
    r"sudo|doas|env|command|exec|nohup|nice|ionice|timeout|gtimeout|setsid|stdbuf|xargs|parallel|find"
    r"|watch|strace|ltrace|flock|script|unshare|chroot|su|runuser|builtin|time|caffeinate|systemd-run"
    r"|entr"
)
_GIT_OPTIONS_WITH_VALUE = frozenset(
    {"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path", "--super-prefix", "--config-env"}
)
_ONE_OFF_REFUSED = re.compile(
    r"(alias|remote|url|credential|http|include|includeif|protocol|push|branch)\..*"
    r"|core\.(hookspath|sshcommand|fsmonitor|gitproxy|askpass|worktree)",
    re.IGNORECASE,
)
_HOOK_SWITCHES = frozenset(
    {"HUSKY", "HUSKY_SKIP_HOOKS", "LEFTHOOK", "SKIP", "OVERCOMMIT_DISABLE", "PRE_COMMIT_ALLOW_NO_CONFIG"}
)
_CONFIG_BY_ENVIRONMENT = re.compile(
    r"GIT_CONFIG_(COUNT|KEY_\d+|VALUE_\d+|PARAMETERS)|GIT_(SSH_COMMAND|SSH|ASKPASS|PROXY_COMMAND)"
)
_GIT_FILE = re.compile(
    rf"(^|/)(\.git|{SUBSTITUTION}|[^/]*\.git/worktrees/[^/]+)/(config|config\.worktree|hooks|info)(/|$)"
)
_CHANGES_FILES = re.compile(
    r"rm|mv|cp|tee|sed|chmod|chown|ln|truncate|install|touch|dd|unlink|rsync|perl|ed|patch"
)
_ARGUMENT_OF_PUSH = re.compile(r"""\bgit(?:["',\s\[\]()]|-c|-C)+(?:[^"',\s]+["',\s]+){0,4}?push\b""")

_COMMIT_SHORT_WITH_VALUE = "mFCct"
_DEEPEST = 6


def pre_tool(event: Mapping[str, Any], worktree: str, notes: str = "") -> str:
    """Why this tool call is refused, or an empty string.

    `event` is the hook's JSON (`tool_name`, `tool_input`, `cwd`); `notes` a folder outside the worktree
    where the agent may write too. Source: code.claude.com/docs, "Hooks reference", PreToolUse.
    """
    tool = event.get("tool_name")
    given = event.get("tool_input")
    given = given if isinstance(given, Mapping) else {}
    if tool in {"EnterWorktree", "ExitWorktree"}:
        return WORKTREE
    if tool in {"Write", "Edit", "MultiEdit", "NotebookEdit"}:
        path = given.get("file_path") or given.get("notebook_path") or ""
        return _path(str(path), str(event.get("cwd") or worktree), worktree, notes)
    command = given.get("command")
    return shell(command) if isinstance(command, str) else ""


def shell(text: str, *, depth: int = 0) -> str:
    """Why this piece of shell is refused, or an empty string."""
    if depth > _DEEPEST:
        return "this command is nested too deeply to be understood; write it out"
    return next((why for c in commands(text) if (why := _command(c, depth))), "")


def _path(path: str, cwd: str, worktree: str, notes: str) -> str:
    if not path:
        return ""
    target = os.path.realpath(Path(cwd) / Path(path).expanduser())
    home = os.path.realpath(worktree)
    if notes and _inside(target, os.path.realpath(notes)):
        return ""
    if not _inside(target, home):
        return f"{path} is outside the worktree {home}; write inside it, or notes into $ORCHESTRATOR_NOTES"
    if PurePath(target).relative_to(home).parts[:1] == (".git",):
        return GIT_FILES
    return ""


def _inside(target: str, folder: str) -> bool:
    return os.path.commonpath([target, folder]) == folder and target != folder


def _command(command: SimpleCommand, depth: int) -> str:
    if any(_CONFIG_BY_ENVIRONMENT.fullmatch(n) for n in command.assigned):
        return ONE_OFF
    if any(_GIT_FILE.search(t) for t in command.writes_to):
        return GIT_FILES
    words = command.words
    if not words:
        return ""
    name = PurePath(words[0]).name
    if _WRAPPERS.fullmatch(name):
        return _wrapped(command, depth)
    if name == "git" or name.startswith("git-"):
        git = words[1:] if name == "git" else [name.removeprefix("git-"), *words[1:]]
        return _git(git, skips_hooks=bool(_HOOK_SWITCHES & command.assigned.keys()), depth=depth)
    if name in _SHELLS:
        return _shell_command(command, depth)
    if name in {"eval", "trap"}:
        return shell(" ".join(words[1:]), depth=depth + 1)
    if name == "export" and any(_CONFIG_BY_ENVIRONMENT.fullmatch(w.split("=")[0]) for w in words[1:]):
        return ONE_OFF
    if _CHANGES_FILES.fullmatch(name) and any(_GIT_FILE.search(w) for w in words[1:]):
        return GIT_FILES
    if _INTERPRETER.fullmatch(name) and any(_ARGUMENT_OF_PUSH.search(t) for t in [*words[1:], *command.here]):
        return PUSH
    return ""


def _wrapped(command: SimpleCommand, depth: int) -> str:
    """Of `sudo -u x env A=1 git push` it is the git that counts, whatever the options before it."""
    for index, word in enumerate(command.words[1:], 1):
        name, equals, value = word.partition("=")
        if equals and name.isidentifier():
            command.assigned[name] = value
            continue
        base = PurePath(word).name
        if (
            base == "git"
            or base.startswith("git-")
            or base in _SHELLS | {"eval"}
            or _INTERPRETER.fullmatch(base)
        ):
            inner = SimpleCommand(
                command.words[index:], command.assigned, command.writes_to, command.here, command.piped_from
            )
            return _command(inner, depth)
    return ONE_OFF if any(_CONFIG_BY_ENVIRONMENT.fullmatch(n) for n in command.assigned) else ""


def _shell_command(command: SimpleCommand, depth: int) -> str:
    words = command.words[1:]
    for index, word in enumerate(words):
        if re.fullmatch(r"-[a-z]*c[a-z]*", word):
            return shell(" ".join(words[index + 1 : index + 2]), depth=depth + 1)
        if not word.startswith(("-", "+")):
            break
    fed = list(command.here)
    before = command.piped_from
    if before and before.words and PurePath(before.words[0]).name in {"echo", "printf", "cat"}:
        fed += [" ".join(before.words[1:]).replace("\\n", "\n"), *before.here]
    return next((why for text in fed if (why := shell(text, depth=depth + 1))), "")


def _git(words: Sequence[str], *, skips_hooks: bool, depth: int) -> str:
    rest, why = _without_global_options(words)
    if why or not rest:
        return why
    sub, args = rest[0], list(rest[1:])
    if sub in {"push", "send-pack", "http-push"} or (sub in {"subtree", "lfs"} and "push" in args):
        return PUSH
    if (sub, *args[:1]) in {("svn", "dcommit"), ("p4", "submit")}:
        return PUSH
    if sub in {"credential", "credential-store", "credential-cache"}:
        return NO_CREDENTIALS
    if sub == "remote":
        return "" if _first(args) in {"", "show", "get-url", "update"} else REMOTE
    if sub == "config":
        return CONFIG if _writes_config(args) else ""
    if sub == "worktree":
        return "" if _first(args) in {"", "list"} else WORKTREE
    if sub == "branch" and any(
        re.fullmatch(r"-u.*|--set-upstream(-to)?(=.*)?|--unset-upstream", a) for a in args
    ):
        return REMOTE
    if sub == "maintenance" and _first(args) in {"register", "unregister", "start", "stop"}:
        return CONFIG
    if skips_hooks or _skips_hooks(sub, args):
        return NO_VERIFY
    if sub in {"rebase", "bisect", "submodule", "filter-branch"}:
        return _runs_shell(args, depth)
    return ""


def _runs_shell(args: Sequence[str], depth: int) -> str:
    """`rebase --exec`, `submodule foreach`, `bisect run` and filters run what they are given."""
    if any(a in {"run", "foreach"} for a in args):
        return shell(" ".join(a for a in args if a not in {"run", "foreach", "--recursive"}), depth=depth + 1)
    return next(
        (why for a in args if " " in a and (why := shell(a.partition("=")[2] or a, depth=depth + 1))), ""
    )


def _without_global_options(words: Sequence[str]) -> tuple[Sequence[str], str]:
    """The subcommand and what follows, and why an option before it is refused."""
    index = 0
    while index < len(words) and words[index].startswith("-"):
        word = words[index]
        value = (
            words[index + 1]
            if word in _GIT_OPTIONS_WITH_VALUE and index + 1 < len(words)
            else word.partition("=")[2]
        )
        if (word in {"-c", "--config-env"} or word.startswith("--config-env=")) and _ONE_OFF_REFUSED.match(
            value
        ):
            key = value.partition("=")[0].lower()
            return (), NO_VERIFY if key == "core.hookspath" else ONE_OFF
        index += 2 if word in _GIT_OPTIONS_WITH_VALUE else 1
    return words[index:], ""


def _first(args: Sequence[str]) -> str:
    return next((a for a in args if not a.startswith("-")), "")


def _writes_config(args: Sequence[str]) -> bool:
    """Reading is `--get…`, `--list`, `get`, `list`, or one name alone; all else writes."""
    plain, index = [], 0
    while index < len(args):
        arg = args[index]
        if re.fullmatch(r"--get(-\w+)*|-l|--list|--help|-h", arg):
            return False
        if arg in {"-f", "--file", "--blob", "--type", "--default"}:
            index += 1
        elif re.fullmatch(r"--(add|unset|unset-all|replace-all|rename-section|remove-section|edit)|-e", arg):
            return True
        elif not arg.startswith("-"):
            plain.append(arg)
        index += 1
    if plain[:1] in (["get"], ["list"]):
        return False
    if plain[:1] in (["set"], ["unset"], ["edit"], ["rename-section"], ["remove-section"]):
        return True
    return len(plain) > 1


def _skips_hooks(sub: str, args: Sequence[str]) -> bool:
    index = 0
    while index < len(args) and args[index] != "--":
        arg = args[index]
        if re.fullmatch(r"--no-veri(f|fy)?", arg):
            return True
        if sub in {"commit", "am"} and re.fullmatch(r"-[A-Za-z]+.*", arg, re.DOTALL):
            flags, takes_next = _cluster(arg[1:]) if sub == "commit" else (arg[1:], False)
            if "n" in flags:
                return True
            index += takes_next
        elif sub == "commit" and arg in {
            "--message",
            "--file",
            "--author",
            "--date",
            "--template",
            "--trailer",
            "--fixup",
        }:
            index += 1
        index += 1
    return False


def _cluster(letters: str) -> tuple[str, bool]:
    """The flags of `-anm`, and whether the last takes the next word: `-m` takes what follows it."""
    for index, letter in enumerate(letters):
        if letter in _COMMIT_SHORT_WITH_VALUE:
            return letters[:index], index == len(letters) - 1
        if letter in "Su":
            return letters[:index], False
    return letters, False
