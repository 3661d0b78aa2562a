"""Tools that start other runners: make, just, task, Bazel, deno's tasks, and scripts named `test`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from orchestrator_action.verify.ecosystems.base import (
    CaseOutcome,
    CaseResult,
    Detected,
    Ecosystem,
    Files,
    Runner,
    Way,
)
from orchestrator_action.verify.ecosystems.counts import Counts
from orchestrator_action.verify.ecosystems.ways import matching_lines

_BAZEL = re.compile(r"(//\S+)\s+(?:\(cached\) )?(PASSED|FAILED|FLAKY|TIMEOUT|NO STATUS|SKIPPED)\b.*")


def _detect(files: Files) -> Detected | None:
    """Bazel and deno are asked like a language: they count."""
    if name := files.first("MODULE.bazel", "WORKSPACE.bazel", "WORKSPACE"):
        tool = "bazelisk" if ".bazeliskrc" in files.paths else "bazel"
        return Detected((f"{tool} test //...",), f"Bazel: {name}")
    name = files.first("deno.json", "deno.jsonc")
    return Detected(("deno test",), f"Deno: {name}") if name else None


def _wraps(files: Files) -> Detected | None:
    return _just(files) or _make(files) or _task(files) or _script(files)


def _make(files: Files) -> Detected | None:
    name = files.first("GNUmakefile", "makefile", "Makefile")
    for target in ("test", "check", "tests"):
        rule = rf"^(?:[\w./-]+[ \t]+)*{target}(?:[ \t]+[\w./-]+)*[ \t]*::?(?!=)"
        if name and re.search(rule, files.text(name), re.MULTILINE):
            return Detected((f"make {target}",), f"{name}: target {target}")
    return _make_below(files)


def _make_below(files: Files) -> Detected | None:
    """A Makefile in the tests' own folder, where the top has none that tests."""
    name = files.first("tests/Makefile", "test/Makefile")
    folder = name.partition("/")[0]
    found = re.search(r"^(test|check|tests|run[_-]?tests)[ \t]*::?(?!=)", files.text(name), re.MULTILINE)
    return Detected((f"make -C {folder} {found[1]}",), f"{name}: target {found[1]}") if found else None


def _just(files: Files) -> Detected | None:
    name = files.first("justfile", "Justfile", ".justfile")
    if name and re.search(r"^@?test\b[^:=\n]*:(?!=)", files.text(name), re.MULTILINE):
        return Detected(("just test",), f"{name}: recipe test")
    return None


def _task(files: Files) -> Detected | None:
    name = files.first("Taskfile.yml", "Taskfile.yaml")
    found = name and re.search(
        r"^[ \t]+['\"]?test['\"]?:|^tasks:\s*\{\s*test:", files.text(name), re.MULTILINE
    )
    return Detected(("task test",), f"{name}: task test") if found else None


def _script(files: Files) -> Detected | None:
    """A script to rule them all. Source: github.com/github/scripts-to-rule-them-all."""
    name = files.first(
        "script/test", "scripts/test", "bin/test", "scripts/test.sh", "test.sh", "run_tests.sh", "tests/run.sh",
        "test/run.sh", "tests/run_tests.sh", "run-tests.sh", "runtests.sh", "run_tests", "run-tests", "runtests",
        "test_runner",
        "tests/run-tests.sh", "tests/runtests.sh", "test/run_tests.sh", "test/run-tests.sh", "test/runtests.sh",
        "tests/run_tests", "tests/run-tests", "tests/runtests", "tests/test.sh", "test/test.sh",
    )  # fmt: skip
    return Detected((f"./{name}",), f"script: {name}") if name else None


def _bazel_printed(lines: list[str]) -> list[CaseResult]:
    """`//pkg:name_test   PASSED in 0.1s`: a target is the smallest thing that Bazel names."""
    outcomes: dict[str, CaseOutcome] = {
        "PASSED": "passed",
        "FLAKY": "passed",
        "SKIPPED": "skipped",
        "NO STATUS": "error",
    }
    found = {m[1]: outcomes.get(m[2], "failed") for line in lines if (m := _BAZEL.fullmatch(line))}
    return [CaseResult(id=name, outcome=outcome) for name, outcome in found.items()]


def _bazel_counts(lines: list[str]) -> Iterable[Counts]:
    """Bazel: `Executed 2 out of 3 tests: 2 tests pass and 1 fails locally.`, from the targets' own lines."""
    if any(re.match(r"Executed \d+ out of \d+ tests?:", line) for line in lines):
        outcomes = [case.outcome for case in _bazel_printed(lines)]
        failed = outcomes.count("failed") + outcomes.count("error")
        yield Counts(
            passed=outcomes.count("passed"), failed=failed, skipped=outcomes.count("skipped"), source="bazel"
        )


# -- how tests are chosen --------------------------------------------------------------------------


def _make_ways(text: str, commands: Sequence[str]) -> list[Way]:
    """The rules that the test targets come to, the variables these use, and what governs all rules."""
    rules, variables = _makefile(text)
    calls = (call for c in commands for call in re.findall(r"\b(?:make|just)\b([^;&|]*)", c))
    asked = {word for call in calls for word in call.split()}
    wanted = [
        t for t in rules if t in asked or re.fullmatch(r"(?:run-?)?(?:tests?|check|specs?)(?:s|-all)?", t)
    ]
    found: list[Way] = [
        (v, said) for v, said in variables.items() if v in {"SHELL", ".SHELLFLAGS", "MAKEFLAGS"}
    ]
    found += [("include", line) for line in re.findall(r"^-?s?include\b.*$", text, re.MULTILINE)]
    found += [("export", line) for line in re.findall(r"^export\b.*$", text, re.MULTILINE)]
    seen: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        said = rules.get(name, variables.get(name, ""))
        if name in rules or name in variables:
            # what a rule needs stands behind a word that does nothing: it is not started
            found.append((f"target {name}", f": {said}") if name in rules else (name, said))
        wanted += [n for pair in re.findall(r"\$[({]([\w.-]+)[)}]|\{\{\s*(\w+)", said) for n in pair if n]
        wanted += [w for w in said.split("\n", 1)[0].split() if w in rules]
        wanted += [
            w for call in re.findall(r"\$\(MAKE\)([^;&|\n]*)", said) for w in call.split() if w in rules
        ]
    return found


def _makefile(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Rules (prerequisites in the first line, then the recipe) and variables by name."""
    rules: dict[str, str] = {}
    variables: dict[str, str] = {}
    open_: list[str] = []
    for line in re.sub(r"\\\n[ \t]*", " ", text).split("\n"):
        if line[:1] in {"\t", " "} and open_:
            for target in open_:
                rules[target] += f"\n{line.strip()}"
        elif match := re.match(r"(?:export\s+|override\s+)*([\w.-]+)\s*(?:[:?+!]|::)?=\s*(.*)", line):
            variables[match[1]] = f"{variables.get(match[1], '')}\n{match[2]}"
            open_ = []
        elif match := re.match(r"@?([^\s#:=][^:=]*?)\s*::?(?!=)\s*(.*)", line):
            before, _, recipe = match[2].partition(";")
            open_ = match[1].split()[:1] if "+" in match[1] or '"' in match[1] else match[1].split()
            for target in open_:
                rules[target] = f"{rules.get(target, '')} {before.strip()}\n{recipe.strip()}"
        elif line.strip() and not line.startswith("#"):
            open_ = []
    return rules, variables


_MAKEFILES = ("Makefile", "makefile", "GNUmakefile", "justfile", "Justfile", ".justfile")
ECOSYSTEM = Ecosystem(
    name="make",
    reads=(*(f"/{name}" for name in _MAKEFILES), "/tests/Makefile", "/test/Makefile", "/Taskfile.yml", "/Taskfile.yaml",
           "/deno.json", "/deno.jsonc"),
    detect=_detect,
    wraps=_wraps,
    counts=(_bazel_counts,),
    runners=(Runner(name="Bazel", command=r"^bazel(?:isk)?\s+test\b", printed=_bazel_printed, sources=("bazel",),
                    by_file=True),),
    config_files=("**/.bazelrc", "**/.bazelversion", "**/magefile.go",
                  "**/magefiles/**", "**/Earthfile", "**/mise.toml", "**/.mise.toml"),
    config_ways={
        **dict.fromkeys(_MAKEFILES, _make_ways),
        "*.mk": _make_ways,
        **dict.fromkeys(("Taskfile.yml", "Taskfile.yaml"), matching_lines(r"test")),
        **dict.fromkeys(("deno.json", "deno.jsonc"), matching_lines(r"\"(?:test|exclude|include)\"")),
        **dict.fromkeys(("BUILD", "BUILD.bazel"), matching_lines(r"_test\s*\(|tags|size|flaky")),
    },
)  # fmt: skip
