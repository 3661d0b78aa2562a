"""A stream for people that nobody's slow or vanished reader can hold up.

What is written waits in a bounded queue for a thread of its own; when the reader has stopped reading,
the oldest words stay, newer ones are dropped and counted, and the work goes on.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import select
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from orchestrator_action.errors import ConfigError

MOST_WAITING = 10_000
"""Pieces of text in the queue."""


class Terminal(io.TextIOBase):
    """Stands in for a text stream on the descriptor `fd`."""

    encoding = "utf-8"

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._waiting: queue.Queue[str] = queue.Queue(MOST_WAITING)
        self._dropped = 0
        self._gone = False
        threading.Thread(target=self._speak, name=f"voice-{fd}", daemon=True).start()

    def writable(self) -> bool:
        """It takes everything."""
        return True

    def fileno(self) -> int:
        """The descriptor it speaks on."""
        return self._fd

    def isatty(self) -> bool:
        """Whether that is a terminal."""
        try:
            return os.isatty(self._fd)
        except OSError:
            return False

    def write(self, text: str) -> int:
        """Queue a text; never waits, and fails only for what is no text."""
        if not isinstance(text, str):
            raise TypeError("a voice takes text")  # so streams are told apart, also by typer
        if not self._gone:
            try:
                self._waiting.put_nowait(text)
            except queue.Full:
                self._dropped += 1
        return len(text)

    def flush(self) -> None:
        """Nothing to do: it is on its way."""

    def drain(self, within_s: float) -> bool:
        """Wait until everything is out; False when it is not within this time, or nobody reads any more."""
        everything = self._waiting.all_tasks_done
        with everything:
            said = everything.wait_for(lambda: not self._waiting.unfinished_tasks, within_s)
        return said and not self._gone

    def _speak(self) -> None:
        while True:
            text = self._waiting.get()
            if dropped := self._dropped:
                self._dropped = 0
                text = f"… {dropped} messages were lost: nobody read them\n{text}"
            self._out(text.encode("utf-8", "replace"))
            self._waiting.task_done()

    def _out(self, raw: bytes) -> None:
        while raw and not self._gone:
            try:
                raw = raw[os.write(self._fd, raw) :]
            except BlockingIOError:  # somebody who shares it made it so
                select.select((), (self._fd,), ())
            except OSError:
                self._gone = True


def say(line: str) -> None:
    """A line for people, on stderr. A reader that went away is no reason to fail."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def put_lines(lines: Iterable[str], *, at_once: bool = False) -> None:
    """Lines on stdout; with `at_once` each as soon as it is there.

    Raises BrokenPipeError when the reader left, ConfigError when they cannot be written, to a full disk say.
    """
    try:
        for line in lines:
            print(line, flush=at_once)
        sys.stdout.flush()
    except OSError as exc:
        if isinstance(exc, BrokenPipeError) or exc.filename:
            raise
        raise ConfigError(
            f"the output cannot be written: {exc.strerror}", hint="see where stdout leads"
        ) from None


def write_text(path: Path, text: str) -> None:
    """Write a file that was asked for, whole or not at all, and say so. Raises ConfigError when it cannot be made."""
    from orchestrator_action.process.files import replace_file

    try:
        replace_file(path, text)
    except OSError as exc:
        raise ConfigError(
            f"cannot write {path}: {exc.strerror}", hint="name a file that can be made"
        ) from None
    say(f"written: {path}")


def print_json(value: Any, *, within_s: float = 0.0) -> None:
    """One object on stdout. With `within_s`, a reader that does not read is left after that time."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, ensure_ascii=not unicode)
    if not within_s:
        put_lines([text])
        return
    out = Terminal(1)
    out.write(f"{text}\n")
    out.drain(within_s)
