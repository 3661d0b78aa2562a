"""The seam: every child process of the orchestrator starts here, with the policy that holds it.

What is supervised goes through the guard, in two halves: `prepare` here, `spawn` there. What is short
goes through `start` or `ask`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator_action.protocol.attempt import Command
from orchestrator_action.sandbox import bubblewrap, landlock
from orchestrator_action.sandbox.policy import TRUSTED, Level, Policy
from orchestrator_action.sandbox.spawn import DEVNULL, PIPE, Stream, spawn
from orchestrator_action.sandbox.view import arrange, find_folders, walled_env

TimeoutExpired = subprocess.TimeoutExpired
"""What `ask` raises for a program that takes too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A command as it is really started: `prefix` builds the walls and then executes `argv`."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    prefix: tuple[str, ...] = ()


def prepare(command: Command, policy: Policy, *, supervised: bool = True) -> Prepared:
    """The command within the walls of `policy`, whose scratch is made where it is not there yet.

    A `supervised` one tells a guard how it ended: the descriptor for that comes last in the prefix.
    """
    env = {**command.env, **dict(policy.env)}
    if not policy.walled:
        return Prepared(argv=command.argv, cwd=command.cwd, env=env)
    folders = find_folders(env, command.argv[0] if command.argv else "", masked=policy.mask)
    for name in ("home", "tmp") if policy.scratch else ():
        Path(policy.scratch, name).mkdir(parents=True, exist_ok=True, mode=0o700)
    cwd = os.path.abspath(command.cwd or ".")  # within, where we are now may be hidden
    if policy.level is Level.CONFINED:
        prefix = landlock.prefix(arrange(policy, folders), supervised=supervised)
    else:
        prefix = bubblewrap.prefix(policy, folders, cwd=cwd, supervised=supervised)
    return Prepared(argv=command.argv, cwd=command.cwd, env=walled_env(env, policy, folders), prefix=prefix)


def start(
    command: Command,
    policy: Policy,
    *,
    stdin: Stream = DEVNULL,
    stdout: Stream = DEVNULL,
    stderr: Stream = DEVNULL,
    keep_fds: Sequence[int] = (),
    new_session: bool = True,
) -> subprocess.Popen[bytes]:
    """Start `command` within `policy`. An empty `cwd` is our own directory.

    Raises OSError or ValueError when it cannot be started.
    """
    ready = prepare(command, policy, supervised=False)
    return spawn(
        [*ready.prefix, *ready.argv], env=ready.env, cwd=ready.cwd or None, stdin=stdin, stdout=stdout,
        stderr=stderr, keep_fds=keep_fds, new_session=new_session,
    )  # fmt: skip


def run_to_end(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    policy: Policy = TRUSTED,
    timeout_s: float | None = None,
    stderr: Stream = PIPE,
    new_session: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a short program to its end and return what it printed.

    Raises OSError when it cannot be started, TimeoutExpired when it takes longer; it is ended then.
    """
    command = Command(argv=tuple(argv), cwd=str(cwd or ""), env=env)
    with start(command, policy, stdout=PIPE, stderr=stderr, new_session=new_session) as process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(list(argv), process.returncode, _words(out), _words(err))


def _words(output: bytes | None) -> str:
    return (output or b"").decode("utf-8", "replace")
