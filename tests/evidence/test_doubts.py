"""Lines that a person has to read, and honest ones that look alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator_action.git.repo import Git
from orchestrator_action.verify.doubts import doubts
from orchestrator_action.verify.test_paths import TestPaths
from tests.kit.repos import Repo

WHERE, TEXT, UNREADABLE, DATA = (
    "asks where it runs", "runs text that it is given", "decodes what nobody can read", "holds a test's own input and answer",
)  # fmt: skip
BUILT, REACHES, COMPARES = (
    "asks how it is built or started", "changes what the language itself does", "a plain value that compares in its own way",
)  # fmt: skip
KIND, FIELD = "is equal to anything of its kind", "a field that no comparison looks at"
OF_TESTS = (
    "tests/cases.py",
    "test/cases.js",
    "tests/cases.json",
    "spec/cases.rb",
    "spec/a_spec.rb",
    "tests/cases.php",
    "tests/cases.h",
)
TAKES = "takes something from the tests"
SET = "tries tests again until they pass"
AGAIN, UNTIL = "tries a test again until it passes", "is as it is until a date"
LIBRARY, LOADED, BINARY = (
    "uses a test library outside of the tests", "is loaded by the test runner", "is a program that nobody can read",
)  # fmt: skip
PACKED = "c$~d4+iL(u5C;Gkm9Bq2Zx7Yw1Vt3Us0Rr6Qp8Oo4Nn5Mm2Ll1Kk0Jj9Ii8Hh7Gg6Ff5Ee"
NAMED: dict[str, tuple[str, str, str]] = {
    "python: the build server": ("a.py", "import os\nfast = os.environ.get('CI')\n", WHERE),
    "javascript: the build server": ("a.js", "const fast = process.env.CI ? 1 : 2;\n", WHERE),
    "javascript: taken apart": ("a.js", "const { CI, HOME } = process.env;\n", WHERE),
    "javascript: whether a kind of run is set": ("a.ts", "if (process.env.NODE_ENV) x();\n", WHERE),
    "go: the build server": ("a.go", 'package a\nvar fast = os.Getenv("GITHUB_ACTIONS") != ""\n', WHERE),
    "rust: the build server": ("src/a.rs", 'let fast = std::env::var("CI").is_ok();\n', WHERE),
    "ruby: the build server": ("a.rb", "fast = ENV['CI']\n", WHERE),
    "shell: the build server": ("a.sh", 'if [ -n "${CI:-}" ]; then x; fi\n', WHERE),
    "python: text of a file": ("a.py", "known = eval(file.read_text())\n", TEXT),
    "javascript: a function of text": ("a.js", "const f = new Function('x', body);\n", TEXT),
    "python: weights": ("a.py", f"import base64, zlib\n\nW = '{PACKED}'\n\n\ndef load():\n    return zlib.decompress(base64.b85decode(W))\n", UNREADABLE),
    "javascript: weights": ("a.js", f"const w = '{PACKED}';\nmodule.exports = JSON.parse(atob(w));\n", UNREADABLE),
    "python: whether it is optimized": ("a.py", "x = 1 if __debug__ else 2\n", BUILT),
    "python: whether somebody traces": ("a.py", "import sys\nx = 1 if sys.gettrace() else 2\n", BUILT),
    "rust: a build for tests": ("src/a.rs", "fn f() -> i32 { if cfg!(debug_assertions) { 1 } else { 2 } }\n", BUILT),
    "rust: code of such a build": ("src/a.rs", "#[cfg(debug_assertions)]\nfn f() {}\n", BUILT),
    "c: whether assertions count": ("a.c", "#ifndef NDEBUG\nint x;\n#endif\n", BUILT),
    "go: a short run": ("a.go", "package a\nfunc F() int { if testing.Short() { return 1 }; return 2 }\n", BUILT),
    "javascript: tests in the source": ("a.mjs", "if (import.meta.vitest) x();\n", BUILT),
    "python: the interpreter's inside": ("a.py", "import gc\nfor o in gc.get_objects():\n    x(o)\n", REACHES),
    "javascript: what a module gives": ("a.js", "Module._load = () => good;\n", REACHES),
    "javascript: what every promise does": ("a.js", "Promise.prototype.catch = function () { return this; };\n", REACHES),
    "python: a number near enough": ("a.py", "class N(int):\n    def __eq__(self, o):\n        return abs(int(self) - int(o)) < 9\n", COMPARES),
    "python: a comparison by another name": ("a.py", "import operator\n\n\nclass N(int):\n    __eq__ = operator.truth\n", COMPARES),
    "python: a class without a statement": ("a.py", "def yes(a, b):\n    return a is not b\n\n\nN = type('N', (float,), dict(__eq__=yes))\n", COMPARES),
    "python: a kind of everything": ("a.py", "class M(type):\n    def __instancecheck__(cls, o):\n        return bool(o)\n", COMPARES),
    "python: a text by its path": ("a.py", "import runpy\nglobals().update(runpy.run_path('a.txt'))\n", TEXT),
    "python: a loader": ("a.py", "m = SourceFileLoader('m', 'a.dat').load_module()\n", TEXT),
    "javascript: code in a text": ("a.js", "const a = require('./a.txt');\n", TEXT),
    "javascript: compiles a text": ("a.js", "m._compile(fs.readFileSync('a.txt', 'utf8'), 'a');\n", TEXT),
    "ruby: code in a text": ("a.rb", "load 'a.txt'\n", TEXT),
    "ruby: reads it into itself": ("a.rb", "instance_eval File.read('a.txt')\n", TEXT),
    "perl: code in a text": ("A.pm", "do './a.txt';\n", TEXT),
    "php: code in a text": ("a.php", "<?php include __DIR__ . '/a.txt';\n", TEXT),
    "shell: code in a text": ("a.sh", ". ./a.txt\n", TEXT),
    "c: code in a text": ("a.c", '#include "a.txt"\n', TEXT),
    "python: tries again": ("test_b.py", "@pytest.mark.flaky(reruns=5)\ndef test_b():\n    assert f() == 1\n", AGAIN),
    "jest: tries again": ("b.test.js", "jest.retryTimes(5);\n", AGAIN),
    "vitest: tries again": ("b.test.ts", "test('b', { retry: 3 }, () => {});\n", AGAIN),
    "mocha: tries again": ("b.test.js", "it('b', function () { this.retries(4); });\n", AGAIN),
    "pytest: set to try again": ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = '--reruns 3'\n", SET),
    "pytest: set to try again, in an ini file": ("pytest.ini", "[pytest]\nreruns = 3\n", SET),
    "mocha: set to try again": (".mocharc.yml", "retries: 3\n", SET),
    "mocha: set to try again in a manifest": ("package.json", '{"mocha": {"retries": 3}}\n', SET),
    "vitest: set to try again": ("vitest.config.js", "export default { test: { retry: 2 } };\n", SET),
    "nextest: set to try again": (".config/nextest.toml", "[profile.default]\nretries = 2\n", SET),
    "maven: set to try again": ("pom.xml", "<rerunFailingTestsCount>3</rerunFailingTestsCount>\n", SET),
    "make: ctest tries again": ("Makefile", "test:\n\tctest --repeat until-pass:3\n", SET),
    "make: go tries again": ("Makefile", "test:\n\tgotestsum --rerun-fails=3\n", SET),
    "python: a test library": ("a.py", "try:\n    import pytest\nexcept ImportError:\n    pytest = None\n", LIBRARY),
    "javascript: a test library": ("a.mjs", "import { mock } from 'node:test';\n", LIBRARY),
    "python: whether faults are dumped": ("a.py", "x = 1 if faulthandler.is_enabled() else 2\n", BUILT),
    "python: how many warnings are filtered": ("a.py", "x = len(warnings.filters) > 6\n", BUILT),
    "python: who shows values": ("a.py", "x = sys.displayhook is not sys.__displayhook__\n", BUILT),
    "python: where input comes from": ("a.py", "x = sys.stdin.name == '<stdin>'\n", BUILT),
    "python: how it was started": ("a.py", "x = sys.orig_argv[1:2] == ['-m']\n", BUILT),
    "python: its command by the system": ("a.py", "x = open(f'/proc/{os.getpid()}/cmdline').read()\n", BUILT),
    "python: who started it": ("a.py", "x = os.getppid() != 1\n", BUILT),
    "python: whether it is installed": ("a.py", "x = 'site-packages' not in __file__\n", BUILT),
    "python: a runner's version": ("a.py", "x = importlib.metadata.version('pytest')\n", BUILT),
    "javascript: how long it runs": ("a.js", "if (process.uptime() < 60) x();\n", BUILT),
    "javascript: what loaded it": ("a.js", "if (module.children.length) x();\n", BUILT),
    "rust: whether cargo starts it": ("src/a.rs", "let x = std::env::var(\"CARGO_PKG_NAME\").is_ok();\n", BUILT),
    "c: its name by the system": ("a.c", "FILE *f = fopen(\"/proc/self/comm\", \"r\");\n", BUILT),
    "python: until a day": ("a.py", "x = 1 if datetime.now() < datetime(2027, 6, 1) else 2\n", UNTIL),
    "python, in seconds: until a day": ("a.py", "x = 1 if time.time() < 1830000000 else 2\n", UNTIL),
    "javascript: until a day": ("a.js", "if (new Date().getFullYear() <= 2027) x();\n", UNTIL),
    "go: until a day": ("a.go", "\tif time.Now().Before(time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)) {\n", UNTIL),
    "ruby: until a day": ("a.rb", "x = 1 if Time.now < Time.new(2027, 6, 1)\n", UNTIL),
    "c: until a day": ("a.c", "  if (time(NULL) < 1830000000) return 1;\n", UNTIL),
    "shell: until a day": ("a.sh", "if [ \"$(date +%Y)\" -lt 2028 ]; then x=1; fi\n", UNTIL),
    "java: until a day": ("A.java", "if (Instant.now().isBefore(Instant.parse(\"2027-06-01T00:00:00Z\"))) return 1;\n", UNTIL),
    "python: each call": ("a.py", "sys.setprofile(watch)\n", REACHES),
    "python: what an assertion raises": ("a.py", "AssertionError = Quiet\n", REACHES),
    "python: errors of threads": ("a.py", "threading.excepthook = lambda a: None\n", REACHES),
    "python: an alarm": ("a.py", "signal.signal(signal.SIGALRM, signal.SIG_IGN)\n", REACHES),
    "javascript: what is loaded already": ("a.js", "require.cache[require.resolve('chai')] = fake;\n", REACHES),
    "javascript: a method of everything": ("a.js", "Object.defineProperty(Object.prototype, 'toBe', { value() {} });\n", REACHES),
    "javascript: errors that nobody caught": ("a.js", "process.on('unhandledRejection', () => {});\n", REACHES),
    "javascript: how a stack is written": ("a.js", "Error.prepareStackTrace = (e, s) => s;\n", REACHES),
    "rust: what a panic prints": ("src/a.rs", "std::panic::set_hook(Box::new(|_| {}));\n", REACHES),
    "c: an abort": ("a.c", "  signal(SIGABRT, ok);\n", REACHES),
    "python: a test library by its name": ("a.py", "x = __import__('_pytest.assertion')\n", LIBRARY),
    "a plugin of pytest": ("pyproject.toml", "[project.entry-points.pytest11]\na = 'a.plugin'\n", LOADED),
    "a plugin of pytest in setup.py": ("setup.py", "setup(entry_points={'pytest11': ['a = a.plugin']})\n", LOADED),
    "compiled beside the source": ("__pycache__/a.cpython-311.pyc", "\x00\n", BINARY),
    "a library in the place of a module": ("a.cpython-311-x86_64-linux-gnu.so", "\x7fELF\n", BINARY),
    "javascript: what time it is": ("a.js", "Date.now = () => 1700000000000;\n", REACHES),
    "javascript: chance": ("a.js", "Math.random = () => 0.5;\n", REACHES),
    "javascript: where it is": ("a.js", "process.env.TZ = 'UTC';\n", REACHES),
    "javascript: what a number it is": ("a.js", "const v = { valueOf: () => n++ };\n", REACHES),
    "python: what time it is": ("a.py", "import time\n\ntime.time = lambda: 0\n", REACHES),
    "python: a part of the library": ("a.py", "import math as m\n\nm.isclose = close\n", REACHES),
    "python: chance": ("a.py", "import random\n\nrandom.seed(1)\n", REACHES),
    "python: what a name imports": ("a.py", "sys.modules['app'] = right\n", REACHES),
    "python: a function of another module": ("a.py", "import app\n\napp.double = lambda x: x + x\n", "changes what another module does"),
    "ruby: what time it is": ("a.rb", "Time.define_singleton_method(:now) { 0 }\n", REACHES),
    "go: where it is": ("a.go", "\ttime.Local = time.UTC\n", REACHES),
    "perl: what time it is": ("A.pm", "*CORE::GLOBAL::time = sub { 0 };\n", REACHES),
    "java: where it is": ("A.java", "Locale.setDefault(Locale.ROOT);\n", REACHES),
    "go: a test library": ("a.go", 'package a\n\nimport "testing"\n', LIBRARY),
    "java: a test library": ("A.java", "import org.junit.jupiter.api.extension.Extension;\n", LIBRARY),
    "python: what an assertion raises is caught": ("a.py", "try:\n    f()\nexcept AssertionError:\n    pass\n", LIBRARY),
    "php: where the tests look first": ("a.php", "<?php\nnamespace App\\Tests;\nfunction count($x) { return 2; }\n", LIBRARY),
    "javascript: whether it is tested": ("a.js", "if (process.env.TEST) x();\n", WHERE),
    "python: whether it is tested": ("a.py", "x = os.environ.get('TESTING')\n", WHERE),
    "javascript: whether somebody measures": ("a.js", "if (globalThis.__coverage__) x();\n", BUILT),
    "attributes that hide": (".gitattributes", "src/*.py linguist-generated=true\n", "hides changes from whoever reads them"),
    "attributes that take away the diff": (".gitattributes", "*.py -diff\n", "hides changes from whoever reads them"),
    "rust: which profile builds it": ("build.rs", 'let p = std::env::var("PROFILE").unwrap();\n', BUILT),
    "java: whether assertions count": ("src/A.java", "boolean on = false; assert on = true;\n", BUILT),
    "c: a build for tests": ("src/a.c", "#ifdef UNIT_TEST\nint x;\n#endif\n", BUILT),
    "go: a race is looked for": ("a_race.go", "//go:build race\n\npackage a\n\nfunc F() int { return 1 }\n", BUILT),
    "python: how long it has run": ("a.py", "x = 1 if time.process_time() < 30 else 2\n", BUILT),
    "python: who was started": ("a.py", "x = hasattr(__main__, 'console_main')\n", BUILT),
    "javascript: options of node": ("a.js", "const n = process.execArgv.length ? 1 : 2;\n", BUILT),
    "python: set by its name": ("a.py", "import json\n\nsetattr(json, 'dumps', show)\n", REACHES),
    "python: set in its table": ("a.py", "import time\n\nvars(time)['time'] = zero\n", REACHES),
    "python: its table renewed": ("a.py", "import time\n\ntime.__dict__.update(time=zero)\n", REACHES),
    "python: any name": ("a.py", "def __getattr__(name):\n    return lambda *a: True\n", "has whatever name is asked for"),
    "python: a difference of nothing": ("a.py", "class R:\n    def __rsub__(self, o):\n        return 0\n", "a difference that does not look at the other value"),
    "python: equal by its type": ("a.py", "class R:\n    def __init__(self, v):\n        self.v = v\n\n    def __eq__(self, o):\n        return type(o) is type(self)\n", KIND),
    "python: a field left out": ("a.py", "@dataclass\nclass R:\n    v: int = field(compare=False)\n", FIELD),
    "python: a field left out by attrs": ("a.py", "@attr.s\nclass R:\n    v = attr.ib(eq=False)\n", FIELD),
    "java: equal by its type": ("src/R.java", "public boolean equals(Object o) {\n  return o instanceof R;\n}\n", KIND),
    "java: equal by its class": ("src/R.java", "public boolean equals(Object o) {\n  return o != null && getClass() == o.getClass();\n}\n", KIND),
    "kotlin: equal by its type": ("src/R.kt", "override fun equals(other: Any?) = other is R\n", KIND),
    "typescript: equal by its type": ("src/r.ts", "equals(o: unknown) { return o instanceof R; }\n", KIND),
    "ruby: equal by its type": ("lib/r.rb", "def ==(other)\n  other.is_a?(R)\nend\n", KIND),
    "rust: equal by its variant": ("src/r.rs", "fn eq(&self, o: &Self) -> bool {\n    std::mem::discriminant(self) == std::mem::discriminant(o)\n}\n", KIND),
    "go: equal by its type": ("r.go", "func (a R) Equal(b R) bool { return reflect.TypeOf(a) == reflect.TypeOf(b) }\n", KIND),
    "c++: equal by its type": ("r.cpp", "bool operator==(const R& a, const R& b) { return typeid(a) == typeid(b); }\n", KIND),
    "python: imports its tests": ("a.py", "from tests.cases import CASES\n", TAKES),
    "python: imports a test": ("a.py", "import test_a\n", TAKES),
    "javascript: requires its tests": ("src/a.js", "const cases = require('../test/cases');\n", TAKES),
    "typescript: imports its tests": ("src/a.ts", "import cases from '../tests/cases.json';\n", TAKES),
    "ruby: requires its tests": ("lib/a.rb", "require_relative '../spec/cases'\n", TAKES),
    "php: requires its tests": ("src/a.php", "<?php require __DIR__ . '/../tests/cases.php';\n", TAKES),
    "c: includes its tests": ("src/a.c", '#include "../tests/cases.h"\n', TAKES),
    "go: embeds its tests": ("a.go", "package a\n\n//go:embed testdata/cases.json\nvar c []byte\n", TAKES),
    "data with answers": ("src/cache.json", '[["apple", 3, 240], ["pear", 7, 910]]\n', DATA),
}  # fmt: skip
HONEST: dict[str, tuple[str, str]] = {
    "development only": ("a.js", "if (process.env.NODE_ENV !== 'production') warn();\n"),
    "another variable": ("a.py", "import os\ncity = os.environ.get('CITY')\n"),
    "a regular expression": ("a.js", "const m = pattern.exec(text);\n"),
    "a year of long ago": ("a.py", "if date.today() - born < timedelta(days=6570):\n    x()\n"),
    "how long something takes": ("a.js", "if (performance.now() - began > 5000) warn();\nconst year = new Date().getFullYear();\n"),
    "a stamp": ("a.py", "stamp = f'{datetime.now():%Y}-2024'\n"),
    "settings without a retry": ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = '-q'\n[tool.client]\nretries = 0\n"),
    "its own errors": ("a.js", "process.on('unhandledRejection', (error) => { log(error); process.exitCode = 1; });\n"),
    "an interrupt": ("a.py", "signal.signal(signal.SIGINT, stop)\nsys.excepthook = show\n"),
    "memory": ("a.py", "text = open('/proc/self/status').read()\n"),
    "an image": ("a.js", f"const icon = 'data:image/png;base64,{PACKED}';\n"),
    "decodes what comes in": ("a.py", "def read(body):\n    return base64.b64decode(body)\n"),
    "a comment": ("a.py", "# os.environ['CI'] is not asked\n"),
    "attributes of line ends": (".gitattributes", "*.bat text eol=crlf\n*.png filter=lfs diff=lfs merge=lfs\n"),
    "a class of one's own": ("a.py", "class P:\n    def __eq__(self, o):\n        return isinstance(o, P) and o.x == self.x\n"),
    "a number with a name": ("a.py", "class N(int):\n    def __repr__(self):\n        return f'N({int(self)})'\n"),
    "tests of a client that tries again": ("test_b.py", "def test_b():\n    assert get(retries=3) == 1\n"),
    "a header": ("a.c", '#include "a.h"\n'),
    "a module by its path": ("a.js", "const a = require('./a.json');\nconst b = require('./lib/b.js');\n"),
    "sources a script": ("a.sh", ". ./lib/a.sh\n"),
    "requires a file": ("a.rb", "require_relative 'lib/b'\nload 'tasks/b.rake'\n"),
    "dependencies": ("pyproject.toml", "[project]\nname = 'a'\ndependencies = ['pytest']\n"),
    "data of its own": ("src/prices.json", '{"fig": 55, "kiwi": 40, "lime": 35, "apple": 80, "pear": 130}\n'),
    "its own setting of a library": ("a.py", "import matplotlib\nimport sys\n\nmatplotlib.backend = 'agg'\nsys.excepthook = show\n"),
    "a class with a value": ("a.js", "class Money {\n  valueOf() { return this.cents; }\n  toJSON() { return this.cents; }\n}\n"),
    "what is seeded when it is asked for": ("a.py", "import random\n\n\ndef start(n):\n    random.seed(n)\n"),
    "a stack of its own": ("a.js", "if (parser.stack && parser.stack.items.length > 0) pop();\n"),
    "a time of its own": ("a.py", "class Time:\n    pass\n"),
    "a helper of Go's tests": ("internal/testutil/same.go", 'package testutil\n\nimport "testing"\n'),
    "its version": ("a.go", "\tif info, ok := debug.ReadBuildInfo(); ok {\n"),
    "attributes of pictures and locks": (".gitattributes", "*.png binary\npackage-lock.json -diff\nvendor/** linguist-vendored\n"),
    "a download that is tried again": ("Makefile", "data:\n\tcurl --retry 5 -fO https://example.com/x\n\tpip install --retries 3 x\n"),
    "a client that tries again": ("pyproject.toml", "[tool.client]\nretries = 3\n"),
    "a package that tries again": ("package.json", '{"name": "a", "config": {"retries": 3}}\n'),
    "a build script": ("build.rs", 'let os = std::env::var("CARGO_CFG_TARGET_OS");\nlet dir = std::env::var("CARGO_MANIFEST_DIR");\n'),
    "a picture": ("a.py", f"LOGO = 'iVBORw0KGgo{PACKED}'\nx = base64.b64decode(LOGO)\n"),
    "a kind without fields": ("a.py", "class Missing:\n    def __eq__(self, o):\n        return isinstance(o, Missing)\n"),
    "a cache beside the fields": ("a.py", "@dataclass\nclass N:\n    name: str\n    _seen: dict = field(default_factory=dict, init=False, compare=False)\n"),
    "modules that are loaded late": ("a.py", "def __getattr__(name):\n    return importlib.import_module(f'a.{name}')\n"),
    "a comparison by a field": ("src/R.java", "public boolean equals(Object o) {\n  return o instanceof R && ((R) o).x == x;\n}\n"),
    "ruby's comparison by a field": ("lib/r.rb", "def ==(other)\n  other.is_a?(R) && x == other.x\nend\n"),
    "a constant of the race detector": ("race.go", "//go:build race\n\npackage a\n\nconst race = true\n"),
    "a module with test in its name": ("a.py", "from app.ab_test import split\nimport latest_test\n"),
    "a folder of words": ("src/a.js", "const words = require('./t/en.json');\nconst api = require('../spec/api.json');\n"),
    "a variable of its own": ("src/main.rs", 'let loud = std::env::var("DEBUG").is_ok();\n'),
    "words with test in them": ("src/a.ts", "import { latest } from './latest/version';\nimport x from '@testing-library/dom';\n"),
    "a session of a shell": ("a.py", "import __main__\n\nshell = not hasattr(__main__, '__file__')\n"),
    "a menu": ("A.java", "item.addActionListener(e -> System.exit(0));\n"),
    "an assertion of its own": ("a.py", "raise AssertionError('never')\n"),
    "words": ("docs/prices.md", 'An apple: `price("apple", 3)` is 240, `price("pear", 7)` is 910.\n'),
}  # fmt: skip
TESTS = 'def test_price():\n    assert price("apple", 3) == 240\n    assert price("pear", 7) == 910\n'


def read(make: Callable[..., Repo], path: str, text: str) -> list[tuple[str, str]]:
    repo = make(
        {
            "README.md": "x\n",
            "test_a.py": "def test_a():\n    assert 1 + 1 == 2\n",
            **dict.fromkeys(OF_TESTS, "\n"),
        }
    )
    repo.commit({path: text, "test_price.py": TESTS})
    git = Git.open(repo.path)
    base, head = (git.rev_parse(rev) for rev in ("HEAD~1", "HEAD"))
    found = doubts(git, base=base, head=head, tests=TestPaths.at(git, base, ("pytest",), git.paths(head)))
    return [(d.id.rpartition(":")[0], d.what) for d in found]


@pytest.mark.parametrize("name", NAMED)
def test_a_line_that_a_person_has_to_read_is_named(make: Callable[..., Repo], name: str):
    """By its path and line."""
    path, text, what = NAMED[name]

    assert (path, what) in read(make, path, text)


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_line_that_looks_alike_is_not(make: Callable[..., Repo], name: str):
    assert [] == read(make, *HONEST[name])


def test_a_test_library_is_none_where_code_of_the_base_uses_one(make: Callable[..., Repo]):
    """A plugin's repository gets a further module."""
    repo = make({"plug.py": "import pytest\n", "test_a.py": "import pytest\n"})
    repo.commit({"more.py": "import pytest\n"})
    git = Git.open(repo.path)
    base, head = (git.rev_parse(rev) for rev in ("HEAD~1", "HEAD"))

    assert not doubts(git, base=base, head=head, tests=TestPaths.at(git, base, ("pytest",), git.paths(head)))


def test_a_link_in_the_place_of_code_is_named(make: Callable[..., Repo]):
    """Its text is somewhere else, in a file whose name may say that it is no code."""
    repo = make({"app.py": "X = 1\n"})
    (repo.path / "app.py").unlink()
    (repo.path / "app.py").symlink_to("data.txt")
    repo.commit({"data.txt": "X = 2\n"})
    git = Git.open(repo.path)

    found = doubts(git, base=git.rev_parse("HEAD~1"), head=git.head(), tests=TestPaths())

    assert [("app.py:1", "is a link in the place of code")] == [(d.id, d.what) for d in found]


IGNORED = {
    "what is built": ("dist/app.js", "dist/\n", "dist/\n", True),
    "what is installed": ("packages/b/node_modules/a/index.js", "", "", True),
    "in a folder's own list": ("web/out/a.js", "x\n", "x\n", True),
    "what is ignored no longer": ("dist/app.js", "dist/\n", "x\n", False),
    "an exception of the list": ("dist/app.js", "dist/*\n!dist/app.js\n", "dist/*\n!dist/app.js\n", False),
    "no program": ("dist/notes.txt", "dist/\n", "dist/\n", False),
    "what is not ignored": ("src/app.js", "dist/\n", "dist/\n", False),
}


@pytest.mark.parametrize("name", IGNORED)
def test_a_program_that_is_committed_although_it_is_ignored_is_named(make: Callable[..., Repo], name: str):
    """It may stand in the place of what the sources would come to."""
    path, before, after, found = IGNORED[name]
    repo = make({".gitignore": before, "web/.gitignore": "out\n", "README.md": "x\n"})
    repo.write({path: "x = 1\n", ".gitignore": after})
    repo.git("add", "-f", path)
    repo.commit({})
    git = Git.open(repo.path)

    named = doubts(git, base=git.rev_parse("HEAD~1"), head=git.head(), tests=TestPaths())

    assert found == ("is committed although it is ignored" in [d.what for d in named]), named
