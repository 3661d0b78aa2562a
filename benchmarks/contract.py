"""The contract suite over all agents as a table, agent by case, from one run of it with the real CLIs.

A cell says what happened in this run: `yes` passed, `NO` failed, `skipped` where the program is not installed, and
nothing where the case is none of that agent's. `claude` has a suite of its own with its plugin; it is counted below.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.kit.headless import PLAYED, SPEAKING_ACP

ROOT = Path(__file__).resolve().parents[1]
SUITE, OF_CLAUDE = "tests/agents/test_headless_cli.py", "tests/agents/test_claude_cli.py"
AGENTS = (*PLAYED, *SPEAKING_ACP)
_STATUS = re.compile(r"\b(4\d\d|5\d\d)\b")


def _cases(report: Path) -> Iterator[tuple[str, str, str, str]]:
    """Of each test: its file, its case in words, its agent, and how it ended."""
    for test in ET.parse(report).iter("testcase"):
        name, _, given = test.get("name", "").partition("[")
        ends = [child.tag for child in test]
        ended = "skipped" if "skipped" in ends else "NO" if {"failure", "error"} & set(ends) else "yes"
        words = name.removeprefix("test_").replace("_", " ")
        agent = next((a for a in sorted(AGENTS, key=len, reverse=True) if a in given), "")
        status = _STATUS.search(given)
        yield test.get("classname", ""), f"{words} ({status[1]})" if status else words, agent, ended


def main() -> None:
    """Run both suites, one test after the other, and print what came of them."""
    with tempfile.TemporaryDirectory(prefix="oa-contract-") as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "1", f"--junitxml={report}", SUITE, OF_CLAUDE]
        subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False)
        cases = list(_cases(report))
    table = {(words, agent): ended for _, words, agent, ended in cases if agent}
    print(f"| case | {' | '.join(f'`{a}`' for a in AGENTS)} |\n|---{'|:-:' * len(AGENTS)}|")
    for words in dict.fromkeys(words for words, _ in table):
        print(f"| {words} | {' | '.join(table.get((words, a), '') for a in AGENTS)} |")
    claude = Counter(ended for file, _, _, ended in cases if file.endswith("test_claude_cli"))
    print(f"\nclaude: {', '.join(f'{n} {ended}' for ended, n in claude.items())}")


if __name__ == "__main__":
    main()
