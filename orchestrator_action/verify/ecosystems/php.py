"""PHP: PHPUnit, Pest, and composer's test script."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from orchestrator_action.verify.ecosystems.base import (
    CaseResult,
    Detected,
    Ecosystem,
    Files,
    Runner,
    SetupStep,
    Source,
    append,
    is_simple,
)
from orchestrator_action.verify.ecosystems.counts import Counts
from orchestrator_action.verify.ecosystems.lines import of
from orchestrator_action.verify.ecosystems.reports import junit_file
from orchestrator_action.verify.ecosystems.ways import matching_lines

_REPORT = "phpunit.xml"


def _detect(files: Files) -> Detected | None:
    if "artisan" in files.paths and "phpunit.xml" in files.paths and "composer.json" in files.paths:
        return Detected(("php artisan test",), "Laravel: artisan, phpunit.xml")
    if name := files.first("phpunit.xml", "phpunit.xml.dist", "phpunit.dist.xml"):
        tool = "vendor/bin/phpunit" if "composer.json" in files.paths else "phpunit"
        return Detected((tool,), f"PHPUnit: {name}")
    try:
        scripts = json.loads(files.text("composer.json") or "{}").get("scripts", {})
    except (ValueError, AttributeError, RecursionError):
        return None
    found = isinstance(scripts, dict) and "test" in scripts
    return Detected(("composer test",), "composer.json: scripts.test") if found else None


def _setup(files: Files) -> SetupStep | None:
    if "composer.json" not in files.paths:
        return None
    return SetupStep(
        how=f"PHP: composer install ({files.first('composer.lock') or 'composer.json'})",
        commands=("composer install --no-interaction --no-progress --quiet --prefer-dist",),
        inputs=tuple(p for p in ("composer.json", "composer.lock", "auth.json") if p in files.paths),
        keeps=("vendor",),
        again=("composer dump-autoload --no-interaction --quiet",),
        tools=("composer", "php"),
        env={"COMPOSER_ALLOW_SUPERUSER": "1"},
        registry="Packagist" if _from_others(files.text("composer.json")) else "",
    )


def _from_others(text: str) -> bool:
    """Whether packages are asked for that no repository named in the manifest is there for."""
    try:
        said = json.loads(text or "{}")
        wanted = [*said.get("require", {}), *said.get("require-dev", {})]
    except (ValueError, AttributeError, TypeError, RecursionError):
        return False
    return not said.get("repositories") and any("/" in name for name in wanted)


def _counts(lines: list[str]) -> Iterable[Counts]:
    """PHPUnit: `OK (3 tests, 5 assertions)`, `Tests: 3, Assertions: 5, Failures: 1.`, `No tests executed!`;
    Pest: `Tests:    1 failed, 2 passed (3 assertions)`."""
    for line in lines:
        if match := re.fullmatch(r"OK \((\d+) tests?, \d+ assertions?\)", line):
            yield Counts(passed=int(match.group(1)), source="phpunit")
        elif line == "No tests executed!":
            yield Counts(source="phpunit")
        elif match := re.fullmatch(r"Tests: (\d+), Assertions: \d+((?:, [A-Z][\w ]+: \d+)*)\.", line):
            words = {w: int(n) for w, n in re.findall(r"([A-Z][\w ]+): (\d+)", match.group(2))}
            failed = words.get("Failures", 0) + words.get("Errors", 0)
            skipped = words.get("Skipped", 0) + words.get("Incomplete", 0)
            yield of("phpunit", int(match.group(1)), failed, skipped)


def _instrument(
    command: str, _: Path, __: Mapping[str, str], report_dir: Path
) -> tuple[str, Mapping[str, str]] | None:
    if (
        not is_simple(command)
        or "--log-junit" in command
        or not re.search(r"\b(?:phpunit|pest)(?:\.phar)?\b", command)
    ):
        return None
    return append(command, "--log-junit", str(report_dir / _REPORT)), {}


_junit = junit_file(_REPORT)


def _reported(report_dir: Path) -> list[CaseResult] | None:
    """PHPUnit names files absolutely; the class says enough, and the data set stands in the name."""
    cases = _junit(report_dir)
    return None if cases is None else [
        CaseResult(id=c.id, outcome=c.outcome, duration_s=c.duration_s, message=c.message) for c in cases
    ]  # fmt: skip


def _only(command: str, names: Sequence[str], _: Path | None) -> str | None:
    """One file as PHPUnit takes it; several by a filter over their classes, cases by their names."""
    if not is_simple(command):
        return None
    if len(names) == 1 and names[0].endswith(".php"):
        return append(command, names[0])
    wanted = [m[1] if (m := re.fullmatch(r"(?:.*/)?(\w+)\.php", n)) else n for n in names]
    return append(command, "--filter", "|".join(re.escape(w).replace("/", "\\/") for w in wanted))


ECOSYSTEM = Ecosystem(
    name="PHP",
    manifests=("composer.json",),
    reads=("composer.json",),
    detect=_detect,
    setup=_setup,
    counts=(_counts,),
    runners=(Runner(name="PHPUnit", command=r"\b(?:phpunit|pest)\b", instrument=_instrument, reported=_reported,
                    only=_only, sources=("phpunit",)),),
    test_files=("*Test.php", "**/tests/**/*.phpt"),
    source=Source(
        endings=("php",),
        tests=r"function\s+(test\w*)\s*\(|^\s*(?:it|test)\(\s*['\"]([^'\"]+)",
        skips=r"markTest(?:Skipped|Incomplete)|->(?:skip|todo)\(",
        hollow=r"function\s+(test\w*)\s*\([^)]*\)[^{};]*\{\s*\}",
        comments=r"//[^\n]*|/\*.*?\*/",
        runner_marks=(
        r"PHPUNIT_(?:COMPOSER_INSTALL|TESTSUITE)|defined\(['\"]PHPUNIT|class_exists\([^\n]*PHPUnit"
        r"|\$argv\b[^\n]*(?:phpunit|pest)|\$_SERVER\[['\"]argv['\"]\][^\n]*(?:phpunit|pest)"
    ),
    ),
    config_files=("**/phpunit.xml", "**/phpunit.xml.dist", "**/phpunit.dist.xml", "**/pest.xml", "**/tests/Pest.php"),
    config_ways={"composer.json": matching_lines(r"\"(?:test|pre-test|post-test)[\w:-]*\"\s*:")},
)  # fmt: skip
