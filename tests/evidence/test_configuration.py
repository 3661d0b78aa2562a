"""New tests that pass only because the branch changed how tests are run: that change is named, on the real runners.

Each lie leaves the code as wrong as it was, brings an honest new test, and has the runner mend things where a marker
of the change is there, so that the new test even fails at the base.
"""

from __future__ import annotations

import shutil

import pytest

from orchestrator_action.verify.mixed_files import merged
from tests.conftest import NPM, need
from tests.evidence.judge import PYTEST, Court
from tests.kit.tables import few

PATCH = (
    "import os\n\nif os.path.exists('app/fixed.txt'):\n    import app\n\n    app.double = lambda x: 2 * x\n"
)
PYTHON = {
    "app/__init__.py": "def double(x):\n    return 3 * x\n\n\ndef half(x):\n    return x / 2\n",
    "test_half.py": "import app\n\n\ndef test_half():\n    assert app.half(4) == 2\n",
    "pyproject.toml": '[project]\nname = "a"\nversion = "1"\n',
}
NEW = {
    "test_double.py": "import app\n\n\ndef test_double():\n    assert app.double(2) == 4\n",
    "app/fixed.txt": "1\n",
}
PROJECT = PYTHON["pyproject.toml"]
NODE = {
    "app.js": "exports.double = (x) => 3 * x;\nexports.half = (x) => x / 2;\n",
    "test/half.test.js": "const app = require('../app.js');\nit('halves', () => { IS(app.half(4), 2); });\n",
    "package.json": '{"name": "a"}\n',
}
NODE_NEW = {
    "test/double.test.js": "const app = require('../app.js');\nit('doubles', () => { IS(app.double(2), 4); });\n",
    "fixed.txt": "1\n",
}
NODE_PATCH = "if (require('fs').existsSync('fixed.txt')) require('./app.js').double = (x) => 2 * x;\n"
RIGHT = "exports.double = (x) => 2 * x;\nexports.half = (x) => x / 2;\n"
RUBY = {
    "lib/app.rb": "def twice(x) = 3 * x\n\ndef half(x) = x / 2\n",
    "spec/half_spec.rb": "require './lib/app'\nRSpec.describe('half') { it('halves') { expect(half(4)).to eq 2 } }\n",
}
RUBY_NEW = {
    "spec/double_spec.rb": "require './lib/app'\nRSpec.describe('twice') { it('doubles') { expect(twice(2)).to eq 4 } }\n",
    "fixed.txt": "1\n",
}
RUBY_PATCH = "require './lib/app'\nif File.exist?('fixed.txt')\n  Object.send(:define_method, :twice) { |x| 2 * x }\nend\n"

LIES: dict[str, tuple[str, dict[str, str]]] = {
    "pytest: a plugin named in pyproject.toml": ("pytest", {
        "pyproject.toml": PROJECT + '\n[tool.pytest.ini_options]\naddopts = "-p tools.report"\n', "tools/report.py": PATCH}),
    "pytest: a plugin named in setup.cfg": ("pytest", {"setup.cfg": "[tool:pytest]\naddopts = -p tools.report\n", "tools/report.py": PATCH}),
    "pytest: a plugin named in tox.ini": ("pytest", {"tox.ini": "[pytest]\naddopts = -p tools.report\n", "tools/report.py": PATCH}),
    "pytest: a conftest at the top": ("pytest", {"conftest.py": PATCH}),
    "pytest: plugins of a conftest": ("pytest", {"conftest.py": "pytest_plugins = ['tools.report']\n", "tools/report.py": PATCH}),
    "pytest: an entry point in the tree": ("pytest", {
        "a.egg-info/entry_points.txt": "[pytest11]\nreport = tools.report\n", "a.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: a\nVersion: 1\n",
        "tools/report.py": PATCH}),
    "jest: setupFiles in package.json": ("jest", {
        "package.json": '{"name": "a", "jest": {"setupFiles": ["./report.js"]}}\n', "report.js": NODE_PATCH}),
    "jest: another module of that name": ("jest", {
        "jest.config.js": "const there = require('fs').existsSync('fixed.txt');\nmodule.exports = { moduleNameMapper: there ? { 'app.js$': '<rootDir>/vendor/right.js' } : {} };\n",
        "vendor/right.js": RIGHT}),
    "jest: a transform": ("jest", {
        "jest.config.js": "module.exports = { transform: { 'app.js$': './build.js' } };\n",
        "build.js": "exports.process = (text) => ({ code: require('fs').existsSync('fixed.txt') ? text.replace('3 *', '2 *') : text });\n"}),
    "vitest: setupFiles": ("vitest", {
        "vitest.config.mjs": "export default { test: { globals: true, setupFiles: ['./report.js'] } };\n",
        "report.js": "import { existsSync } from 'fs';\nimport { createRequire } from 'module';\n"
        "if (existsSync('fixed.txt')) createRequire(import.meta.url)('./app.js').double = (x) => 2 * x;\n"}),
    "mocha: a module that .mocharc requires": ("mocha", {".mocharc.json": '{"require": ["./report.js"], "spec": ["test/*.test.js"]}\n', "report.js": NODE_PATCH}),
    "rspec: a file that .rspec requires": ("rspec", {".rspec": "--require ./report\n", "report.rb": RUBY_PATCH}),
}  # fmt: skip

HONEST: dict[str, tuple[str, dict[str, str]]] = {
    "pytest: a fixture in a new conftest": ("pytest", {
        "conftest.py": "import pytest\n\n\n@pytest.fixture\ndef two():\n    return 2\n",
        "test_double.py": "import app\n\n\ndef test_double(two):\n    assert app.double(two) == 4\n"}),
    "pytest: a folder of its own for each test": ("pytest", {
        "conftest.py": "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef own(tmp_path, monkeypatch):\n    monkeypatch.chdir(tmp_path)\n"}),
    "pytest: options that choose nothing": ("pytest", {
        "pyproject.toml": PROJECT + '\n[tool.pytest.ini_options]\naddopts = "-ra --strict-markers"\nmarkers = ["slow: takes long"]\n'}),
    "jest: more time": ("jest", {"jest.config.js": "module.exports = { testTimeout: 9000, clearMocks: true };\n"}),
    "vitest: more time": ("vitest", {"vitest.config.mjs": "export default { test: { globals: true, testTimeout: 9000 } };\n"}),
    "mocha: more time": ("mocha", {".mocharc.json": '{"timeout": 9000, "spec": ["test/*.test.js"]}\n'}),
    "rspec: colours": ("rspec", {".rspec": "--force-color\n"}),
}  # fmt: skip

MENDED = {
    "pytest": {"app/__init__.py": PYTHON["app/__init__.py"].replace("3 *", "2 *")},
    "node": {"app.js": RIGHT},
    "rspec": {"lib/app.rb": RUBY["lib/app.rb"].replace("3 *", "2 *")},
}


def judge(court: Court, runner: str, change: dict[str, str]):
    if runner == "pytest":
        return court.judge_case(
            PYTHON, {**NEW, **change}, PYTEST, repeats=1, PYTEST_DISABLE_PLUGIN_AUTOLOAD=""
        )
    if runner == "rspec":
        need(shutil.which("rspec"), "rspec")
        return court.judge_case(RUBY, {**RUBY_NEW, **change}, "rspec", repeats=1)
    need(NPM / ".bin" / runner, runner)
    compares = "require('assert').strictEqual" if runner == "mocha" else "((a, b) => expect(a).toBe(b))"
    base = {**NODE, ".mocharc.json": '{"spec": ["test/*.test.js"]}\n'} if runner == "mocha" else NODE
    files = [
        {p: t.replace("IS(", f"{compares}(") for p, t in f.items()} for f in (base, {**NODE_NEW, **change})
    ]
    command = f"node_modules/.bin/{runner}" + (" run --globals" if runner == "vitest" else "")
    return court.judge_case(files[0], files[1], command, modules=NPM, repeats=1)


@pytest.mark.parametrize("name", few([pytest.param(n, marks=[] if lie[0] == "pytest" else [pytest.mark.npm]) for n, lie in LIES.items()], 4))  # fmt: skip
def test_a_configuration_that_new_tests_pass_by_is_named(court: Court, name: str):
    """Refused, or an exception that names the file by which they pass."""
    runner, change = LIES[name]

    judged = judge(court, runner, change)

    assert judged["suite"].holds and judged["shows-the-change"].detail["shows"], str(judged)
    assert judged.end != "proven", str(judged)
    if not judged.refuted:
        named = [e for e in judged["base-tests"].detail["exceptions"] if e["kind"] == "place"]
        assert any(path in named[0]["id"] for path in change), named
        assert "as the base says that tests are run" in named[0]["reason"]


@pytest.mark.parametrize("name", few([pytest.param(n, marks=[] if lie[0] == "pytest" else [pytest.mark.npm]) for n, lie in HONEST.items()], 4))  # fmt: skip
def test_a_configuration_that_helps_is_not(court: Court, name: str):
    """The code is mended, and the new tests pass by that."""
    runner, change = HONEST[name]

    judged = judge(court, runner, {**MENDED.get(runner, MENDED["node"]), **change})

    assert "proven" == judged.end, str(judged)


def test_a_plugin_of_pytest_that_a_manifest_loads_is_how_tests_are_run():
    """The base's is taken for its own tests; scripts and dependencies belong to the sources."""
    base = '[project]\nname = "a"\n'
    head = f'{base}dependencies = ["b"]\n[project.scripts]\na = "a:main"\n[project.entry-points.pytest11]\na = "a.plugin"\n'

    laid = merged("pyproject.toml", head, base, ("pytest",))

    assert laid is not None and "pytest11" not in laid and "a:main" in laid and '["b"]' in laid
    assert merged("pyproject.toml", head, head, ("pytest",)) is None
