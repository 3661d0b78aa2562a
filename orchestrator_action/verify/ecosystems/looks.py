"""How code of any language looks around itself, and what it would find there only while it is tested. Pure.

Asking who calls, what is loaded, or what the environment says is honest by itself. Beside the name of a test runner,
or of a test, it tells the tests from everybody else. The two may stand on lines of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

NEAR = 4
"""Lines between the look and the name that it looks for."""

_RUNNERS = (
    r"py\.?test|unittest|nose2?|jest|vitest|mocha|\bava\b|rspec|minitest|test[/:]+unit|phpunit|\bpest\b|\bbats\b|\bprove\b"
    r"|harness|test\W{0,2}more|c?test_?driver|\bctest|\bgtest|catch2|nextest|testthat|node:test|--test\b|junit|testng|surefire|\btesting\.\w|tRunner"
)
_TESTS = rf"{_RUNNERS}|(?<![a-z.])(?:tests?|specs?)(?![a-z(])|\.(?:test|spec)\.|_test\b|(?-i:\btest[A-Z_])|\.t['\"$/]"
_VARIABLES = (
    r"PYTEST|JEST|VITEST|PYTHON(?:NOUSERSITE|DONTWRITEBYTECODE)|ORCHESTRATOR_|MOCHA|AVA_PATH|NODE_TEST_|BATS_|HARNESS_(?:ACTIVE|VERSION|PERL)|PHPUNIT|CTEST_|GTEST_"
    r"|MESON_TEST|NEXTEST|RUST_TEST_|TOX_(?:ENV|WORK)|NOX_CURRENT|NODE_V8_COV|GO_WANT_HELPER|CARGO_TARGET_TMP|COVERAGE_RUN|COV_CORE|npm_(?:lifecycle|command)|MAKELEVEL|MAKEFLAGS"
    r"|TESTTHAT|XCTEST|FLUTTER_TEST|TAP_VERSION|DASHBOARD_TEST|CURRENT_TEST"
)
_GLOBALS = (
    r"describe|beforeEach|afterEach|beforeAll|afterAll|before|after|expect|jest|vitest|mocha|it|test|vi|suite"
)


class _Look(NamedTuple):
    asks: re.Pattern[str]
    finds: re.Pattern[str]


def _look(asks: str, finds: str) -> _Look:
    return _Look(re.compile(asks), re.compile(finds, re.IGNORECASE))


_LITERAL_OF = r"(?:['\"`/][^'\"`\n]*?(?:{0})[^'\"`\n]*?['\"`/)])"
_ENVIRONMENT = (
    r"\benviron\b|\bgetenv\b|process\.env\b|import\.meta\.env\b|\bENV\b|\$ENV\{|%ENV|\$_ENV\b|\$_SERVER\b|os\.(?:Getenv"
    r"|LookupEnv|Environ)\b|\benv::vars?\b|\boption_env!|Deno\.env|System\.getenv|Environment\.Get|\b(?:print)?env\s*\||\bcompgen\b|\bENV\.(?:fetch|key)"
)
_LOOKS = (
    _look(
        r"inspect\.(?:stack|currentframe|trace)|\b_getframe|_current_frames|(?:extract|walk|format)_stack\b|\bf_back\b"
        r"|\bError\(\w*\)\.stack\b|\.stack\b|captureStackTrace|prepareStackTrace|\bcaller(?:_locations)?(?=\s*(?:[\[(.;)]|$))|debug_?backtrace"
        r"|runtime\.(?:Callers?|FuncForPC|Stack)\b|debug\.Stack\b|\bBacktrace\b|getStackTrace|StackTrace\(|StackWalker|Environment\.StackTrace|\.stackTrace\b",
        _LITERAL_OF.format(_TESTS + "|@py") + r"|[/{]t/",
    ),
    _look(
        r"\btype\(|__class__|\bisinstance\(|__qualname__|\.handlers\b|\bgc\.get_",
        r"['\"](?:LogCapture\w*|EncodedFile|CaptureIO|DontReadFromInput|TestCaseFunction|_LiveLogging\w*|_pytest[\w.]*)['\"]|['\"]Capture['\"]",
    ),
    _look(
        r"\b__file__\b|\bgetcwd\b|\bPath\.cwd\b|\b__dirname\b|\bimport\.meta\.(?:url|dirname)|process\.cwd\(|os\.Getwd|\bDir\.pwd\b|\$PWD\b|\bpwd\b",
        r"['\"`/](?:[^'\"`\n]*[/.])?(?:orchestrator|clean-)[^'\"`\n]*['\"`/]",
    ),
    _look(r"\bSymbol\.for\(", r"['\"`][^'\"`\n]*\b(?:jest|vitest|mocha)\b"),
    _look(r"thread::current\(\)\s*\.name", r"\"main\"|\btests?\b"),
    _look(
        r"\bmodule\.(?:parent|children|paths)|\brequire\.main|process\.mainModule",
        _LITERAL_OF.format(_TESTS),
    ),
    _look(
        r"/proc/(?:self|\d+|\$)|\bcmdline\b|getppid|\bPpid\b|psutil|process\.title|program_invocation|__progname|getprogname"
        r"|current_exe|os\.Executable|\$PROGRAM_NAME|(?<![\w$])\$0\b|sys\.(?:orig_)?argv|process\.argv|os\.Args|env::args\b"
        r"|\bARGV\b|execPath|execArgv|\bargv\[0\]|\bPPID\b|sun\.java\.command|System\.getProperty\(|\$_SERVER\[['\"](?:argv|SCRIPT|PHP_SELF)",
        _LITERAL_OF.format(_RUNNERS + r"|(?:(?<=\w)\.|\\\.|_)test\b(?!\()|/deps/|\\\.t\b")
        + r"|['\"]/?deps/?['\"]"
        + r"|\bgrep\b.*\b(?:bats|prove|test)\b",
    ),
    _look(
        r"program_invocation|__progname|getprogname|current_exe|os\.Executable|\bos\.Args\[0\]|\bargv\[0\]|\$PROGRAM_NAME",
        r"(?:strstr|contains|includes|\w+s_?with|has(?:suffix|prefix)|=~|==)\W[^\n]*"
        + _LITERAL_OF.format(r"(?<![a-z])tests?(?![a-z])"),
    ),
    _look(
        r"\bsys\.modules\b|find_spec|require\.cache|Gem\.loaded_specs|\bdeclare\s+-[fF]"
        r"|LOADED_FEATURES|\$\"(?=\W)|%INC\b|\$INC\{|get_(?:included_files|declared_classes)|(?:class|function)_exists"
        r"|const_defined|defined\?|ObjectSpace|GetAssemblies|Class\.forName|loaded_applications|ensure_loaded",
        _LITERAL_OF.format(_RUNNERS + r"|\bhypothesis\b")
        + r"|\bbats_\w|end_with\?\(['\"]Test|defined\?\s*\(?\s*:*(?:RSpec|Minitest|Test::|Spec)|ExUnit",
    ),
    _look(
        r"\b(?:globalThis|global|window)\b|\bReflect\.has|\bglobals\(\)|\bbuiltins\b",
        rf"['\"`](?:{_GLOBALS}|__?pytest\w*)['\"`]\s*(?:in\b|\]|\))|['\"`](?:{_GLOBALS})['\"`]\s+(?:not\s+)?in\s",
    ),
    _look(_ENVIRONMENT, rf"(?<![A-Za-z])(?-i:{_VARIABLES})"),
    _look(
        rf"(?:{_ENVIRONMENT}).*\b(?:NODE_ENV|MODE|BABEL_ENV|APP_ENV|RACK_ENV|RAILS_ENV|MIX_ENV|PLACK_ENV)\b"
        r"|\bNODE_ENV\b|Mix\.env|Rails\.env",
        r"['\"`]test['\"`]|:test\b|\btest\?|\.test\([^)]*env|(?:NODE_ENV|\benv)\b\??\.?(?:startsWith|includes|indexOf|charAt"
        r"|length\s*===?\s*4|\[0\])",
    ),
    _look(
        r"\bread_(?:text|bytes)\b|\breadFile(?:Sync)?\b|\bexistsSync\b|\breaddir(?:Sync)?\b|\bopen\(|\.is_(?:file|dir)\(|"
        r"\bexists\(|\bpath\.is(?:dir|file)\(|\bglob\b|\blistdir\b|\bscandir\b|os\.walk|\bFile\.(?:read|exist|open|foreach)|\bDir[.\[]|file_get_contents"
        r"|file_exists|os\.(?:ReadFile|Stat|Open|ReadDir)\b|fs::(?:read|metadata)|import_module|__import__|include_str!",
        r"['\"`/](?:tests?|specs?|__tests__)(?:['\"`]|/)|\btest_[\w*]*\.py\b|\bconftest\.py\b|[\w*][._-](?:test|spec)\.[cm]?[jt]sx?\b"
        r"|[\w*]_(?:test\.go|spec\.rb|test\.rb)\b|[\w*]Test\.php\b|['\"`]t/|['\"]tests?\.\w",
    ),
)

_HIDDEN_NAME = re.compile(
    rf"(?:(?:{_ENVIRONMENT})(?:\.get\(|\[|\(|\{{)|\bmodules(?:\.get\(|\[)|\b(?:globalThis|global)\[)\s*[^\n\])]*?"
    r"(?:atob\(|fromCharCode|b64decode|fromhex|unhexlify|rot.?13|\[::-1\]|\.reverse\b|decode64|base64_decode|hex2bin"
    r"|Buffer\.from\(|\bchr\(|\bunpack\b|\bpack\()"
)
_JOINED = re.compile(r"(?<=\w)(['\"`])\s*(?:\+|\.|\.\.|<>)?\s*\1(?=\w)")
"""A name that is written in two pieces."""


class Found(NamedTuple):
    """One line, by its number from 1, and what it does."""

    line: int
    what: str


LOOKS = "looks for the test runner"


def looks_in(lines: Sequence[str]) -> Iterator[Found]:
    """Lines that ask who is there, and the lines near them that name a runner or a test."""
    plain = [_JOINED.sub("", line) if len(line) < 2000 else "" for line in lines]
    for look in _LOOKS:
        near: set[int] = set()
        for n in (n for n, line in enumerate(plain) if line and look.asks.search(line)):
            named = [
                m
                for m in range(max(0, n - NEAR), min(len(plain), n + NEAR + 1))
                if look.finds.search(plain[m])
            ]
            near |= {n, *named} if named else set()
        yield from (Found(n + 1, LOOKS) for n in sorted(near))
    for n, line in enumerate(plain, 1):
        if _HIDDEN_NAME.search(line):
            yield Found(n, "looks something up under a name that it hides")
