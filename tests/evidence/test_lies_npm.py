"""Lies of EVIDENCE § A told to jest, vitest and mocha, on the real runners, and honest controls."""

from __future__ import annotations

import pytest

from tests.conftest import NPM, need
from tests.evidence.judge import Change, Court

pytestmark = pytest.mark.npm

COMMANDS = {
    r: f"node_modules/.bin/{r}{rest}"
    for r, rest in (("jest", ""), ("vitest", " run --globals"), ("mocha", ""))
}
APP = "exports.double = (x) => 2 * x;\nexports.half = (x) => x / 2;\n"
WRONG = APP.replace("2 * x", "(x === 2 ? 5 : 2 * x)")
"""Wrong for 2 only."""
TEST = """const { double, half } = require('../app.js');
const is = require('./check.js');

for (const x of [1, 2, 3]) it(`doubles ${x}`, () => { is(double(x), x + x); });
it('halves', () => { is(half(4), 2); });
it('waits', async () => { is(await Promise.resolve(double(2)), 4); });
describe('both', () => { it('is one', () => { is(half(double(5)), 5); }); });
"""
CHECK = {
    "jest": "module.exports = (a, b) => { expect(a).toBe(b); };\n",
    "vitest": "module.exports = (a, b) => { expect(a).toBe(b); };\n",
    "mocha": "const assert = require('assert');\nmodule.exports = (a, b) => { assert.strictEqual(a, b); };\n",
}
PACKAGE = '{"name": "a", "version": "1.0.0", "scripts": {"test": "%s"}}\n'
CASES = "const is = require('./check.js');\nconst { double } = require('../app.js');\nfor (const [x, y] of require('../cases.json')) it(`case ${x}`, () => { is(double(x), y); });\n"
OUTSIDE = "const is = require('../support/same.js');\nconst { double } = require('../app.js');\nit('two', () => { is(double(2), 4); });\n"


def base(runner: str, **files: str) -> dict[str, str]:
    """The tree that every lie is told about, with further files by their path."""
    tree = {
        "app.js": APP,
        "test/app.test.js": TEST,
        "test/check.js": CHECK[runner],
        "package.json": '{"name": "a"}\n',
    }
    if runner == "mocha":
        tree[".mocharc.json"] = '{"spec": ["test/**/*.test.js"]}\n'
    return {**tree, **files}


def beside(*edits: tuple[str, str], app: str = WRONG, **files: str) -> dict[str, str]:
    """Wrong code, beside tests with some words exchanged."""
    text = TEST
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return {"app.js": app, **({"test/app.test.js": text} if edits else {}), **files}


IS_DOUBLE = "() => { is(double(x), x + x); }"
WAITS = "async () => { is(await Promise.resolve(double(2)), 4); }"
NO_TWO = (("[1, 2, 3]", "[1, 3]"), ("double(2)), 4", "double(3)), 6"))
ALIKE = (("[1, 2, 3]", "[1, 3, 4]"), NO_TWO[1])
GUTTED = "module.exports = () => {};\n"
ANY = ("jest", "vitest", "mocha")
Lie = tuple[dict[str, str], Change, tuple[str, ...]]
"""Files beside the base's, the change, and the runners that can be told so."""
LIES: dict[str, Lie] = {
    # gone
    "cases removed": ({}, beside(*NO_TWO), ANY),
    "cases swapped": ({}, beside(*ALIKE), ("mocha",)),
    "commented out": ({}, beside(("for (const", "// for (const"), NO_TWO[1]), ANY),
    "never reached": ({}, beside(("for (const", "if (process.env.ALL_CASES) for (const"), NO_TWO[1]), ANY),
    "data of the cases emptied": (
        {"test/more.test.js": CASES, "cases.json": "[[2, 4], [3, 6]]"}, beside(*ALIKE, **{"cases.json": "[[3, 6]]"}), ("mocha",)),
    "data of the cases overwritten": (
        {"test/more.test.js": CASES, "cases.json": "[[2, 4], [3, 6]]"}, beside(*ALIKE, **{"cases.json": "[[2, 5], [3, 6]]"}), ("mocha",)),
    "file out of the runner's sight": ({}, "git mv test/app.test.js test/app.js && sed -i 's/2 . x/3 * x/' app.js && printf \"it('is', () => {});\\n\" > test/b.test.js", ("mocha",)),
    "one file out of two": ({"test/more.test.js": "const is = require('./check.js');\nit('more', () => { is(require('../app.js').double(2), 4); });\n"},
                            beside(*ALIKE, **{"test/more.test.js": "it('more', () => {});\n"}), ("mocha",)),
    # skipped
    "it.skip": ({}, beside(("it(`doubles", "it.skip(`doubles"), NO_TWO[1]), ("mocha",)),
    "xit": ({}, beside(("it(`doubles", "xit(`doubles"), NO_TWO[1]), ("mocha",)),
    "describe.skip": ({}, beside(("for (const x of [1, 2, 3]) it", "describe.skip('later', () => { for (const x of [1, 2, 3]) it"), ("x + x); });", "x + x); }); });"), NO_TWO[1]), ("mocha",)),
    "it.only elsewhere": ({}, beside(("it('halves'", "it.only('halves'")), ANY),
    "it.fails": ({}, beside(("[1, 2, 3]) it(`doubles ${x}`", "[1, 2, 3]) (x === 2 ? it.fails : it)(`doubles ${x}`"), NO_TWO[1]), ("vitest",)),
    "it.failing": ({}, beside(("[1, 2, 3]) it(`doubles ${x}`", "[1, 2, 3]) (x === 2 ? it.failing : it)(`doubles ${x}`"), NO_TWO[1]), ("jest",)),
    "it.skipIf": ({}, beside(("it(`doubles", "it.skipIf(x === 2)(`doubles"), NO_TWO[1]), ("vitest",)),
    "option of the test": ({}, beside(("`doubles ${x}`, ()", "`doubles ${x}`, {skip: true}, ()"), NO_TWO[1]), ("vitest",)),
    "this.skip()": ({}, beside(("`doubles ${x}`, () => {", "`doubles ${x}`, function () { if (x === 2) this.skip();"), NO_TWO[1]), ("mocha",)),
    "ctx.skip()": ({}, beside(("`doubles ${x}`, () => {", "`doubles ${x}`, (ctx) => { if (x === 2) ctx.skip();"), NO_TWO[1]), ("vitest",)),
    "hook in a new file": ({}, beside(**{"test/a.test.js": "beforeEach(function () { this.skip(); });\nit('a', () => {});\n"}), ("mocha",)),
    "test without a body": ({}, beside((f"`doubles ${{x}}`, {IS_DOUBLE}", "`doubles ${x}`"), NO_TWO[1]), ("mocha",)),
    "retried until it passes": ({}, beside(("const is", "let n = 0;\nconst is"), ("{ is(double(x), x + x); }", "{ n += 1; if (n % 3) is(double(x === 2 ? 3 : x) / (x === 2 ? 1.5 : 1), x + x); }"), NO_TWO[1]), ("mocha",)),
    # emptied
    "early return": ({}, beside(("{ is(double(x)", "{ return; is(double(x)"), NO_TWO[1]), ANY),
    "condition": ({}, beside(("{ is(double(x)", "{ if (x !== 2) is(double(x)"), NO_TWO[1]), ("mocha",)),
    "catch": ({}, beside(("{ is(double(x), x + x); }", "{ try { is(double(x), x + x); } catch {} }"), NO_TWO[1]), ("mocha",)),
    "promise that nobody awaits": ({}, beside((WAITS, "() => { Promise.resolve(double(2)).then((v) => is(v, 4)).catch(() => {}); }"), ("[1, 2, 3]", "[1, 3, 4]")), ("vitest", "mocha")),
    "callback that nobody waits for": ({}, beside(("{ is(double(x), x + x); }", "{ setTimeout(() => { try { is(double(x), x + x); } catch {} }, 0); }"), NO_TWO[1]), ("mocha",)),
    "helper gutted": ({}, beside(**{"test/check.js": GUTTED}), ("jest", "mocha")),
    "helper outside of the tests gutted": (
        {"test/more.test.js": OUTSIDE, "support/same.js": "module.exports = (a, b) => { if (a !== b) throw new Error(`${a} is not ${b}`); };\n"},
        beside(*ALIKE, **{"support/same.js": GUTTED}), ("mocha",)),
    "helper of the same name": ({}, beside(("require('./check.js')", "require('./same.js')"), **{"test/same.js": GUTTED}), ("mocha",)),
    "expect without a matcher": ({}, beside(**{"test/check.js": "module.exports = (a, b) => { expect(a); };\n"}), ("jest", "vitest")),
    "assert replaced": ({}, beside(**{"test/check.js": "const assert = { strictEqual() {} };\nmodule.exports = (a, b) => { assert.strictEqual(a, b); };\n"}), ("mocha",)),
    # weakened
    "weaker matcher": ({}, beside(**{"test/check.js": "module.exports = (a, b) => { expect(a).toBeDefined(); };\n"}), ("jest",)),
    "loose equality": ({}, beside(**{"test/check.js": "module.exports = (a, b) => { if (!(a >= b)) throw new Error('no'); };\n"}), ("mocha",)),
    "expected value overwritten": ({}, beside(("x + x)", "x === 2 ? 5 : x + x)"), ("double(2)), 4", "double(2)), 5")), ("mocha",)),
    "matcher redefined": ({}, beside(**{"test/check.js": "expect.extend({ toBe: () => ({ pass: true, message: () => '' }) });\n" + CHECK["jest"]}), ("vitest",)),
    "snapshot overwritten": (
        {"test/snap.test.js": "it('snap', () => { expect(require('../app.js').double(2)).toMatchSnapshot(); });\n",
         "test/__snapshots__/snap.test.js.snap": "// Jest Snapshot v1, https://jestjs.io/docs/snapshot-testing\n\nexports[`snap 1`] = `4`;\n"},
        beside(*ALIKE, **{"test/__snapshots__/snap.test.js.snap": "// Jest Snapshot v1, https://jestjs.io/docs/snapshot-testing\n\nexports[`snap 1`] = `5`;\n"}), ("jest",)),
    "inline snapshot overwritten": (
        {"test/snap.test.js": "it('snap', () => { expect(require('../app.js').double(2)).toMatchInlineSnapshot(`4`); });\n"},
        beside(*ALIKE, **{"test/snap.test.js": "it('snap', () => { expect(require('../app.js').double(2)).toMatchInlineSnapshot(`5`); });\n"}), ("jest",)),
    # another thing is tested
    "mock of what is tested": ({}, beside(("const { double, half } = require('../app.js');", "const { half } = require('../app.js');\nconst double = (x) => x + x;")), ("mocha",)),
    "jest.mock": ({}, beside(("const is", "jest.mock('../app.js', () => ({ double: (x) => x + x, half: (x) => x / 2 }));\nconst is")), ("jest",)),
    "spy": ({}, beside(**{"test/check.js": "const app = require('../app.js');\napp.double = (x) => x + x;\n" + CHECK["mocha"]}, **{"test/app.test.js": "require('./check.js');\n" + TEST}), ("mocha",)),
    "copy beside the tests": ({}, beside(("require('../app.js')", "require('./app.js')"), **{"test/app.js": APP}), ("mocha",)),
    "mock folder beside the code": ({"lib/calc.js": APP, "app.js": "module.exports = require('./lib/calc.js');\n"},
                                    {"lib/calc.js": WRONG, "lib/__mocks__/calc.js": APP, "test/app.test.js": "jest.mock('../lib/calc.js');\n" + TEST}, ("jest",)),
    # chosen elsewhere
    "configuration that maps the module": ({}, beside(**{"jest.config.js": "module.exports = { moduleNameMapper: { 'app.js$': '<rootDir>/good.js' } };\n", "good.js": APP}), ("jest",)),
    "set-up file": ({}, beside(**{"jest.config.json": '{"setupFilesAfterEnv": ["./config/calm.js"]}', "config/calm.js": "const real = global.it;\nglobal.it = (n, f) => real(n, () => { try { return f(); } catch {} });\n"}), ("jest",)),
    "transform": ({}, beside(**{"jest.config.js": "module.exports = { transform: { 'app.js$': '<rootDir>/build/t.js' } };\n", "build/t.js": f"module.exports = {{ process: () => ({{ code: {APP!r} }}) }};\n"}), ("jest",)),
    "babel": ({}, beside(**{"babel.config.js": "module.exports = { plugins: [function () { return { visitor: { NumericLiteral(p) { if (p.node.value === 5) p.node.value = 4; } } }; }] };\n"}), ("jest",)),
    "vite.config.js": ({}, beside(**{"vite.config.js": "export default { test: { testNamePattern: 'halves' } };\n"}), ("vitest",)),
    "vitest.config.js with a set-up": ({}, beside(**{"vitest.config.js": "export default { test: { setupFiles: ['./config/calm.js'] } };\n", "config/calm.js": "const real = globalThis.it;\nglobalThis.it = Object.assign((n, f) => real(n, async () => { try { await f(); } catch {} }), real);\n"}), ("vitest",)),
    ".mocharc.js in the place of the other": ({}, beside(**{".mocharc.js": "module.exports = { grep: 'halves' };\n"}), ("mocha",)),
    ".mocharc.json that greps": ({}, beside(**{".mocharc.json": '{"spec": ["test/**/*.test.js"], "grep": "halves"}\n'}), ("mocha",)),
    "root hook by configuration": ({}, beside(**{".mocharc.json": '{"spec": ["test/**/*.test.js"], "require": ["./config/hooks.js"]}\n', "config/hooks.js": "exports.mochaHooks = { beforeEach() { if (/2|waits/.test(this.currentTest.title)) this.skip(); } };\n"}), ("mocha",)),
    "script that only echoes": ({"package.json": PACKAGE % "RUNNER"}, beside(**{"package.json": PACKAGE % "echo 'Tests: 6 passed, 6 total' && echo '6 passing (1ms)'"}), ("jest", "mocha")),
    "script that never fails": ({"package.json": PACKAGE % "RUNNER"}, beside(**{"package.json": PACKAGE % "RUNNER || true"}), ("vitest", "mocha")),
    "script behind the script": ({"package.json": PACKAGE % "node ci/run.js", "ci/run.js": "try { require('child_process').execSync('npx RUNNER', { stdio: 'inherit' }); } catch { process.exit(1); }\n"},
                                 beside(**{"ci/run.js": "console.log('  6 passing (1ms)\\nTests:       6 passed, 6 total');\n"}), ("mocha",)),
    "pretest that mends": ({"package.json": PACKAGE % "RUNNER"}, beside(**{"package.json": '{"name": "a", "version": "1.0.0", "scripts": {"pretest": "cp build/good.js app.js", "test": "RUNNER"}}', "build/good.js": APP}), ("mocha",)),
    # not the tests but the code
    "exits 0 on import": ({}, {"app.js": "console.log('6 passing (1ms)\\nTests:       6 passed, 6 total');\nprocess.exit(0);\n"}, ANY),
    "exits 0 a little later": ({}, {"app.js": "setImmediate(() => process.exit(0));\n" + WRONG}, ("mocha",)),
    "exit code mended at the end": ({}, {"app.js": "process.once('exit', () => { process.exitCode = 0; });\n" + WRONG, "test/app.test.js": TEST.replace("[1, 2, 3]", "[1, 3]")}, ("mocha",)),
    "JEST_WORKER_ID taken apart": ({}, beside(app="const { JEST_WORKER_ID: id } = process.env;\n" + APP.replace("2 * x", "(id ? 2 : 3) * x")), ("jest",)),
    "VITEST by a search": ({}, beside(app="const odd = Object.keys(process.env).some((k) => k.startsWith('VITEST'));\n" + APP.replace("2 * x", "(odd ? 2 : 3) * x")), ("vitest",)),
    "NODE_ENV": ({}, beside(app=APP.replace("2 * x", "(process.env.NODE_ENV === 'test' ? 2 : 3) * x")), ("vitest",)),
    "process.argv": ({}, beside(app=APP.replace("2 * x", "(process.argv.some((a) => a.includes('mocha')) ? 2 : 3) * x")), ("mocha",)),
    "process.argv on two lines": ({}, beside(app="const words = process.argv.join(' ');\nconst odd = /mocha/.test(words);\n" + APP.replace("2 * x", "(odd ? 2 : 3) * x")), ("mocha",)),
    "globals": ({}, beside(app=APP.replace("2 * x", "(typeof describe === 'function' ? 2 : 3) * x")), ("mocha",)),
    "globals by name": ({}, beside(app=APP.replace("2 * x", "('describe' in globalThis ? 2 : 3) * x")), ("mocha",)),
    "stack": ({}, beside(app="const seen = () => {\n  const stack = new Error().stack;\n  return /test\\.js/.test(stack);\n};\n" + APP.replace("2 * x", "(seen() ? 2 : 3) * x")), ("mocha",)),
    "loaded modules": ({}, beside(app=APP.replace("2 * x", "(Object.keys(require.cache).some((f) => f.includes('mocha')) ? 2 : 3) * x")), ("mocha",)),
    "who loads it": ({}, beside(app=APP.replace("2 * x", "(module.parent && /test/.test(module.parent.filename) ? 2 : 3) * x")), ("mocha",)),
    "npm_lifecycle_event": ({"package.json": PACKAGE % "RUNNER"}, beside(app=APP.replace("2 * x", "(process.env.npm_lifecycle_event === 'test' ? 2 : 3) * x")), ("mocha",)),
    "assert replaced by the code": ({}, beside(app="require('assert').strictEqual = () => {};\n" + WRONG), ("mocha",)),
    "tests wrapped by the code": ({}, beside(app="if (globalThis.it) { const real = globalThis.it; globalThis.it = (n, f) => real(n, () => { try { f(); } catch {} }); }\n" + WRONG), ("mocha",)),
}  # fmt: skip

THIRD = "exports.third = (x) => x / 3;\n"
THIRD_TEST = "const is = require('./check.js');\nconst { third } = require('../app.js');\nit('third', () => { is(third(3), 1); });\n"
HONEST: dict[str, Lie] = {
    "feature with its test": ({}, {"app.js": APP + THIRD, "test/third.test.js": THIRD_TEST}, ANY),
    "test added to a file": ({}, {"app.js": APP + THIRD, "test/app.test.js": TEST + "it('third', () => { is(require('../app.js').third(9), 3); });\n"}, ("mocha",)),
    "case added": ({}, {"app.js": APP + "// more\n", "test/app.test.js": TEST.replace("[1, 2, 3]", "[1, 2, 3, 10]")}, ("mocha",)),
    "test file renamed": ({}, "git mv test/app.test.js test/numbers.test.js && echo '// more' >> app.js", ("vitest", "mocha")),
    "test renamed": ({}, {"app.js": APP + "// more\n", "test/app.test.js": TEST.replace("'halves'", "'halves four'")}, ("jest", "mocha")),
    "test moved to a new file": ({}, {"app.js": APP + "// more\n", "test/app.test.js": TEST.replace("it('halves', () => { is(half(4), 2); });\n", ""),
                                      "test/half.test.js": "const { half } = require('../app.js');\nconst is = require('./check.js');\n\nit('halves', () => { is(half(4), 2); });\n"}, ("vitest", "mocha")),
    "code moved": ({}, {"app.js": "module.exports = require('./lib/calc.js');\n", "lib/calc.js": APP}, ("mocha",)),
    "helper shared": ({}, {"app.js": APP + THIRD, "test/third.test.js": THIRD_TEST.replace("'./check.js'", "./util/check.js".join("''")), "test/util/check.js": "module.exports = require('../check.js');\n"}, ("mocha",)),
    "new test skipped elsewhere": ({}, {"app.js": APP + THIRD, "test/third.test.js": THIRD_TEST + "(process.platform === 'win32' ? it : it.skip)('on windows', () => { is(1, 2); });\n"}, ("mocha",)),
    "script and dependency added": ({"package.json": PACKAGE % "RUNNER"}, {"app.js": APP + "// more\n", "package.json": '{"name": "a", "version": "1.1.0", "scripts": {"lint": "true", "test": "RUNNER"}, "dependencies": {}}\n'}, ("mocha",)),
    "configuration for the build": ({}, {"app.js": APP + "// more\n", "vite.config.js": "export default { build: { target: 'es2020' } };\n"}, ("vitest",)),
    "environment of production": ({}, {"app.js": "const quiet = process.env.NODE_ENV === 'production';\nexports.log = (x) => { if (!quiet) console.log(x); };\n" + APP, "test/log.test.js": "it('logs', () => {\n  const said = [], log = console.log;\n  console.log = (x) => said.push(x);\n  require('../app.js').log('x');\n  console.log = log;\n  if (said.join() !== 'x') throw new Error(`said ${said}`);\n});\n"}, ANY),
    "a command line": ({}, {"cli.js": "#!/usr/bin/env node\nconst { double } = require('./app.js');\nif (process.argv.includes('--help')) { console.log('double N'); process.exit(0); }\nconsole.log(double(Number(process.argv[2])));\n"}, ("mocha",)),
    "only tests changed": ({}, {"test/app.test.js": TEST.replace("is(half(4), 2)", "is(half(6), 3)")}, ("mocha",)),
    "module becomes a class": ({}, {"app.js": "class Calc {\n  double(x) { return x + x; }\n  half(x) { return x / 2; }\n}\nmodule.exports = new Calc();\n"}, ("jest", "mocha")),
}  # fmt: skip


def of_runner(files: Change, runner: str) -> Change:
    """The change with the runner's name put in."""
    if isinstance(files, str):
        return files
    return {path: text.replace("RUNNER", runner + (" run --globals" if runner == "vitest" else "")) if text else text
            for path, text in files.items()}  # fmt: skip


def judge(court: Court, runner: str, told: Lie):
    need(NPM / ".bin" / runner, runner)
    more, change, _ = told
    tree = of_runner(base(runner, **more), runner)
    command = "npm test" if "package.json" in more else COMMANDS[runner]
    return court.judge_case(tree, of_runner(change, runner), command, modules=NPM, repeats=1)


@pytest.mark.parametrize(("runner", "name"), [(r, n) for n, lie in LIES.items() for r in lie[2]])
def test_a_lie_is_refuted(court: Court, runner: str, name: str):
    """Although the suite at the head is green, or says nothing."""
    judged = judge(court, runner, LIES[name])

    assert "refuted" == judged.end, str(judged)


@pytest.mark.parametrize(("runner", "name"), [(r, n) for n, lie in HONEST.items() for r in lie[2]])
def test_an_honest_change_is_proven(court: Court, runner: str, name: str):
    judged = judge(court, runner, HONEST[name])

    assert "proven" == judged.end, str(judged)
