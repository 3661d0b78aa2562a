"""10,000 labelled issues, from the list to the last one admitted: requests, time and memory.

The Action's own dry run, in a process of its own, against the loopback GitHub in another.
`ISSUES` changes how many there are.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks import Figure, show
from tests.kit.github_server import TOKEN
from tests.kit.repos import make_repo
from tests.kit.whole import LIBRARY

TEXT = "x" * 3_000


def main() -> None:
    """One dry run."""
    count = int(os.environ.get("ISSUES", "10000"))
    root = Path(tempfile.mkdtemp(prefix="oa-queue-"))
    try:
        show(f"{count} labelled issues of 3 kB, admitted", _figures(root, count))
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _figures(root: Path, count: int) -> list[Figure]:
    repo = make_repo(root / "r", LIBRARY)
    argv = [sys.executable, "-m", "tests.kit.github_server", "--git-dir", str(repo.remote)]
    server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert server.stdout
    try:
        url = json.loads(server.stdout.readline())["url"]
        _ask(f"{url}/_kit/issues", {"title": "t", "body": TEXT, "labels": ["orchestrate"], "count": count})
        repo.git("remote", "set-url", "origin", f"{url}/octo/demo")
        began = time.monotonic()
        log = _dry_run(repo.path, url, root)
        took = time.monotonic() - began
        peak = (
            resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        )  # the server is not waited for yet
        requests = _ask(f"{url}/_kit/requests")
    finally:
        server.terminate()
        server.wait(10)
        server.stdout.close()
    listed = sum("orderBy" in str(r["body"]) for r in requests)
    pages = -(-count // 100)
    return [
        Figure(what="not admitted", value=count - log.count("would run issue-"), unit="", goal=0),
        Figure(what="requests for the list", value=listed, unit="", goal=pages),
        Figure(what="requests in all", value=len(requests), unit="", goal=pages + 10),
        Figure(what="time", value=took, unit="s"),
        Figure(what="peak memory of the largest process", value=peak, unit="MiB", goal=150),
    ]


def _dry_run(path: Path, url: str, root: Path) -> str:
    kept = {k: os.environ[k] for k in ("PATH", "LANG") if k in os.environ}
    env = {
        **kept, "HOME": str(root), "GITHUB_API_URL": url, "GITHUB_SERVER_URL": url, "GITHUB_REPOSITORY": "octo/demo",
        "GITHUB_RUN_ID": "1", "GITHUB_EVENT_NAME": "schedule", "GITHUB_WORKSPACE": str(path),
        "INPUT_MODE": "run", "INPUT_DRY_RUN": "true", "INPUT_AGENT": "patch", "INPUT_GITHUB_TOKEN": TOKEN,
    }  # fmt: skip
    argv = [sys.executable, "-I", "-m", "orchestrator_action.action"]
    done = subprocess.run(argv, cwd=path, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(
            f"the dry run ended with {done.returncode}, so nothing was measured:\n{done.stdout}{done.stderr}"
        )
    return done.stdout + done.stderr


def _ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read())


if __name__ == "__main__":
    main()
