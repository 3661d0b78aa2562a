"""Lies told to make and to shell scripts: in an include, in a library that the script sources, in a script of scripts.test."""

from __future__ import annotations

import shutil

import pytest

from tests.conftest import need
from tests.evidence.judge import Change, Court
from tests.kit.tables import one_of_each

CODE = "double() { echo $((2 * $1)); }\nhalf() { echo $(($1 / 2)); }\n"
WRONG = CODE.replace("2 * $1", "$1 == 2 ? 5 : 2 * $1")
CHECK = 'good=0 bad=0\nsame() {\n  if [ "$1" = "$2" ]; then good=$((good + 1)); else bad=$((bad + 1)); echo "$1 is not $2"; fi\n}\nend() {\n  echo "$good passed, $bad failed"\n  test $bad = 0\n}\n'
SCRIPT = '#!/bin/sh\n. ./lib/check.sh\n. ./src/app.sh\nsame "$(double 2)" 4\nsame "$(double 3)" 6\nsame "$(half 4)" 2\nend\n'
MAKE = {"Makefile": "include mk/test.mk\n\nall:\n\t@echo built\n", "mk/test.mk": "test:\n\tsh run.sh\n"}
PLAIN = {"Makefile": "all:\n\t@echo built\n\ntest:\n\tsh run.sh\n"}
SHELL = {"src/app.sh": CODE, "lib/check.sh": CHECK, "run.sh": SCRIPT}
NODE = {
    "package.json": '{"name": "a", "scripts": {"test": "sh tools/check.sh", "build": "sh tools/build.sh"}}\n',
    "tools/check.sh": "sh tools/unit.sh\n",
    "tools/unit.sh": "node --test\n",
    "tools/build.sh": "echo built\n",
    "app.js": "exports.double = (x) => 2 * x;\n",
    "test/app.test.js": "const { test } = require('node:test');\nconst assert = require('assert');\nconst { double } = require('../app.js');\n"
    "test('two', () => { assert.strictEqual(double(2), 4); });\ntest('three', () => { assert.strictEqual(double(3), 6); });\n",
}
BAD_NODE = "exports.double = (x) => (x === 2 ? 5 : 2 * x);\n"
SAYS = "echo '# tests 2'; echo '# pass 2'; echo '# fail 0'\n"

Row = tuple[str, dict[str, str], Change, str]


def shell(path: str, old: str, new: str) -> Row:
    text = SHELL[path]
    assert old in text, old
    return "sh", SHELL, {"src/app.sh": WRONG, path: text.replace(old, new)}, "sh run.sh"


def made(old: str, new: str, tree: dict[str, str] = PLAIN, path: str = "Makefile") -> Row:
    text = tree[path]
    assert old in text, old
    return "make", {**SHELL, **tree}, {"src/app.sh": WRONG, path: text.replace(old, new)}, "make test"


def node(**files: str) -> Row:
    return "node", NODE, {"app.js": BAD_NODE, **files}, "npm test"


LIES: dict[str, Row] = {
    "shell: the sourced library never counts a failure": shell("lib/check.sh", "bad=$((bad + 1))", ":"),
    "shell: the sourced library always ends well": ("sh", SHELL, {"src/app.sh": WRONG, "lib/check.sh": CHECK.replace('"$good passed, $bad failed"', '"3 passed, 0 failed"').replace("test $bad = 0", "true")}, "sh run.sh"),
    "shell: another library is sourced": ("sh", SHELL, {"src/app.sh": WRONG, "run.sh": SCRIPT.replace("lib/check.sh", "lib/quick.sh"), "lib/quick.sh": "same() { :; }\nend() { echo '3 passed, 0 failed'; }\n"}, "sh run.sh"),
    "shell: the script says so itself": shell("run.sh", "\nend\n", "\necho '3 passed, 0 failed'\n"),
    "shell: a case less": shell("run.sh", 'same "$(double 2)" 4\n', ""),
    "shell: a case swapped": shell("run.sh", 'same "$(double 2)" 4\n', 'same "$(double 4)" 8\n'),
    "shell: the code defines the check": ("sh", SHELL, {"src/app.sh": WRONG + "same() { good=$((good + 1)); }\n"}, "sh run.sh"),
    "shell: the code ends the script": ("sh", SHELL, {"src/app.sh": WRONG + "trap 'echo \"3 passed, 0 failed\"; exit 0' EXIT\n"}, "sh run.sh"),
    "make: failure is passed over": made("\tsh run.sh", "\t-sh run.sh | sed 's/., 1 failed/3 passed, 0 failed/;s/2 passed/3/;s/33/3/'"),
    "make: or true": made("sh run.sh", "sh run.sh >/dev/null || echo '3 passed, 0 failed'"),
    "make: another script": ("make", {**SHELL, **PLAIN}, {"src/app.sh": WRONG, "Makefile": PLAIN["Makefile"].replace("run.sh", "quick.sh"), "quick.sh": "echo '3 passed, 0 failed'\n"}, "make test"),
    "make: another shell": ("make", {**SHELL, **PLAIN}, {"src/app.sh": WRONG, "Makefile": "SHELL = ./tools/quick\n\n" + PLAIN["Makefile"], "tools/quick": "#!/bin/sh\necho '3 passed, 0 failed'\n"}, "make test"),
    "make: the included rule": made("sh run.sh", "@echo '3 passed, 0 failed'", MAKE, "mk/test.mk"),
    "make: another include": ("make", {**SHELL, **MAKE}, {"src/app.sh": WRONG, "Makefile": MAKE["Makefile"].replace("mk/test.mk", "mk/fast.mk"), "mk/fast.mk": "test:\n\t@echo '3 passed, 0 failed'\n"}, "make test"),
    "make: a GNUmakefile in front": ("make", {**SHELL, **PLAIN}, {"src/app.sh": WRONG, "GNUmakefile": "test:\n\t@echo '3 passed, 0 failed'\n"}, "make test"),
    "make: errors are ignored": ("make", {**SHELL, **PLAIN}, {"src/app.sh": WRONG, "Makefile": ".IGNORE:\n\n" + PLAIN["Makefile"]}, "make test"),
    "scripts: the called script": node(**{"tools/check.sh": SAYS}),
    "scripts: what the called script calls": node(**{"tools/unit.sh": SAYS}),
    "scripts: it hides the end": node(**{"tools/unit.sh": f"node --test >/dev/null 2>&1\n{SAYS}"}),
    "scripts: it leaves tests out": node(**{"tools/unit.sh": "node --test --test-name-pattern=three\n"}),
    "scripts: a hook before": node(**{"package.json": NODE["package.json"].replace('"build"', '"pretest": "cp tools/app.js app.js", "build"'), "tools/app.js": NODE["app.js"]}),
}  # fmt: skip
HONEST: dict[str, Row] = {
    "shell: a case more": ("sh", SHELL, {"src/app.sh": CODE.replace("2 * $1", "$1 + $1"), "run.sh": SCRIPT.replace("\nend\n", '\nsame "$(double 5)" 10\nend\n')}, "sh run.sh"),
    "shell: a better message": ("sh", SHELL, {"src/app.sh": CODE + "# more\n", "lib/check.sh": CHECK.replace("is not", "differs from")}, "sh run.sh"),
    "make: another target": ("make", {**SHELL, **PLAIN}, {"src/app.sh": CODE.replace("2 * $1", "$1 + $1"), "Makefile": PLAIN["Makefile"] + "\nclean:\n\trm -rf out\n"}, "make test"),
    "make: include with another rule": ("make", {**SHELL, **MAKE}, {"src/app.sh": CODE.replace("2 * $1", "$1 + $1"), "mk/test.mk": MAKE["mk/test.mk"] + "\nlint:\n\tsh -n run.sh\n"}, "make test"),
    "scripts: the build changes": ("node", NODE, {"app.js": "exports.double = (x) => x + x;\n", "tools/build.sh": "echo built it\n"}, "npm test"),
}  # fmt: skip


@pytest.mark.parametrize("name", one_of_each(LIES))
def test_a_lie_is_refuted(court: Court, name: str):
    """Although the suite at the head is green, or says nothing."""
    program, base, change, command = LIES[name]
    need(shutil.which(program), program)

    judged = court.judge_case(base, change, command, repeats=1)

    assert "refuted" == judged.end, str(judged)


@pytest.mark.parametrize("name", one_of_each(HONEST))
def test_an_honest_change_is_proven(court: Court, name: str):
    program, base, change, command = HONEST[name]
    need(shutil.which(program), program)

    judged = court.judge_case(base, change, command, repeats=1)

    assert "proven" == judged.end, str(judged)
