"""The file that names an attempt's processes while they run, and how it ended. Standard library only."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from orchestrator_action.process import table as procs
from orchestrator_action.process.files import replace_file, sync_folder


def write_record(path: str, record: Mapping[str, object], *, sync: bool = True) -> None:
    """Put the record in place, whole or not at all; with `sync`, so that a power cut does not lose it.

    Raises OSError when it cannot be written.
    """
    replace_file(path, json.dumps(record) + "\n", mode=0o600, sync=sync)
    if sync:
        sync_folder(os.path.dirname(path))


def identify(order: dict[str, Any], guard_ticks: int, started_at: float) -> dict[str, Any]:
    """What a record says of who is who, before the program has started."""
    return {
        "boot": procs.boot_id(),
        "pid": 0,
        "start_ticks": 0,
        "shim": os.getpid(),
        "shim_ticks": guard_ticks,
        "marker": order["marker"],
        "owner": order["owner"],
        "owner_ticks": order["owner_ticks"],
        "started_at": started_at,
        "escaped": [],
    }
