"""Added lines outside the tests of which reading alone does not say what they are for: a person reads them.

Asking whether a build server is there, running text that a file holds, decoding what nobody can read, data with the
tests' own inputs and answers: each is honest in most places, and each is how a lie hides. None of them refutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.paths import shown
from orchestrator_action.verify.exceptions import NamedTest
from orchestrator_action.verify.hard_coded import hard_coded
from orchestrator_action.verify.no_special_case import CODE_ENDINGS, added_lines, changed_texts, is_comment
from orchestrator_action.verify.test_paths import TestPaths

_SERVER = r"(?:CI|CONTINUOUS_INTEGRATION|GITHUB_ACTIONS|BUILD_(?:ID|NUMBER)|RUNNER_(?:OS|TEMP|NAME))"
_ASKS = re.compile(
    rf"(?:\benviron\b|\bgetenv\b|process\.env\b|\bENV\b|os\.(?:Getenv|LookupEnv)|\bgetenv\(|env::vars?\b|System\.getenv"
    rf"|\$_(?:ENV|SERVER))[^\n]{{0,12}}\b{_SERVER}\b|\{{[^}}\n]*\b{_SERVER}\b[^}}\n]*\}}\s*=\s*process\.env|\$\{{?{_SERVER}\b"
)
_KIND_OF_RUN = re.compile(
    r"(?:process\.env\.|\bENV\[['\"]|environ(?:\.get\(|\[)['\"]|getenv\(['\"])(?:NODE|RACK|RAILS|APP|MIX|BABEL)_ENV\b"
    r"(?![^\n]*(?:production|development))"
)
_RUNS_TEXT = re.compile(
    r"(?<![\w.])(?:eval|exec)\s*\([^)\n]*(?:\(|\b(?:text|data|code|source|body|content)\b)"
    r"|\bnew Function\s*\(|\bvm\.run\w+\(|\bmarshal\.loads?\("
)
_DECODES = re.compile(
    r"b(?:32|64|85|16)decode|a85decode|unhexlify|fromhex|decompress|\batob\(|Buffer\.from\([^)\n]*(?:base64|hex)"
    r"|(?:gunzip|inflate|brotliDecompress)\w*\(|Base64\.\w*decode|decode64|base64_decode|gzuncompress|gzinflate"
    r"|hex\.DecodeString|base64\.\w+\.DecodeString|MIME::Base64|base64 -d|xxd -r|zlib\.NewReader|hex::decode"
)
_UNREADABLE = re.compile(
    r"(['\"`])(?=[^'\"`\n]*\d)(?=[^'\"`\n]*[A-Za-z])[^\s'\"`\n]{48,}\1|\\x[0-9a-f]{2}(?:[^\n]*\\x){16}"
)
_NEAR = 8
_NO_DATA = re.compile(
    r".*\.(?:md|rst|adoc|lock|sum|svg|html?|css|po|map|min\.js)|(?:.*/)?(?:CHANGELOG|LICENSE|NEWS)[^/]*", re.I
)
MOST = 20


def doubts(
    git: Git, *, base: str, head: str, tests: TestPaths, mended: Sequence[str] = ()
) -> list[NamedTest]:
    """Every such line that the branch adds, at most twenty. `mended` are texts of tests that it made pass."""
    found: list[NamedTest] = []
    others = list(changed_texts(git, base, head, lambda p: not tests.belongs(p)))
    for path, lines in added_lines(others).items():
        if path.rpartition(".")[2].lower() in CODE_ENDINGS:
            found += [_named(path, n, what, text) for n, what, text in _in_code(path, lines)]
    cases = [
        "\n".join(text for _, text in lines)
        for lines in added_lines(changed_texts(git, base, head, tests.is_test)).values()
    ]
    data = {
        path: lines for path, lines in added_lines(others).items()
        if path.rpartition(".")[2].lower() not in CODE_ENDINGS and not _NO_DATA.fullmatch(path)
    }  # fmt: skip
    rows = hard_coded([*cases, *mended], data) if data and (cases or mended) else []
    found += [_named(one.path, one.line, "holds a test's own input and answer", one.text) for one in rows[:3]]
    return found[:MOST]


def _named(path: str, line: int, what: str, text: str) -> NamedTest:
    return NamedTest(id=f"{shown(path)}:{line}", what=what, reason=f"`{text.strip()[:120]}`", kind="place")


def _in_code(path: str, lines: Sequence[tuple[int, str]]) -> Iterable[tuple[int, str, str]]:
    ending = path.rpartition(".")[2].lower()
    code = [(n, text) for n, text in lines if not is_comment(text, ending)]
    unreadable = [n for n, text in code if _UNREADABLE.search(text)]
    for number, text in code:
        if _ASKS.search(text) or _KIND_OF_RUN.search(text):
            yield number, "asks where it runs", text
        elif _RUNS_TEXT.search(text):
            yield number, "runs text that it is given", text
        elif _DECODES.search(text) and any(abs(n - number) <= _NEAR for n in unreadable):
            yield number, "decodes what nobody can read", text
