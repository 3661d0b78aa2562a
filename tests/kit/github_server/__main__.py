"""Run the loopback GitHub as a process of its own; prints its URL and token as one line of JSON.

    python -m tests.kit.github_server --port 0 --git-dir REMOTE.git [--repository octo/demo]

Ends with SIGTERM or SIGINT, with exit code 1 when something was not as GitHub describes.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from tests.kit.github_server import APP, PAT, TOKEN, GitHubServer


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kit.github_server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--git-dir", type=Path, required=True)
    parser.add_argument("--repository", default="octo/demo")
    given = parser.parse_args()
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    server = GitHubServer(given.git_dir, given.repository, port=given.port).start()
    tokens = {"actions": TOKEN, "personal": PAT, "app": APP}
    print(json.dumps({"url": server.url, "token": server.token, "tokens": tokens}), flush=True)
    done.wait()
    server.stop()
    for line in server.invalid:
        print(line, file=sys.stderr)
    return 1 if server.invalid else 0


if __name__ == "__main__":
    sys.exit(main())
