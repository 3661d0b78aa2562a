"""The few forms closing lines come in: a line of its own, a line with a label, a stanza of lines. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator_action.text.unicode import strip_ansi
from orchestrator_action.verify.ecosystems.base import CountsReader
from orchestrator_action.verify.ecosystems.counts import Counts

_PREFIX = re.compile(
    r"(?:\[\d+\]|\[[\w@./-]+\]|[\w@./-]+(?::[\w./-]+)+:|[\w@./-]+ (?:test|check|verify)[\w:-]*[:$|]|"
    r"[\w@./-]+\s+\|)\s+(?=\S)"
)
"""What a monorepo's tool puts before each line of a package: `web:test: `, `packages/core test: `, `[0] `,
`core-1  | `. Sources: turbo, pnpm -r, concurrently, docker compose."""


def without_style(line: str) -> str:
    """A line as a reader sees it: no colours, no space around it."""
    return strip_ansi(line).strip()


def plain_lines(text: str) -> list[str]:
    """The lines of an output, plain."""
    return [without_style(line) for line in re.split(r"\r\n|\n|\r", text)]


def without_prefixes(lines: list[str]) -> list[list[str]]:
    """The lines of each package apart, without the prefix that a monorepo's tool gave them.

    Lines without any prefix are the first list. Several packages at once print their lines mixed, so each
    needs a list of its own.
    """
    found: dict[str, list[str]] = {"": []}
    for line in lines:
        match = _PREFIX.match(line)
        prefix = match[0].strip() if match else ""
        found.setdefault(prefix, []).append(line[match.end() :].strip() if match else line)
    return list(found.values())


def of(source: str, ran: int, failed: int, skipped: int = 0) -> Counts:
    """Counts where a runner tells how many there were in all."""
    return Counts(passed=max(0, ran - failed - skipped), failed=failed, skipped=skipped, source=source)


def _int(match: re.Match[str], *names: str) -> int:
    groups = match.groupdict()
    return sum(int((groups.get(n) or "0").replace(",", "")) for n in names)


def each(source: str, pattern: str, *, ran: bool = False) -> CountsReader:
    """A reader of single lines with groups `passed`, `failed`, `skipped`; with `ran`, also `total`."""

    def read(lines: list[str]) -> Iterable[Counts]:
        compiled = re.compile(
            pattern, re.IGNORECASE
        )  # here: most runners of the world are not this repository's
        for line in lines:
            if match := compiled.fullmatch(line):
                failed = _int(match, "failed", "errors", "errors2")
                skipped = _int(match, "skipped", "skipped2", "skipped3")
                passed = _int(match, "passed", "passed2")
                if ran:
                    passed = max(0, _int(match, "total") - failed - skipped)
                yield Counts(passed=passed, failed=failed, skipped=skipped, source=source)

    return read


def labelled(source: str, label: str) -> CountsReader:
    """jest and vitest: `Tests:  1 failed, 2 skipped, 3 passed, 6 total`, `Tests  3 passed (3)`."""
    start = re.compile(rf"{label}\s+(.*)")

    def read(lines: list[str]) -> Iterable[Counts]:
        for line in lines:
            match = start.fullmatch(line)
            if not match:
                continue
            words = {w: int(n) for n, w in re.findall(r"(\d+) (failed|passed|skipped|todo|total)", match[1])}
            if words or "no tests" in match[1]:
                yield Counts(
                    passed=words.get("passed", 0),
                    failed=words.get("failed", 0),
                    skipped=words.get("skipped", 0) + words.get("todo", 0),
                    source=source,
                )

    return read


def stanza(source: str, lines: list[str], passed: str, failed: str, skipped: str) -> Iterable[Counts]:
    """A reader's work where passed, failed and skipped stand on lines of their own."""
    sums = [0, 0, 0]
    seen = False
    for line in lines:
        for n, pattern in enumerate((passed, failed, skipped)):
            if match := re.fullmatch(pattern, line):
                sums[n] += int(match.group(1))
                seen = True
    if seen:
        yield Counts(passed=sums[0], failed=sums[1], skipped=sums[2], source=source)
