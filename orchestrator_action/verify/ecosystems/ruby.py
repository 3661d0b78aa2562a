"""Ruby: RSpec, minitest, Test::Unit, Rake; cucumber's lines are read with JavaScript's."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from orchestrator_action.verify.ecosystems.base import (
    CaseOutcome,
    CaseResult,
    Detected,
    Ecosystem,
    Files,
    Runner,
    SetupStep,
    Source,
    is_simple,
)
from orchestrator_action.verify.ecosystems.counts import Counts
from orchestrator_action.verify.ecosystems.junit import MAX_FAILURE_CHARS
from orchestrator_action.verify.ecosystems.lines import each
from orchestrator_action.verify.ecosystems.reports import read_report

_REPORT = "rspec.json"
_RSPEC = re.compile(
    r"(\d+) examples?, (\d+) failures?(?:, (\d+) pending)?(?:, (\d+) errors? occurred outside of examples)?"
)
_TESTS = re.compile(r"tests?/(?:.*/)?(?:test_\w+|\w+_test|spec_\w+|tc_\w+)\.rb|(?:test_\w+|\w+_test)\.rb")


def _detect(files: Files) -> Detected | None:
    bundled = "bundle exec " if "Gemfile" in files.paths else ""
    if ".rspec" in files.paths or any(re.fullmatch(r"spec/.*_spec\.rb", p) for p in files.paths):
        return Detected((f"{bundled}rspec",), "RSpec: spec/")
    tests = sorted(p for p in files.paths if _TESTS.fullmatch(p))
    own = r"(?:Gemfile|[Rr]akefile(?:\.rb)?|[^/]+\.gemspec|[^/]+\.rb|lib/.*\.rb)"
    if not tests or not any(re.fullmatch(own, p) for p in files.paths):
        return None  # another language's tests may bring a test library written in Ruby
    if "bin/rails" in files.paths:
        return Detected(("bin/rails test",), "Rails: bin/rails")
    name = files.first("Rakefile", "rakefile", "Rakefile.rb")
    if name and (
        not files.text(name)
        or re.search(r"TestTask|\btask\s*[:(]?\s*:?['\"]?test\b|Minitest", files.text(name))
    ):
        return Detected((f"{bundled}rake test",), f"minitest: {name}")
    if name and re.search(r"\btask\s+:?default", files.text(name)):
        return Detected((f"{bundled}rake",), f"Rake: {name}")
    return Detected((_all_files(tests, bundled),), f"Ruby: {tests[0]}")


def _all_files(tests: Sequence[str], bundled: str) -> str:
    """Every test file in one process, as Rake's test task does it."""
    folder = tests[0].split("/")[0] if "/" in tests[0] else "."
    pattern = f"{folder}/**/{{test_*,*_test,spec_*,tc_*}}.rb"
    return f"{bundled}ruby -Ilib -I{folder} -e 'Dir[\"./{pattern}\"].sort.each {{ |f| require f }}'"


def _setup(files: Files) -> SetupStep | None:
    """Gems of the Gemfile, below `vendor/bundle` of the tree; none where the machine's own satisfy it."""
    if "Gemfile" not in files.paths:
        return None
    inputs = [
        p for p in sorted(files.paths) if p in {"Gemfile", "Gemfile.lock", ".ruby-version", ".bundle/config"}
    ]
    inputs += sorted(p for p in files.paths if p.endswith(".gemspec"))
    cached = any(p.startswith("vendor/cache/") for p in files.paths)
    install = "bundle install --quiet"
    return SetupStep(
        how=f"Ruby: bundle install ({inputs[min(1, len(inputs) - 1)]})",
        commands=(f"{install} --local || {install}" if cached else install,),
        inputs=tuple(inputs),
        keeps=("vendor/bundle",),
        tools=("bundle",),
        env={
            "BUNDLE_PATH": "{tree}/vendor/bundle",
            "BUNDLE_JOBS": "4",
        },  # `--jobs` would be written into the tree
        unless="bundle check --dry-run",
        registry="" if cached else "RubyGems",
    )


def _rspec_counts(lines: list[str]) -> Iterable[Counts]:
    """RSpec: `3 examples, 1 failure, 1 pending, 1 error occurred outside of examples`.

    parallel_tests prints the same form once for each process and then, as `3 examples, 0 failures` after
    `Took …` is near, once for all: the sum is counted once.
    """
    found = [tuple(int(n or 0) for n in m.groups()) for line in lines if (m := _RSPEC.fullmatch(line))]
    if len(found) > 2 and any(re.match(r"Took \d", line) for line in lines):
        whole, parts = found[-1], found[:-1]
        if whole[0] == sum(part[0] for part in parts):
            found = [whole]
    for ran, failed, pending, errors in found:
        yield Counts(
            passed=max(0, ran - failed - pending), failed=failed + errors, skipped=pending, source="rspec"
        )


def _rspec_instrument(
    command: str, tree: Path, env: Mapping[str, str], report_dir: Path
) -> tuple[str, Mapping[str, str]] | None:
    """A second formatter by SPEC_OPTS, which also stands before those of `.rspec`: so name both."""
    if "SPEC_OPTS" in env or "parallel" in command or not ((tree / "spec").is_dir() or "rspec" in command):
        return None
    report = shlex.quote(str(report_dir / _REPORT))
    return command, {"SPEC_OPTS": f"--format progress --format json --out {report}"}


def _rspec_reported(report_dir: Path) -> list[CaseResult] | None:
    try:
        examples = json.loads(read_report(report_dir / _REPORT) or b"")["examples"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    outcomes: dict[str, CaseOutcome] = {"passed": "passed", "failed": "failed", "pending": "skipped"}
    found = []
    for example in examples:
        file = str(example.get("file_path", "")).removeprefix("./")
        found.append(
            CaseResult(
                id=f"{file}::{example.get('full_description', '')}",
                outcome=outcomes.get(str(example.get("status")), "error"),
                file=file,
                duration_s=float(example.get("run_time") or 0),
                message=str((example.get("exception") or {}).get("message", ""))[:MAX_FAILURE_CHARS],
            )
        )
    return found


_MINITEST = re.compile(r"(\S+?)#(\S+) = ([\d.]+) s = ([.FESP])")
_TEST_UNIT = re.compile(r"(test[^:]*):\s+([.FEPNO])(?::\s*\(([\d.]+)\))?")


def _verbose_instrument(
    command: str, _: Path, env: Mapping[str, str], __: Path
) -> tuple[str, Mapping[str, str]] | None:
    """Rake's test task hands TESTOPTS on; minitest and Test::Unit both know `-v`."""
    if "TESTOPTS" in env or not re.fullmatch(
        r"(?:bundle exec )?rake(?: test)?|(?:bundle exec )?ruby .*\.rb", command
    ):
        return None
    return command, {"TESTOPTS": "-v"}


def _minitest_printed(lines: list[str]) -> list[CaseResult]:
    outcomes: dict[str, CaseOutcome] = {
        ".": "passed",
        "F": "failed",
        "E": "error",
        "S": "skipped",
        "P": "skipped",
    }
    return [
        CaseResult(id=f"{m[1]}#{m[2]}", outcome=outcomes[m[4]], duration_s=float(m[3]))
        for line in lines
        if (m := _MINITEST.fullmatch(line))
    ]


def _rspec_only(command: str, names: Sequence[str], _: Path | None) -> str | None:
    files = list(dict.fromkeys(n.partition("::")[0] for n in names))
    fine = is_simple(command) and all(f.endswith(".rb") for f in files)
    return f"{command} {shlex.join(files)}" if fine else None


def _rake_only(command: str, names: Sequence[str], _: Path | None) -> str | None:
    """`rake test` takes a list of files as TEST, with braces for several."""
    if not all(re.fullmatch(r"[\w./-]+\.rb", n) for n in names):
        return None
    return f"{command} TEST={shlex.quote('{' + ','.join(names) + '}' if len(names) > 1 else names[0])}"


ECOSYSTEM = Ecosystem(
    name="Ruby",
    manifests=("Gemfile", "*.gemspec"),
    reads=("Rakefile", "rakefile", "Rakefile.rb", "Gemfile"),
    detect=_detect,
    setup=_setup,
    counts=(
        _rspec_counts,
        each(
            "minitest",
            r"(?P<total>\d+) (?:runs|tests), \d+ assertions, (?P<failed>\d+) failures, (?P<errors>\d+) errors"
            r"(?:, (?P<skipped>\d+) (?:skips|pendings))?(?:, (?P<skipped2>\d+) omissions)?.*",
            ran=True,
        ),
    ),
    runners=(
        Runner(name="RSpec", command=r"\brspec\b", instrument=_rspec_instrument, everywhere=True,
               reported=_rspec_reported, only=_rspec_only, sources=("rspec",)),
        Runner(name="minitest", command=r"\brake\b|\bruby\b", instrument=_verbose_instrument,
               printed=_minitest_printed, sources=("minitest",)),
        Runner(name="Rake", command=r"^(?:bundle exec )?rake test$", only=_rake_only),
    ),
    test_files=("*_spec.rb", "*_test.rb", "test_*.rb", "**/test/**/spec_*.rb", "tc_*.rb"),
    source=Source(
        endings=("rb",),
        tests=r"^\s*(?:def\s+(test_\w+)|(?:it|specify|test|example|should)\s+['\"]([^'\"]+))",
        skips=r"^\s*(?:xit|xdescribe|xcontext|pending|skip|omit)\b|skip:\s*(?:true|['\"])",
        hollow=r"(?:it|specify|test)\s+['\"]([^'\"]+)['\"]\s*do\s*end\b",
        comments=r"(?m)^\s*#[^\n]*",
        runner_marks=(
        r"defined\?\s*\(?\s*(?:RSpec|Minitest|Test::Unit)|\$(?:0|PROGRAM_NAME)[^\n]*(?:rspec|test"
        r"|minitest)"
    ),
    ),
    config_files=("**/.rspec", "**/Rakefile", "**/rakefile", "**/cucumber.yml", "**/.minitest.rb",
                  "**/.simplecov", "**/*.rake"),
)  # fmt: skip
