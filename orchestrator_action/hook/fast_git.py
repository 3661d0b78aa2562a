"""Plain git without `subprocess`, which alone would cost half the hook's budget.

One call is one process. Output comes back as bytes; git's own words on stderr go where the caller says.
"""

import os
import sys

from orchestrator_action.process.files import replace_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SIGPIPE = 13
"""The same number on Linux, macOS and the BSDs. Python ignores it; the programs we start must not."""
SIGKILL = 9

_PIPE_SAFE = 4096
"""What fits in every pipe without a reader (POSIX PIPE_BUF is at least 512, Linux's least pipe 4096)."""

_LOOK_S = 0.25
"""How often it is looked whether anybody still waits."""

UNDECEIVED = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": "/dev/null"}
"""For every git of ours: `git replace` and grafts deceive whoever looks at commits, but not a push."""

QUIET = -1
"""For `stderr`: throw git's words away, because its failure is an answer."""


def git(
    *args: str,
    stdin: bytes = b"",
    env: "Mapping[str, str] | None" = None,
    stderr: int = QUIET,
    timeout_s: float = 0.0,
    gone: "Callable[[], bool] | None" = None,
) -> tuple[int, bytes]:
    """Run git and wait; its exit code (negative: the signal) and stdout.

    `stderr` is a descriptor or QUIET. With `timeout_s` a git that does not end, or that nobody waits for any
    more as `gone` says, is killed and the code is -9. Raises FileNotFoundError when there is no git on PATH.
    """
    given = {**os.environ, **UNDECEIVED} if env is None else env
    return run_program(("git", *args), stdin=stdin, env=given, stderr=stderr, timeout_s=timeout_s, gone=gone)


def lines_of(out: bytes) -> list[str]:
    """What a program printed, line by line. Only a newline ends one: names may hold what Python takes for more."""
    return out.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n") if out else []


def run_program(
    argv: tuple[str, ...],
    *,
    stdin: bytes = b"",
    env: "Mapping[str, str] | None" = None,
    stderr: int = QUIET,
    timeout_s: float = 0.0,
    gone: "Callable[[], bool] | None" = None,
) -> tuple[int, bytes]:
    """As `git`, for any program."""
    source = _source(stdin)
    reader, writer = os.pipe()
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_DUP2, source, 0),
        (os.POSIX_SPAWN_DUP2, writer, 1),
    ]
    if stderr == QUIET:
        actions.append((os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0))
    elif stderr != 2:
        actions.append((os.POSIX_SPAWN_DUP2, stderr, 2))
    try:
        pid = os.posix_spawnp(
            argv[0],
            argv,
            os.environ if env is None else env,
            file_actions=actions,
            setsigdef=(SIGPIPE,),
        )
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(source)
        os.close(writer)
    try:
        out = _read_all(reader, timeout_s, gone)
    except TimeoutError:
        _end(pid)
        out = b""
    finally:
        os.close(reader)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out


def _end(pid: int) -> None:
    """Kill a child of ours and what it started: the ssh of a git waits for its server by itself."""
    from orchestrator_action.process.table import descendants, kill_all

    kill_all(lambda: descendants(pid))
    os.kill(pid, SIGKILL)


def tool_python() -> str:
    """The interpreter that has the tool's libraries: another one may run us, because it starts faster.

    The installed hook hands it on by `-X orchestrator=PATH`, which no environment variable can stand in for.
    """
    given = sys._xoptions.get("orchestrator")  # noqa: SLF001 - documented, and the only way to -X
    return given if isinstance(given, str) else sys.executable


def _source(text: bytes) -> int:
    """A descriptor that yields `text` and then end of file, whatever the size."""
    if not text:
        return os.open(os.devnull, os.O_RDONLY)
    if len(text) <= _PIPE_SAFE:
        reader, writer = os.pipe()
        os.write(writer, text)
        os.close(writer)
        return reader
    return spool(text)


def spool(text: bytes) -> int:
    """An unnamed file that holds `text`, at its start."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("orchestrator-hook")
    else:
        from tempfile import mkstemp

        fd, name = mkstemp()
        os.unlink(name)
    view = memoryview(text)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _read_all(fd: int, timeout_s: float = 0.0, gone: "Callable[[], bool] | None" = None) -> bytes:
    chunks: list[bytes] = []
    if timeout_s:
        import time

        deadline = time.monotonic() + timeout_s
    while True:
        if timeout_s:
            _wait_for(fd, deadline, gone)
        chunk = os.read(fd, 65536)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)


def _wait_for(fd: int, deadline: float, gone: "Callable[[], bool] | None") -> None:
    """Return when there is something to read. Raises TimeoutError at the monotonic time `deadline`, or when `gone`."""
    import select
    import time

    poller = select.poll()
    poller.register(fd, select.POLLIN)
    while not poller.poll(1000 * min(max(0.0, deadline - time.monotonic()), _LOOK_S)):
        if time.monotonic() >= deadline or (gone and gone()):
            raise TimeoutError


def read_file(path: str) -> bytes | None:
    """The contents of a file, or None when it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return _read_all(fd)
    except OSError:
        return None
    finally:
        os.close(fd)


def write_file(path: str, text: bytes) -> None:
    """Replace a file as a whole. What a hook keeps may be lost in a power cut: nobody waits for the disk."""
    replace_file(path, text, sync=False)


def without_login(url: str) -> str:
    """A remote's URL without the name and password that may stand in it; a name of a remote as it is."""
    scheme, mark, rest = url.partition("://")
    if not mark or scheme == "ssh":
        return url
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def tell_user(text: str) -> None:
    """Tell the user, on stderr: stdout belongs to git."""
    try:
        os.write(2, f"{text}\n".encode("utf-8", "surrogateescape"))
    except OSError:
        pass


class PushSite:
    """Where a push happens. `top` is empty in a bare repository."""

    __slots__ = ("common", "top")

    def __init__(self, common: str, top: str) -> None:
        self.common = common
        self.top = top

    @property
    def state(self) -> str:
        """The hook's own directory in this repository, seen by all its worktrees."""
        return os.path.join(self.common, "orchestrator", "hook")


def find_site() -> PushSite:
    """The repository of the current directory, as git sees it.

    git starts a hook at the top of the worktree and exports GIT_DIR whenever `.git` there is not a plain
    directory (linked worktree, bare, --git-dir), so without GIT_DIR the question needs no process.
    """
    try:
        here = os.getcwd()
    except OSError:
        from orchestrator_action.errors import GitError

        raise GitError("the current directory is gone", hint="run this inside a repository") from None
    if "GIT_DIR" not in os.environ and "GIT_COMMON_DIR" not in os.environ:
        candidate = os.path.join(here, ".git")
        if os.path.isfile(os.path.join(candidate, "HEAD")) and os.path.isdir(
            os.path.join(candidate, "objects")
        ):
            return PushSite(candidate, os.environ.get("GIT_WORK_TREE") or here)
    code, out = git("rev-parse", "--path-format=absolute", "--git-common-dir", "--show-toplevel")
    lines = os.fsdecode(out).removesuffix("\n").split("\n")
    if not os.path.isabs(lines[0]):
        from orchestrator_action.errors import GitError

        raise GitError(f"{here} is not in a git repository", hint="run this inside a repository")
    return PushSite(os.path.normpath(lines[0]), lines[1] if code == 0 and len(lines) > 1 else "")
