"""One git process: the program, its environment, its settings, and its faults as GitErrors.

What stands here holds for every git we start, whatever repository it works on.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator_action.errors import GitError
from orchestrator_action.protocol.attempt import Command
from orchestrator_action.sandbox.policy import TRUSTED
from orchestrator_action.sandbox.spawn import PIPE
from orchestrator_action.sandbox.start import start

KEPT_VARIABLES = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "XDG_CONFIG_HOME",
        "XDG_RUNTIME_DIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DEVELOPER_DIR", "NIX_PROFILES",
        "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM",
    }
)  # fmt: skip
"""What a git of ours sees of the caller's environment."""

TRANSPORT_VARIABLES = frozenset(
    {
        "SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_ASKPASS", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT",
        "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE",
        "http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",
        "NO_PROXY",
    }
)  # fmt: skip
"""What a git that talks to a remote sees on top of it."""

HARDENED = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.commitGraph=false",
    "core.alternateRefsCommand=exit 0;",
    "core.quotePath=false",
    "core.checkStat=default",
    "core.trustctime=true",
    "core.pager=cat",
    "core.askPass=",
    "diff.external=",
    "diff.ignoreSubmodules=none",
    "log.showSignature=false",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "protocol.ext.allow=never",
    "worktree.useRelativePaths=false",
    "core.filesRefLockTimeout=10000",
    "core.packedRefsTimeout=30000",
)
"""Given with -c to every git; each undoes something a repository's configuration could start or forge."""

TIMEOUT_S = 600.0
STUCK_AFTER_S = 3.0
"""How often it is looked what a git waits for."""


@functools.cache
def git_program(path: str | None = None) -> str:
    """The absolute path of git, looked up once: what appears on PATH later is not ours.

    One that an agent of an earlier step may have put into our home folder comes last.
    """
    folders = (os.environ.get("PATH", os.defpath) if path is None else path).split(os.pathsep)
    found = [Path(g).absolute() for f in folders if f and (g := shutil.which("git", path=f))]
    if not found:
        raise GitError("git is not installed", hint="install git 2.38 or newer")
    return str(next((g for g in found if not _is_homemade(g.parent)), found[0]))


def _is_homemade(folder: Path) -> bool:
    """Whether the current user could have put programs into a folder of his home."""
    home = Path("~").expanduser().resolve()
    real = folder.resolve()
    return real.is_relative_to(home) and home != Path(home.anchor) and os.access(real, os.W_OK)


def identity_env(name: str, email: str) -> dict[str, str]:
    """Author and committer for commits, given by environment so that no configuration is written."""
    return {
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
    }


def base_env(env: Mapping[str, str], extra: Iterable[str] = ()) -> dict[str, str]:
    """The environment of one of our gits: allow-listed, in English, never asking anybody anything."""
    keep = KEPT_VARIABLES | frozenset(extra)
    return {
        **{k: v for k, v in env.items() if k in keep},
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_PAGER": "cat",
        "GIT_EDITOR": ":",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_GRAFT_FILE": "/dev/null",
    }


@dataclass(frozen=True, slots=True)
class Done:
    """How one git ended."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Standard output without its last newline."""
        return os.fsdecode(self.out).removesuffix("\n")


def last_line(err: str) -> str:
    """The line of git's error output that says why."""
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    for prefix in ("fatal:", "error:", "! [", "remote: error:"):
        for line in reversed(lines):
            if line.startswith(prefix):
                return line.removeprefix("fatal:").removeprefix("error:").strip()
    return lines[-1] if lines else ""


def hint_for(err: str) -> str:
    """What to do next about a fault git named; empty when git's words are all there is."""
    known = {
        "dubious ownership": "git config --global --add safe.directory <the path git names>",
        "not a git repository": "run inside a git repository, or name one with --repo",
        ".lock': File exists": "another git is at work, or one was killed: if none runs, remove that file",
        "No space left": "free some disk space",
        "Permission denied": "check who owns the repository",
        "bad object": "the repository is damaged or too shallow: git fetch --unshallow",
    }
    return next((hint for sign, hint in known.items() if sign in err), "")


def spawn_git(
    args: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdin: bytes = b"",
    timeout_s: float = TIMEOUT_S,
    keep_fds: Sequence[int] = (),
    started: Callable[[int], None] | None = None,
    stuck: Callable[[], str] | None = None,
) -> Done:
    """Run git once. `args` is everything after the program's name.

    In a session of its own: a Ctrl-C meant for us must not leave a half-made worktree. `started` is called
    with the session's number when it runs. `stuck` is asked now and then what git waits for in vain; words end it.
    Raises GitError when git cannot be started, is stuck or takes longer than `timeout_s`.
    """
    command = Command(argv=(git_program(), *args), cwd=str(cwd or ""), env=env)
    try:
        process = start(command, TRUSTED, stdin=PIPE, stdout=PIPE, stderr=PIPE, keep_fds=keep_fds)
    except (OSError, ValueError) as exc:
        raise GitError(
            f"git {shown_command(args)} could not be started: {exc}",
            hint=f"is git installed, and {cwd or 'this directory'} there?",
        ) from exc
    with process:
        if started:
            started(process.pid)
        try:
            out, err = _communicate(process, stdin, timeout_s, stuck)
        except BaseException as exc:
            _end(process)
            if not isinstance(exc, subprocess.TimeoutExpired):
                raise
            took = f"took longer than {timeout_s:.0f} s and was stopped"
            raise GitError(
                f"git {shown_command(args)} {took}", hint="does the remote answer, and the disk?"
            ) from exc
    return Done(process.returncode, out, err.decode("utf-8", "replace"))


def _communicate(
    process: subprocess.Popen[bytes], stdin: bytes, timeout_s: float, stuck: Callable[[], str] | None
) -> tuple[bytes, bytes]:
    """As `communicate`. Raises TimeoutExpired, and GitError with the words of `stuck`."""
    until, given = time.monotonic() + timeout_s, stdin or None
    while stuck:
        try:
            return process.communicate(given, timeout=min(STUCK_AFTER_S, timeout_s))
        except subprocess.TimeoutExpired:
            if why := stuck():
                raise GitError(why, hint="what git reads has to be plain files") from None
            if time.monotonic() > until:
                raise
        given = None
    return process.communicate(stdin, timeout=timeout_s)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill git and what it started (a transport holds the pipes), and let go of the pipes."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            with contextlib.suppress(OSError):
                pipe.close()


def shown_command(args: Sequence[str]) -> str:
    """The command without our own settings, as it can be shown."""
    rest = list(args)
    while rest[:1] in (["-c"], ["--no-pager"]):
        rest = rest[2:] if rest[0] == "-c" else rest[1:]
    return " ".join(rest[:6]) + (" …" if len(rest) > 6 else "")


def checked(done: Done, args: Sequence[str]) -> Done:
    """`done`, when git ended well; GitError with git's own words otherwise."""
    if done.code == 0:
        return done
    why = last_line(done.err) or f"exit code {done.code}"
    raise GitError(f"git {shown_command(args)}: {why}", hint=hint_for(done.err))


def config_arguments(pairs: Iterable[str]) -> list[str]:
    """`-c` for each of `key=value`."""
    return [part for pair in pairs for part in ("-c", pair)]
