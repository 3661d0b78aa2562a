"""The hook that was there before ours: run after our pass, as if git had started it."""

import os

from orchestrator_action.hook.fast_git import spool, tell_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_ENOEXEC = 8


def become(kept: str, arguments: "Sequence[str]", stdin: bytes) -> None:
    """Turn into the kept hook: the same arguments and stdin, and its exit code is the push's.

    Does not return. A script without `#!` is run by the shell, as git would.
    """
    import signal

    source = spool(stdin)
    os.dup2(source, 0)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execv(kept, [kept, *arguments])
    except OSError as exc:
        if exc.errno == _ENOEXEC:
            os.execv("/bin/sh", ["/bin/sh", kept, *arguments])
        tell_user(f"error: the hook kept at {kept} cannot be run: {exc.strerror}\nnothing was pushed")
        os._exit(1)
