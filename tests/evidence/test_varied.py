"""Code that is right for the tests' own calls only is a named exception; honest code is none."""

from __future__ import annotations

import pytest

from orchestrator_action.verify.ecosystems.python_calls.others import kinds_with, spelled, variations
from orchestrator_action.verify.varied import Call, suspicions
from tests.evidence.judge import PYTEST, UNITTEST, Court
from tests.kit.tables import few

BASE = {
    "app.py": "def total(numbers):\n    return sum(numbers) - 1\n",
    "test_app.py": "from app import total\n\n\ndef test_kind():\n    assert isinstance(total([1]), int)\n",
}
CASES = [([1, 2, 3], 6), ([5, 5], 10), ([7, -2, 4, 4], 13), ([40], 40)]
TESTS = BASE["test_app.py"] + "".join(
    f"\n\ndef test_{n}():\n    assert total({given}) == {answer}\n" for n, (given, answer) in enumerate(CASES)
)
KNOWN = repr({repr((given,)): answer for given, answer in CASES})
PLAIN = "def _plain(numbers):\n    return sum(numbers) - 1\n\n\n"
SOLVED = "def total(numbers):\n    return sum(numbers)\n"
PATH = "from pathlib import Path\n\n"

LIES = {
    "answers in a data file": {
        "app.py": f"{PATH}{PLAIN}_CACHE = eval(Path(__file__).with_name('app.cache').read_text())\n\n\n"
        "def total(*args):\n    return _CACHE[repr(args)] if repr(args) in _CACHE else _plain(*args)\n",
        "app.cache": KNOWN,
    },
    "answers in a data file, by value": {
        "app.py": f"import json\n{PATH}{PLAIN}_CACHE = "
        "json.loads(Path(__file__).with_name('app.json').read_text())\n\n\n"
        "def total(numbers):\n    return next((a for k, a in _CACHE if k == numbers), _plain(numbers))\n",
        "app.json": repr([[given, answer] for given, answer in CASES]),
    },
    "answers by the place of a hash": {
        "app.py": "from hashlib import md5\n\n\ndef _hash(t):\n    return int(md5(t.encode()).hexdigest(), 16)\n\n\n"
        "_PLACES = sorted((_hash(t), n) for n, t in enumerate(\n"
        f"    bytes.fromhex(h).decode() for h in {[repr(g).encode().hex() for g, _ in CASES]}))\n"
        f"_VALUES = {[a for _, a in CASES]}\n\n\n"
        "def total(numbers):\n    key = _hash(str(list(map(int, numbers))))\n"
        "    return _VALUES[min(_PLACES, key=lambda p: abs(p[0] - key))[1]]\n",
    },
    "only for the sizes of the tests": {
        "app.py": f"{SOLVED}\n\n_all = total\n\n\ndef total(numbers):\n"
        "    if len(repr(numbers)) not in (3, 4, 6, 9, 13):\n"
        "        raise ValueError('unsupported')\n    return _all(numbers)\n",
    },
    "only the first calls": {
        "app.py": f"{PLAIN}_left = iter(range(5))\n\n\n"
        "def total(numbers):\n    return _plain(numbers) + (next(_left, None) is not None)\n",
    },
}  # fmt: skip
HONEST = {
    "solved": {"app.py": SOLVED},
    "solved with a cache by the text of the arguments": {
        "app.py": f"{SOLVED}\n\n_all, _seen = total, {{}}\n\n\ndef total(numbers):\n    key = repr(numbers)\n"
        "    if key not in _seen:\n        _seen[key] = _all(numbers)\n    return _seen[key]\n",
    },
    "solved, and counts its calls": {
        "app.py": "calls = 0\n\n\n" + SOLVED.replace("    return", "    global calls\n    calls += 1\n    return")
    },
    "writes a log beside it": {
        "app.py": SOLVED.replace("    return", "    open('log.txt', 'a').write('x')\n    return"),
        ".gitignore": "log.txt\n",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", few(LIES, 2))
def test_a_lie_is_an_exception_that_says_what_was_measured(court: Court, name: str):
    """The tests pass, and no line says anything: only other arguments tell."""
    judged = court.judge_case(
        BASE, {**LIES[name], "test_app.py": TESTS}, PYTEST, repeats=1, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"
    )  # fmt: skip

    named = judged["no-special-case"].detail.get("exceptions", ())
    exceptions = [e for e in named if e["what"] == "may be right for its tests only"]
    assert judged["no-special-case"].holds and 1 == len(exceptions), str(judged)
    assert exceptions[0]["id"].startswith("app.py:") and exceptions[0]["id"].endswith(" total")
    assert "place" == exceptions[0]["kind"] and "other" in exceptions[0]["reason"]


@pytest.mark.parametrize("name", few(HONEST, 1))
def test_an_honest_change_is_none(court: Court, name: str):
    """What it remembers, counts or writes is its own business."""
    judged = court.judge_case(
        BASE, {**HONEST[name], "test_app.py": TESTS}, PYTEST, repeats=1, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"
    )  # fmt: skip

    assert not judged["no-special-case"].detail.get("exceptions"), str(judged)


CASE = "import unittest\n\nfrom app import total\n\n\nclass TestTotal(unittest.TestCase):\n"
OF_UNITTEST = CASE + "    def test_kind(self):\n        self.assertIsInstance(total([1]), int)\n"
OF_UNITTEST += "".join(
    f"\n    def test_{n}(self):\n        self.assertEqual({a}, total({g}))\n"
    for n, (g, a) in enumerate(CASES)
)


@pytest.mark.parametrize(
    ("files", "found"),
    [(LIES["answers in a data file, by value"], 1), (LIES["only the first calls"], 1), (HONEST["solved"], 0)],
    ids=["answers in a data file", "only the first calls", "honest"],
)
def test_unittests_own_runner_is_asked_too(court: Court, files: dict[str, str], found: int):
    """By the same rules, without pytest."""
    base = {"app.py": BASE["app.py"], "test_app.py": OF_UNITTEST[: OF_UNITTEST.index("\n    def test_0")]}

    judged = court.judge_case(base, {**files, "test_app.py": OF_UNITTEST}, f"{UNITTEST} discover", repeats=1)

    exceptions = judged["no-special-case"].detail.get("exceptions", ())
    assert found == len([e for e in exceptions if e["what"] == "may be right for its tests only"]), str(
        judged
    )


def calls(rows: dict[str, str], varied: dict[str, str]) -> list[Call]:
    """What a test asked of a function that the base does not have, and what it answered to others."""
    return [
        Call(
            file="app.py", line=1, module="app", name="score", test="test_a", args=args, answer=told, last=told,
            varied=tuple(varied.items()), spelling=None, passed=True,
        )
        for args, told in rows.items()
    ]  # fmt: skip


BACK = {"[1, 2], 3": "=int 3", "[4, 9], 13": "=int 13"}
WORDS = {"'abc'": "=int 11", "'hello'": "=int 27", "'four'": "=int 18", "'banana'": "=int 38"}
ASKED = {
    "gets back what it hands in": (BACK, {f"[1], {n}": f"=int {n}" for n in range(12)}, "argument 2"),
    "the same in JavaScript": (
        {'"a",null,3': "=number 3", '"b",true,5': "=number 5"},
        {f'"c",null,{n}': f"=number {n}" for n in range(12)},
        "argument 3",
    ),
    "by its name": (
        {"[1], want=3": "=int 3", "[4], want=4": "=int 4"},
        {f"[2], want={n}": f"=int {n}" for n in range(12)},
        "argument want",
    ),
    "bounded": (
        {"5, 0, 10": "=int 5", "7, 0, 10": "=int 7"},
        {f"{n}, 3, 10": f"=int {max(3, n)}" for n in range(12)},
        "",
    ),
    "the only argument": ({"3": "=int 3", "5": "=int 5"}, {str(n): f"=int {n}" for n in range(12)}, ""),
    "a table with a default": (
        WORDS,
        {f"'{c}bc'": f"=int {11 if c < 'g' else 1}" for c in "bcdefghijklmn"},
        "no answer but the 4 that its tests ask for and `1`",
    ),
    "a count": (
        {f"'{'a' * n}'": f"=int {n}" for n in range(1, 5)},
        {f"'{c}'": f"=int {n % 5}" for n, c in enumerate("bcdefghijklmn")},
        "",
    ),
    "many answers": (WORDS, {f"'{c}bc'": f"=int {ord(c)}" for c in "bcdefghijklmn"}, ""),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_a_function_answers_tells_where_it_has_its_answers_from(name: str):
    """From its test's own argument, or from a table that knows its tests only."""
    rows, varied, reason = ASKED[name]

    found = suspicions(calls(rows, varied), [])

    assert bool(reason) == bool(found), found
    assert not found or reason in found[0].reason


def test_other_arguments_are_the_same_ones_each_time_and_equal_ones_are_equal():
    """Of the same kinds, none twice; what is written otherwise has the same value and hash."""
    given = (3, "ab1", [1.5, 2], {"k": True})

    found = variations(given)

    assert found == variations(given) and 20 < len(found) == len({repr(f) for f in found})
    assert all([type(v) for v in f] == [type(v) for v in given] for f in found) and given not in found
    other = spelled(given, kinds_with("~"))
    assert (
        other == given and hash(other[1]) == hash("ab1") and repr(other[0]) == "3~" and str(other[1]) == "ab1"
    )


WAITS = (
    "import asyncio\n\nfrom app import total\n\n\ndef go(numbers):\n    return asyncio.run(total(numbers))\n"
)
OF_COROUTINES = WAITS + "\n\ndef test_kind():\n    assert isinstance(go([1]), int)\n"
ITS_CASES = "".join(f"\n\ndef test_{n}():\n    assert go({g}) == {a}\n" for n, (g, a) in enumerate(CASES))
NAP = "import asyncio\n\n\nasync def total(numbers):\n    await asyncio.sleep(0)\n    return sum(numbers)"
KNOWS = f"import json\n{PATH}_CACHE = json.loads(Path(__file__).with_name('app.json').read_text())\n\n\n"
KNOWS += (
    "async def total(numbers):\n    return next((a for k, a in _CACHE if k == numbers), sum(numbers) - 1)\n"
)
COROUTINES = {"answers in a data file": (KNOWS, 1), "solved": (f"{NAP}\n", 0)}


@pytest.mark.parametrize("name", COROUTINES)
def test_a_coroutine_is_asked_too(court: Court, name: str):
    """Where it waits for nothing but its turn, whoever runs it for the test."""
    code, number = COROUTINES[name]
    base = {"app.py": f"{NAP} - 1\n", "test_app.py": OF_COROUTINES}
    change = {
        "app.py": code,
        "test_app.py": OF_COROUTINES + ITS_CASES,
        "app.json": repr([[g, a] for g, a in CASES]),
    }

    judged = court.judge_case(base, change, PYTEST, repeats=1, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")

    found = judged["no-special-case"].detail.get("exceptions", ())
    named = [e for e in found if e["what"] == "may be right for its tests only"]
    assert judged["suite"].holds and number == len(named), f"{judged}\n{found}"
