"""What a person is told of gates: which failed, where, the end of its output, and how to repeat it."""

import os
import time

from orchestrator_action.hook.fast_git import PushSite, read_file, tell_user, write_file
from orchestrator_action.hook.passes import tool_path
from orchestrator_action.hook.policy import HookGate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator_action.hook.push import PushWork


SHOWN_LINES, SHOWN_REFS = 30, 5
TAIL_BYTES = 8192
LOGS_KEPT = 60
NOTED_FROM_S = 5.0
LIVE_AFTER_S, SILENT_S, LIVE_LINES = 2.0, 10.0, 40


class GateResult:
    """How one gate ended. `why` is empty when it passed."""

    __slots__ = ("gate", "key", "log", "seconds", "why")

    def __init__(self, gate: HookGate, key: str, why: str, seconds: float, log: str) -> None:
        self.gate = gate
        self.key = key
        self.why = why
        self.seconds = seconds
        self.log = log


class LiveOutput:
    """What running gates print, line by line on a terminal, once the user has waited for two seconds."""

    def __init__(self) -> None:
        self._terminal = os.isatty(2)
        self.tick_s = 0.25 if self._terminal else 3600.0
        self._started = self._spoke = time.monotonic()
        self._read: dict[str, int] = {}

    def show(self, logs: "Mapping[str, str]") -> None:
        """Print what is new in these logs, by gate; every ten silent seconds say that they still run."""
        now = time.monotonic()
        if not self._terminal or now - self._started < LIVE_AFTER_S:
            return
        for name, log in logs.items():
            for line in self._fresh_lines(log):
                tell_user(f"  {name} {now - self._started:.0f} s | {line}")
                self._spoke = now
        if now - self._spoke > SILENT_S:
            tell_user(f"orchestrator: {', '.join(logs)}: running for {now - self._started:.0f} s")
            self._spoke = now

    def _fresh_lines(self, log: str) -> list[str]:
        text = (read_file(log) or b"")[self._read.get(log, 0) :]
        whole = text[: text.rfind(b"\n") + 1]
        self._read[log] = self._read.get(log, 0) + len(whole)
        lines = whole.decode("utf-8", "replace").splitlines()[-LIVE_LINES:]
        return [line for line in map(printable, lines) if line]


def last_durations(site: PushSite) -> dict[str, float]:
    """How long each gate took when it last passed, in seconds."""
    found = {}
    for line in (
        (read_file(os.path.join(site.state, "durations")) or b"").decode("utf-8", "replace").splitlines()
    ):
        seconds, _, name = line.partition(" ")
        if seconds.replace(".", "").isdigit():
            found[name] = float(seconds)
    return found


def note_duration(site: PushSite, name: str, seconds: float) -> None:
    """Remember how long a gate took; only what is long is worth a write."""
    known = last_durations(site)
    if seconds < NOTED_FROM_S and name not in known:
        return
    rows = {**known, " ".join(name.split()): seconds}
    try:
        text = "".join(f"{took:.1f} {gate}\n" for gate, took in rows.items())
        write_file(os.path.join(site.state, "durations"), text.encode("utf-8", "surrogateescape"))
    except OSError:
        pass  # a repository that cannot be written to gets no warning


def printable(line: str) -> str:
    """A line of a program's output without what could move a terminal's cursor."""
    return "".join(c for c in line if c.isprintable() or c == "\t")


def gate_log_path(site: PushSite, home: str, commit: str, name: str, mark: str) -> str:
    """Where the output of a gate goes; the oldest logs make way.

    In the repository's own state, or in the tree's `home` when that cannot be written.
    """
    folder = os.path.join(site.state, "logs")
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        pass
    if not os.access(folder, os.W_OK | os.X_OK):
        folder = os.path.join(home, "logs")
        os.makedirs(folder, exist_ok=True)
    old = [os.path.join(folder, kept) for kept in os.listdir(folder)]
    if len(old) > LOGS_KEPT:
        try:
            for path in sorted(old, key=os.path.getmtime)[: LOGS_KEPT // 2]:
                os.unlink(path)
        except OSError:
            pass  # another push is tidying up as well
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    return os.path.join(folder, f"{commit[:12]}-{plain[:60]}-{mark}.log")


def failure(
    end: GateResult, item: "PushWork", *, withheld: list[str], missing: list[str], unlinked: list[str],
    walls: str = "",
) -> str:  # fmt: skip
    """What a person needs to mend it: which gate and commit, the end of its output, how to repeat it."""
    refs = list(item.refs)
    more = f" and {len(refs) - SHOWN_REFS} more" if len(refs) > SHOWN_REFS else ""
    at = f"{item.commit[:12]} ({', '.join(refs[:SHOWN_REFS])}{more})"
    lines = [f"error: gate {end.gate.name} failed at {at}: {end.why}, {end.seconds:.1f} s"]
    lines += [f"  | {line}" for line in _tail(end.log)]
    lines.append(f"  command: {end.gate.command}")
    lines.append(f"  full log: {end.log}")
    if end.why.startswith("exit 127"):  # a GUI has not the PATH of one's shell
        lines.append(f"  PATH of this push: {os.pathsep.join(tool_path())}")
    if missing:
        lines.append(f"  not in the checkout, so not linked: {', '.join(missing)}")
    if unlinked:
        names = ", ".join(unlinked)
        lines.append(f"  in the checkout and not in the gate's tree: {names}; `link: [{names}]` brings it in")
    if withheld:
        lines.append(f"  kept from gates as secrets (see `env`): {', '.join(withheld)}")
    if walls.startswith("sandboxed"):
        lines.append("  within walls: HOME, /tmp and /run are private; `sandbox: {read: […]}` shows it more")
    lines.append(f"hint: repeat it with: orchestrator-action hook run {item.commit[:12]}")
    if "limit for all gates" in end.why:
        lines.append(
            "hint: run slow gates before the push: orchestrator-action hook run; the push then runs none"
        )
    return "\n".join(lines)


def changed_files(files: "Sequence[str]", item: "PushWork", names: str) -> str:
    """Tracked files were written: by one of `names`, and no one can say what the others saw."""
    more = f" and {len(files) - 5} more" if len(files) > 5 else ""
    what = f"{', '.join(files[:5])}{more} at {item.commit[:12]}"
    return (
        f"error: changed files: {what}, while these ran: {names}\n"
        "hint: a gate may only check tracked files: commit what it writes; nothing is remembered"
    )


def _tail(log: str) -> list[str]:
    """The last lines of a log, without what could move a terminal's cursor."""
    try:
        with open(log, "rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - TAIL_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
    cut = size > TAIL_BYTES or len(lines) > SHOWN_LINES
    shown = [printable(line) for line in lines[-SHOWN_LINES:]]
    return (["[…]"] if cut else []) + [line for line in shown if line]
