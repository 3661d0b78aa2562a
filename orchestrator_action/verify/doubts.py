"""Added lines outside the tests of which reading alone does not say what they are for: a person reads them.

Asking whether a build server is there, running text that a file holds, decoding what nobody can read, data with the
tests' own inputs and answers: each is honest in most places, and each is how a lie hides. None of them refutes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.paths import matches, shown
from orchestrator_action.verify.ecosystems.defeats import KIND_ONLY
from orchestrator_action.verify.ecosystems.python_shapes import doubts_in
from orchestrator_action.verify.exceptions import NamedTest
from orchestrator_action.verify.from_tests import takes_from_tests
from orchestrator_action.verify.hard_coded import hard_coded
from orchestrator_action.verify.leads import leads_elsewhere
from orchestrator_action.verify.no_special_case import (
    CODE_ENDINGS,
    added_lines,
    changed_texts,
    is_comment,
    product_texts,
)
from orchestrator_action.verify.test_paths import TestPaths, is_mixed

_SERVER = r"(?:CI|CONTINUOUS_INTEGRATION|GITHUB_ACTIONS|BUILD_(?:ID|NUMBER)|RUNNER_(?:OS|TEMP|NAME))"
_ASKS = re.compile(
    rf"(?:\benviron\b|\bgetenv\b|process\.env\b|\bENV\b|os\.(?:Getenv|LookupEnv)|\bgetenv\(|env::vars?\b|System\.getenv"
    rf"|\$_(?:ENV|SERVER))[^\n]{{0,12}}\b{_SERVER}\b|\{{[^}}\n]*\b{_SERVER}\b[^}}\n]*\}}\s*=\s*process\.env|\$\{{?{_SERVER}\b"
)
_KIND_OF_RUN = re.compile(
    r"(?:process\.env\.|\bENV\[['\"]|environ(?:\.get\(|\[)['\"]|getenv\(['\"])(?:NODE|RACK|RAILS|APP|MIX|BABEL)_ENV\b"
    r"(?![^\n]*(?:production|development))"
    r"|(?:process\.env\.|(?:\bENV\[|environ(?:\.get\(|\[)|[gG]etenv\(|env::vars?(?:_os)?\()['\"])(?:IS_|IN_|UNIT_?|RUN_)?TEST(?:S|ING|_?MODE|_?ENV)?\b"
)
_HOW_BUILT = re.compile(
    r"\b__debug__\b|\bsys\.flags\.optimize\b|\bsys\.get(?:trace|profile)\(|\bcfg!?\(\s*(?:not\(\s*)?debug_assertions|^\s*#\s*(?:el)?if(?:n?def)?\b.*\bNDEBUG\b"
    r"|\btesting\.Short\(|\bGOCOVERDIR\b|/go-build|\bimport\.meta\.vitest\b|\bargv\[0\].*__main__|\bgetOwnPropertySymbols\(\s*global"
    r"|\bfaulthandler\.is_enabled\(|\blen\(\s*warnings\.filters|\bsys\.\w+hook\s+is\b|\bsys\.std(?:in|out|err)\.name\b|\bsys\.orig_argv\b"
    r"|['\"]site-packages['\"][^\n]*__file__|/proc/(?:self|[$\d{][^/'\"]*)/(?:comm|cmdline|exe)\b|\bgetppid\(\)\s*[!=]=|\bprocess\.ppid\s*[!=]="
    r"|\bProcess\(\)\.parent\(|\bprocess\.uptime\(\)\s*[<>]|\bperformance\.now\(\)\s*[<>]=?\s*\d|\bprocess\._get\w+\(|\bmodule\.children\b"
    r"|\b__coverage__\b|\bgetppid\(\)\s*[<>]|\boption_env!\(\s*\"CARGO_PRIMARY|\bnew Error\([^)\n]*\)\.stack\b[^\n]*\.length\s*[<>]"
    r"|\benv::var\w*\(\s*\"CARGO_|\bassert\s+\w+\s*=[^=]|\bdesiredAssertionStatus\(|['\"]zend\.assertions"
    r"|\bsys\.flags\.dev_mode\b|\bprocess\.execArgv\.\w|\bprocess\.connected\s*[?&|)]|\bhasattr\(\s*__main__(?!\s*,\s*['\"]__file__)|\[['\"]__main__['\"]\]\.__(?:spec|package|loader)__"
    r"|\btime\.(?:process|thread)_time\(\)\s*[<>]|^\s*#\s*(?:el)?if(?:n?def)?\b.*\b(?:UNIT_?TEST(?:S|ING)?|TESTING|TEST_BUILD|GTEST\w*)\b|\bmetadata\.\w+\(\s*['\"](?:pytest|hypothesis|coverage|tox|nox)['\"]"
)
_UNTIL = re.compile(
    r"(?:\b(?:utc)?now\(\)|\btoday\(\)|\btime\.time\(\)|\bnew Date\(\)|\btime\.Now\(\)|\bTime\.now\b|\btime\((?:NULL|nullptr|0)?\)|\bdate \+%[Ys])"
    r"[^\n]{0,30}?(?:[<>]|-[lg][te]\b|\bis(?:Before|After)\(|\.(?:Before|After)\()[^\n]{0,40}?\b(?:20[2-9]\d\b|[12]\d{9,12}\b)"
)
_TEST_LIBRARY = re.compile(
    r"^\s*(?:import|from)\s+(?:_?pytest|unittest)\b|(?:__import__|import_module)\(\s*['\"](?:_?pytest|unittest)\b|\b(?:require\(|from\s+)['\"](?:node:test|vitest|@jest/globals|chai)['\"]"
    r"|^\s*(?:import\s+)?(?:\w+\s+)?\"testing\"\s*$|^\s*import\s+(?:static\s+)?org\.(?:junit|testng|mockito)\b|\borg\.(?:junit|testng)\.\w+"
    r"|^\s*require\s*\(?['\"](?:rspec|minitest|test/unit)\b|\bexcept\b[^\n]*\bAssertionError\b|['\"]ERR_ASSERTION['\"]"
    r"|\brescue\s+(?:Minitest|RSpec)\b|\bcatch\s*\([^)\n]*\b(?:AssertionError|AssertionFailedError|PHPUnit)\b"
    r"|^\s*namespace\s+[\w\\]+\\Tests?\b"
)
_GO_HELP = re.compile(r"(?:^|/)\w*test\w*/")
"""Packages of Go that help tests import `testing` themselves."""
_TRIES_AGAIN = re.compile(
    r"\bjest\.retryTimes\(|\bthis\.retries\(|\{[^{}]*\bretry\s*:\s*[1-9]|\bmark\.flaky\b|^\s*@flaky\b|\breruns\s*=\s*[1-9]"
)
_SET_TO_TRY_AGAIN = re.compile(
    r"--(?:re-?runs|rerun-fails|retr(?:y|ies)|flaky-\w+)[= ]['\"]?[1-9]|\bre-?runs['\"]?\s*[:=]\s*['\"]?[1-9]|\bretr(?:y|ies)['\"]?\s*[:=]\s*['\"]?[1-9]"
    r"|\brerunFailingTestsCount\b|\buntil-pass\b|\bBATS_TEST_RETRIES\b|\bdefault_retry_count\b|\bmaxRetries\s*(?:=|\.set\()\s*[1-9]"
)
_REACHES = re.compile(
    r"\bctypes\.pythonapi\b|\bgc\.get_(?:objects|referrers)\(|\bModule\._(?:load|resolveFilename|compile)\b|\bModule\.prototype\.require\b"
    r"|\brequire\.extensions\b|(?<![\w.])(?:Object|Number|String|Array|Promise|Error|Function|Map|Set)\.prototype\.\w+\s*=[^=]"
    r"|\bsys\.setrecursionlimit\(\s*\d{1,2}\s*\)|\bdump_traceback_later\(|\bsys\.set(?:profile|trace)\(|\bsys\.(?:_current_frames\(|monitoring\.)"
    r"|\bthreading\.excepthook\s*=[^=]|(?<![\w.])AssertionError\s*=[^=]|\b(?:ast|types)\.\w+\.\w+\s*=[^=]|\bsignal\([^)\n]*\bSIG(?:ABRT|ALRM)\b"
    r"|\bError\.prepareStackTrace\s*=[^=]|\bAssertionError\.prototype\b|\brequire\.cache\[[^\n]*\]\s*=[^=]"
    r"|\bdefineProperty\(\s*(?:Object|Number|String|Array|Promise|Error|Function|Map|Set)\.prototype\b"
    r"|\bon\(\s*['\"](?:uncaughtException|unhandledRejection)['\"]\s*,[^\n]*\{\s*\}|\bset_hook\(\s*Box::new\(\|\w*\|\s*\{\s*\}"
)
_FOR_ALL = re.compile(
    r"(?<![\w.])(?:Date\.now|Math\.(?:random|\w+)|JSON\.\w+|Intl\.\w+|performance\.now|process\.(?:emitWarning|hrtime|nextTick))\s*=[^=>]"
    r"|\b(?:globalThis|global|window)\.(?:Date|Math|Intl|JSON|Promise|set(?:Timeout|Interval|Immediate)|structuredClone|console)\s*=[^=>]"
    r"|\bprocess\.env\.TZ\s*=[^=]|\bENV\[['\"]TZ['\"]\]\s*=[^=]|environ\[['\"]TZ['\"]\]\s*=[^=]|\btime\.tzset\(|\bos\.Setenv\(\"TZ\"|\btime\.Local\s*=[^=]"
    r"|\b(?:Locale|TimeZone)\.setDefault\(|^(?:random|np\.random|numpy\.random)\.seed\(|^(?:Kernel\.)?srand\b|^\s*class\s+Time\s*(?:;|$)|\bTime\.define_singleton_method\("
    r"|\*CORE::GLOBAL::\w+\s*=|\bsys\.modules\[(?!__name__)[^\]\n]*\]\s*=[^=]|\b(?:valueOf|toJSON)\s*[:=]\s*(?:\(|function|async)|\[Symbol\.toPrimitive\]\s*[:=(]"
    r"|\b(?:uopz_set_return|runkit7?_\w+|stream_wrapper_unregister)\("
)
_BUILD_KNOWS = re.compile(r"\benv::var\w*\(\s*\"CARGO_(?:CFG|PKG|MANIFEST|FEATURE)_")
"""What a build script is always told."""
_BUILD_ASKS = re.compile(r"\benv::var\w*\(\s*\"(?:PROFILE|OPT_LEVEL|DEBUG)\"")
_GO_RACE = re.compile(r"^//go:build\b.*\brace\b")
_GO_EMBEDS = re.compile(r"^\s*//go:embed\s+(?:\S*/)?testdata\b")
_RUNS_TEXT = re.compile(
    r"\brunpy\.run_\w+\(|\bSourceFileLoader\(|\bspec_from_(?:loader|file_location)\(|\b_compile\(|\b(?:instance|class|module)_eval\b[^\n]*\bread\b|"
    r"(?<![\w.])(?:eval|exec)\s*\([^)\n]*(?:\(|\b(?:text|data|code|source|body|content)\b)"
    r"|\bnew Function\s*\(|\bvm\.run\w+\(|\bmarshal\.loads?\("
)
_LOADS_DATA = defaultdict(
    lambda: re.compile("(?!)"),
    {
        ending: re.compile(begins + r"\(?\s*['\"]?(?:\$\w+/|__DIR__\s*\.\s*['\"]/?)?[\w./-]+\.(?:txt|dat|data|json5|bin|tpl|cache|log|md|csv|raw|blob)\b")
        for endings, begins in (
            (("js", "cjs", "mjs", "ts"), r"\b(?:require|import)\b"), (("rb",), r"^\s*(?:load|require|require_relative)\b"),
            (("pl", "pm"), r"\b(?:do|require)\b"), (("php",), r"\b(?:include|require)(?:_once)?\b"),
            (("sh", "bash"), r"(?:^|[;&|]\s*)\s*(?:\.|source)\s"), (("c", "cc", "cpp", "h", "hpp", "rs"), r"^\s*(?:#\s*include|include!)"),
        ) for ending in endings
    },
)  # fmt: skip
"""Code that is kept in a file whose name says that it is none."""
_DECODES = re.compile(
    r"b(?:32|64|85|16)decode|a85decode|unhexlify|fromhex|decompress|\batob\(|Buffer\.from\([^)\n]*(?:base64|hex)"
    r"|(?:gunzip|inflate|brotliDecompress)\w*\(|Base64\.\w*decode|decode64|base64_decode|gzuncompress|gzinflate"
    r"|hex\.DecodeString|base64\.\w+\.DecodeString|MIME::Base64|base64 -d|xxd -r|zlib\.NewReader|hex::decode"
)
_UNREADABLE = re.compile(
    r"(['\"`])(?=[^'\"`\n]*\d)(?=[^'\"`\n]*[A-Za-z])[^\s'\"`\n]{48,}\1|\\x[0-9a-f]{2}(?:[^\n]*\\x){16}"
)
_LIBRARY, _OF_TESTS = "uses a test library outside of the tests", "takes something from the tests"
_SAYS = (
    ("asks where it runs", (_ASKS, _KIND_OF_RUN)),
    ("asks how it is built or started", (_HOW_BUILT,)),
    ("is as it is until a date", (_UNTIL,)),
    (_LIBRARY, (_TEST_LIBRARY,)),
    ("changes what the language itself does", (_REACHES, _FOR_ALL)),
    ("runs text that it is given", (_RUNS_TEXT,)),
)
"""What a line says of itself; the first that fits."""
_NEAR = 8
_NO_DATA = re.compile(
    r".*\.(?:md|rst|adoc|lock|sum|svg|html?|css|po|map|min\.js)|(?:.*/)?(?:CHANGELOG|LICENSE|NEWS)[^/]*", re.I
)
_MOST_DOUBTS = 20


def doubts(
    git: Git, *, base: str, head: str, tests: TestPaths, mended: Sequence[str] = ()
) -> list[NamedTest]:
    """Every such line that the branch adds, at most twenty. `mended` are texts of tests that it made pass."""
    found: list[NamedTest] = []
    there = frozenset(git.paths(head))
    read = [p for p in there if not _HIDDEN_WELL.fullmatch(p)]
    others = list(changed_texts(git, base, head, lambda p: not tests.belongs(p)))
    for path, lines in added_lines(others).items():
        if path.rpartition(".")[2].lower() in CODE_ENDINGS:
            found += [_named(path, n, what, text) for n, what, text in _in_code(path, lines)]
        found += [_named(path, n, what, text) for n, what, text in _in_settings(path, lines, read)]
    of_tests = frozenset(p for p in there if tests.is_test(p))
    found += [
        _named(path, n, _OF_TESTS, text)
        for path, lines in added_lines(others).items()
        for n, text in lines
        if path.rpartition(".")[2].lower() in CODE_ENDINGS and takes_from_tests(path, text, of_tests)
    ]
    found += [_named(path, 1, what, text) for path, what, text in _in_no_text(git, base, head, tests)]
    found += [_named(path, 1, what, text) for path, what, text in _ignored(git, base, head)]
    for path, before, after in changed_texts(git, base, head, lambda p: not tests.is_test(p)):
        said = after.splitlines() or [""]
        found += [
            _named(path, n, what, said[n - 1]) for n, what in leads_elsewhere(path, before, after, there)
        ]
    for path, before, after in others:
        old, now = set(before.splitlines()), after.splitlines()
        own = doubts_in(after) if path.endswith(".py") else ()
        found += [_named(path, n, what, now[n - 1]) for n, what in own if now[n - 1] not in old]
    changed_tests = added_lines(changed_texts(git, base, head, tests.is_test))
    found += [
        _named(path, n, "tries a test again until it passes", text)
        for path, lines in changed_tests.items()
        for n, text in lines
        if _TRIES_AGAIN.search(text) and not is_comment(text, path.rpartition(".")[2].lower())
    ]
    of_settings = list(changed_texts(git, base, head, lambda p: tests.is_config(p) or is_mixed(p)))
    found += [
        _named(path, n, "tries tests again until they pass", text)
        for path, before, after in of_settings
        for n, text in _tries_again(path, before, after)
    ]
    cases = ["\n".join(text for _, text in lines) for lines in changed_tests.values()]
    data = {
        path: lines for path, lines in added_lines(others).items()
        if path.rpartition(".")[2].lower() not in CODE_ENDINGS and not _NO_DATA.fullmatch(path)
    }  # fmt: skip
    rows = hard_coded([*cases, *mended], data) if data and (cases or mended) else []
    found += [_named(one.path, one.line, "holds a test's own input and answer", one.text) for one in rows[:3]]
    return _without_habits(git, base, tests, found)[:_MOST_DOUBTS]


def _without_habits(git: Git, base: str, tests: TestPaths, found: list[NamedTest]) -> list[NamedTest]:
    """Without uses of a test library in a language whose code uses one at the base, too: it helps others to test."""
    places = {f.id: f.id.rpartition(":")[0].rpartition(".")[2].lower() for f in found if f.what == _LIBRARY}
    texts = product_texts(git, base, tests, set(places.values())) if places else ()
    habits = {
        path.rpartition(".")[2].lower()
        for path, text in texts
        if any(_TEST_LIBRARY.search(line) for line in text.splitlines())
    }
    return [f for f in found if places.get(f.id) not in habits or f.what != _LIBRARY]


_OTHER_TOOLS = re.compile(
    r"\b(?:curl|wget|pip3?|uv|apt(?:-get)?|npm|yarn|pnpm|docker|aria2c|rsync)\s[^;&|\n]*"
)
_ABOUT_TESTS = re.compile(
    r"pytest|jest|vitest|mocha|\bava\b|\btap\b|playwright|cypress|nextest|tox|nox|\btests?\b|scripts", re.I
)


def _tries_again(path: str, before: str, after: str) -> Iterable[tuple[int, str]]:
    """New lines of settings that have tests repeated; of a manifest of many tools those in a part about tests."""
    known, part = set(before.splitlines()), ""
    ending = path.rpartition(".")[2].lower()
    for number, text in enumerate(after.splitlines(), 1):
        heads = re.findall(r"^\s*\[+([^\]]*)|\"([\w.-]+)\"\s*:\s*\{", text)
        part = "".join(heads[-1]) if heads else part
        if (
            text in known
            or is_comment(text, ending)
            or (ending in {"toml", "cfg", "json"} and not _ABOUT_TESTS.search(f"{part} {path}"))
        ):
            continue
        if _SET_TO_TRY_AGAIN.search(_OTHER_TOOLS.sub("", text)):
            yield number, text


def _ignored(git: Git, base: str, head: str) -> Iterable[tuple[str, str, str]]:
    """Programs that are committed although the repository ignores such files, before and after: what is built, or installed."""
    added = [c.path for c in git.changes(base, head) if c.status != "D" and not c.old_blob.strip("0")]
    added = [p for p in added if p.rpartition(".")[2].lower() in CODE_ENDINGS or _BINARIES.fullmatch(p)]
    if not added:
        return
    sides = [_ignore_files(git, commit) for commit in (base, head)]
    for path in added:
        if "node_modules" in path.split("/")[:-1] or all(_is_ignored(path, side) for side in sides):
            yield path, "is committed although it is ignored", path


def _ignore_files(git: Git, commit: str) -> Mapping[str, Sequence[str]]:
    """The patterns of each folder."""
    files = [p for p in git.paths(commit) if p.rpartition("/")[2] == ".gitignore"]
    bodies = git.files(commit, files)
    return {
        p.rpartition("/")[0]: [
            w for w in (b or b"").decode("utf-8", "replace").splitlines() if w[:1] not in ("", "#")
        ]
        for p, b in bodies.items()
    }


def _is_ignored(path: str, ignore: Mapping[str, Sequence[str]]) -> bool:
    """By the file nearest to it that says anything of it."""
    parts = path.split("/")
    return any(
        matches("/".join(parts[n:]), ignore["/".join(parts[:n])])
        for n in range(len(parts))
        if "/".join(parts[:n]) in ignore
    )


_HIDDEN_WELL = re.compile(
    r".*\.(?:png|jpe?g|gif|ico|webp|pdf|woff2?|ttf|otf|eot|zip|gz|tgz|xz|mp[34]|wav|ogg|ipynb|lock|svg|map|min\.js|snap)|(?:.*/)?(?:package-lock\.json|pnpm-lock\.yaml|npm-shrinkwrap\.json|go\.sum)"
)
_BY_OTHERS = re.compile(r"/?(?:vendor|third_party|docs?|dist|node_modules|(?:.*/)?generated)/")
_PICTURE = re.compile(r"['\"`](?:iVBORw0KGgo|/9j/|R0lGOD|d09GM|PHN2Zy|JVBERi|UklGR|AAABAA|AAEAAAA)")
"""Begins of encoded images and fonts, which anybody can look at."""
_BINARIES = re.compile(r".*\.(?:py[cdo]|so|dll|dylib|node|class|jar|wasm|o|a|beam|exe)", re.I)
_HIDES = re.compile(r"^[^#\n]*\s(?:linguist-(?:generated|vendored)(?!=false)|-diff|binary|-text)\b")
_SETTINGS = re.compile(r"(?:.*/)?(?:pyproject\.toml|setup\.(?:cfg|py)|entry_points\.txt)")


def _in_settings(
    path: str, lines: Sequence[tuple[int, str]], there: Iterable[str]
) -> Iterable[tuple[int, str, str]]:
    attributes, settings = path.rpartition("/")[2] == ".gitattributes", _SETTINGS.fullmatch(path)
    for number, text in lines:
        if attributes and _HIDES.search(text) and _hides(text.split()[0], there):
            yield number, "hides changes from whoever reads them", text
        elif settings and "pytest11" in text:
            yield number, "is loaded by the test runner", text


def _hides(pattern: str, there: Iterable[str]) -> bool:
    """Whether a pattern means what somebody would read: no pictures, locks, nor what others wrote and is not there."""
    if _HIDDEN_WELL.fullmatch(pattern):
        return False
    return not _BY_OTHERS.match(pattern) or any(matches(p, [pattern]) for p in there)


def _in_no_text(git: Git, base: str, head: str, tests: TestPaths) -> Iterable[tuple[str, str, str]]:
    """What cannot be read as the source that it stands for: programs, and links in the place of code."""
    for change in git.changes(base, head):
        path, ending = change.path, change.path.rpartition(".")[2].lower()
        if change.status == "D" or tests.belongs(path) or change.new_blob == change.old_blob:
            continue
        if _BINARIES.fullmatch(path):
            yield path, "is a program that nobody can read", path
        elif change.new_mode == "120000" and ending in CODE_ENDINGS:
            yield (
                path,
                "is a link in the place of code",
                (git.file(head, path) or b"").decode("utf-8", "replace"),
            )


def _named(path: str, line: int, what: str, text: str) -> NamedTest:
    return NamedTest(id=f"{shown(path)}:{line}", what=what, reason=f"`{text.strip()[:120]}`", kind="place")


def _in_code(path: str, lines: Sequence[tuple[int, str]]) -> Iterable[tuple[int, str, str]]:
    ending = path.rpartition(".")[2].lower()
    code = [(n, text) for n, text in lines if not is_comment(text, ending)]
    if path.rpartition("/")[2] == "build.rs":
        code = [(n, text) for n, text in code if not _BUILD_KNOWS.search(text)]
        yield from (
            (n, "asks how it is built or started", text) for n, text in code if _BUILD_ASKS.search(text)
        )
    unreadable = [n for n, text in code if _UNREADABLE.search(text) and not _PICTURE.search(text)]
    for number, text in code:
        words = next((what for what, patterns in _SAYS if any(p.search(text) for p in patterns)), "")
        if words == _LIBRARY and ending == "go" and _GO_HELP.search(path):
            continue
        if words or _LOADS_DATA[ending].search(text):
            yield number, words or "runs text that it is given", text
        elif _DECODES.search(text) and any(abs(n - number) <= _NEAR for n in unreadable):
            yield number, "decodes what nobody can read", text
    yield from _of_go(lines) if ending == "go" else ()
    yield from _of_kinds(code) if ending != "py" else ()


def _of_kinds(code: Sequence[tuple[int, str]]) -> Iterable[tuple[int, str, str]]:
    """Comparisons over several lines."""
    whole = "\n".join(text for _, text in code)
    for match in KIND_ONLY.finditer(whole):
        number, text = code[whole.count("\n", 0, match.start())]
        yield number, "is equal to anything of its kind", text


def _of_go(lines: Sequence[tuple[int, str]]) -> Iterable[tuple[int, str, str]]:
    """What Go's comments order."""
    functions = any(text.startswith("func ") for _, text in lines)
    for number, text in lines:
        if functions and _GO_RACE.search(text):
            yield number, "asks how it is built or started", text
        elif _GO_EMBEDS.search(text):
            yield number, _OF_TESTS, text
