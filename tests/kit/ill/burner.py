"""usage: burner.py FOLDER N SECONDS - N children and a daemon burn CPU and write down how much."""

import os
import sys
import time
from pathlib import Path

folder, count, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])


def burn() -> None:
    while time.process_time() < seconds:
        pass
    (folder / f"cpu-{os.getpid()}").write_text(str(time.process_time()))
    os._exit(0)


if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        burn()
    os._exit(0)
for _ in range(count // 4):
    for _ in range(4):
        if os.fork() == 0:
            burn()
    for _ in range(4):
        os.wait()
while len(list(folder.glob("cpu-*"))) < count + 1:
    time.sleep(0.005)
(folder / "cpu-leader").write_text(str(time.process_time()))
os._exit(0)
