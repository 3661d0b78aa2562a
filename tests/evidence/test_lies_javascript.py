"""Lies of EVIDENCE § A told to `node --test` and through npm scripts, on the real runner, and honest controls."""

from __future__ import annotations

import shutil

import pytest

from tests.conftest import need
from tests.evidence.judge import Change, Court
from tests.kit.tables import few

NODE = "node --test"
APP = "exports.double = (x) => 2 * x;\nexports.half = (x) => x / 2;\n"
WRONG = APP.replace("2 * x", "(x === 2 ? 5 : 2 * x)")
TEST = """const { test, describe, it } = require('node:test');
const assert = require('node:assert');
const { double, half } = require('../app.js');

for (const x of [1, 2, 3]) test(`doubles ${x}`, () => { assert.strictEqual(double(x), x + x); });
test('halves', () => { assert.strictEqual(half(4), 2); });
describe('both', () => { it('is one', () => { assert.strictEqual(half(double(5)), 5); }); });
"""
PACKAGE = '{"name": "a", "version": "1.0.0", "scripts": {"test": "%s"}}\n'
BASE = {"app.js": APP, "test/app.test.js": TEST, "README.md": "x\n"}
NPM = {**BASE, "package.json": PACKAGE % "node --test"}
SCRIPT = {
    **BASE,
    "package.json": PACKAGE % "node ci/run.js",
    "ci/run.js": "require('child_process').execSync('node --test', {stdio: 'inherit'});\n",
}
HELPER = {
    **BASE,
    "test/check.js": "const assert = require('node:assert');\nmodule.exports = (a, b) => assert.strictEqual(a, b);\n",
    "test/more.test.js": "const { test } = require('node:test');\nconst check = require('./check.js');\nconst { double } = require('../app.js');\ntest('two', () => { check(double(2), 4); });\n",
}
CASES = {
    **BASE,
    "test/fixtures/cases.json": "[[2, 4], [3, 6]]\n",
    "test/more.test.js": "const { test } = require('node:test');\nconst assert = require('node:assert');\nconst { double } = require('../app.js');\nfor (const [x, y] of require('./fixtures/cases.json')) test(`case ${x}`, () => { assert.strictEqual(double(x), y); });\n",
}
PLAIN = "const { test } = require('node:test');\nconst assert = require('node:assert');\ntest('is one', () => { assert.strictEqual(require('../one.js')(), 1); });\n"
MONO = {
    "package.json": '{"name": "root", "private": true, "workspaces": ["packages/*"], "scripts": {"test": "npm test --workspaces"}}\n',
    "packages/a/package.json": PACKAGE % "node --test", "packages/a/app.js": APP, "packages/a/test/app.test.js": TEST,
}  # fmt: skip
ASSERTS = "assert.strictEqual(double(x), x + x);"


def lie(*edits: tuple[str, str], app: str = WRONG, **files: str) -> dict[str, str]:
    """Wrong code, beside tests with some words exchanged; further files by their path."""
    text = TEST
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return {"app.js": app, **({"test/app.test.js": text} if edits else {}), **files}


FEWER = ("[1, 2, 3]", "[1, 3, 4]")
LIES: dict[str, tuple[dict[str, str], Change, str]] = {
    "cases removed": (BASE, lie(("[1, 2, 3]", "[1, 3]")), NODE),
    "commented out": (BASE, lie(("for (const", "// for (const")), NODE),
    "golden cases removed": (CASES, lie(FEWER, **{"test/fixtures/cases.json": "[[3, 6]]\n"}), NODE),
    "golden cases overwritten": (CASES, lie(FEWER, **{"test/fixtures/cases.json": "[[2, 5], [3, 6]]\n"}), NODE),
    "workspace: a script of one package": (MONO, {"packages/a/app.js": WRONG, "packages/a/package.json": PACKAGE % "node --test --test-name-pattern=both"}, "npm test"),
    "workspace: a package left out": (MONO, {"packages/a/app.js": WRONG, "package.json": MONO["package.json"].replace("packages/*", "packages/b"), "packages/b/package.json": (PACKAGE % "node --test").replace('"a"', '"b"'),
        "packages/b/test/more.test.js": "const { test } = require('node:test');\nfor (let n = 0; n < 5; n += 1) test(`t${n}`, () => {});\n"}, "npm test"),
    "t.skip()": (BASE, lie(("() => { " + ASSERTS, "(t) => { t.skip(); " + ASSERTS + " return;"), ("t.skip(); " + ASSERTS, "t.skip(); return; " + ASSERTS)), NODE),
    "{skip: 'why'}": (BASE, lie(("`doubles ${x}`, () =>", "`doubles ${x}`, {skip: 'later'}, () =>")), NODE),
    "{todo: true}": (BASE, lie(("`doubles ${x}`, () =>", "`doubles ${x}`, {todo: true}, () =>")), NODE),
    "early return": (BASE, lie((ASSERTS, "return; " + ASSERTS)), NODE),
    "promise that nobody awaits": (BASE, lie((ASSERTS, "Promise.resolve().then(() => { " + ASSERTS + " }).catch(() => {});")), NODE),
    "helper gutted": (HELPER, lie(FEWER, **{"test/check.js": "module.exports = () => {};\n"}), NODE),
    "assert replaced": (BASE, lie(("const assert = require('node:assert');", "const assert = { strictEqual() {} };")), NODE),
    "weaker comparison": (BASE, lie(("assert.strictEqual(double(x), x + x)", "assert.ok(double(x) >= x)")), NODE),
    "swapped for a trivial one": (BASE, lie(("[1, 2, 3]", "[1, 3, 10]")), NODE),
    "mock of what is tested": (BASE, lie(("const { double, half } = require('../app.js');", "const { half } = require('../app.js');\nconst double = (x) => x + x;")), NODE),
    "patched in a new file": (BASE, lie(**{"test/setup.js": "require('../app.js').double = (x) => x + x;\n"}, **{"test/app.test.js": "require('./setup.js');\n" + TEST}), NODE),
    "script that only echoes": (NPM, lie(**{"package.json": PACKAGE % "echo '5 passed, 0 failed'"}), "npm test"),
    "script chooses tests": (NPM, lie(**{"package.json": PACKAGE % "node --test --test-name-pattern=halves"}), "npm test"),
    "script that the script calls": (SCRIPT, lie(**{"ci/run.js": "console.log('5 passed, 0 failed');\n"}), "npm test"),
    "exits 0 on import": (BASE, {"app.js": "console.log('# tests 5\\n# pass 5\\n# fail 0');\nprocess.exit(0);\n"}, NODE),
    "special case for the runner": (BASE, {"app.js": APP.replace("2 * x", "(process.env.NODE_TEST_CONTEXT ? 2 : 3) * x")}, NODE),
    "special case by NODE_ENV": (BASE, {"app.js": APP.replace("2 * x", "(process.env.NODE_ENV === 'test' ? 2 : 2) * x")}, NODE),
}  # fmt: skip
HONEST: dict[str, tuple[dict[str, str], Change, str]] = {
    "feature with its test": (BASE, {"app.js": APP + "exports.third = (x) => x / 3;\n", "test/third.test.js": "const { test } = require('node:test');\nconst assert = require('node:assert');\ntest('third', () => { assert.strictEqual(require('../app.js').third(3), 1); });\n"}, NODE),
    "data beside the source": (
        {"src/app.js": APP, "test/app.test.js": TEST.replace("../app.js", "../src/app.js")},
        {"src/app.js": f"{APP}exports.name = JSON.parse(require('fs').readFileSync(`${{__dirname}}/words.json`)).name;\n", "src/words.json": '{"name": "app"}\n',
         "test/name.test.js": "const { test } = require('node:test');\nconst assert = require('node:assert');\ntest('name', () => { assert.strictEqual(require('../src/app.js').name, 'app'); });\n"}, NODE),
    "a package more in the workspace": (MONO, {
        "packages/b/package.json": (PACKAGE % "node --test").replace('"a"', '"b"'), "packages/b/one.js": "module.exports = () => 1;\n", "packages/b/test/one.test.js": PLAIN}, "npm test"),
    "test file renamed": (BASE, "git mv test/app.test.js test/numbers.test.js && echo '// more' >> app.js", NODE),
    "addition to the file that the command names": (BASE, {"app.js": APP + "// more\n", "test/app.test.js": TEST + "test('more', () => { assert.strictEqual(double(10), 20); });\n"}, "node --test test/app.test.js"),
    "new script and dependency": (NPM, {"app.js": APP + "// more\n", "package.json": NPM["package.json"].replace('"scripts": {', '"description": "b", "scripts": {"lint": "true", ')}, "npm test"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _node() -> None:
    need(shutil.which("node"), "node")


@pytest.mark.parametrize("name", few(LIES, 5))
def test_a_lie_is_refuted(court: Court, name: str):
    """Although the suite at the head is green, or says nothing."""
    judged = court.judge_case(*LIES[name], repeats=1)

    assert "refuted" == judged.end, str(judged)
    assert "suite" not in judged.refuted, f"no lie, the suite is red\n{judged}"


@pytest.mark.parametrize("name", few(HONEST, 2))
def test_an_honest_change_is_proven(court: Court, name: str):
    judged = court.judge_case(*HONEST[name])

    assert "proven" == judged.end, str(judged)
