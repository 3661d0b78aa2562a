"""What the test commands start and load is how tests are run; a program that is only tried out is what is tested."""

from __future__ import annotations

import pytest

from orchestrator_action.git.repo import Git
from orchestrator_action.verify.ecosystems.started import loaded_words, started_words
from orchestrator_action.verify.test_paths import TestPaths
from tests.evidence.judge import PYTEST, Court
from tests.kit.repos import Repo

STARTED = {
    "node ci/run.js && node --test": ["ci/run.js"],
    "[ -f ci/env.sh ] && . ci/env.sh": ["ci/env.sh"],
    "-include config.inc": ["config.inc"],
    "if [ -x tools/pre ]; then tools/pre; fi": ["tools/pre"],
    "cd ci && ./run.sh --all": ["ci/./run.sh"],
    "pytest -c conf/p.ini --config=conf/q.ini": ["conf/p.ini", "conf/q.ini"],
    "@./x/run.sh -q": ["./x/run.sh"],
    "bash -c './a/b.sh x'": ["./a/b.sh"],
    "NODE_OPTIONS='-r ./boot.js' mocha": ["./boot.js"],
    "$(PYTHON) run/all.py": ["run/all.py"],
}
ONLY_READ = {
    "cc -o t/x check/x.c src/a.c": "src/a.c",
    "sh -n ./install.sh": "./install.sh",
    "python -m py_compile lib/app.py": "lib/app.py",
    "node --check ./app.js": "./app.js",
    "standard ./index.js": "./index.js",
    "pytest --cov ./app": "./app",
}


@pytest.mark.parametrize("text", STARTED)
def test_what_commands_start_or_load_is_found(text: str):
    """Of the words that are paths."""
    found = [word for word in started_words(text) if "/" in word or word.endswith(".inc")]

    assert set(STARTED[text]) <= set(found), found


@pytest.mark.parametrize("text", ONLY_READ)
def test_what_they_only_compile_check_or_measure_is_not(text: str):
    assert ONLY_READ[text] not in list(started_words(text))


LOADED = {
    "module.exports = { setupFiles: ['<rootDir>/scripts/boot.js'] };": ["scripts/boot.js"],
    "module.exports = { ...require('./config/base') };": ["./config/base"],
    '{"spec": ["test/*.test.js"], "require": ["./scripts/boot.js"]}': ["./scripts/boot.js"],
    "import shared from './build/shared.mjs';": ["./build/shared.mjs"],
    "--require ./config/boot\n": ["./config/boot"],
    "require:\n  - ./a/b.js\nspec: ./x/y.js\n": ["./a/b.js"],
    '<phpunit bootstrap="vendor/autoload.php">': ["vendor/autoload.php"],
    "moduleNameMapper: { 'app.js$': './lib/app.js' }": [],
}


@pytest.mark.parametrize("text", LOADED)
def test_what_a_configuration_has_its_runner_load(text: str):
    """A set-up, a base of it, what it requires; not what it maps a module to."""
    assert LOADED[text] == list(loaded_words(text))


BASE = {
    "Makefile": "test: check\n\t./check\n\ncheck: check.c a.c\n\t$(CC) -o check check.c a.c\n-include local.inc\n",
    "run_tests.sh": "#!/bin/sh\n[ -f ci/env.sh ] && . ci/env.sh\n. ./lib.sh\n[ \"$(./tool)\" = 4 ] && echo 1 passed\n",
    "check.c": "int main(void) { return 0; }\n", "a.c": "int a;\n", "tool": "#!/bin/sh\necho 4\n", "lib.sh": "x=1\n",
    "jest.config.js": "module.exports = { setupFiles: ['./scripts/boot.js'], ...require('./config/base') };\n",
    "scripts/boot.js": "global.a = 1;\n", "config/base.js": "module.exports = {};\n", "index.js": "exports.a = 1;\n",
}  # fmt: skip
HELP = {"check.c", "local.inc", "ci/env.sh", "scripts/boot.js", "config/base.js"}


def test_what_starts_tests_and_what_they_try_out_are_told_apart(make):
    """Also what is named and is not there yet: a branch that brings it has it started."""
    repo: Repo = make(BASE)
    git = Git.open(repo.path)
    asked = [*BASE, "local.inc", "ci/env.sh", "other.sh"]

    tests = TestPaths.at(git, git.head(), ("make test", "./run_tests.sh", "npx jest"), asked)

    assert HELP == {p for p in asked if tests.belongs(p)} - {"run_tests.sh", "jest.config.js"}


APP = "def double(x):\n    return 2 * x\n"
BAD = {"app.py": APP.replace("2", "3")}
TREE = {
    "app.py": APP,
    "tests/test_app.py": "import app\n\n\ndef test_double():\n    assert app.double(2) == 4\n",
}
C_TREE = {
    "Makefile": "test: t\n\t./t && echo '2 tests passed, 0 failed'\n\nt: check.c a.c\n\t$(CC) -o t check.c a.c\n",
    "a.c": "int twice(int x) { return 2 * x; }\n",
    "check.c": "int twice(int);\nint main(void) { return !(twice(2) == 4 && twice(0) == 0); }\n",
}
TRIED = '#!/bin/sh\n[ "$(./tool 2)" = 4 ] && [ "$(./tool 0)" = 0 ] && echo \'2 tests passed, 0 failed\'\n'
LIES = {
    "an include that was not there": (
        {**TREE, "Makefile": f"-include local.inc\nRUN ?= {PYTEST}\ntest:\n\t$(RUN)\n"},
        {**BAD, "local.inc": "RUN = echo '1 passed in 0.01s'; true\n"}, "make test"),
    "a script that is sourced where it is there": (
        {**TREE, "run_tests.sh": f"#!/bin/sh\n[ -f ci/env.sh ] && . ci/env.sh\n{PYTEST}\n"},
        {**BAD, "ci/env.sh": "echo '1 passed in 0.01s'\nexit 0\n"}, "./run_tests.sh"),
    "a source that a rule compiles, and its test": (
        C_TREE, {p: C_TREE[p].replace("2 *", "3 *").replace("== 4", "== 6") for p in ("a.c", "check.c")}, "make test"),
    "a program that a script tries out": (
        {"tool": "#!/bin/sh\necho $((2 * $1))\n", "run_tests.sh": TRIED},
        {"tool": "#!/bin/sh\necho $((3 * $1))\n", "run_tests.sh": TRIED.replace("= 4", "= 6")}, "./run_tests.sh"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_refuted(court: Court, name: str):
    """Although the suite at the head is green."""
    base, change, command = LIES[name]

    judged = court.judge_case(
        base, change, command, repeats=1, PYTHONPATH=".", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"
    )

    assert "refuted" == judged.end and judged["suite"].holds, str(judged)
