"""Asking the broker: the client's end of the socket. Standard library only.

Used by `orchestrator-phase`, by the hooks of the plugin and by the `patch` agent.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Mapping

from orchestrator_action.errors import BrokerError
from orchestrator_action.protocol.wire import (
    ANSWER_WITHIN_S,
    MAX_ANSWER_BYTES,
    SOCKET_VARIABLE,
    PhaseAnswer,
    PhaseRequest,
    decode_answer,
    encode_request,
)

CONNECT_WITHIN_S = 15.0
"""Longer than the broker lets an idle connection keep its place."""


def ask(request: PhaseRequest, env: Mapping[str, str]) -> PhaseAnswer:
    """The broker's answer. Raises BrokerError when there is no broker, OSError when it cannot be reached."""
    path = env.get(SOCKET_VARIABLE)
    if not path:
        raise BrokerError(f"{SOCKET_VARIABLE} is not set", hint="this command works inside a task only")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_WITHIN_S + 20)
        _connect(connection, path)
        with contextlib.suppress(BrokenPipeError):  # it may have answered already: too large
            connection.sendall(encode_request(request))
        received = bytearray()
        while b"\n" not in received and len(received) <= MAX_ANSWER_BYTES + 1:
            piece = connection.recv(65536)
            if not piece:
                break
            received += piece
    return decode_answer(bytes(received))


def _connect(connection: socket.socket, path: str) -> None:
    """Connect, and wait for a place where many ask at once."""
    deadline = time.monotonic() + CONNECT_WITHIN_S
    while True:
        try:
            connection.connect(path)
        except BlockingIOError:  # the listen queue is full
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
