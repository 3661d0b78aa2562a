"""Who works in a worktree: a process, known by boot, PID and the kernel's start time, never by PID alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

from orchestrator_action.process.files import replace_file
from orchestrator_action.process.table import Identity, identity, is_alive


def write_owner(file: Path) -> None:
    """Say in `file` that this process works here; whole or not at all."""
    me = identity(os.getpid())
    replace_file(file, json.dumps(me._asdict() if me else {}), sync=False)


def live_owner(file: Path) -> int:
    """The PID of the living process that `file` names; 0 when there is none."""
    try:
        who = Identity(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return 0
    return who.pid if is_alive(who) else 0
