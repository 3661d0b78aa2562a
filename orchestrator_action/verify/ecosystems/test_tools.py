"""Test tools by name: files that would be loaded in their place, and manifests that take them from elsewhere. Pure."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence

_NODE = (
    "jest", "vitest", "mocha", "chai", "ava", "tap", "tape", "sinon", "jasmine", "uvu", "should", "expect", "supertest",
    "nyc", "c8", "karma", "playwright", "cypress", "jest-cli", "ts-jest", "babel-jest", "power-assert", "assert", "tsx",
    "ts-node", "esbuild-register", "nock", "@jest/[\\w-]+", "@vitest/[\\w-]+", "@playwright/test", "@testing-library/[\\w-]+",
)  # fmt: skip
_PYTHON = (
    "pytest", "_pytest", "pluggy", "iniconfig", "unittest", "nose", "nose2", "tox", "nox", "coverage", "hypothesis", "mock",
    "pytest_[\\w]+", "pytest-[\\w-]+", "testtools", "trial", "xdist", "assertpy", "sure", "hamcrest", "freezegun", "responses",
)  # fmt: skip
_BESIDE_PYTEST = (
    "packaging", "pygments", "exceptiongroup", "tomli", "parameterized", "ddt", "faker", "respx", "httpretty", "moto",
    "requests_mock", "time_machine", "syrupy", "pyfakefs", "vcr",
)  # fmt: skip
"""What pytest itself imports, and what tests often do."""
_RUBY = (
    "minitest",
    "rspec",
    "rspec-[\\w]+",
    "test-unit",
    "test/unit",
    "cucumber",
    "rake",
    "bacon",
    "mocha",
    "capybara",
)
_GO = ("testify", "gomega", "ginkgo", "go-cmp", "gotest.tools", "is", "assert", "gocheck", "check.v1")
_RUST = (
    "proptest",
    "quickcheck",
    "rstest",
    "test-case",
    "insta",
    "pretty_assertions",
    "assert_cmd",
    "nextest",
)
_PHP = ("phpunit/[\\w-]+", "pestphp/[\\w-]+", "mockery/mockery", "codeception/[\\w-]+", "behat/behat")


def _one_of(names: Sequence[str]) -> str:
    return f"(?:{'|'.join(names)})"


_STANDARD = frozenset(sys.stdlib_module_names) - {"test", "this", "antigravity"}
_IN_PLACE = (
    re.compile(rf"(?:.*/)?node_modules/(?:\.bin/[^/]+|{_one_of(_NODE)}/.*)"),
    re.compile(rf"(?:src/|lib/)?{_one_of(_PYTHON)}(?:\.py|/.*\.py)"),
    re.compile(rf"(?:src/|lib/)?{_one_of(_BESIDE_PYTEST)}(?:\.py|/__init__\.py)"),
    re.compile(rf"(?:lib/|src/)?(?:{_one_of(_RUBY)})(?:\.rb|/.*\.rb)"),
    re.compile(r"(?:lib|blib/lib|inc|local/lib/perl5)/(?:Test|TAP)/(?:More|Builder|Simple|Most|Exception|Deep|Differences|Harness"
               r"|Tester|Fatal|Warn|Class|Parser|Spec|Unit|Base|LongString|Output|MockModule)\b.*\.pm"),
    re.compile(r"(?:vendor/bin/[^/]+|vendor/(?:phpunit|pestphp|sebastian)/.*|(?:bin|node_modules/\.bin|\.bin)/(?:phpunit|pest|rspec"
               r"|rake|pytest|jest|mocha|vitest|prove|bats|ctest))"),
    re.compile(r"(?:bin|libexec|sbin|scripts?)/(?:diff|cmp|grep|egrep|fgrep|test|\[|cat|sort|uniq|head|tail|jq|expr|sed|awk|wc|true|false|echo"
               r"|printf|env|bash|sh|python3?|node|ruby|perl|php|make|git|curl|tr|cut|timeout)"),
    re.compile(r"(?:.*/)?(?:node_modules/)?bats-(?:core|assert|support|file)/.*"),
    re.compile(r"vendor/github\.com/(?:stretchr|onsi|google/go-cmp)/.*"),
)  # fmt: skip


def in_a_tools_place(path: str) -> bool:
    """Whether a new file of this path would be loaded instead of a test tool, or of a module that one needs."""
    module = re.fullmatch(r"(\w+)(?:\.py|/__init__\.py)", path)
    standard = module is not None and module[1] in _STANDARD
    return standard or any(pattern.fullmatch(path) for pattern in _IN_PLACE)


_ELSEWHERE = r"(?:file:|link:|portal:|workspace:|\.{1,2}/|/|git\+|git:|https?:)"
_MANIFESTS: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = tuple(
    (re.compile(names), re.compile(line))
    for names, line in (
        (
            r"(?:.*/)?package\.json",
            rf"\"{_one_of(_NODE)}\"\s*:\s*\"(?:npm:(?!{_one_of(_NODE)}@)|{_ELSEWHERE})",
        ),
        (
            r"(?:.*/)?(?:requirements[\w.-]*\.(?:txt|in)|pyproject\.toml|setup\.cfg|tox\.ini|Pipfile)",
            rf"^[\s\"'-]*{_one_of(_PYTHON)}\s*(?:\[[^\]]*\])?\s*@\s*{_ELSEWHERE}|^\s*{_one_of(_PYTHON)}\s*=\s*\{{[^}}]*(?:path|git|url)\s*="
            rf"|^\s*(?:-e\s+)?(?:\./|\.\./)[\w./-]*{_one_of(_PYTHON)}\b",
        ),
        (
            r"(?:.*/)?(?:Gemfile|[\w.-]+\.gemspec)",
            rf"gem\s+['\"]{_one_of(_RUBY)}['\"][^\n]*(?:path|git|github)\b",
        ),
        (r"(?:.*/)?go\.(?:mod|work)", rf"\b(?:[\w.-]+/)*{_one_of(_GO)}(?:/v\d+)?(?:\s+v\S+)?\s+=>\s"),
        (
            r"(?:.*/)?(?:Cargo\.toml|\.cargo/config(?:\.toml)?)",
            rf"^\s*{_one_of(_RUST)}\s*=\s*\{{[^}}]*(?:path|git)\s*=",
        ),
        (r"(?:.*/)?composer\.json", rf"\"{_one_of(_PHP)}\"\s*:\s*\"(?:\*?@dev|dev-)"),
    )
)


def tools_from_elsewhere(path: str, text: str) -> Iterator[int]:
    """Numbers of lines by which a manifest takes a test tool from the tree, or from an address of its own."""
    for names, line in _MANIFESTS:
        if names.fullmatch(path):
            yield from (n for n, words in enumerate(text.split("\n"), 1) if line.search(words))
