"""Looks for a token in all that the kernel shows of processes, and in files, until told to stop.

    python3 -I poll.py OUT STOP NEEDLE... -- FOLDER...

A needle is given in two halves with a comma between them, so that nobody finds it here. For each round a
byte is written to OUT/rounds; what was found, and where, to OUT/found.
"""

import os
import sys
import time

out, stop, *more = sys.argv[1:]
cut = more.index("--")
needles = [n.replace(",", "").encode() for n in more[:cut]]
folders = more[cut + 1 :]
os.makedirs(out, exist_ok=True)


def look(place: str, data: bytes) -> None:
    for needle in needles:
        if needle in data:
            with open(f"{out}/found", "a") as file:
                file.write(f"{place}: …{data[max(0, data.index(needle) - 60) : data.index(needle)]!r}\n")


def read(path: str, limit: int = 1 << 20) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(limit)
    except OSError:
        return b""


def processes() -> None:
    for name in filter(str.isdecimal, os.listdir("/proc")):
        if name == str(os.getpid()):
            continue
        command = read(f"/proc/{name}/cmdline")
        if b"poll.py" in command:
            continue
        look(f"cmdline of {name}", command)
        look(f"environ of {name} ({command[:80]!r})", read(f"/proc/{name}/environ"))
        try:
            for number in os.listdir(f"/proc/{name}/fd"):
                fd = f"/proc/{name}/fd/{number}"
                look(f"link {fd}", os.fsencode(os.readlink(fd)))
                if os.path.isfile(fd):
                    look(f"file behind {fd} ({os.readlink(fd)})", read(fd))
        except OSError:
            continue


def files() -> None:
    for folder in folders:
        for place, _, names in os.walk(folder):  # what vanishes meanwhile is passed over
            for path in (os.path.join(place, name) for name in names):
                if os.path.isfile(path) and not os.path.islink(path) and out not in path:
                    look(f"file {path}", read(path))


until = time.monotonic() + 300
last = 0.0
while not os.path.exists(stop) and time.monotonic() < until:
    processes()
    if time.monotonic() - last > 1:
        files()
        last = time.monotonic()
    with open(f"{out}/rounds", "ab") as file:
        file.write(b".")
