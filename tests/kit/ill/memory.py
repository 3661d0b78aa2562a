"""usage: memory.py FOLDER MIB CHILDREN - holds MIB of memory, shared with CHILDREN forked processes."""

import os
import sys
import time
from pathlib import Path

folder, mib, children = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
held = b"1" * (mib << 20)
for _ in range(children):
    if os.fork() == 0:
        (folder / str(os.getpid())).touch()
        time.sleep(1000)
(folder / str(os.getpid())).touch()
time.sleep(float(sys.argv[4]) if len(sys.argv) > 4 else 1000)
