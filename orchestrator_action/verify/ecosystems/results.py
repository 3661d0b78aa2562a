"""Which tests ran and how each ended: reports of ours first, then a runner's own, then what was printed.

What a runner prints is a claim of the code under test, and so is a report that it may write to. The order
here makes the cheaper lie the weaker one; what decides is the comparison with the base.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator_action.verify.ecosystems.base import (
    CaseResult,
    CountsReader,
    Instrumented,
    Runner,
    go_inside,
    inside,
    is_simple,
)
from orchestrator_action.verify.ecosystems.counts import Counts, total
from orchestrator_action.verify.ecosystems.javascript_scripts import script_of
from orchestrator_action.verify.ecosystems.junit import junit_counts
from orchestrator_action.verify.ecosystems.lines import plain_lines, without_prefixes
from orchestrator_action.verify.ecosystems.registry import ECOSYSTEMS, RUNNERS
from orchestrator_action.verify.ecosystems.reports import is_single, remember_reports, tree_cases, tree_counts


def instrument(command: str, *, tree: Path, env: Mapping[str, str], report_dir: Path) -> Instrumented:
    """The command with reports added, where that does not change what it runs.

    `env` is the environment it will have; the additions come back with it. `report_dir` is made. A command that goes
    into a folder first is instrumented there, with that folder's own programs before those of other folders.
    """
    folder, rest = inside(command)
    if folder:
        asked = instrument(
            rest, tree=tree / folder, env=_programs_of(tree / folder, env), report_dir=report_dir
        )
        return replace(asked, command=go_inside(folder, asked.command))
    remember_reports(tree, report_dir, single=_own_runner(script_of(command, tree) or "") is not None)
    env = dict(env)
    for runner in RUNNERS:
        if runner.instrument is None or not (runner.everywhere or re.search(runner.command, command)):
            continue
        if (changed := runner.instrument(command, tree, env, report_dir)) is not None:
            command = changed[0]
            env |= changed[1]
    return Instrumented(command=command, env=env, report_dir=report_dir)


def _programs_of(folder: Path, env: Mapping[str, str]) -> dict[str, str]:
    """The environment with what was set up in this folder first on PATH."""
    places = env.get("PATH", "").split(os.pathsep)
    own = [p for p in places if Path(p).is_relative_to(folder)]
    given = (
        {**env, "PATH": os.pathsep.join([*own, *(p for p in places if p not in own)])} if own else dict(env)
    )
    environment = next((p.removesuffix("/bin") for p in own if p.endswith("/.venv/bin")), "")
    return given | ({"VIRTUAL_ENV": environment} if environment else {})


def _below(folder: str, case: CaseResult) -> CaseResult:
    """A case of a folder as the whole tree knows it."""
    return replace(case, id=f"{folder}/{case.id}", file=f"{folder}/{case.file}" if case.file else "")


def read_cases(report_dir: Path, output: str, command: str) -> tuple[CaseResult, ...] | None:
    """Every case by its id; None when no runner names them, or names fewer than its closing lines count.

    `command` as it was before reports were added. A report that we asked for wins over one that the runner
    left in the tree, and that over what was printed. Of several cases with one id the later are numbered. Those of a
    command that goes into a folder have the folder before their id and their file.
    """
    folder, rest = inside(command)
    if folder:
        inner = read_cases(report_dir, output, rest)
        return None if inner is None else tuple(_below(folder, case) for case in inner)
    reported = [cases for runner in _reporting() if (cases := runner.reported(report_dir))]  # type: ignore[misc]
    lines = _parts(output)
    if reported:
        found = [case for cases in reported for case in cases]
    elif (left := tree_cases(report_dir)) is not None:
        found = left
    else:
        return _printed(lines, command)
    counted = total(_by_runner(lines, command))
    if counted is not None and counted.ran > len(found) and not is_single(report_dir):
        return None  # one report was written over by another run of the same command
    return _numbered(found)


def _reporting() -> Iterator[Runner]:
    return (runner for runner in RUNNERS if runner.reported is not None)


def _printed(lines: list[list[str]], command: str) -> tuple[CaseResult, ...] | None:
    for runner in sorted(RUNNERS, key=lambda r: not re.search(r.command, command)):
        if runner.printed is None:
            continue
        found = [case for part in lines for case in runner.printed(part)]
        counted = total(c for c in _by_runner(lines, command) if c.source in runner.sources)
        if found and counted is not None and (runner.by_file or _agree(found, counted)):
            return _numbered(found)
    return None


def _agree(found: Sequence[CaseResult], counted: Counts) -> bool:
    """Whether as many cases ended well as the runner counted; subtests may make the named ones more."""
    passed = sum(case.outcome == "passed" for case in found)
    return passed >= counted.passed and bool(passed or not counted.passed)


def _numbered(found: Iterable[CaseResult]) -> tuple[CaseResult, ...]:
    seen: Counter[str] = Counter()
    cases = []
    for case in found:
        seen[case.id] += 1
        if seen[case.id] > 1:
            case = CaseResult(
                id=f"{case.id} ({seen[case.id]})", outcome=case.outcome, file=case.file,
                duration_s=case.duration_s, message=case.message,
            )  # fmt: skip
        cases.append(case)
    return tuple(cases)


def read_counts(report_dir: Path, output: str, command: str) -> Counts | None:
    """How many ran: from reports we asked for, closing lines for the rest, reports in the tree at last."""
    _, command = inside(command)
    lines = _by_runner(_parts(output), command)
    summed: list[Counts] = []
    for runner in _reporting():
        cases = runner.reported(report_dir)  # type: ignore[misc]
        if cases is None:
            continue
        report = _count(cases, runner.sources[0])
        own = [c for c in lines if c.source in runner.sources]
        said = total(own)
        # Several runs in one command write the same file one after the other: their lines know better.
        more = said is not None and len(own) > 1 and said.ran > report.ran and not is_single(report_dir)
        summed.append(said if more and said is not None else report)
        lines = [c for c in lines if c.source not in runner.sources]
    if summed and is_single(report_dir):
        return total(summed)
    return total([*summed, *lines]) or tree_counts(report_dir) or _xml_in(output)


_STARTS_SCRIPTS = re.compile(
    r"(?:npm|pnpm|yarn|bun run|make|just|task|tox|nox|composer|rake|bundle exec rake)\b"
)


def _own_runner(command: str) -> Runner | None:
    """The runner that a command is and nothing else; None where it may start several."""
    if not is_simple(command) or _STARTS_SCRIPTS.match(command):
        return None
    return next((r for r in RUNNERS if r.sources and re.search(r.command, command)), None)


def _count(cases: Sequence[CaseResult], source: str) -> Counts:
    outcomes = [case.outcome for case in cases]
    return Counts(
        passed=outcomes.count("passed"),
        failed=outcomes.count("failed") + outcomes.count("error"),
        skipped=outcomes.count("skipped"),
        source=source,
    )


def _xml_in(output: str) -> Counts | None:
    """JUnit XML that a reporter printed instead of words."""
    start = re.search(r"<testsuites?\b", output)
    end = max(output.rfind("</testsuites>") + 13, output.rfind("</testsuite>") + 12)
    if start is None or end <= start.start():
        return None
    return junit_counts(output[start.start() : end].encode())


def counts_in(output: str, command: str = "") -> Counts | None:
    """Counts from a run's output alone; None when no runner's closing line is in it."""
    return total(_by_runner(_parts(output), inside(command)[1])) or _xml_in(output)


def _parts(output: str) -> list[list[str]]:
    """The lines of each runner apart: those behind a package's name only where no others hold a count."""
    lines = plain_lines(output)
    return [lines] if _found([lines], _READERS) else without_prefixes(lines)


def _by_runner(parts: list[list[str]], command: str) -> list[Counts]:
    """The counts of every closing line. Plain forms count only when nothing else was found."""
    found = _found(parts, _READERS)
    if not found:
        found = [c for lines in parts for c in _first(_PLAIN, lines)]
    runner = _own_runner(command)
    if runner is None:
        return found
    # A test may print another runner's closing line.
    return [c for c in found if c.source in runner.sources] or found


_READERS = tuple(reader for e in ECOSYSTEMS for reader in e.counts)
_PLAIN = tuple(reader for e in ECOSYSTEMS for reader in e.plain_counts)


def _found(parts: list[list[str]], readers: Sequence[CountsReader]) -> list[Counts]:
    return [c for lines in parts for reader in readers for c in reader(lines)]


def _first(readers: Sequence[CountsReader], lines: list[str]) -> list[Counts]:
    """What the first reader finds that finds anything."""
    return next((found for reader in readers if (found := list(reader(lines)))), [])


def only_tests(command: str, files_or_ids: Sequence[str], *, tree: Path | None = None) -> str | None:
    """The command that runs nothing but these files or ids; None where the runner does not offer that.

    `tree` has the scripts behind `npm test`, tox and the like. A command that goes into a folder runs what is there.
    """
    folder, rest = inside(command)
    if folder:
        own = [n.removeprefix(f"{folder}/") for n in files_or_ids if n.startswith(f"{folder}/")]
        only = (
            only_tests(rest, own, tree=tree / folder if tree else None)
            if len(own) == len(files_or_ids)
            else None
        )
        return go_inside(folder, only) if only else None
    for runner in RUNNERS:
        if runner.only is None or not files_or_ids or not re.search(runner.command, command):
            continue
        if (only := runner.only(command, files_or_ids, tree)) is not None:
            return only
    return None
