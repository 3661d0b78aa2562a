"""Gates, run in parallel at exactly the pushed commit, and ended with whoever waits for them.

Two processes: a *front*, which git waits for and which does nothing but wait and take signals, and a
*runner* in a session of its own, which starts the gates and is the subreaper of everything below it. The
runner stops when the front is gone (their pipe ends) or when the `git push` above is gone (its pidfd is
ready), however either died; nothing it started survives it.
"""

import os
import time

from orchestrator_action.hook import passes as memory
from orchestrator_action.hook import proc
from orchestrator_action.hook.fast_git import SIGKILL, SIGPIPE, PushSite, tell_user
from orchestrator_action.hook.gate_checkout import GateTree, Stopped, inside_gate, take_tree
from orchestrator_action.hook.gate_env import MARK, gate_env
from orchestrator_action.hook.gate_report import GateResult, changed_files, failure, log_path
from orchestrator_action.hook.links import link
from orchestrator_action.hook.policy import Gate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator_action.hook.push import Work

STOP_GRACE_S = 0.4
"""Between asking a gate's processes to end and killing them; the promise is one second."""
LOG_LIMIT_BYTES = 256 * 1024**2
NOTHING = "nothing was pushed"
SLOW_S = 30.0
"""After this long the remote may have hung up: the connection is open while gates run."""


class _Running:
    __slots__ = ("deadline", "fd", "gate", "key", "log", "mark", "pid", "started", "stopped_for")

    def __init__(self, gate: Gate, key: str, pid: int, log: str, mark: str, until: float) -> None:
        self.gate = gate
        self.key = key
        self.pid = pid
        self.log = log
        self.mark = mark
        self.started = time.monotonic()
        self.deadline = min(until, self.started + gate.timeout_s) if gate.timeout_s > 0 else until
        self.stopped_for = ""
        try:
            self.fd = os.pidfd_open(pid)
        except (AttributeError, OSError):
            self.fd = -1


def run_work(work: "Sequence[Work]", where: PushSite, *, timeout_s: float, pushing: bool = True) -> int:
    """Run the gates of a push, commit by commit; 0, 1 when one failed, 130 when it was ended.

    `timeout_s` limits all of it together. Passes are remembered, failures explained on stderr.
    """
    if inside_gate(where):
        tell_user(
            "orchestrator: this push comes from a gate of the same repository; its gates are not run again"
        )
        return 0
    watched = proc.pushing() if pushing else []
    proc.become_subreaper()
    reader, writer = os.pipe()
    runner = os.fork()
    if runner == 0:
        os.close(writer)
        _run_and_exit(work, where, timeout_s, pushing, reader, watched)
    os.close(reader)
    return _wait(runner, writer)


def _wait(runner: int, writer: int) -> int:
    """The front: wait for the runner.

    Ctrl-C closes the pipe, which makes the runner stop; any other signal ends the front, and so the pipe.
    No handlers: the `signal` module alone costs 6 ms of every push that runs a gate.
    """
    interrupted = False
    while True:
        try:
            status = os.waitstatus_to_exitcode(os.waitpid(runner, 0)[1])
            break
        except KeyboardInterrupt:
            if not interrupted:
                os.close(writer)
            interrupted = True
    if status < 0:
        proc.end_all({}, grace_s=0.0)
    if interrupted:
        return 130
    if status < 0:
        tell_user(f"error: the gates' runner was killed by signal {-status}\n{NOTHING}")
        return 70
    return status


def _run_and_exit(
    work: "Sequence[Work]", where: PushSite, timeout_s: float, pushing: bool, control: int, watched: list[int]
) -> None:
    """The runner. Never returns: whatever happens in it must not run on in two processes."""
    code = 70
    try:
        os.setsid()
        proc.become_subreaper()
        _close_behind()
        code = _run(work, where, timeout_s, pushing, proc.Watch(control, watched))
    except KeyboardInterrupt:
        code = 130
    except BaseException as exc:  # noqa: BLE001 - said, and turned into a refusal
        from orchestrator_action.hook.crash import explain

        code = explain(exc, pushing=pushing)
    finally:
        os._exit(code)


def _close_behind() -> None:
    """No gate inherits a descriptor that somebody else waits on, such as a pipe of the caller."""
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    for name in os.listdir(folder):
        if int(name) > 2:
            try:
                os.set_inheritable(int(name), False)
            except OSError:
                continue


def _run(work: "Sequence[Work]", where: PushSite, timeout_s: float, pushing: bool, watch: proc.Watch) -> int:
    started = time.monotonic()
    until = started + timeout_s if timeout_s > 0 else float("inf")
    ended: dict[int, int] = {}
    bad = 0
    try:
        slot = take_tree(where, watch, until=until)
        try:
            for item in work:
                bad += _run_commit(item, slot, until, pushing, watch)
        finally:
            proc.end_all(ended, grace_s=STOP_GRACE_S)
            slot.release()
    except Stopped:
        tell_user("orchestrator: stopped; no gate runs any more and none is remembered")
        if pushing:
            tell_user(NOTHING)
        return 130
    seconds = time.monotonic() - started
    if pushing and seconds > SLOW_S:
        tell_user(
            f"orchestrator: the connection to the remote was open for these {seconds:.0f} s; should it have "
            "been closed, push again: what passed is not run again (or use `orchestrator-action hook run`)"
        )
    if bad and pushing:
        tell_user(NOTHING)
    return 1 if bad else 0


def _run_commit(item: "Work", slot: GateTree, until: float, pushing: bool, watch: proc.Watch) -> int:
    """The gates of one commit: how many did not pass."""
    if watch.gone():
        raise Stopped
    slot.refresh(item.commit)
    links = [name for gate, _ in item.wanted for name in gate.link]
    missing = link(links, top=slot.site.top, tree=slot.tree)
    names = ", ".join(gate.name for gate, _ in item.wanted)
    tell_user(f"orchestrator: {item.commit[:12]}: {names}")
    ends, withheld = _run_all(item, slot, until, watch)
    changed = slot.changed()
    bad = [end for end in ends if end.why]
    for end in ends:
        if not end.why and not changed:
            memory.remember(slot.site.state, end.key, commit=item.commit, at=time.time())
            if not pushing:
                tell_user(f"ok: {end.gate.name}, {end.seconds:.1f} s")
    for end in bad:
        tell_user(failure(end, item, withheld=withheld, missing=missing))
    if changed:
        tell_user(changed_files(changed, item, names))
    return len(bad) + bool(changed)


def _run_all(
    item: "Work", slot: GateTree, until: float, watch: proc.Watch
) -> tuple[list[GateResult], list[str]]:
    """Start every gate, wait for all. Raises Stopped, with nothing left running, when nobody waits for us."""
    ended: dict[int, int] = {}
    ends: dict[str, GateResult] = {}
    running: list[_Running] = []
    withheld: set[str] = set()
    os.chdir(slot.tree)
    for number, (gate, key) in enumerate(item.wanted):
        one, hidden = _start(gate, key, f"{slot.token}.{number:04d}", slot, item.commit, until)
        withheld.update(hidden)
        running.append(one)
        if one.fd >= 0:
            watch.poller.register(one.fd)
    while running:
        _wait_for_any(running, watch)
        proc.reap(ended)
        if watch.asked:
            proc.end_all(ended, grace_s=STOP_GRACE_S)
            if not proc.KNOWS_TREES:
                proc.end_groups([r.pid for r in running], ended, grace_s=STOP_GRACE_S)
            raise Stopped
        for one in [r for r in running if r.pid in ended or _is_over(r, until)]:
            running.remove(one)
            if one.fd >= 0:
                watch.poller.unregister(one.fd)
                os.close(one.fd)
            seconds = time.monotonic() - one.started
            _end_gate(one, ended, others=running)
            ends[one.mark] = GateResult(one.gate, one.key, _why(one, ended), seconds, one.log)
    proc.end_all(ended, grace_s=STOP_GRACE_S)
    os.chdir("/")
    return [ends[mark] for mark in sorted(ends)], sorted(withheld)


def _wait_for_any(running: list[_Running], watch: proc.Watch) -> None:
    now = time.monotonic()
    nearest = min(r.deadline for r in running) - now
    blind = any(r.fd < 0 for r in running)
    watch.wait(min(nearest, 0.02) if blind else nearest)


def _start(
    gate: Gate, key: str, mark: str, slot: GateTree, commit: str, until: float
) -> tuple[_Running, list[str]]:
    where = slot.site
    roots = dict.fromkeys(
        os.path.realpath(path)
        for path in (where.top, where.common.removesuffix("/.git") if where.common.endswith("/.git") else "")
        if path
    )
    env, withheld = gate_env(
        os.environ, named=gate.env, slot=slot.tree, roots=list(roots), command=gate.command, mark=mark
    )
    log = log_path(where, commit, gate.name, mark)
    pid = os.posix_spawn(
        "/bin/sh",
        ("/bin/sh", "-c", gate.command),
        env,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=(proc.SIGHUP, proc.SIGINT, SIGPIPE, proc.SIGTERM),
    )
    return _Running(gate, key, pid, log, mark, until), withheld


def _is_over(one: _Running, until: float) -> bool:
    """Whether a running gate has used up what it may use."""
    if time.monotonic() >= one.deadline:
        own = one.gate.timeout_s
        one.stopped_for = (
            f"timed out after {own:g} s"
            if one.deadline < until
            else "timed out: the limit for all gates of one push was reached"
        )
    elif os.path.getsize(one.log) > LOG_LIMIT_BYTES:
        one.stopped_for = f"stopped: more than {LOG_LIMIT_BYTES // 1024**2} MiB of output"
    return bool(one.stopped_for)


def _end_gate(one: _Running, ended: dict[int, int], *, others: list[_Running]) -> None:
    """GateResult what is left of one gate, daemons included, without touching the others."""
    leaders = {r.pid for r in others}
    if one.pid in ended and set(proc.children(os.getpid())) <= leaders:
        return
    mark = f"{MARK}={one.mark}".encode()
    asked_at = time.monotonic()
    if not proc.KNOWS_TREES:
        proc.end_groups([one.pid], ended, grace_s=STOP_GRACE_S)
        return
    number = proc.SIGTERM
    while True:
        left = _members(one, mark, leaders)
        if not left or time.monotonic() - asked_at > 3.0:
            break
        if time.monotonic() - asked_at >= STOP_GRACE_S:
            number = SIGKILL
        proc.send(left, number)
        time.sleep(0.01)
        proc.reap(ended)
    proc.reap(ended)


def _members(one: _Running, mark: bytes, leaders: set[int]) -> list[int]:
    """Processes that surely belong to this gate: below its leader, in its session, or carrying its mark."""
    mine = []
    for child in proc.children(os.getpid()):
        if child == one.pid:
            mine += [child, *proc.descendants(child)]
        elif child not in leaders:
            below = [child, *proc.descendants(child)]
            if any(proc.has_marker(p, mark) or proc.session_of(p) == one.pid for p in below):
                mine += below
    return mine


def _why(one: _Running, ended: dict[int, int]) -> str:
    if one.stopped_for:
        return one.stopped_for
    code = os.waitstatus_to_exitcode(ended[one.pid])
    if code == 127:
        return "exit 127: a program it names was not found"
    if code == 126:
        return "exit 126: a program it names is not executable"
    if code < 0:
        return f"killed by signal {-code}"
    return f"exit {code}" if code else ""
