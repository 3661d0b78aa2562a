"""Which interpreter starts fastest: every push waits for its start, and the hook needs no library.

Only interpreters that stay where they are come into question: the tool's own, what that was made from, and the
system's. None from PATH, where a checkout's own environment, or a shim that takes longer than Python, may stand.
"""

import os
import sys

STARTS_MEASURED = 5
WORTH_IT = 0.9
"""Another interpreter is taken when it needs less than this part of the tool's own CPU time."""
_SYSTEM = ("/usr/bin/python3", "/usr/local/bin/python3", "/opt/homebrew/bin/python3")


def find_fastest(own: str, door: str) -> str:
    """The interpreter that starts `door` with the least CPU time; `own` unless another one is clearly better."""
    base = str(getattr(sys, "_base_executable", own))
    others = dict.fromkeys(path for path in (base, *_SYSTEM) if path != own and _is_safe(path))
    return fastest_of(own, list(others), door)


def fastest_of(own: str, others: list[str], door: str) -> str:
    """As `find_fastest`, of these."""
    took = {path: start_cpu_s(path, door) for path in (own, *others)}
    best = min(took, key=lambda path: took[path])
    return best if took[best] < WORTH_IT * took[own] else own


def start_cpu_s(python: str, door: str) -> float:
    """Seconds of CPU from the start of `python` until the hook has read that it is asked for nothing.

    The least of several starts, the first one, which may have to compile, not counted. Infinite for one that
    cannot run the hook.
    """
    starts = [_start(python, door) for _ in range(STARTS_MEASURED + 1)]
    return min(starts[1:]) if max(starts) < float("inf") else float("inf")


def _start(python: str, door: str) -> float:
    argv = [python, "-I", "-S", "-E", door, "pre-push"]
    actions = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    try:
        pid = os.posix_spawn(python, argv, os.environ, file_actions=actions)
    except OSError:
        return float("inf")
    _, status, used = os.wait4(pid, 0)
    asked_for_nothing = os.waitstatus_to_exitcode(status) == 2
    return used.ru_utime + used.ru_stime if asked_for_nothing else float("inf")


def _is_safe(path: str) -> bool:
    """Whether a program is the system's or the user's own."""
    try:
        found = os.stat(path)
    except OSError:
        return False
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & 0o022 and os.access(path, os.X_OK)
