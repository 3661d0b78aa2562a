"""Which kinds of sockets there are where the network was taken: those that a network namespace holds.

A namespace of its own keeps a process from TCP, UDP and abstract sockets of this machine, but not from AF_VSOCK, by
which a virtual machine talks to its host, nor from other kinds that know no namespaces. So the kernel is given a
filter. It refuses every kind but the usual ones, and `io_uring`, which makes sockets without asking it. bubblewrap
reads the filter from a file, so it lies beside this module; a test holds that it is what `make_filter` says.
Source: seccomp(2); linux/filter.h, linux/audit.h; bwrap(1), `--seccomp`.
"""

from __future__ import annotations

import errno
import socket
import struct
from pathlib import Path

FILTER_FILE = str(Path(__file__).with_name("families.bpf"))
FAMILIES = (0, socket.AF_UNIX, socket.AF_INET, 10, 16, 38)
"""Unspecified, files and names, IPv4, IPv6, the kernel's own (netlink), its ciphers."""
_IO_URING_SETUP = 425
_SOCKET = {0xC000003E: 41, 0xC00000B7: 198, 0x40000003: 359, 0x40000028: 281}
"""The number of socket(2) on x86-64, arm64 and their forms of 32 bits, by the kernel's number of the machine."""
_X86, _SOCKETCALL = 0x40000003, 102
_X32 = 0x40000000
_LOAD, _EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06
_NUMBER, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _FAIL_WITH = 0x7FFF0000, 0x00050000


def make_filter() -> bytes:
    """The filter, as struct sock_filter; on another machine than these it lets everything through."""
    body = b"".join(_for_machine(machine, number) for machine, number in _SOCKET.items())
    return body + _line(_RETURN, _ALLOW)


def _for_machine(machine: int, number: int) -> bytes:
    """What is done on one kind of machine; on another the lines after these are next."""
    families = b"".join(_line(_EQUAL, family, 0, 1) + _line(_RETURN, _ALLOW) for family in FAMILIES)
    refuse = _line(_RETURN, _FAIL_WITH | errno.EAFNOSUPPORT)
    made = _line(_EQUAL, number, 0, _count(families) + 2) + _line(_LOAD, _FIRST_ARGUMENT) + families + refuse
    ring = _line(_EQUAL, _IO_URING_SETUP, 0, 1) + _line(_RETURN, _FAIL_WITH | errno.ENOSYS)
    older = b""
    if (
        machine == _X86
    ):  # one call for all that is done with sockets: 1 makes one, of a kind that is not seen here
        older = (
            _line(_EQUAL, _SOCKETCALL, 0, 3) + _line(_LOAD, _FIRST_ARGUMENT) + _line(_EQUAL, 1, 0, 1) + refuse
        )
    body = ring + made + older + _line(_RETURN, _ALLOW)
    body = _line(_LOAD, _NUMBER) + _line(_AND, 0xFFFFFFFF ^ _X32) + body
    return _line(_LOAD, _MACHINE) + _line(_EQUAL, machine, 0, _count(body)) + body


def _line(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("<HBBI", code, then, otherwise, value)


def _count(lines: bytes) -> int:
    return len(lines) // 8
