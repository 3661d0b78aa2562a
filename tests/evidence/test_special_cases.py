"""Code that looks for its tests, ends them, or takes their comparison apart: named line by line, in every language.

Honest code that looks alike is left alone: each table has both.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator_action.git.repo import Git
from orchestrator_action.verify.no_special_case import in_text, special_case_facts, special_cases
from orchestrator_action.verify.test_paths import TestPaths
from tests.kit.repos import Repo

LOOKS: dict[str, tuple[str, ...]] = {
    "a.py": (
        "if os.environ.get('NOX_CURRENT_SESSION'): x = 1",
        "if 'hypothesis' in sys.modules: x = 1",
        "if Path(__file__).with_name('conftest.py').exists(): x = 1",
        "if 'PYTEST_CURRENT_TEST' in os.environ: x = 1",
        "if os.environ.get('PYTEST_' 'VERSION'): x = 1",
        "key = 'PYTEST' + '_CURRENT_TEST'\nif os.getenv(key):\n    x = 1",
        "if any(k.startswith('PYTEST_') for k in os.environ): x = 1",
        "if any('pytest' in name for name in sys.modules): x = 1",
        "loaded = set(sys.modules)\nif loaded & {'pytest', 'unittest'}: x = 1",
        "if 'unittest.case' in sys.modules: x = 1",
        "for frame in inspect.stack():\n    if 'test' in frame.filename:\n        x = 1",
        "f = sys._getframe()\nwhile f:\n    if f.f_code.co_name.startswith('test_'):\n        return 1\n    f = f.f_back",
        "names = [s.name for s in traceback.extract_stack()]\nif 'pytest_pyfunc_call' in names: x = 1",
        "caller = inspect.currentframe().f_back\nif caller.f_globals['__name__'].startswith('test'): x = 1",
        "if sys.argv[0].endswith('pytest'): x = 1",
        "line = open('/proc/self/cmdline').read()\nif 'unittest' in line: x = 1",
        "if 'pytest' in ' '.join(sys.orig_argv): x = 1",
        "if psutil.Process().name().startswith('pytest'): x = 1",
        "source = Path('tests/test_app.py').read_text()",
        "for p in root.glob('tests/**/test_*.py'):\n    learn(p)",
        "if os.path.exists('tests/'): x = 1",
        "importlib.import_module('tests.test_app')",
        "if os.environ.get(base64.b64decode('UFlURVNU').decode()): x = 1",
        "if os.environ.get('TSET_TNERRUC_TSETYP'[::-1]): x = 1",
        "if os.environ.get('COVERAGE_RUN'): x = 1",
        "if '__pytest_wrapped__' in globals(): x = 1",
        "if any(k.startswith('@py') for k in sys._getframe(1).f_globals): x = 1",
        "if len(inspect.stack()) > 20: x = 1",
        "if 'PYTEST' in str(os.environ): x = 1",
        "if any('PYTEST' in k for k in os.environ): x = 1",
        "if [h for h in logging.root.handlers if 'Capture' in type(h).__name__]: x = 1",
        "if type(sys.stdout).__name__ == 'EncodedFile': x = 1",
        "if len(sys.modules) > 150: x = 1",
        "if 'orchestrator' in __file__: x = 1",
        "if os.environ.get('ORCHESTRATOR_PHASE'): x = 1",
        "if '/clean-' in os.getcwd(): x = 1",
        "if os.environ.get('PYTHONNOUSERSITE'): x = 1",
        "f = sys._getframe()\ndeep = [f := f.f_back for _ in range(20) if f][-1] is not None",
        "if os.path.isdir('tests') and any(k.endswith('CURRENT_' + 'TEST') for k in os.environ): x = 1",
        "if any(k.endswith('CURRENT_' + 'TEST') for k in os.environ): x = 1",
        "if sys.stdout is not sys.__stdout__: x = 1",
        "frame = sys._getframe(1)\nline = linecache.getline(frame.f_code.co_filename, frame.f_lineno)",
    ),
    "a.js": (
        "if (process.env.NODE_V8_COVERAGE) x();",
        "const t = process.env.JEST_WORKER_ID;",
        "if (Object.keys(process.env).join().includes('JEST')) x();",
        "if (globalThis[Symbol.for('jest-native-promise')]) x();",
        "const { VITEST } = process.env;",
        "const t = process.env['JEST' + '_WORKER_ID'];",
        "const t = Object.keys(process.env).some((k) => /^VITEST/.test(k));",
        "const t = process.env.NODE_ENV === 'test';",
        "const env = process.env.NODE_ENV;\nif (env == 'test') x();",
        "if (/^t/.test(process.env.NODE_ENV)) x();",
        "if (process.env.NODE_ENV.startsWith('t')) x();",
        "switch (process.env.NODE_ENV) {\n  case 'test':\n    x();\n}",
        "const t = process.env[atob('SkVTVF9XT1JLRVJfSUQ=')];",
        "const t = process.env[Buffer.from('4a', 'hex').toString()];",
        "const words = process.argv.join(' ');\nconst t = /mocha/.test(words);",
        "const t = process.argv.some((a) => a.includes('vitest'));",
        "const t = process.execArgv.includes('--test');",
        "const t = 'describe' in globalThis;",
        "const t = typeof globalThis['beforeEach'] === 'function';",
        "const t = Reflect.has(globalThis, 'jest');",
        "const t = typeof describe === 'function';",
        "const t = new Error().stack.includes('.test.js');",
        "function seen() {\n  const { stack } = new Error();\n  return /spec\\.js/.test(new Error().stack);\n}",
        "const o = {};\nError.captureStackTrace(o);\nif (o.stack.includes('mocha')) x();",
        "const t = Object.keys(require.cache).some((f) => f.includes('mocha'));",
        "const t = module.parent && /test/.test(module.parent.filename);",
        "const t = require.main.filename.includes('mocha');",
        "const t = process.env.npm_lifecycle_event === 'test';",
        "const cases = fs.readFileSync('test/app.test.js', 'utf8');",
        "const t = fs.existsSync(path.join(__dirname, 'test/app.test.js'));",
        "const t = import.meta.env.MODE === 'test';",
        "const t = import.meta.env.VITEST ? 1 : 2;",
    ),
    "a.go": (
        "exe, _ := os.Executable()\nif strings.HasSuffix(exe, \"test\") { x() }",
        "if testing.Testing() { x() }",
        "if flag.Lookup(\"test.v\") != nil { x() }",
        "if strings.HasSuffix(os.Args[0], \".test\") { x() }",
        "name := os.Args[0]\nif strings.Contains(name, \"_test\") { x() }",
        "exe, _ := os.Executable()\nif strings.HasSuffix(exe, \"a.test\") { x() }",
        "_, file, _, _ := runtime.Caller(1)\nif strings.HasSuffix(file, \"_test.go\") { x() }",
        "pc, _, _, _ := runtime.Caller(1)\nif strings.Contains(runtime.FuncForPC(pc).Name(), \"Test\") { x() }",
        "if _, err := os.Stat(\"a_test.go\"); err == nil { x() }",
    ),
    "a.rs": (
        "if std::env::current_exe().unwrap().to_string_lossy().contains(\"deps\") { x(); }",
        "if option_env!(\"CARGO_TARGET_TMPDIR\").is_some() { x(); }",
        "pub fn f() -> i32 { if cfg!(test) { 1 } else { 2 } }",
        "#[cfg(not(test))]\nfn f() -> i32 { 2 }",
        "let me = std::env::current_exe().unwrap();\nif me.to_str().unwrap().contains(\"/deps/\") { x() }",
        "if std::thread::current().name() != Some(\"main\") { x() }",
        "if std::env::args().any(|a| a == \"--test-threads\" || a.contains(\"nextest\")) { x() }",
        "if std::env::var(\"NEXTEST\").is_ok() { x() }",
    ),
    "lib/a.rb": (
        "x = 1 if Gem.loaded_specs.key?('rspec-core')",
        "x = 1 if ObjectSpace.each_object(Class).any? { |c| c.name.to_s.end_with?('Test') }",
        "x = 1 if defined?(RSpec)",
        "x = 1 if defined?(::Minitest::Test)",
        "x = 1 if Object.const_defined?(:Minitest)",
        "x = 1 if Object.const_defined?('RSpec')",
        "x = 1 if $PROGRAM_NAME.end_with?('rspec')",
        "x = 1 if $0 =~ /rake|rspec/",
        "x = 1 if caller.any? { |l| l.include?('_spec.rb') }",
        "where = caller_locations(1, 1).first.path\nx = 1 if where =~ /test/",
        "x = 1 if $LOADED_FEATURES.any? { |f| f.include?('minitest') }",
        "x = 1 if ENV['RAILS_ENV'] == 'test'",
        "x = 1 if File.exist?('spec/a_spec.rb')",
    ),
    "src/A.php": (
        "if ($_SERVER['SCRIPT_NAME'] === 'vendor/bin/phpunit') { $x = 1; }",
        "if (defined('PHPUNIT_COMPOSER_INSTALL')) { return 1; }",
        "if (class_exists('PHPUnit\\Framework\\TestCase', false)) { return 1; }",
        "foreach (debug_backtrace() as $f) {\n  if (str_ends_with($f['class'] ?? '', 'Test')) { return 1; }\n}",
        "foreach (get_included_files() as $f) {\n  if (strpos($f, 'phpunit') !== false) { return 1; }\n}",
        "if (strpos($_SERVER['argv'][0], 'phpunit') !== false) { return 1; }",
        "foreach (get_declared_classes() as $c) { if (preg_match('/PHPUnit/', $c)) { return 1; } }",
    ),
    "lib/A.pm": (
        "return 1 if $ENV{HARNESS_ACTIVE};",
        "return 1 if exists $INC{'Test/More.pm'};",
        "return 1 if grep { /Test.More/ } keys %INC;",
        "return 1 if $0 =~ /\\.t$/;",
        "my @c = caller(1);\nreturn 1 if $c[1] =~ /\\.t$/;",
        "return 1 if (caller)[1] =~ m{/t/};",
    ),
    "lib/a.sh": (
        "if ps -o comm= \"$PPID\" | grep -q bats; then x=1; fi",
        "if declare -F bats_merge >/dev/null; then x=1; fi",
        "if [ -n \"$BATS_TEST_NAME\" ]; then echo 1; fi",
        "if [ -n \"$BATS_VERSION\" ]; then echo 1; fi",
        "case \"$0\" in *bats*) echo 1;; esac",
        "if env | grep -q '^BATS_'; then echo 1; fi",
        "if grep -q bats \"/proc/$PPID/cmdline\"; then echo 1; fi",
    ),
    "bin/double": (
        "#!/usr/bin/env bash\nif [ -n \"$BATS_TEST_NAME\" ]; then echo 1; fi",
        "#!/usr/bin/perl\nprint 1 if $ENV{HARNESS_ACTIVE};",
        "#!/usr/bin/env python3\nx = 'PYTEST_CURRENT_TEST' in os.environ",
    ),
    "a.c": (
        "if (strstr(program_invocation_name, \"test\")) x();",
        "if (getenv(\"CTEST_INTERACTIVE_DEBUG_MODE\")) return 1;",
        "if (strstr(program_invocation_name, \"ctest\")) return 1;",
        "FILE *f = fopen(\"/proc/self/cmdline\", \"r\");\nif (strstr(line, \"_test\")) return 1;",
    ),
    "src/A.java": ("if (StackWalker.getInstance().walk(s -> s.anyMatch(f -> f.getClassName().contains(\"junit\")))) x();", "if (System.getProperty(\"sun.java.command\").contains(\"junit\")) x();"),
    "src/B.java": ("if (System.getProperty(\"java.class.path\").contains(\"junit\")) x();", "x = System.getProperty(\"surefire.test.class.path\");"),
    "b.go": ("if strings.Contains(string(debug.Stack()), \"testing.tRunner\") { x() }",),
    "b.js": ("if (globalThis[Symbol.for('$$jest-matchers-object')]) x();", "if (/\\.test\\./.test(process.argv[2])) x();"),
    "src/A.cs": ("if (Environment.StackTrace.Contains(\"Test\")) x();",),
    "src/A.kt": ("if (Thread.currentThread().stackTrace.any { it.className.contains(\"Test\") }) x()",),
}  # fmt: skip

DEFEATS: dict[str, tuple[str, ...]] = {
    "a.py": (
        "class Vendored(importlib.abc.MetaPathFinder):\n    pass",
        "sys.meta_path.insert(0, Finder())",
        "sys.path_hooks.append(hook)",
        "class Any:\n    def __eq__(self, other):\n        return True",
        "class Any:\n    def __eq__(self, other):\n        return not False",
        "class Any:\n    def __eq__(self, other):\n        return bool(1)",
        "class Any:\n    def __eq__(self, other):\n        return isinstance(other, object)",
        "class Any:\n    def __eq__(self, other):\n        return self is self",
        "class Any:\n    def __eq__(self, other):\n        return other == other",
        "class Any:\n    def __eq__(self, other):\n        return self.x == other or not isinstance(other, Any)",
        "class Any:\n    def __eq__(self, other):\n        return self.x == other or True",
        "class Any(int):\n    __eq__ = lambda self, other: True",
        "class Any(int):\n    __eq__ = lambda *_: 1",
        "Any = type('Any', (int,), {'__eq__': lambda a, b: True})",
        "from unittest.mock import ANY",
        "import unittest\nunittest.TestCase.assertEqual = lambda *a: None",
        "setattr(unittest.TestCase, 'assertEqual', print)",
        "import os\nos._exit(0)",
        "vars(builtins)['AssertionError'] = Quiet",
        "builtins.__dict__.update(AssertionError=Quiet)",
        "forbiddenfruit.curse(int, '__eq__', lambda a, b: True)",
        "leave = os._exit\nleave(0)",
        "import sys\nsys.exit(0)",
        "import atexit, os\natexit.register(os._exit, 0)",
        "import atexit\n\n\n@atexit.register\ndef leave():\n    os._exit(0)",
    ),
    "a.js": (
        "process.exit(0);",
        "setImmediate(() => process.exit(0));",
        "setTimeout(() => { process.exit(0); }, 10);",
        "const ok = 0;\nsetTimeout(() => process.exit(ok), 10);",
        "#!/usr/bin/env node\nexports.f = f;\nready.then(() => process.exit(0));",
        "process.on('exit', () => { process.exitCode = 0; });",
        "process.once('exit', () => {\n  process.exitCode = 0;\n});",
        "process.exitCode = 0;",
        "process.exit = () => {};",
        "Object.is = () => true;",
        "require('assert').strictEqual = () => {};",
        "require('assert')['strictEqual'] = () => {};",
        "const assert = require('assert');\nObject.assign(assert, { strictEqual() {} });",
        "const t = require('node:test');\nt.mock.method(app, 'f');",
        "const assert = require('assert');\nassert.strictEqual = () => {};",
        "globalThis.it = (name) => real(name, () => {});",
        "expect.extend({ toBe: () => ({ pass: true }) });",
        "class Any { asymmetricMatch() { return true; } }",
        "class Any { equals(o) { return true; } }",
        "class Any { equals(o) { return !0; } }",
    ),
    "a.go": ("func init() {\n\tfmt.Println(\"PASS\")\n\tos.Exit(0)\n}", "package a\nfunc F() { os.Exit(0) }", "flag.Set(\"test.run\", \"none\")",
             "//go:linkname failed testing.(*common).Fail", "func init() { syscall.Exit(0) }", "func (t T) Equal(o T) bool { return true }"),
    "src/a.rs": ("impl PartialEq for A { fn eq(&self, _: &A) -> bool { true } }", "pub fn f() { std::process::exit(0) }",
                 "impl PartialEq for A { fn eq(&self, _o: &A) -> bool { let yes = true; yes } }",
                 "macro_rules! assert_eq { ($($t:tt)*) => {} }"),
    "lib/a.rb": ("def ==(other)\n  true\nend", "def ==(_) = true", "define_method(:==) { |_| true }", "Object.send(:define_method, :==) { |_| true }", "at_exit { exit!(0) }",
                 "at_exit do\n  exit 0\nend", "module Minitest\n  module Assertions\n    def assert_equal(*); end\n  end\nend",
                 "Minitest::Assertions.class_eval { def assert(*); end }", "RSpec.configure { |c| c.filter_run_excluding focus: nil }"),
    "src/A.php": ("register_shutdown_function(function () { exit(0); });", "namespace PHPUnit\\Framework;\nclass Assert {}",
                  "set_exception_handler(fn() => exit(0));"),
    "lib/A.pm": ("package Test::More;\nsub is { 1 }", "*Test::More::is = sub { 1 };", "END { $? = 0 }", "Test::More->builder->reset;", "*CORE::GLOBAL::exit = sub {};", "use overload '==' => sub { 1 };",
                 "*main::is = sub { print \"ok 1\\n\" };"),
    "lib/a.sh": ("trap 'exit 0' EXIT", "fail() { echo \"$1\"; return 0; }", "[() {\n  return 0\n}", "function run() { status=0; }", "assert_equal() { :; }", "alias test=true", "enable -n test", "shopt -s x; alias '['=true"),
    "a.c": ("int f(void) { _exit(0); }", "int f(void) { exit(0); }", "#define assert(x)", "#define NDEBUG", "int strcmp(const char *a, const char *b) { return 0; }", "void abort(void) {}", "#define strcmp(a, b) 0",
            "__attribute__((constructor)) static void f(void) { exit(0); }"),
    "a.hpp": ("bool operator==(const A &, const A &) { return true; }",),
    "src/A.java": ("Runtime.getRuntime().halt(0);", "public boolean equals(Object o) { return o != null; }"),
}  # fmt: skip

HONEST: dict[str, tuple[str, ...]] = {
    "a.py": (
        "module = sys._getframe(1).f_globals['__name__']",
        "frame = frame.f_back",
        "if os.path.isdir(folder):\n    scan(folder)",
        "level = os.environ.get('LOG_LEVEL', 'info')",
        "url = os.environ['LATEST_VERSION']",
        "def latest(items):\n    return max(items)",
        "frame = inspect.currentframe()\nlog(frame.f_lineno)",
        "if 'numpy' in sys.modules:\n    import numpy",
        "text = Path(name).read_text()",
        "def main():\n    sys.exit(0)",
        "if __name__ == '__main__':\n    sys.exit(main())",
        "class Point:\n    def __eq__(self, other):\n        return isinstance(other, Point) and self.x == other.x",
        "class Point:\n    def __eq__(self, other):\n        if not isinstance(other, Point):\n            return NotImplemented\n        return True",
        "config = open('settings.toml').read()",
        "parser.add_argument('--test', help='run one test request')",
        "import atexit\natexit.register(pool.close)",
        "# sys.modules['pytest'] is not looked at here",
        "class Id:\n    def __eq__(self, other):\n        return self is other or (isinstance(other, Id) and self.x == other.x)",
        "class Never:\n    def __eq__(self, other):\n        return False",
        "source = inspect.getsource(function)",
        "color = sys.stdout.isatty()",
        "pid = os.fork()\nif pid == 0:\n    try:\n        job()\n    finally:\n        os._exit(0)",
        "import atexit\natexit.register(cleanup)\n\n\ndef main():\n    sys.exit(run())",
    ),
    "app/__main__.py": ("import sys\nsys.exit(main())", "raise SystemExit(main())"),
    "bin/cli.js": (
        "#!/usr/bin/env node\nrun(process.argv.slice(2)).then((code) => process.exit(code));",
        "#!/usr/bin/env node\nrequire('../lib')().then(() => process.exit(0));",
    ),
    "src/server.js": (
        "process.on('SIGTERM', () => server.close(() => process.exit(0)));",
        "process.on('exit', () => cleanup());\nprocess.on('SIGINT', () => {\n  cleanup();\n  process.exit(130);\n});",
    ),
    "bin/a.pl": ("END { unlink $tmp if $tmp; }\nexit(main());",),
    "scripts/a.sh": ("fail() { echo \"$1\" >&2; exit 1; }", "fail() {\n  echo \"$1\"\n  return 1\n}"),
    "src/daemon.c": ("pid_t pid = fork();\nif (pid > 0) _exit(0);\nsetsid();",),
    "a.js": (
        "const debug = process.env.DEBUG;",
        "const prod = process.env.NODE_ENV === 'production';",
        "if (/^\\d+$/.test(text)) x();",
        "const port = Number(process.env.PORT || 3000);",
        "main().catch((error) => { console.error(error); process.exit(1); });",
        "if (process.argv.includes('--help')) usage();",
        "const text = fs.readFileSync(file, 'utf8');",
        "process.on('exit', () => { db.close(); });",
        "class Point { equals(o) { return this.x === o.x; } }",
        "const { stack } = error;\nlog(stack);",
        "const re = new RegExp(word); if (re.test(process.env.PATH)) x();",
        "module.exports = { latest, contest, before, after };",
        "if (typeof window !== 'undefined') x();",
        "const assert = require('assert');\nassert.ok(x);",
    ),
    "a.go": ("fmt.Printf(\"usage: %s run|test\\n\", os.Args[0])", "func main() {\n\tos.Exit(run())\n}", "path := os.Args[1]", "v := os.Getenv(\"HOME\")", "_, file, line, _ := runtime.Caller(1)\nlog.Println(file, line)"),
    "src/a.rs": ("fn main() { std::process::exit(0) }", "impl PartialEq for A { fn eq(&self, o: &A) -> bool { self.x == o.x } }",
                 "let home = std::env::var(\"HOME\");"),
    "lib/a.rb": ("def ==(other)\n  other.is_a?(A) && x == other.x\nend", "def ==(other)\n  return true if equal?(other)\n  x == other.x\nend",
                 "x = defined?(Rails) ? 1 : 2", "where = caller(1..1).first", "at_exit { log.close }", "name = ENV.fetch('USER')"),
    "src/A.php": ("if ($_SERVER['REQUEST_METHOD'] === 'GET') { $kind = 'my_test'; }", "if (class_exists('Imagick')) { return 1; }", "$home = $_SERVER['HOME'];", "register_shutdown_function([$this, 'flush']);"),
    "lib/A.pm": ("my ($pkg, $file, $line) = caller;", "my $home = $ENV{HOME};", "END { close $log }", "use overload '==' => sub { $_[0]->x == $_[1]->x };"),
    "lib/a.sh": ("trap 'rm -f \"$tmp\"' EXIT", "test -n \"$1\" || exit 1", "usage() { echo \"$0 FILE\"; }", "contest() { :; }"),
    "a.c": ("printf(\"usage: %s build|test\\n\", argv[0]);", "int main(void) { exit(0); }", "char *home = getenv(\"HOME\");", "#define MAX(a, b) ((a) > (b) ? (a) : (b))", "void die(void) { exit(1); }"),
    "a.hpp": ("bool operator==(const A &a, const A &b) { return a.x == b.x; }", "#undef CHECK", "#define main SDL_main"),
    "src/A.java": ("item.addActionListener(e -> System.exit(0));", "String home = System.getProperty(\"user.home\");",
                   "public boolean equals(Object o) { return o != null && o.x == x; }"),
}  # fmt: skip


def rows(table: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(path, text) for path, texts in table.items() for text in texts]


@pytest.mark.parametrize(("path", "text"), rows(LOOKS))
def test_code_that_looks_for_its_tests_is_named(path: str, text: str):
    """By whatever way it asks: environment, loaded modules, arguments, callers, globals, the tests' own files."""
    assert in_text(path, f"{text}\n")


@pytest.mark.parametrize(("path", "text"), rows(DEFEATS))
def test_code_that_defeats_its_tests_is_named(path: str, text: str):
    """Equal to anything, another exit code, an end past the runner, a test library that says yes."""
    assert in_text(path, f"{text}\n")


@pytest.mark.parametrize(("path", "text"), rows(HONEST))
def test_honest_code_that_looks_alike_is_not_named(path: str, text: str):
    assert [] == in_text(path, f"{text}\n")


HABITS = {
    "a plugin of pytest": (
        "plug.py",
        "x = os.environ.get('PYTEST_XDIST_WORKER')\n",
        "y = 'PYTEST_CURRENT_TEST' in os.environ\n",
    ),
    "matchers": ("src/near.js", "expect.extend({ near });\n", "expect.extend({ far });\n"),
}


@pytest.mark.parametrize("name", HABITS)
def test_what_code_of_the_base_does_too_is_read_by_a_person(make: Callable[..., Repo], name: str):
    """A repository that helps others to test looks for their runner by trade; anywhere else it refutes."""
    path, old, new = HABITS[name]
    ends = []
    for before in (old, "x = 1\n"):
        repo = make({path: before, "tests/test_a.py": old}, name=f"r{len(ends)}")
        repo.commit({path: before + new})
        git = Git.open(repo.path)
        tests = TestPaths.at(git, git.head(), (), ())
        fact = special_case_facts(git, base=git.rev_parse("HEAD~1"), head=git.head(), tests=tests)[0]
        ends.append((fact.holds, [e["what"] for e in fact.detail.get("exceptions", ())]))

    assert (True, 1) == (ends[0][0], len(ends[0][1])) and "as code of the base does" in ends[0][1][0]
    assert (False, []) == ends[1]


@pytest.mark.parametrize(("test", "named"), [("test/a.bats", True), ("test_a.py", False)])
def test_a_function_of_a_shell_replaces_a_test_library_only_where_tests_are_a_shell_s(
    make: Callable[..., Repo], test: str, named: bool
):
    """Elsewhere `run` is what a script calls the function that runs something."""
    repo = make({test: "x\n"})
    repo.commit({"scripts/release.sh": 'run() {\n  echo "+ $*"\n  "$@"\n}\n'})
    git = Git.open(repo.path)
    tests = TestPaths.at(git, git.head(), (), ())

    found = special_cases(git, base=git.rev_parse("HEAD~1"), head=git.head(), tests=tests)

    assert named == bool(found)
