"""Pushes that went round the hook: what the remotes were given, against what was judged.

git writes `update by push` into the reflog of a remote-tracking branch for each push, judged or not; the
hook writes its own journal. What is in the first and not in the second was pushed with `--no-verify`,
with the hook out of place, or under a hook manager that did not start it. A deleted branch takes its reflog
with it, and a tag and a push to a bare URL leave none: the audit says what it cannot know.
"""

import os
import time

from orchestrator_action.hook import journal
from orchestrator_action.hook.fast_git import find_site, git, lines_of, read_file
from orchestrator_action.hook.gate_report import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def print_audit() -> int:
    """Print every push nobody judged, and every skip with its reason; 1 when there is one of the first."""
    state = find_site().state
    known = list(journal.read_lines(state))
    since = _begin(known)
    if since is None:
        print("the hook was never installed here, so nothing can be said of earlier pushes")
        return 1
    judged = {(e.ref, e.oid) for e in known if e.word in ("allowed", "skipped")}
    before = {(e.ref, e.oid) for e in known if e.word == journal.BEFORE}
    lines = [
        (e.at, f"skipped   {e.oid[:12]} {e.remote} {e.ref}: {e.reason}") for e in known if e.word == "skipped"
    ]
    round_it = [
        (
            at,
            f"unjudged  {oid[:12]} {remote} {ref}: pushed round the hook (--no-verify, or out of place)",
        )
        for at, remote, ref, tracking, oid in _pushes()
        if at >= since and (ref, oid) not in judged and not (at <= since and (tracking, oid) in before)
    ]
    for at, line in sorted(lines + round_it):
        print(time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)), printable(line))
    if not lines and not round_it:
        print("every push that this clone's reflogs know of was judged")
    print("\n".join(map(printable, _unknown(since))))
    return 1 if round_it else 0


def _begin(known: "list[journal.JournalLine]") -> float | None:
    """Since when pushes are accounted for, in epoch seconds: from the installation, or the first one judged here.

    A hook manager starts us without any installation; the second before it is not held against anybody.
    """
    installed = [int(entry.at) for entry in known if entry.word == journal.INSTALLED]
    return float(min(installed)) if installed else min((entry.at for entry in known), default=None)


def _unknown(since: float) -> list[str]:
    """What cannot be known here, each as a line."""
    off = git("config", "--type=bool", "--get", "core.logAllRefUpdates")[1].strip() == b"false"
    if off:
        return ["not known: any push round the hook; reflogs are off here (core.logAllRefUpdates)"]
    lines = ["not known: pushes round the hook of tags, to a bare URL, and of what was deleted since"]
    _, out = git("for-each-ref", "--format=%(refname) %(symref)", "refs/remotes")
    for ref, _, target in (line.partition(" ") for line in lines_of(out)):
        first = min((at for at, _, _ in _reflog(ref)), default=None)
        if target or (first is not None and first <= since):
            continue
        if first is None:
            lines.append(f"not known: pushes of {ref}, which has no reflog, or an expired one")
        elif _has_lost_its_beginning(ref):
            begins = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(first))
            lines.append(f"not known: pushes of {ref} before {begins}, where its reflog begins")
    return lines


def _has_lost_its_beginning(ref: str) -> bool:
    """Whether the oldest entry of a reflog is no creation of the ref: older ones have expired."""
    path = os.fsdecode(git("rev-parse", "--git-path", f"logs/{ref}")[1]).rstrip("\n")
    first = (read_file(path) or b"").partition(b"\n")[0].split(b" ")[0]
    return bool(first.strip(b"0"))


def _pushes() -> "Iterator[tuple[float, str, str, str, str]]":
    """Every push the reflogs know of: epoch seconds, remote, ref there, tracking ref, object id."""
    _, remotes = git("remote")
    names = sorted(lines_of(remotes), key=len, reverse=True)
    _, out = git("for-each-ref", "--format=%(refname)", "refs/remotes")
    for tracking in lines_of(out):
        remote = next((n for n in names if tracking.startswith(f"refs/remotes/{n}/")), "")
        if not remote or tracking.endswith("/HEAD"):
            continue
        branch = tracking.removeprefix(f"refs/remotes/{remote}/")
        for at, oid, message in _reflog(tracking):
            if message == "update by push":
                yield at, remote, f"refs/heads/{branch}", tracking, oid


def _reflog(ref: str) -> "Iterator[tuple[float, str, str]]":
    _, out = git("log", "-g", "--date=raw", "--format=%H%x09%gd%x09%gs", ref, "--")
    for line in lines_of(out):
        oid, _, rest = line.partition("\t")
        where, _, message = rest.partition("\t")
        stamp = where.rpartition("@{")[2].partition(" ")[0]
        if stamp.isdigit():
            yield int(stamp), oid, message
