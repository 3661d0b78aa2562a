"""What others do with the same programs: a bare Popen loop, `xargs -P` and GNU parallel."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks import Figure
from orchestrator_action.process import table as procs

ENV = {"PATH": os.environ["PATH"]}
MIB, GIB = 1024**2, 1024**3

STUBBORN = """
trap '' INT TERM
: > "$0/$$"
i=1; while [ $i -lt 12 ]; do setsid sh -c ': > "$0/$$"; exec sleep 1000' "$0" & i=$((i+1)); done
exec sleep 1000
"""
POLITE = ': > "$0/$$"; exec sleep 1000'


def bare(root: Path, argv: list[str], count: int, jobs: int) -> None:
    """Popen and wait in threads, output to a file; no supervision at all."""

    def one(number: int) -> None:
        with (root / f"bare-{number % jobs}").open("wb") as log:
            subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL).wait()

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, range(count)))


def xargs(root: Path, argv: list[str], count: int, jobs: int) -> None:
    """`xargs -P`; the number it appends is swallowed by the shell."""
    numbers = "\n".join(map(str, range(count)))
    command = ["xargs", "-P", str(jobs), "-n", "1", "sh", "-c", 'exec "$@"', "sh", *argv]
    if argv[0] == "true":  # takes any argument
        command = ["xargs", "-P", str(jobs), "-n", "1", *argv]
    elif argv[0] == "sleep":  # sleeps the sum of its arguments
        numbers = "\n".join(["0"] * count)
        command = ["xargs", "-P", str(jobs), "-n", "1", *argv]
    subprocess.run(command, input=numbers, text=True, check=False, stdout=subprocess.DEVNULL, cwd=root)


def parallel(root: Path, argv: list[str], count: int, jobs: int) -> None:
    """GNU parallel, with its input in place of nothing."""
    numbers = "\n".join(map(str, range(count)))
    command = ["parallel", "--will-cite", "-j", str(jobs), "-N0", " ".join(argv)]
    home = {**ENV, "HOME": str(root)}
    subprocess.run(
        command, input=numbers, text=True, check=False, stdout=subprocess.DEVNULL, cwd=root, env=home
    )


Runner = Callable[[Path, list[str], int, int], None]


def timed(call: Callable[[], object]) -> float:
    """Seconds it takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def all_cpu_s() -> float:
    return sum(
        use.ru_utime + use.ru_stime
        for use in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def output_of_peers(root: Path, size: int) -> list[Figure]:
    """CPU time per GiB of what others run `head` under, without that of `head` itself, which tells its own."""
    argv = ["sh", str(_telling(root, f"head -c {size} /dev/zero"))]
    lines = ["sh", str(_telling(root, f"yes '{'x' * 99}' | head -c {size // 8}", name="lines"))]
    rows: list[tuple[str, Callable[[], None], float]] = [
        ("bare Popen", partial(_to_file, root, argv), size),
        ("xargs -P", partial(_to_file, root, ["xargs", "-P8", "-n1", *argv]), size),
        (
            "GNU parallel",
            partial(_to_file, root, ["parallel", "--will-cite", "-j8", *argv, ":::", "1"]),
            size,
        ),
        ("bare Popen, its pipe read", partial(_through_pipe, argv), size),
        ("bare Popen, its pipe read by lines of 100 bytes", partial(_by_lines, lines), size / 8),
    ]
    there = [row for row in rows if "parallel" not in row[0] or shutil.which("parallel")]
    return [
        Figure(what=f"  {name}", value=_cpu_beside(root, run) / (many / GIB), unit="s")
        for name, run, many in there
    ]


def _telling(root: Path, command: str, name: str = "zeros") -> Path:
    script = root / f"{name}.sh"
    script.write_text(f"{command}\ntimes >{root}/times\n")
    return script


def _to_file(root: Path, argv: list[str]) -> None:
    with (root / "peer").open("wb") as log:
        home = {**ENV, "HOME": str(root), "TMPDIR": str(root)}
        subprocess.run(argv, stdout=log, input="1\n", text=True, check=True, env=home)


def _through_pipe(argv: list[str]) -> None:
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        while process.stdout and process.stdout.read(1 << 16):
            pass


def _by_lines(argv: list[str]) -> None:
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        for line in process.stdout or ():
            line.strip()


def _cpu_beside(root: Path, run: Callable[[], object]) -> float:
    """CPU seconds of us and all we started, but those that the program told of itself."""
    before = all_cpu_s()
    run()
    used = all_cpu_s() - before
    (root / "peer").unlink(missing_ok=True)
    told = (root / "times").read_text().split()
    own = sum(int(m) * 60 + float(s) for m, s in (t.rstrip("s").split("m") for t in told))
    return max(0.0, used - own)


def cancel_of_peers(root: Path) -> list[Figure]:
    """The same trees under others: until they are gone by themselves, and who is alive then."""
    figures = []
    for name, script, size in (("polite", POLITE, 1), ("stubborn", STUBBORN, 12)):
        for peer in ("bare Popen", "xargs -P", "GNU parallel"):
            if peer == "GNU parallel" and not shutil.which("parallel"):
                continue
            folder = root / f"{name}-{peer.split()[0]}"
            folder.mkdir()
            (folder.parent / f"{folder.name}.sh").write_text(script)
            argv = ["sh", f"{folder}.sh"]
            took, alive = _cancelled_peer(peer, folder, argv, 16 * size)
            figures.append(Figure(what=f"  {peer}, {name}", value=took, unit="s", note=f"{alive} alive"))
    return figures


def _cancelled_peer(peer: str, folder: Path, argv: list[str], size: int) -> tuple[float, int]:
    script = Path(argv[1])
    body = script.read_text().replace('"$0/$$"', f'"{folder}/$$"').replace('"$0"', f'"{folder}"')
    script.write_text(body)
    home = {**ENV, "HOME": str(folder.parent)}
    if peer == "bare Popen":
        started = [subprocess.Popen(argv, env=home) for _ in range(16)]
    elif peer == "xargs -P":
        numbers = subprocess.Popen(["seq", "16"], stdout=subprocess.PIPE)
        started = [subprocess.Popen(["xargs", "-P16", "-n1", *argv], stdin=numbers.stdout, env=home)]
    else:
        line = ["parallel", "--will-cite", "-j16", "-N0", " ".join(argv), ":::", *map(str, range(16))]
        started = [subprocess.Popen(line, env=home, stderr=subprocess.DEVNULL)]
    while len(list(folder.glob("[0-9]*"))) < size:
        time.sleep(0.01)
    began = time.perf_counter()
    for process in started:
        process.terminate()
    for process in started:
        try:
            process.wait(max(0.0, began + 3.0 - time.perf_counter()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    took = time.perf_counter() - began
    left = [(int(p.name), procs.start_ticks(int(p.name))) for p in folder.glob("[0-9]*")]
    alive = [(pid, ticks) for pid, ticks in left if ticks and not _is_over(pid)]
    for pid, ticks in alive:
        procs.send_signal(pid, ticks, signal.SIGKILL)
    return took, len(alive)


def _is_over(pid: int) -> bool:
    found = procs.read(pid)
    return found is None or found.ended
