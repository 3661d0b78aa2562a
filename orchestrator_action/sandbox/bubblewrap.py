"""Level `sandboxed`: the command line of bubblewrap for a policy.

bubblewrap builds the namespaces and ends with them; what runs first within is our `inside.py`. A
process in there sees the system read-only, a private HOME, /tmp and /run, the processes of its own
namespace, and gains no privilege by executing anything. Source: bwrap(1).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from orchestrator_action.sandbox.families import FILTER_FILE
from orchestrator_action.sandbox.forward import PROXY_PORT
from orchestrator_action.sandbox.policy import Policy
from orchestrator_action.sandbox.view import Folders, Shown, arrange

INSIDE = str(Path(__file__).with_name("inside.py"))
_NAMESPACES = (
    "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
)  # fmt: skip

_WITH_FILTER = ("/bin/sh", "-c", 'exec 9<"$0" && exec "$@"', FILTER_FILE)
"""Becomes what stands after it, with the filter of `families` open: bubblewrap takes it from a descriptor."""
_SETTINGS = ("--ro-bind", "/proc/sys", "/proc/sys")
"""The kernel lets the machine's root change its settings without any capability. One of them names a program that it
runs outside of all walls."""


def prefix(policy: Policy, folders: Folders, *, cwd: str, supervised: bool) -> tuple[str, ...]:
    """What stands before the command, when it is `supervised` with the descriptor of its guard's socket between."""
    return (
        *(() if policy.network else _WITH_FILTER),
        policy.program,
        *_NAMESPACES,
        *(() if policy.network else ("--unshare-net", "--seccomp", "9")),
        "--cap-drop", "ALL",
        "--die-with-parent", *(("--as-pid-1",) if supervised else ()),
        "--ro-bind", "/", "/",
        "--dev", "/dev",
        "--proc", "/proc",
        *(_SETTINGS if os.geteuid() == 0 else ()),
        *_mounts(policy, folders),
        "--chdir", cwd,
        "--", *((sys.executable, "-I", "-S", "-E", INSIDE, _way_out(policy)) if supervised else ()),
    )  # fmt: skip


def _way_out(policy: Policy) -> str:
    """What `inside.py` is told of it: ports and the socket file; empty for none."""
    if policy.way_out is None:
        return ""
    ports = dict.fromkeys((PROXY_PORT, *policy.way_out.ports))
    return f"{','.join(map(str, ports))}:{policy.way_out.socket}"


def _mounts(policy: Policy, folders: Folders) -> Iterable[str]:
    private = _private(policy, folders)
    for path, shown in arrange(policy, folders):
        if shown is Shown.WRITE:
            yield from ("--bind-try", path, path)
        elif shown is Shown.READ:
            yield from ("--ro-bind-try", path, path)
        elif path in private:
            yield from ("--bind", private[path], path)
        elif os.path.isdir(path):
            yield from ("--perms", "0700", "--tmpfs", path)
        else:
            yield from ("--ro-bind-try", "/dev/null", path)


def _private(policy: Policy, folders: Folders) -> dict[str, str]:
    """Where HOME and /tmp of this process are on disk."""
    if not policy.scratch:
        return {}
    return {
        **dict.fromkeys(folders.homes[:1], f"{policy.scratch}/home"),
        folders.tmp: f"{policy.scratch}/tmp",
    }
