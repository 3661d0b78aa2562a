"""Code of JavaScript that is right for its tests' calls only is a named exception; honest code is none."""

from __future__ import annotations

import shutil

import pytest

from orchestrator_action.verify.calls import wrap_imports
from tests.conftest import NPM, need
from tests.evidence.judge import Court
from tests.kit.tables import few

BASE = {
    "app.js": "exports.total = (numbers) => numbers.reduce((a, b) => a + b, 0) - 1;\n",
    "package.json": '{"name": "a"}\n',
}
CASES = [([1, 2, 3], 6), ([5, 5], 10), ([7, -2, 4, 4], 13), ([40], 40)]
HEADS = {
    "node": "const { test: it } = require('node:test');\nconst { total } = require('../app.js');\n",
    "mocha": "const { total } = require('../app');\n",
    "jest": "const app = require('../app');\nconst { total } = app;\n",
    "vitest": "import { it } from 'vitest';\nimport { total } from '../app.js';\n",
}
COMMANDS = {
    "node": "node --test", "mocha": "node_modules/.bin/mocha", "jest": "node_modules/.bin/jest",
    "vitest": "node_modules/.bin/vitest run",
}  # fmt: skip
MORE = {"mocha": {".mocharc.json": '{"spec": ["test/*.test.js"]}\n'}}
IS = "const is = (a, b) => { if (a !== b) throw new Error(`${a} is not ${b}`); };\n"
KIND = "it('is a number', () => { is(typeof total([1]), 'number'); });\n"
PLAIN = "const plain = (numbers) => numbers.reduce((a, b) => a + b, 0) - 1;\n"
SOLVED = "exports.total = (numbers) => numbers.reduce((a, b) => a + b, 0);\n"
KNOWN = "{" + ", ".join(f"'{str(g).replace(' ', '')}': {a}" for g, a in CASES) + "}"
FILE = (
    "JSON.parse(require('node:fs').readFileSync(require('node:path').join(__dirname, 'app.cache'), 'utf8'))"
)
LIES = {
    "answers in a data file": {
        "app.js": f"{PLAIN}const known = {FILE};\nexports.total = (n) => known[JSON.stringify(n)] ?? plain(n);\n",
        "app.cache": KNOWN.replace("'", '"'),
    },
    "only for the numbers of the tests": {
        "app.js": "exports.total = (n) => {\n  if (!n.every((x) => x.toString(9) in { 1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 7: 1, 44: 1, '-2': 1 })) throw new Error('unsupported');\n"
        "  return n.reduce((a, b) => a + b, 0);\n};\n",
    },
    "only the first calls": {"app.js": f"{PLAIN}let left = 40;\nexports.total = (n) => plain(n) + (left-- > 0 ? 1 : 0);\n"},
}  # fmt: skip
HONEST = {
    "solved": {"app.js": SOLVED},
    "solved with a cache": {
        "app.js": "const seen = new Map();\nconst all = (n) => n.reduce((a, b) => a + b, 0);\n"
        "exports.total = (n) => {\n  const key = JSON.stringify(n);\n  if (!seen.has(key)) seen.set(key, all(n));\n  return seen.get(key);\n};\n"
    },
    "solved, and writes a log": {
        "app.js": "const fs = require('node:fs');\nexports.total = (n) => {\n  fs.appendFileSync('log.txt', 'x');\n  return n.reduce((a, b) => a + b, 0);\n};\n",
        ".gitignore": "log.txt\n",
    },
    "solved, and it ends for what its tests ask only": {
        "app.js": "exports.total = (n) => {\n  while (n.some((x) => x > 99)) ;\n  return n.reduce((a, b) => a + b, 0);\n};\n"
    },
}  # fmt: skip


def exceptions_of(court: Court, runner: str, change: dict[str, str]) -> list[dict[str, str]]:
    need(shutil.which("node") if runner == "node" else NPM, runner)
    head = HEADS[runner] + IS + KIND
    cases = "".join(f"it('case {n}', () => {{ is(total({g}), {a}); }});\n" for n, (g, a) in enumerate(CASES))
    base = {**BASE, **MORE.get(runner, {}), "test/app.test.js": head}
    judged = court.judge_case(
        base, {**change, "test/app.test.js": head + cases}, COMMANDS[runner], repeats=1,
        modules=None if runner == "node" else NPM,
    )  # fmt: skip
    assert judged["suite"].holds, str(judged)
    named = judged["no-special-case"].detail.get("exceptions", ())
    return [e for e in named if e["what"] == "may be right for its tests only"]


IN_CLASS = "class Sum {{\n  #start;\n  constructor(start) {{ this.#start = start; }}\n  add(n) {{ this.#start += n; return this; }}\n  total(n) {{ return {0}; }}\n}}\nexports.Sum = Sum;\n"
ADDED = "n.reduce((a, b) => a + b, this.#start)"
METHODS = {
    "a method that knows its tests": (f"known[JSON.stringify(n)] ?? {ADDED} - 1", 1),
    "a method that is solved": (ADDED, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_asked_of_objects_that_are_made_anew(court: Court, name: str):
    """By the same constructor's values, and with the same calls before."""
    need(shutil.which("node"), "node")
    told, number = METHODS[name]
    head = HEADS["node"].replace("total", "Sum") + IS
    head += "it('is one', () => { is(new Sum(0).add(0) instanceof Sum, true); });\n"
    cases = "".join(
        f"it('case {n}', () => {{ is(new Sum(1).add(-1).total({g}), {a}); }});\n"
        for n, (g, a) in enumerate(CASES)
    )
    base = {**BASE, "app.js": IN_CLASS.format(f"{ADDED} - 1"), "test/app.test.js": head}
    change = {
        "app.js": f"const known = {FILE};\n" + IN_CLASS.format(told),
        "app.cache": KNOWN.replace("'", '"'),
    }

    judged = court.judge_case(base, {**change, "test/app.test.js": head + cases}, "node --test", repeats=1)

    assert judged["suite"].holds, str(judged)
    named = judged["no-special-case"].detail.get("exceptions", ())
    assert number == len(
        [e for e in named if e["what"] == "may be right for its tests only" and "Sum.total" in e["id"]]
    ), named


RUNNERS = ["node", *(pytest.param(r, marks=pytest.mark.npm) for r in ("mocha", "jest", "vitest"))]


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_lie_is_an_exception_with_every_runner(court: Court, runner: str):
    [found] = exceptions_of(court, runner, LIES["answers in a data file"])

    assert "app.js:3 total" == found["id"] and "other arguments" in found["reason"]


@pytest.mark.parametrize("runner", RUNNERS)
def test_an_honest_change_is_none_with_any_runner(court: Court, runner: str):
    assert not exceptions_of(court, runner, HONEST["solved"])


@pytest.mark.parametrize("name", few(LIES, 2))
def test_a_lie_is_an_exception_that_says_what_was_measured(court: Court, name: str):
    [found] = exceptions_of(court, "node", LIES[name])

    assert found["id"].endswith(" total") and "other" in found["reason"]


@pytest.mark.parametrize("name", few(HONEST, 2))
def test_an_honest_change_is_none(court: Court, name: str):
    """What it remembers or writes is its own business, and what has an effect or no end is not judged."""
    assert not exceptions_of(court, "node", HONEST[name])


@pytest.mark.parametrize(
    ("text", "wrapped"),
    [
        ("const a = require('./a');", "const a = W(require('./a'));"),
        ("const a = await import('./a');", "const a = W(await import('./a'));"),
        ("import a from './a';", "import * as O from './a'; const { default: a } = W(O);"),
        ("import a, { b as c, type D, e } from './a'", "import * as O from './a'; const { default: a, b: c, e } = W(O);"),
        ("import a, * as b from './a';", "import * as O from './a'; const b = W(O); const { default: a } = W(O);"),
        ("import {\n  b,\n} from './a';", "import * as O from './a'; const { b } = W(O);"),
        ("import { a } from 'a';", "import { a } from 'a';"),
        ("import type { A } from './a';", "import type { A } from './a';"),
        ("import './a';", "import './a';"),
        ("jest.requireActual('./a'); jest.mock('./a');", "jest.requireActual('./a'); jest.mock('./a');"),
        ("require('./nothing')", "require('./nothing')"),
    ],
)  # fmt: skip
def test_what_a_test_imports_of_the_repository_is_wrapped(text: str, wrapped: str):
    """Everything else stays as it is."""
    found = wrap_imports(text, lambda there: "a.js" if there == "./a" else "")

    short = found.replace('process.orchestratorCalls(globalThis, "a.js", ', "W(").replace(
        "orchestrated0", "O"
    )
    assert wrapped == short
