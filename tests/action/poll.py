"""Looks for a token in all that the kernel shows of processes, and in files, until told to stop.

    python3 -I poll.py OUT STOP NEEDLE... -- FOLDER...

A needle is given in two halves with a comma between them, so that nobody finds it here. For each round, which
looks at every process, a byte is written to OUT/rounds; what was found, and where, to OUT/found. It rests
after each round for as long as that took, so that those it looks at get on with their work.
"""

import os
import stat
import sys
import time

out, stop, *more = sys.argv[1:]
cut = more.index("--")
needles = [n.replace(",", "").encode() for n in more[:cut]]
folders = more[cut + 1 :]
os.makedirs(out, exist_ok=True)
JUST_NOW_S = 1.0
"""A file that was written so lately may be written again without another time on it."""
read_already = set()


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


def look_into(place: str, path: str) -> None:
    """Look for it in a regular file, once for each state of the file."""
    try:
        now = os.stat(path)
    except OSError:
        return
    state = (now.st_dev, now.st_ino, now.st_size, now.st_ctime_ns)
    if stat.S_ISREG(now.st_mode) and state not in read_already:
        if time.time() - now.st_ctime > JUST_NOW_S:
            read_already.add(state)
        look(place, read(path))


def descriptors(folder: str) -> list[str]:
    try:
        return [f"{folder}/{number}" for number in os.listdir(folder)]
    except OSError:
        return []


def processes() -> None:
    for name in filter(str.isdecimal, os.listdir("/proc")):
        if name == str(os.getpid()):
            continue
        command = read(f"/proc/{name}/cmdline")
        if b"poll.py" in command:
            continue
        look(f"cmdline of {name}", command)
        look(f"environ of {name} ({command[:80]!r})", read(f"/proc/{name}/environ"))
        for fd in descriptors(f"/proc/{name}/fd"):
            try:
                link = os.readlink(fd)
            except OSError:
                continue  # closed meanwhile
            look(f"link {fd}", os.fsencode(link))
            look_into(f"file behind {fd} ({link})", fd)


def files() -> None:
    for folder in folders:
        for place, _, names in os.walk(folder):  # what vanishes meanwhile is passed over
            for path in (os.path.join(place, name) for name in names):
                if not os.path.islink(path) and out not in path:
                    look_into(f"file {path}", path)


until = time.monotonic() + 300
last = 0.0
while not os.path.exists(stop) and time.monotonic() < until:
    began = time.monotonic()
    processes()
    if began - last > 1:
        files()
        last = time.monotonic()
    with open(f"{out}/rounds", "ab") as file:
        file.write(b".")
    time.sleep(time.monotonic() - began)
