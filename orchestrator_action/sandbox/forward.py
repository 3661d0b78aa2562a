"""Within walls that took the network: what connects to a port of this loopback comes out at a socket file.

`inside.py` starts it before the program and it ends with the namespace. On PROXY_PORT a client speaks to the proxy of
`egress.py` itself; on any other port it is taken to the server of that port on the machine outside. Only that
proxy decides what is reached: whoever talks to the socket file directly gets no further. Standard library only.
"""

from __future__ import annotations

import _thread
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PROXY_PORT = 3128
"""Where HTTP_PROXY points."""
_CHUNK = 64 * 1024
_MOST_HEAD = 8 * 1024


def listen(way_out: str, ports: list[int]) -> Callable[[], None]:
    """Listen on these ports of loopback; what is returned passes on what connects to them, in threads.

    Raises OSError where a port cannot be had.
    """
    servers = [(port, socket.create_server(("127.0.0.1", port), backlog=64)) for port in ports]

    def serve() -> None:
        for port, server in servers:
            _thread.start_new_thread(_accept, (server, way_out, port))

    return serve


def _accept(server: socket.socket, way_out: str, port: int) -> None:
    while True:
        client, _ = server.accept()
        _thread.start_new_thread(_pass_on, (client, way_out, port))


def _pass_on(client: socket.socket, way_out: str, port: int) -> None:
    try:
        with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as out:
            out.connect(way_out)
            if port != PROXY_PORT:
                out.sendall(b"CONNECT localhost:%d HTTP/1.1\r\n\r\n" % port)
                if b" 200 " not in answer_of(out):
                    return
            join(client, out)
    except OSError:
        return


def answer_of(proxy: socket.socket) -> bytes:
    """The head of a proxy's answer to CONNECT; byte by byte, so that nothing behind it is taken."""
    seen = b""
    while not seen.endswith(b"\r\n\r\n") and len(seen) < _MOST_HEAD and (byte := proxy.recv(1)):
        seen += byte
    return seen


def join(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes on in both directions until both ends are done; a way that stands still holds up no other."""
    back = _thread.allocate_lock()
    back.acquire()

    def there() -> None:
        try:
            _copy(other, one)
        finally:
            back.release()

    _thread.start_new_thread(there, ())
    try:
        _copy(one, other)
    finally:
        back.acquire()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """All that comes from `source`; where the target takes no more, the source is told."""
    try:
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
    except OSError:
        _shut(source, socket.SHUT_RD)
    _shut(target, socket.SHUT_WR)


def _shut(end: socket.socket, how: int) -> None:
    try:
        end.shutdown(how)
    except OSError:
        return
