"""The kernel's keyrings, by keyctl(2): what a login, Kerberos or a mounted share left there is for its user alone.

A session keyring is inherited like a descriptor, through any walls. So those who start programs for us leave the
user's first. The user's own keyring stays within reach of the same user, unless a namespace of users is between.
"""

from __future__ import annotations

import os
import sys

_KEYCTL = {
    "x86_64": 250,
    "aarch64": 219,
    "riscv64": 219,
    "i686": 288,
    "armv7l": 311,
    "ppc64le": 271,
    "s390x": 280,
}
"""The number of the system call, by machine. Source: the kernel's syscall tables."""
_JOIN_SESSION_KEYRING = 1


def leave_session_keyring() -> bool:
    """Have an empty session keyring from here on, and all that we start; False where there is none to leave."""
    number = _KEYCTL.get(os.uname().machine)
    if number is None or not sys.platform.startswith("linux"):
        return False
    import ctypes  # 4 ms, and only here

    call = ctypes.CDLL(None).syscall
    return int(call(ctypes.c_long(number), ctypes.c_int(_JOIN_SESSION_KEYRING), None)) >= 0
