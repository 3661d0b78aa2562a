"""The guard's end of the socket that `inside.py` speaks on. Standard library only.

The kernel says who sent a packet, by the PID that it has out here; nobody within can speak for another.
"""

from __future__ import annotations

import os
import socket
import struct

_CREDENTIALS = struct.Struct("3i")
"""struct ucred of unix(7): PID, UID, GID."""
_PATIENCE_S = 50.0
"""Until the walls stand; less than the orchestrator's own patience with a guard."""


class WallError(Exception):
    """The walls could not be built; nothing runs."""


class Outside:
    """What the guard learns of a program within walls."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._ours.settimeout(_PATIENCE_S)
        self.inside = self.program = 0
        """PIDs, as the guard sees them, of the first process within and of the program."""
        self.over = False
        """Whether nothing more can be heard."""

    @property
    def theirs(self) -> int:
        """The descriptor for the process within."""
        return self._theirs.fileno()

    def fileno(self) -> int:
        """The descriptor that is readable when there is something to hear."""
        return self._ours.fileno()

    def wait_until_runs(self) -> None:
        """Return once the program is executed.

        Raises OSError with the number that the program's process got when it cannot be executed, WallError
        when nobody within ever came so far.
        """
        self._theirs.close()
        while True:
            word, number, sender = self._receive()
            if word == b"inside":  # the first of each is ours; the program could say it again
                self.inside = self.inside or sender
            elif word == b"program":
                self.program = self.program or sender
            elif word == b"failed":
                raise OSError(number, os.strerror(number))
            elif word == b"runs" or (not word and self.program and not self.inside):
                return  # without a first process within, the program's own execution closes its end
            else:
                raise WallError

    def status(self) -> int | None:
        """The program's wait status once it has ended; None before that, and when the walls fell first."""
        self._ours.setblocking(False)
        while not self.over:
            try:
                word, number, sender = self._receive()
            except BlockingIOError:
                return None
            self.over = not word
            if word == b"ended" and sender == self.inside:
                return number
        return None

    def let_go(self) -> None:
        """Let the program's number be given to somebody else: its end is known."""
        try:
            self._ours.send(b"known")
        except OSError:
            return

    def close(self) -> None:
        """Hear nothing more."""
        self._ours.close()

    def _receive(self) -> tuple[bytes, int, int]:
        """A packet's word, its number and the PID of its sender; an empty word at the end."""
        try:
            packet, extra, _, _ = self._ours.recvmsg(64, socket.CMSG_SPACE(_CREDENTIALS.size))
        except (ConnectionError, TimeoutError):
            return b"", 0, 0
        word, _, number = packet.partition(b" ")
        sender = next(
            (_CREDENTIALS.unpack(d)[0] for _, kind, d in extra if kind == socket.SCM_CREDENTIALS), 0
        )
        return word, int(number) if number.isdigit() else 0, sender
