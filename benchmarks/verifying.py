"""What verifying costs: eight tasks on one base, four at a time, with a suite that takes ten seconds and no CPU.

Counted are whole suites, by the logs that a run keeps: one at the base, and for each task the claim of its agent and
the final measurement. Wall time stands beside that of the same run with `testing: off`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.kit.repos import make_repo
from tests.kit.whole import LIBRARY, change, house, new_file

TASKS, SLOTS, SUITE_S = 8, 4, 10
SLOW = (
    "import time\nimport unittest\n\n\nclass T(unittest.TestCase):\n"
    f"    def test_one(self):\n        time.sleep({SUITE_S})\n"
)
FILES = {
    "README.md": LIBRARY["README.md"],
    "tests/test_slow.py": SLOW,
    ".gitignore": "__pycache__/\n",
}


def main() -> None:
    """Run both, and print a line each."""
    print(f"verifying: {TASKS} tasks, {SLOTS} slots, a suite of {SUITE_S} s")
    for words, config in (("testing off", "phases: {testing: off}\n"), ("verified", "")):
        with tempfile.TemporaryDirectory(prefix="oa-bench-", dir="/var/tmp") as folder:
            print(f"  {words:12} {_measured(Path(folder), config)}")
    print(f"  allowed      {1 + 2 * TASKS} whole suites beyond the agents' own claims")


def _measured(root: Path, config: str) -> str:
    """Wall time, whole suites and ends of one run."""
    test = f"test: {sys.executable} -m unittest discover -s tests\n"
    home = house(root, make_repo(root / "r", {**FILES, ".github/orchestrator.yml": test + config}))
    for number in range(1, TASKS + 1):
        words = change("README.md", FILES["README.md"], f"{FILES['README.md']}- `more{number}` is one.\n")
        home.issue(number, f"Task {number}", new_file(f"more{number}.py") + words)
    start = time.perf_counter()
    forge = f"local:{home.forge}"
    ran = home.cli(
        "run", "--forge", forge, "--agent", "patch", "--json", "--max-parallel", str(SLOTS), timeout=900
    )
    wall_s = time.perf_counter() - start
    suites = list(home.repo.path.glob(".git/orchestrator/runs/*/tasks/*/evidence/tests-*/command-*.log"))
    ends = {k: v for k, v in dict(ran.report["counts"]).items() if v}
    return f"wall {wall_s:6.1f} s   {len(suites)} whole suites   {ends}"
