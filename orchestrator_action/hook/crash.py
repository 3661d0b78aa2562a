"""The last word when something went wrong: a user's fault in two lines, a bug of ours with its crash file."""

import errno
import os
import tempfile
import time
import traceback

from orchestrator_action.errors import OrchestratorError
from orchestrator_action.hook.fast_git import find_site, tell_user

CLOSING = "nothing was pushed"
_OWNER = 'who owns it? an earlier command with sudo leaves files of root: sudo chown -R "$USER" that path'
_MACHINE = {
    errno.ENOSPC: "free some disk space, or set RUNNER_TEMP to a folder on another disk",
    errno.EDQUOT: "free some of your quota, or set RUNNER_TEMP to a folder on another disk",
    errno.EROFS: "the file system is read-only; set RUNNER_TEMP to a folder that can be written",
    errno.EACCES: _OWNER,
    errno.EPERM: _OWNER,
}
"""What the machine refuses, with the cure: no bug of ours."""


def explain_crash(exc: BaseException, *, pushing: bool) -> int:
    """Say what happened on stderr; the exit code, never 0."""
    if isinstance(exc, OrchestratorError):
        tell_user(f"error: {exc.message}" + (f"\nhint: {exc.hint}" if exc.hint else ""))
    elif isinstance(exc, FileNotFoundError) and exc.filename in ("git", b"git"):
        tell_user("error: there is no git on PATH\nhint: install git, or mend PATH")
    elif isinstance(exc, ImportError):
        tell_user(f"error: orchestrator-action is damaged: {exc}")
        tell_user("hint: install it again, then: orchestrator-action hook install")
    elif isinstance(exc, OSError) and exc.errno in _MACHINE:
        tell_user(f"error: {exc.filename or 'a file'}: {exc.strerror}\nhint: {_MACHINE[exc.errno]}")
    else:
        tell_user(f"error: a bug in the pre-push hook: {type(exc).__name__}: {exc}")
        tell_user(
            f"hint: please report {_crash_file(exc)}; once, on purpose: ORCHESTRATOR_SKIP='crash' git push …"
        )
    users = isinstance(exc, OrchestratorError) or (isinstance(exc, OSError) and exc.errno in _MACHINE)
    if pushing:
        tell_user(CLOSING)
        return 1 if users else 70
    return exc.exit_code if isinstance(exc, OrchestratorError) else 5 if users else 70


def _crash_file(exc: BaseException) -> str:
    text = "".join(traceback.format_exception(exc))
    name = f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        folder = find_site().state
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
    except Exception:  # noqa: BLE001 - the repository may be what is broken
        fd, path = tempfile.mkstemp(prefix="orchestrator-hook-", suffix=".txt")
        with open(fd, "w", encoding="utf-8") as out:
            out.write(text)
    return path
