"""What a person is told of gates: which failed, where, the end of its output, and how to repeat it."""

import os

from orchestrator_action.hook.fast_git import PushSite
from orchestrator_action.hook.policy import Gate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator_action.hook.push import Work

TAIL_LINES = 30
TAIL_BYTES = 8192
LOGS_KEPT = 60


class GateResult:
    """How one gate ended. `why` is empty when it passed."""

    __slots__ = ("gate", "key", "log", "seconds", "why")

    def __init__(self, gate: Gate, key: str, why: str, seconds: float, log: str) -> None:
        self.gate = gate
        self.key = key
        self.why = why
        self.seconds = seconds
        self.log = log


def log_path(where: PushSite, commit: str, name: str, mark: str) -> str:
    """Where the output of a gate goes; the oldest logs make way."""
    folder = os.path.join(where.state, "logs")
    try:
        old = [os.path.join(folder, kept) for kept in os.listdir(folder)]
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)
        old = []
    if len(old) > LOGS_KEPT:
        try:
            for path in sorted(old, key=os.path.getmtime)[: LOGS_KEPT // 2]:
                os.unlink(path)
        except OSError:
            pass  # another push is tidying up as well
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    return os.path.join(folder, f"{commit[:12]}-{plain[:60]}-{mark}.log")


def failure(end: GateResult, item: "Work", *, withheld: list[str], missing: list[str]) -> str:
    """What a person needs to mend it: which gate and commit, the end of its output, how to repeat it."""
    at = f"{item.commit[:12]} ({', '.join(item.refs)})"
    lines = [f"error: gate {end.gate.name} failed at {at}: {end.why}, {end.seconds:.1f} s"]
    lines += [f"  | {line}" for line in _tail(end.log)]
    lines.append(f"  command: {end.gate.command}")
    lines.append(f"  full log: {end.log}")
    if missing:
        lines.append(f"  not in the checkout, so not linked: {', '.join(missing)}")
    if withheld:
        lines.append(f"  kept from gates as secrets (see `env`): {', '.join(withheld)}")
    lines.append(f"hint: repeat it with: orchestrator-action hook run {item.commit[:12]}")
    if "limit for all gates" in end.why:
        lines.append(
            "hint: run slow gates before the push: orchestrator-action hook run; the push then runs none"
        )
    return "\n".join(lines)


def changed_files(files: "Sequence[str]", item: "Work", names: str) -> str:
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
    cut = size > TAIL_BYTES or len(lines) > TAIL_LINES
    shown = ["".join(c for c in line if c.isprintable() or c == "\t") for line in lines[-TAIL_LINES:]]
    return (["[…]"] if cut else []) + [line for line in shown if line]
