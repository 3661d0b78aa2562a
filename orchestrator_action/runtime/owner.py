"""Who works in a worktree: a process, known by boot, PID and the kernel's start time, never by PID alone."""

from __future__ import annotations

import json
import os
from pathlib import Path


def identity(pid: int | None = None) -> dict[str, str | int]:
    """The identity of a process (of this one by default): `boot`, `pid`, `start`; empty when it is gone."""
    pid = os.getpid() if pid is None else pid
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return {} if Path("/proc/self/stat").exists() else _identity_by_psutil(pid)
    fields = stat[stat.rindex(b")") + 2 :].split()
    if fields[0] in {b"Z", b"X"}:
        return {}
    return {"boot": boot, "pid": pid, "start": int(fields[19])}


def _identity_by_psutil(pid: int) -> dict[str, str | int]:
    import psutil

    try:
        return {
            "boot": str(int(psutil.boot_time())),
            "pid": pid,
            "start": int(psutil.Process(pid).create_time()),
        }
    except psutil.Error:
        return {}


def write_owner(file: Path) -> None:
    """Say in `file` that this process works here; whole or not at all."""
    part = file.with_name(f"{file.name}.{os.getpid()}")
    part.write_text(json.dumps(identity()), encoding="utf-8")
    part.replace(file)


def live_owner(file: Path) -> int:
    """The PID of the living process that `file` names; 0 when there is none."""
    try:
        stated = json.loads(file.read_text(encoding="utf-8"))
        pid = int(stated["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return pid if identity(pid) == stated else 0
