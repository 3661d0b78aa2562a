"""What it costs that no git holds the token: pushes through the proxy in this process against direct ones.

The peer is the same git pushing the same commit to the same server (git's own http-backend on loopback), with
the token in its environment. Random content, so that nothing is packed small. Memory is what the process with
the proxy grew by, at its peak, beyond what it had before the push.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from orchestrator_action.git.remotes import open_remote
from orchestrator_action.git.repo import Git
from tests.git.server import TOKEN, serve
from tests.kit.repos import clean_env, git, make_repo

SIZES_MB = (100, 500)
ROUNDS = 3
REF = "refs/heads/orchestrator/bench"


def with_commit(root: Path, size_mb: int) -> tuple[Path, Path, str]:
    """A repository with a commit of random bytes, its remote, and the commit.

    The objects are in a pack, which git then sends as they are: what is measured is the way, not the packing.
    """
    repo = make_repo(root / "r", {"a": "1"})
    git(repo.remote, "config", "http.receivepack", "true")
    for n in range(size_mb // 25):
        (repo.path / f"big{n}").write_bytes(os.urandom(25_000_000))
    for key, value in {"core.compression": "0", "pack.compression": "0", "pack.window": "0"}.items():
        git(repo.path, "config", key, value)
    git(repo.path, "add", "-A")
    git(repo.path, "commit", "-q", "-m", "big")
    git(repo.path, "repack", "-a", "-d", "-q")
    return repo.path, repo.remote, git(repo.path, "rev-parse", "HEAD")


def through_proxy(repo: Path, url: str, private: Path, sha: str) -> tuple[float, float]:
    """Seconds of the push, and MiB by which a process of its own grew; the server is in another one."""
    code = (
        "import resource, sys, time\nfrom pathlib import Path\n"
        "from orchestrator_action.git.remotes import open_remote\nfrom orchestrator_action.git.repo import Git\n"
        "r = open_remote(Git.open(Path(sys.argv[1])), private_dir=Path(sys.argv[2]), token=sys.stdin.read())\n"
        "r.refs('HEAD')\nused = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "before, start = used(), time.perf_counter()\n"
        f"r.push_many({{'{REF}': sys.argv[3]}}, known={{}}, confirm=False)\n"
        "print(time.perf_counter() - start, used() - before)\n"
    )
    git(repo, "remote", "set-url", "origin", url)
    argv = [sys.executable, "-c", code, str(repo), str(private), sha]
    done = subprocess.run(argv, input=TOKEN, text=True, capture_output=True, check=True)
    seconds, grown = map(float, done.stdout.split())
    return seconds, grown


def direct(repo: Path, url: str, sha: str) -> float:
    """Seconds of the same push by a git that holds the token."""
    there = url.replace("//", f"//x-access-token:{TOKEN}@")
    start = time.perf_counter()
    argv = ["git", "push", "-q", "--no-verify", there, f"{sha}:{REF}"]
    subprocess.run(argv, cwd=repo, env=clean_env(), check=True, capture_output=True)
    return time.perf_counter() - start


def measure(root: Path, size_mb: int) -> tuple[float, float, float]:
    """The best of some rounds: seconds through the proxy, seconds directly, MiB grown at most."""
    repo, remote, sha = with_commit(root, size_mb)
    times: tuple[list[float], list[float]] = ([], [])
    grown = 0.0
    with serve(remote.parent) as server:
        url = f"{server.url}/{remote.name}"
        for n in range(ROUNDS):
            seconds, more = through_proxy(repo, url, root / f"private{n}", sha)
            times[0].append(seconds)
            grown = max(grown, more)
            _forget(remote)
            times[1].append(direct(repo, url, sha))
            _forget(remote)
    return min(times[0]), min(times[1]), grown


def _forget(remote: Path) -> None:
    git(remote, "update-ref", "-d", REF)
    git(remote, "gc", "-q", "--prune=now")


def small(root: Path, count: int = 20) -> tuple[float, float]:
    """Milliseconds of asking for the refs, through the proxy and directly."""
    repo = make_repo(root / "r", {"a": "1"})
    with serve(repo.remote.parent) as server:
        git(repo.path, "remote", "set-url", "origin", f"{server.url}/{repo.remote.name}")
        remote = open_remote(Git.open(repo.path), private_dir=root / "private", token=TOKEN)
        assert remote is not None
        there = remote.url.replace("//", f"//x-access-token:{TOKEN}@")
        start = time.perf_counter()
        for _ in range(count):
            remote.refs("HEAD")
        ours, start = time.perf_counter() - start, time.perf_counter()
        for _ in range(count):
            subprocess.run(["git", "ls-remote", there, "HEAD"], check=True, capture_output=True)
        theirs = time.perf_counter() - start
    return 1000 * ours / count, 1000 * theirs / count


def main() -> None:
    print(f"token proxy: pushes through it and directly, best of {ROUNDS}; it streams, so memory is bounded")
    for size in SIZES_MB:
        with tempfile.TemporaryDirectory(prefix="oa-bench-") as folder:
            ours, theirs, grown = measure(Path(folder), size)
        print(
            f"  push of {size} MB       {ours:6.2f} s, {size / ours:5.0f} MB/s   direct {theirs:6.2f} s, "
            f"{size / theirs:5.0f} MB/s   ratio {ours / theirs:.2f}   memory +{grown:.1f} MiB   goal ≤ 32 MiB"
        )
    with tempfile.TemporaryDirectory(prefix="oa-bench-") as folder:
        ours, theirs = small(Path(folder))
    print(f"  asking for the refs   {ours:6.1f} ms   direct {theirs:6.1f} ms   ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
