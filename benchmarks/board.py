"""What watching costs: the live board of 64 tasks whose agents speak, and the page of 200 tasks in a browser.

The board draws on a real pseudo-terminal of 80 by 24 for ten seconds while another process writes the journal and
the agents' logs: four lines a second for each task. What is counted is the drawing process alone, once it has started.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks import Figure, show
from orchestrator_action.process.table import TICKS_PER_S
from orchestrator_action.publish.report.overview import report_html
from orchestrator_action.state.journal import Journal
from tests.kit.recording import record
from tests.render.test_page_in_a_browser import run_of

TASKS, SECONDS, LINES_PER_S = 64, 10.0, 4
LOADS = 5
DRAW = """
import sys, time
from pathlib import Path
from orchestrator_action.agents.registry import words_of
from orchestrator_action.cli.board import Board
from orchestrator_action.run.live import RunView
with Board(RunView(Path(sys.argv[1]), words_of)):
    time.sleep(float(sys.argv[2]))
"""
LOADED = """
addEventListener("load", () => setTimeout(() => {
  document.title = "loaded in " + performance.getEntriesByType("navigation")[0].loadEventEnd; }));
"""


def main() -> None:
    """Measure both, and print them."""
    with tempfile.TemporaryDirectory(prefix="board-") as place:
        folder = Path(place)
        figures = [
            Figure(
                what=f"board of {TASKS} tasks, share of a core", value=100 * board(folder), unit="%", goal=3
            )
        ]
        if browser := shutil.which("chromium") or shutil.which("google-chrome"):
            for number in (1, 12, 200):
                size, load_s = page(browser, folder, number)
                figures.append(Figure(what=f"page of {number} tasks", value=size / 1000, unit="kB", goal=800))
                figures.append(
                    Figure(what=f"page of {number} tasks, until loaded", value=load_s, unit="s", goal=1)
                )
        show("Watching a run", figures)


def board(folder: Path) -> float:
    """CPU seconds of the drawing process for each second."""
    ids = [f"issue-{n}" for n in range(1, TASKS + 1)]
    tasks = [{"id": t, "title": f"Title of {t}", "text": "", "branch": t} for t in ids]
    journal = Journal(folder / "journal.jsonl", "r")
    journal.append("run-started", "", requested=ids, tasks=tasks, agent="claude", slots=TASKS)
    logs = []
    for task in ids:
        journal.append("task-started", task, base_sha="b" * 40, branch=task)
        (folder / "tasks" / task).mkdir(parents=True)
        logs.append((folder / "tasks" / task / "agent.log").open("ab", buffering=0))
    over = threading.Event()
    writer = threading.Thread(target=_speak, args=(logs, over), daemon=True)
    writer.start()
    used: dict[str, float] = {}
    argv = [sys.executable, "-I", "-c", DRAW, str(folder), str(SECONDS + 3)]
    watcher = threading.Thread(target=_count, args=(argv, used), daemon=True)
    watcher.start()
    seen = record(argv, cwd=folder, env={"PATH": os.environ["PATH"]})
    watcher.join()
    over.set()
    writer.join()
    journal.close()
    assert any(
        "64 at work" in screen[-1] + screen[-2] or "64 at work" in "".join(screen) for screen in seen.screens
    )
    return used["share"]


def _speak(logs: list[object], over: threading.Event) -> None:
    number = 0
    while not over.wait(1 / LINES_PER_S):
        number += 1
        call = {
            "type": "tool_use",
            "name": "Edit",
            "input": {"file_path": f"src/module_{number}.py", "old_string": "x" * 400},
        }
        line = json.dumps({"type": "assistant", "message": {"id": f"m{number}", "content": [call]}}) + "\n"
        for log in logs:
            log.write(line.encode())  # type: ignore[attr-defined]


def _count(argv: list[str], used: dict[str, float]) -> None:
    """CPU time of the process with these arguments, from two seconds after its start on."""
    wanted = b"\0".join(map(os.fsencode, argv)) + b"\0"
    found: Path | None = None
    while found is None:
        time.sleep(0.05)
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "cmdline").read_bytes() == wanted:
                    found = folder
            except OSError:
                continue
    time.sleep(2)
    before, since = _cpu_s(found), time.monotonic()
    time.sleep(SECONDS)
    used["share"] = (_cpu_s(found) - before) / (time.monotonic() - since)


def _cpu_s(folder: Path) -> float:
    fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def page(browser: str, folder: Path, number: int) -> tuple[int, float]:
    """Bytes of the page, and the median of how long a browser takes until it has loaded it."""
    run, times = run_of(number)
    body = report_html(run, times=times)
    file = folder / "page.html"
    opened = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", body)
    file.write_text(opened.replace("</body>", f"<script>{LOADED}</script></body>"), encoding="utf-8")
    took = []
    for _ in range(LOADS):
        done = subprocess.run(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile", "--dump-dom",
             "--timeout=20000", file.as_uri()],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        found = re.search(r"<title>loaded in ([\d.]+)</title>", done.stdout)
        assert found is not None, done.stderr[-1000:]
        took.append(float(found[1]) / 1000)
    return len(body.encode()), statistics.median(took)


if __name__ == "__main__":
    main()
