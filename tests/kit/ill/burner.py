"""usage: burner.py FOLDER N SECONDS - N children and a daemon burn CPU, and what each used is written down.

What the kernel says of a child that was waited for, its end included; the daemon and the leader speak for themselves.
"""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

folder, count, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])


def burn() -> None:
    while time.process_time() < seconds:
        pass


def wait() -> None:
    pid, _, used = os.wait4(-1, 0)
    (folder / f"cpu-{pid}").write_text(str(used.ru_utime + used.ru_stime))


if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        burn()
        (folder / "cpu-daemon").write_text(str(time.process_time()))
    os._exit(0)
for _ in range(count // 4):
    for _ in range(4):
        if os.fork() == 0:
            burn()
            os._exit(0)
    for _ in range(4):
        wait()
with suppress(ChildProcessError):
    while True:
        wait()
while not (folder / "cpu-daemon").exists():
    time.sleep(0.005)
(folder / "cpu-leader").write_text(str(time.process_time()))
os._exit(0)
