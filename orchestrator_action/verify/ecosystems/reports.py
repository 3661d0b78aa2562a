"""Reports on disk: what a runner was asked to write, and what it left in the tree by its own habit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from orchestrator_action.process.files import open_plain, walk
from orchestrator_action.verify.ecosystems.base import CaseResult
from orchestrator_action.verify.ecosystems.counts import Counts, total
from orchestrator_action.verify.ecosystems.junit import junit_cases, junit_counts

MAX_REPORT_BYTES = 32 * 1024**2
MAX_REPORTS = 5_000
_FOLDERS = frozenset(
    {"surefire-reports", "failsafe-reports", "test-results", "test-reports", "junit", "TestResults",
     "reports", "testlogs"}
)  # fmt: skip
_PASSED_OVER = frozenset({".git", "node_modules", ".venv", "__pycache__", ".tox", ".nox", "vendor"})


def read_report(path: Path) -> bytes | None:
    """A report's bytes; None when it is not there, a link, or too large to be one."""
    try:
        with open(path, "rb", opener=open_plain) as file:
            said = file.read(MAX_REPORT_BYTES + 1)
    except OSError:
        return None
    return said if len(said) <= MAX_REPORT_BYTES else None


def remember_reports(tree: Path, report_dir: Path, *, single: bool) -> None:
    """Write down which reports are there before anything ran: what a commit or an earlier run brought.

    `single` says that the command starts one runner once, so that its report is about all that ran.
    """
    there = {str(path): _digest(path) for path in _report_files(tree)}
    report_dir.mkdir(parents=True, exist_ok=True)
    _note(report_dir).write_text(
        json.dumps({"tree": str(tree), "single": single, "reports": there}), encoding="utf-8"
    )


def _note(report_dir: Path) -> Path:
    """Beside the folder, for what runs may write in there."""
    return report_dir.with_name(f"{report_dir.name}-before.json")


def tree_of(report_dir: Path) -> str:
    """The tree that the run was in; empty when nobody wrote it down."""
    return str(_before(report_dir).get("tree", ""))


def _before(report_dir: Path) -> dict[str, Any]:
    try:
        before = json.loads(_note(report_dir).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return before if isinstance(before, dict) else {}


def is_single(report_dir: Path) -> bool:
    """Whether the command was one run of one runner."""
    return _before(report_dir).get("single") is True


def fresh_reports(report_dir: Path) -> list[bytes]:
    """The reports that the run wrote into its tree: new ones, or old ones that say something else now."""
    before = _before(report_dir)
    if not before:
        return []
    found: list[bytes] = []
    for path in _report_files(Path(before["tree"])):
        if len(found) < MAX_REPORTS and before["reports"].get(str(path)) != _digest(path):
            found.append(read_report(path) or b"")
    return found


def tree_counts(report_dir: Path) -> Counts | None:
    """The sum of the reports that the run wrote into its tree."""
    return total(c for xml in fresh_reports(report_dir) if (c := junit_counts(xml)) is not None)


def tree_cases(report_dir: Path) -> list[CaseResult] | None:
    """The cases of the reports that the run wrote into its tree; None when there are none."""
    found = [cases for xml in fresh_reports(report_dir) if (cases := junit_cases(xml))]
    return [case for cases in found for case in cases] or None


def junit_file(name: str) -> Callable[[Path], list[CaseResult] | None]:
    """A reader of one JUnit report of the report folder; it gives None when the run did not write it."""

    def read(report_dir: Path) -> list[CaseResult] | None:
        xml = read_report(report_dir / name)
        return None if xml is None else junit_cases(xml)

    return read


def _report_files(tree: Path) -> Iterator[Path]:
    """Files that may be JUnit reports, as runners such as Gradle leave them in their build folders."""
    for folder, names, files in walk(tree):
        names[:] = [n for n in names if n not in _PASSED_OVER]
        inside = any(part in _FOLDERS for part in Path(folder).relative_to(tree).parts)
        for name in sorted(files):
            path = Path(folder, name)
            if not name.endswith(".xml") or path.is_symlink():
                continue
            if inside or "junit" in name.lower() or name.startswith("TEST-"):
                yield path


def _digest(path: Path) -> str:
    said = read_report(path)
    return "" if said is None else hashlib.sha256(said).hexdigest()
