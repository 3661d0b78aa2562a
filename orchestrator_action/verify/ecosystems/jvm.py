"""Java, Kotlin, Scala, Clojure: Maven and Gradle, which leave JUnit XML in the tree; sbt, lein, munit."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from orchestrator_action.verify.ecosystems.base import (
    Detected,
    Ecosystem,
    Files,
    Runner,
    SetupStep,
    Source,
    is_simple,
)
from orchestrator_action.verify.ecosystems.counts import Counts
from orchestrator_action.verify.ecosystems.lines import each, of
from orchestrator_action.verify.ecosystems.ways import matching_lines

_MAVEN = re.compile(r"(?:\[\w+\] )?Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)(.*)")


def _detect(files: Files) -> Detected | None:
    if name := files.first("build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"):
        return Detected(("./gradlew test" if "gradlew" in files.paths else "gradle test",), f"Gradle: {name}")
    if "pom.xml" in files.paths:
        return Detected(("./mvnw -B test" if "mvnw" in files.paths else "mvn -B test",), "Maven: pom.xml")
    if "build.sbt" in files.paths:
        return Detected(("sbt test",), "sbt: build.sbt")
    return Detected(("lein test",), "Leiningen: project.clj") if "project.clj" in files.paths else None


def _setup(files: Files) -> SetupStep | None:
    """Maven's and Gradle's own stores below HOME are filled before the tests run, perhaps without a network."""
    if files.first("build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"):
        tool = "./gradlew" if "gradlew" in files.paths else "gradle"
        return SetupStep(
            how="Gradle: testClasses",
            commands=(f"{tool} --quiet testClasses",),
            tools=("java",),
            registry="Maven Central",
        )
    if "pom.xml" in files.paths:
        tool = "./mvnw" if "mvnw" in files.paths else "mvn"
        command = f"{tool} -B -q test-compile"
        return SetupStep(how=f"Maven: {command}", commands=(command,), inputs=("pom.xml",), tools=("java",),
                         registry="Maven Central")  # fmt: skip
    return None


def _maven(lines: list[str]) -> Iterable[Counts]:
    """Surefire: the totals after `Results:`, one per module; the line of a class has its time as well."""
    for line in lines:
        match = _MAVEN.fullmatch(line)
        if match and "Time elapsed" not in match.group(5):
            ran, failures, errors, skipped = (int(n) for n in match.groups()[:4])
            yield of("maven", ran, failures + errors, skipped)


def _gradle(lines: list[str]) -> Iterable[Counts]:
    """Gradle: `12 tests completed, 1 failed, 2 skipped` (only printed when one failed)."""
    pattern = re.compile(r"(\d+) tests? completed(?:, (\d+) failed)?(?:, (\d+) skipped)?")
    for line in lines:
        if match := pattern.fullmatch(line):
            ran, failed, skipped = (int(n or 0) for n in match.groups())
            yield of("gradle", ran, failed, skipped)


_scalatest = each(
    "ScalaTest",
    r"(?:\[\w+\] )?Tests: succeeded (?P<passed>\d+), failed (?P<failed>\d+), canceled (?P<errors>\d+), "
    r"ignored (?P<skipped>\d+), pending (?P<skipped2>\d+)",
)
_sbt = each(
    "sbt",
    r"(?:\[\w+\] )?(?:Passed|Failed): Total (?P<total>\d+), Failed (?P<failed>\d+), Errors (?P<errors>\d+), "
    r"Passed \d+(?:, Ignored (?P<ignored>\d+))?(?:, Canceled \d+)?(?:, Pending \d+)?",
    ran=True,
)


def _either_scala(lines: list[str]) -> Iterable[Counts]:
    """ScalaTest prints its own line and sbt sums up the same tests once more; munit has sbt's alone."""
    return list(_scalatest(lines)) or list(_sbt(lines))


def _lein(lines: list[str]) -> Iterable[Counts]:
    """clojure.test: `Ran 3 tests containing 5 assertions.`, then `1 failures, 0 errors.` (of assertions)."""
    for n, line in enumerate(lines):
        if match := re.fullmatch(r"Ran (\d+) tests? containing \d+ assertions?\.", line):
            after = re.fullmatch(
                r"(\d+) failures?, (\d+) errors?\.", lines[n + 1] if n + 1 < len(lines) else ""
            )
            failed = min(int(match[1]), int(after[1]) + int(after[2])) if after else 0
            yield of("clojure.test", int(match[1]), failed)


def _only(option: str, *, each_one: bool) -> Callable[[str, Sequence[str], Path | None], str | None]:
    """Classes by the names of their files, or `Class::case` as the reports have it."""

    def only(command: str, names: Sequence[str], _: Path | None) -> str | None:
        wanted = []
        for name in names:
            if match := re.fullmatch(r"(?:.*/)?(\w+)\.(?:java|kt|scala|groovy)", name):
                wanted.append(f"*.{match[1]}" if each_one else match[1])
            elif "::" in name:
                place, _sep, case = name.partition("::")
                wanted.append(f"{place}.{case}" if each_one else f"{place}#{case}")
        if len(wanted) != len(names) or not is_simple(command):
            return None
        if each_one:
            return command + "".join(f" {option} {shlex.quote(w)}" for w in wanted)
        return f"{command} {option}{shlex.quote(','.join(wanted))} -Dsurefire.failIfNoSpecifiedTests=false"

    return only


_ONE_BODY = r"\s*\([^)]*\)[^{};]*\{\s*\}"
_GRADLE = matching_lines(
    r"\b(?:exclude|filter|ignoreFailures|onlyIf|useJUnit\w*|enabled\s*=\s*false|tasks\.\w*[tT]est)\b"
)
ECOSYSTEM = Ecosystem(
    name="JVM",
    manifests=("pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts", "build.sbt",
               "project.clj"),
    detect=_detect,
    setup=_setup,
    counts=(_maven, _gradle, _either_scala, _lein),
    runners=(
        Runner(name="Maven", command=r"^(?:\./mvnw|mvn)\b", only=_only("-Dtest=", each_one=False), sources=("maven",)),
        Runner(name="Gradle", command=r"^(?:\./gradlew|gradle)\b", only=_only("--tests", each_one=True),
               sources=("gradle",)),
    ),
    test_files=("*Test.java", "*Tests.java", "*IT.java", "Test*.java", "*Test.kt", "*Tests.kt", "*Spec.groovy",
                "*Spec.kt",                "*Test.scala", "*Spec.scala", "*Suite.scala", "**/test/**/*.clj"),
    source=Source(
        endings=("java", "kt", "scala", "groovy"),
        tests=r"@(?:\w*Test)\b[^{;]*?(\w+|`[^`]+`)\s*\(",
        skips=r"@(?:Disabled|Ignore)\w*|\bassume\w+\(|@EnabledIf|enabled\s*=\s*false",
        hollow=r"@(?:\w*Test)\b[^{;]*?(\w+|`[^`]+`)" + _ONE_BODY,
        comments=r"//[^\n]*|/\*.*?\*/",
        runner_marks=(
        r"getStackTrace\(\)[^\n]*(?:junit|Test)|\"org\.(?:junit|testng)[\w.]*\"|surefire\.(?:test"
        r"|real)\.class\.path"
    ),
    ),
    config_files=("**/.mvn/**", "**/junit-platform.properties", "**/META-INF/services/org.junit.*",
                  "**/META-INF/services/org.testng.*"),
    config_ways={
        "pom.xml": matching_lines(
            r"skipTests|maven\.test\.|<skip>|<exclude>|<include>|testFailureIgnore|<groups>"
        ),
        "build.sbt": matching_lines(r"\bTest\b|testOptions|testFrameworks"),
        "build.gradle": _GRADLE,
        "build.gradle.kts": _GRADLE,
    },
)  # fmt: skip
