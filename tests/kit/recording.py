"""What a person sees of a program: it runs on a real pseudo-terminal, and a terminal's model keeps every screen."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyte

Screen = tuple[str, ...]
"""The lines of a screen, without blanks at their ends."""
_REDRAWS = b"\r\x1b[2K"
"""How a drawing that is drawn again begins: back to the start of a line, and wipe it."""


@dataclass
class Recording:
    """A program on a terminal of so many columns and rows."""

    columns: int
    rows: int
    screens: list[Screen] = field(default_factory=list)
    """Each screen that differed from the one before, in order. A drawing is kept when it is whole."""
    raw: bytes = b""
    code: int = -1
    terminal: pyte.HistoryScreen | None = None
    """With the colours, as it stands now."""

    @property
    def text(self) -> str:
        """All that ever was on a screen, a line each, once; also what one write pushed over its top at once."""
        over = self.terminal.history.top if self.terminal else ()
        gone = ("".join(line[n].data for n in range(self.columns)).rstrip() for line in over)
        return "\n".join(dict.fromkeys([*gone, *(line for screen in self.screens for line in screen)]))

    @property
    def last(self) -> Screen:
        return self.screens[-1] if self.screens else ()


def record(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    columns: int = 80,
    rows: int = 24,
    within_s: float = 110.0,
    look: Callable[[Recording, Callable[[int], None]], None] | None = None,
) -> Recording:
    """Run a program to its end. `look` sees the recording after each change, and may resize the terminal."""
    recording = Recording(columns, rows)
    screen = pyte.HistoryScreen(columns, rows, history=10_000)
    recording.terminal = screen
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    _size(theirs, columns, rows)
    process = subprocess.Popen(
        argv, cwd=cwd, env={"TERM": "xterm-256color", **env}, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)

    def resize(to: int) -> None:
        screen.resize(rows, to)
        recording.columns = to
        _size(ours, to, rows)
        process.send_signal(signal.SIGWINCH)

    ends_at = time.monotonic() + within_s
    try:
        while (chunk := _read(ours, ends_at)) is not None:
            recording.raw += chunk
            if _keep(recording, screen, stream, chunk) and look is not None:
                look(recording, resize)
        _keep_screen(recording, screen)
        recording.code = process.wait(max(0.1, ends_at - time.monotonic()))
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return recording


def _keep(recording: Recording, screen: pyte.Screen, stream: pyte.ByteStream, chunk: bytes) -> bool:
    """Show what was written, and keep each screen of it that is whole and new. Whether there was one.

    A read may end in the middle of a drawing, or of wiping it off. So while the cursor is hidden a screen counts
    once the next drawing begins, and else at the end of a line. A mark that two reads cut in two lets one screen
    go by, and no torn one in.
    """
    before = len(recording.screens)
    first, *drawings = chunk.split(_REDRAWS)
    stream.feed(first)
    for drawing in drawings:
        _keep_screen(recording, screen)
        stream.feed(_REDRAWS + drawing)
    if chunk.endswith(b"\n") and not screen.cursor.hidden:
        _keep_screen(recording, screen)
    return len(recording.screens) > before


def _keep_screen(recording: Recording, screen: pyte.Screen) -> None:
    shown = tuple(line.rstrip() for line in screen.display)
    if shown != recording.last:
        recording.screens.append(shown)


def _size(fd: int, columns: int, rows: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _read(fd: int, ends_at: float) -> bytes | None:
    """What was written since; None when the last who could write has gone."""
    if not select.select([fd], [], [], max(0.0, ends_at - time.monotonic()))[0]:
        raise TimeoutError("the program did not end in time")
    with contextlib.suppress(OSError):
        return os.read(fd, 1 << 16) or None
    return None
