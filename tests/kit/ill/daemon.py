"""usage: daemon.py FOLDER N [stubborn] - leaves N double-forked daemons without environment, exits 0."""

import os
import signal
import sys
import time
from pathlib import Path

folder, count = Path(sys.argv[1]), int(sys.argv[2])
for _ in range(count):
    if os.fork():
        continue
    os.setsid()
    if os.fork():
        os._exit(0)
    if sys.argv[3:] == ["stubborn"]:
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, signal.SIG_IGN)
    (folder / str(os.getpid())).touch()
    os.chdir("/")
    os.execve("/bin/sleep", ["innocent", "1000"], {})
while len(list(folder.iterdir())) < count:
    time.sleep(0.005)
print("daemons started", flush=True)
if sys.argv[3:] == ["stay"]:
    time.sleep(1000)
