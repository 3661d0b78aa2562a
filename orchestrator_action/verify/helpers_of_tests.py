"""Which files outside of the tests' folders are there for the tests only: an assertion of one's own, a fake.

What nobody but tests names may as well be the code under test. So a file has to say itself that it helps tests: by
the folder that it is in, one for other people's code among them, or because it uses a test library or starts a runner.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from orchestrator_action.git.repo import Git

_MAX_READ = 400
"""How many files of each kind are read for names."""
_CODE = re.compile(r".*\.(?:py|[cm]?[jt]sx?|rb|php|go|rs|pm|pl|sh|bash|c|cc|cpp|h|hpp|java|kt|cs)")
_SAYS_SO = re.compile(
    r"(?:^|/)(?:vendor(?:ed)?|_vendor|third[_-]?party|3rd[_-]?party|extern(?:al)?|deps|contrib|subprojects)/"
    r"|(?:^|/)(?:support|helpers?|testing|test[_-]?(?:utils?|kit|support|helpers?|lib)"
    r"|harness|assertions?|matchers?|mocks?"
    r"|fakes?|stubs?|factories|shared_examples|oracles?|references?)/[^/]*$"
    r"|(?:^|/)(?:assert|expect|matcher|harness|fake|mock|stub|oracle|reference)\w*\.\w+$",
    re.IGNORECASE,
)
_USES_A_LIBRARY = re.compile(
    r"^\s*(?:import|from)\s+(?:pytest|unittest|_pytest)\b|\bAssertionError\b|['\"](?:chai|vitest"
    r"|@jest/globals|node:test|bun:test|should|expect)['\"]|\bexpect\(\w|^\s*\"testing\"$|\*testing\.T\b|\btesting\.TB\b"
    r"|['\"](?:pytest|unittest|jest|vitest|mocha|ava|phpunit|rspec|prove|bats|ctest|--test)['\"]|\b(?:pytest|unittest)\.main\("
    r"|\bTest::(?:More|Builder)\b|PHPUnit\\Framework|\b(?:RSpec|Minitest)\b|org\.junit|\bXunit\b",
    re.MULTILINE,
)


def only_for_tests(
    git: Git, commit: str, paths: Sequence[str], belongs: Callable[[str], bool]
) -> frozenset[str]:
    """Of `paths`, which `commit` has and which are no tests by name, those that help tests and nobody else."""
    bodies = {p: _text(b) for p, b in git.files(commit, [p for p in paths if _CODE.fullmatch(p)]).items()}
    likely = [p for p, text in bodies.items() if _SAYS_SO.search(p) or _USES_A_LIBRARY.search(text)]
    if not likely:
        return frozenset()
    code = [p for p in git.paths(commit) if _CODE.fullmatch(p) or p.endswith(".bats")]
    tests = _texts(git, commit, [p for p in code if belongs(p)])
    others = {
        p: t for p, t in _texts(git, commit, [p for p in code if not belongs(p)]).items() if p not in likely
    }
    return frozenset(
        p
        for p in likely
        if _named(p, tests.values()) and not _named(p, [t for o, t in others.items() if o != p])
    )


def _named(path: str, texts: Iterable[str]) -> bool:
    """Whether a text names the file as an import would: by its own name, for Go by its folder."""
    parts = path.split("/")
    stem = parts[-1].rpartition(".")[0]
    name = parts[-2] if path.endswith(".go") and len(parts) > 1 else stem
    if name in {"index", "__init__", "mod"} and len(parts) > 1:
        name = parts[-2]
    wanted = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    return any(wanted.search(text) for text in texts)


def _texts(git: Git, commit: str, paths: Sequence[str]) -> dict[str, str]:
    return {p: _text(b) for p, b in git.files(commit, paths[:_MAX_READ]).items()}


def _text(body: bytes | None) -> str:
    return (body or b"").decode("utf-8", "replace")
