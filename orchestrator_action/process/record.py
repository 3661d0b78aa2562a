"""The file that names an attempt's processes while they run, and how it ended. Standard library only."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping


def write(path: str, record: Mapping[str, object], *, sync: bool = True) -> None:
    """Put the record in place, whole or not at all; with `sync`, so that a power cut does not lose it.

    Raises OSError when it cannot be written.
    """
    fresh = f"{path}.new"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, json.dumps(record).encode("ascii") + b"\n")
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(fresh, path)
    if sync:
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
