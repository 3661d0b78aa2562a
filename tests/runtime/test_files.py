"""Files are there whole or not at all, and a lock ends with its process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator_action.process.files import lock_file, replace_file


def test_a_file_is_replaced_and_its_folder_is_made(tmp_path: Path):
    target = tmp_path / "a" / "b" / "file"

    replace_file(target, "old")
    replace_file(target, b"new\xff", mode=0o600)

    assert (b"new\xff", 0o600) == (target.read_bytes(), target.stat().st_mode & 0o777)
    assert ["file"] == os.listdir(target.parent)


@pytest.mark.parametrize("content", ["\ud800", "x"])
def test_what_cannot_be_written_leaves_the_old_file_and_no_other(tmp_path: Path, content: str):
    """Text that UTF-8 cannot hold; a target that is a folder."""
    old = tmp_path / ("file" if content == "\ud800" else "folder")
    old.mkdir() if content == "x" else old.write_text("old")

    with pytest.raises((OSError, ValueError)):
        replace_file(old, content)

    assert [old.name] == os.listdir(tmp_path)
    assert content == "x" or "old" == old.read_text()


def test_a_lock_is_had_by_one_until_its_process_ends(tmp_path: Path):
    """However it ends; readers of a lock nobody has do not keep each other out."""
    path = tmp_path / "lock"
    path.touch()
    code = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, 2); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-I", "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout and "held\n" == holder.stdout.readline()
    with path.open() as mine, path.open() as other:
        assert not lock_file(mine.fileno())
        assert not lock_file(mine.fileno(), shared=True, wait_s=0.02)
        holder.kill()
        holder.communicate()

        assert lock_file(mine.fileno(), shared=True) and lock_file(other.fileno(), shared=True)
