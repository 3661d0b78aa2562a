"""What a comparison with the base says: red before, flaky, cannot run, not comparable; and what it costs."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator_action.errors import GitError, SetupError
from orchestrator_action.verify.base_suite import BaseSuite
from orchestrator_action.verify.change import measure_change
from orchestrator_action.verify.change_runs import Proof
from orchestrator_action.verify.test_run import TestRun, why_no_proof
from tests.evidence.judge import PYTEST, UNITTEST, Court, Judged, apply, bench_of
from tests.kit.tables import few

FAST = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
APP = "def double(x):\n    return 2 * x\n"
TEST = "from app import double\n\n\ndef test_two():\n    assert double(2) == 4\n\n\ndef test_zero():\n    assert double(0) == 0\n"
RED = TEST + "\n\ndef test_red():\n    assert double(1) == 3\n"
BASE = {"app.py": APP, "tests/test_app.py": TEST, "README.md": "x\n"}
SOMETHING = {"app.py": APP + "# more\n"}
COUNTED = """import pathlib

counter = pathlib.Path({file!r})
counter.write_text(str(int(counter.read_text() or 0) + 1) if counter.exists() else "1")


def test_counted():
    assert int(counter.read_text()) {rule}
"""


def test_what_was_red_before_is_said_to_have_been(court: Court):
    """It is not the branch's fault, and no success of it either."""
    judged = court.judge({**BASE, "tests/test_app.py": RED}, SOMETHING, PYTEST, **FAST)

    assert "proven" == judged.end, str(judged)
    assert "2 passed; 1 test was red before, at the base" in judged["suite"].message
    assert ["tests/test_app.py::test_red"] == judged["suite"].detail["red_before"]


def test_a_red_base_hides_no_new_red_test(court: Court):
    judged = court.judge(
        {**BASE, "tests/test_app.py": RED},
        {"app.py": APP.replace("2 * x", "2 * x if x else 1")},
        PYTEST,
        **FAST,
    )

    assert {"suite"} == judged.refuted, str(judged)
    assert "1 test fails: tests/test_app.py::test_zero; 1 test was red before" in judged["suite"].message


@pytest.mark.slow
def test_a_red_base_without_names_of_tests_is_unproven(court: Court):
    """Nobody can say whether the same test fails."""
    judged = court.judge(BASE, SOMETHING, "echo '3 passed, 1 failed'; exit 1")

    assert {"suite"} == judged.unproven and not judged.refuted, str(judged)
    assert "The base was red before" in judged["suite"].message


AUDITED = f"{PYTEST} && exit 3"


@pytest.mark.parametrize(
    ("change", "end"),
    [
        ({"app.py": APP + "# more\n"}, "proven"),
        pytest.param({"app.py": APP.replace("2 * x", "3 * x")}, "refuted", marks=pytest.mark.slow),
        pytest.param(
            {"tests/test_app.py": "def test_a():\n    assert True\n"}, "refuted", marks=pytest.mark.slow
        ),
    ],
    ids=["honest", "a red test", "a test less"],
)
def test_a_command_that_fails_after_its_tests_as_at_the_base_hides_nothing(
    court: Court, change: dict[str, str], end: str
):
    """An audit or a linter says no there; every test is known by its name all the same."""
    judged = court.judge_case(BASE, change, AUDITED, **FAST)

    assert end == judged.end, str(judged)
    assert end == "refuted" or "ends with 3 after its tests, as it did at the base" in judged["suite"].message


def test_what_cannot_be_collected_is_no_failed_test(court: Court):
    """It is said to be unable to run, and why."""
    judged = court.judge(BASE, {"app.py": "import nowhere_to_be_found\n" + APP}, PYTEST, **FAST)

    said = judged["suite"].message
    assert "suite" in judged.refuted and "cannot run" in said, str(judged)
    assert "nowhere_to_be_found" in said and "tests failed" not in said


@pytest.mark.slow
def test_what_could_not_run_at_the_base_either_is_nobodys_lie(court: Court):
    judged = court.judge(
        {**BASE, "app.py": "import nowhere_to_be_found\n" + APP}, {"README.md": "y\n"}, PYTEST, **FAST
    )

    assert "unproven" == judged.end, str(judged)
    assert "could not at the base either" in judged["suite"].message


def test_a_new_test_that_passes_one_time_only_is_not_steady(court: Court, tmp_path: Path):
    """The first run is green, the second at the same commit is not."""
    test = COUNTED.format(file=str(tmp_path / "count"), rule="<= 1")

    judged = court.judge(BASE, {**SOMETHING, "tests/test_new.py": test}, PYTEST, **FAST)

    assert {"steady"} == judged.refuted, str(judged)
    assert "passed once and failed in run 2" in judged["steady"].message


@pytest.mark.slow
def test_old_code_that_works_one_time_only_is_not_steady(court: Court, tmp_path: Path):
    """No test was changed: the short suite is run once more."""
    wrong = f"import pathlib\nfile = pathlib.Path({str(tmp_path / 'count')!r})\nfile.write_text(file.read_text() + 'x' if file.exists() else 'x')\n"
    base = {**BASE, "tests/test_app.py": TEST}

    judged = court.judge(
        base,
        {"app.py": wrong + APP.replace("2 * x", "2 * x if len(file.read_text()) < 2 else 7")},
        PYTEST,
        **FAST,
    )

    assert {"steady"} == judged.refuted, str(judged)


@pytest.mark.slow
def test_a_test_that_is_red_and_green_at_one_commit_is_called_flaky(court: Court, tmp_path: Path):
    """It is run once more by itself, and both results are told."""
    count = tmp_path / "count"
    base = {**BASE, "tests/test_count.py": COUNTED.format(file=str(count), rule="!= 1")}

    judged = court.judge(base, SOMETHING, PYTEST, **FAST)

    assert (
        "flaky, red and green at this commit: tests/test_count.py::test_counted" in judged["suite"].message
    ), str(judged)
    assert "proven" == judged.end


@pytest.mark.parametrize(
    ("proof", "end"), few([(Proof.REQUIRED, "refuted"), (Proof.REPORTED, "proven"), (Proof.OFF, "proven")], 2)
)
def test_a_change_without_a_test_that_shows_it_refutes_only_where_that_is_required(
    court: Court, proof: Proof, end: str
):
    judged = court.judge(BASE, SOMETHING, PYTEST, proof=proof, **FAST)

    assert end == judged.end, str(judged)


def test_a_test_that_fails_at_the_base_shows_the_change(court: Court):
    test = TEST + "\n\ndef test_words():\n    assert double('a') == 'aa' and double([1]) == [1, 1, 1]\n"
    change = {
        "app.py": "def double(x):\n    return x * (3 if isinstance(x, list) else 2)\n",
        "tests/test_app.py": test,
    }

    judged = court.judge(BASE, change, PYTEST, proof=Proof.REQUIRED, **FAST)

    assert "proven" == judged.end, str(judged)
    assert (
        "1 test fails at the base and passes here: tests/test_app.py::test_words"
        == judged["shows-the-change"].message
    )


def test_a_test_of_a_new_module_cannot_run_at_the_base(court: Court):
    """That shows the change, and is said so."""
    change = {
        "third.py": "def third(x):\n    return x / 3\n",
        "tests/test_third.py": "from third import third\n\n\ndef test_a():\n    assert third(3) == 1\n",
    }

    judged = court.judge(BASE, change, PYTEST, proof=Proof.REQUIRED, **FAST)

    assert "proven" == judged.end and "cannot run at the base" in judged["shows-the-change"].message, str(
        judged
    )


def test_base_tests_that_cannot_be_imported_prove_nothing_and_lie_nothing(court: Court):
    """The module was renamed, and its tests with it: they are counted as not comparable."""
    change = "git mv app.py numbers_.py && sed -i 's/from app/from numbers_/' tests/test_app.py"

    judged = court.judge(BASE, change, PYTEST, **FAST)

    assert "proven" == judged.end, str(judged)
    assert 2 == len(judged["base-tests"].detail["not_comparable"])


@pytest.mark.slow
def test_a_module_renamed_to_gut_its_tests_is_refuted(court: Court):
    """Where the base's tests cannot be run, what was taken from them has to be named."""
    gutted = TEST.replace("from app", "from numbers_").replace("    assert double(2) == 4", "    double(2)")
    change = {"app.py": None, "numbers_.py": APP.replace("2 * x", "3 * x"), "tests/test_app.py": gutted}

    judged = court.judge(BASE, change, PYTEST, **FAST)

    assert "base-tests" in judged.refuted, str(judged)
    assert "emptied (test_two)" in judged["base-tests"].message


def test_a_change_costs_two_whole_suites_beside_the_base(court: Court):
    """One of the head, one of the base's tests; without changed tests the second is a repetition."""
    court.judge(
        BASE,
        {**SOMETHING, "tests/test_app.py": TEST + "\n\ndef test_more():\n    assert double(3) == 6\n"},
        PYTEST,
        **FAST,
    )
    assert 3 == court.runs.count(PYTEST), court.runs

    court.runs.clear()
    court.judge(BASE, SOMETHING, PYTEST, **FAST)
    assert 3 == court.runs.count(PYTEST), court.runs


def test_many_changes_on_one_base_measure_it_once(make, tmp_path: Path):
    repo, runs = make(BASE), []
    base = repo.git("rev-parse", "HEAD")
    bench = bench_of(repo, tmp_path, PYTEST, runs=runs, **FAST)
    suite = BaseSuite(bench, base)
    for number in range(2):
        repo.git("checkout", "-q", base)
        apply(repo, {"app.py": APP + f"# {number}\n"})
        facts = measure_change(bench, base=base, head=repo.commit({}), base_run=suite.result)
        assert all(f.holds for f in facts)

    assert 1 + 2 * 2 == runs.count(PYTEST)


@pytest.mark.slow
def test_a_base_is_remembered_by_tree_commands_environment_and_level(make, tmp_path: Path):
    """Across runs of a machine; broken memory is measured anew, and what was red is not remembered."""
    repo, runs = make(BASE), []
    base = repo.git("rev-parse", "HEAD")
    memory = tmp_path / "memory"

    def measured(level: str = "open", command: str = PYTEST) -> bool:
        suite = BaseSuite(
            bench_of(repo, tmp_path, command, runs=runs, **FAST), base, memory=memory, level=level
        )
        assert suite.first_test_ended() and isinstance(suite.result(), TestRun)
        return suite.remembered

    assert [False, True] == [measured(), measured()]
    assert 2 == len(
        BaseSuite(bench_of(repo, tmp_path, PYTEST, **FAST), base, memory=memory, level="open").result().cases
        or ()
    )
    assert not measured(level="sandboxed")
    for file in memory.iterdir():
        file.write_text(json.dumps({"runs": 1}))
    assert not measured()
    assert [False, False] == [measured(command=f"{PYTEST} && false") for _ in range(2)]


def test_the_first_test_of_a_long_suite_is_seen_before_its_end(make, tmp_path: Path):
    """An agent need not wait for the whole of it."""
    repo = make(BASE)
    gate = tmp_path / "gate"
    command = f"{UNITTEST} -v tests.test_none 2>/dev/null; echo 'ok 1 - first'; while [ ! -e {gate} ]; do sleep 0.1; done; echo '1..1'"
    suite = BaseSuite(bench_of(repo, tmp_path, command), repo.git("rev-parse", "HEAD"))

    assert suite.first_test_ended(60)

    assert not gate.exists()
    gate.touch()
    suite.result()


@pytest.mark.slow
def test_a_slow_set_up_is_waited_for_and_its_failure_is_known_before_an_agent_is_paid(make, tmp_path: Path):
    """The time that a first test may take is not that of the set-up before it."""
    repo = make(BASE)

    @contextlib.contextmanager
    def not_ready(commit: str) -> Iterator[Path]:
        time.sleep(1)
        raise SetupError("setup command 'x' failed: exit 1", hint="see its log")
        yield tmp_path

    bench = replace(bench_of(repo, tmp_path, PYTEST), checkout=not_ready)

    with pytest.raises(SetupError):
        BaseSuite(bench, repo.git("rev-parse", "HEAD")).first_test_ended(0.3)


def test_a_script_that_failed_is_no_test_that_has_ended(make, tmp_path: Path):
    """What npm and pnpm say of a script that could not run names no test; an agent is not paid for it."""
    repo = make(BASE)
    gate = tmp_path / "gate"
    said = (
        ". test:lint$ oxlint\\n. test:lint: Failed\\n"
        " ELIFECYCLE  Test failed. See above for more details.\\nnpm ERR! Test failed.\\nnpm error code 1\\n"
    )
    command = f"printf '{said}'; while [ ! -e {gate} ]; do sleep 0.1; done; exit 1"
    suite = BaseSuite(bench_of(repo, tmp_path, command), repo.git("rev-parse", "HEAD"))

    assert not suite.first_test_ended(1)

    gate.touch()
    assert why_no_proof(suite.result()).startswith(f"`{command}` failed with exit code 1")


def test_a_base_that_cannot_be_had_is_one_clear_line(make, tmp_path: Path):
    repo = make(BASE)
    base = repo.git("rev-parse", "HEAD")
    head = repo.commit(SOMETHING)

    def broken() -> TestRun:
        raise GitError(f"commit {base[:12]} cannot be checked out", hint="fetch it")

    facts = measure_change(bench_of(repo, tmp_path, PYTEST, **FAST), base=base, head=head, base_run=broken)

    judged = Judged({f.rule: f for f in facts})
    assert "unproven" == judged.end, str(judged)
    assert (
        f"the base could not be measured: commit {base[:12]} cannot be checked out"
        in judged["nothing-lost"].message
    )


@pytest.mark.slow
def test_a_suite_that_never_ends_and_one_that_floods_are_survived(make, tmp_path: Path):
    """One line each, within their time."""
    repo = make(BASE)
    base, started = repo.git("rev-parse", "HEAD"), time.monotonic()
    head = repo.commit({"app.py": APP + "# flood\n", "README.md": "y\n"})
    flood = "head -c 50000000 /dev/zero | tr '\\0' 'x'; echo; echo '3 passed, 0 failed'"
    judged = Judged(
        {f.rule: f for f in measure_change(bench_of(repo, tmp_path, flood), base=base, head=head)}
    )
    assert "proven" == judged.end, str(judged)

    endless = replace(bench_of(repo, tmp_path, "exec sleep 100"), timeout_of=lambda _: 0.5)
    judged = Judged({f.rule: f for f in measure_change(endless, base=base, head=head)})
    assert "suite" in judged.unproven and "did not end within 0.5 s" in judged["suite"].message, str(judged)
    assert time.monotonic() - started < 90


def test_facts_of_no_command_ask_for_a_person(court: Court):
    judged = court.judge(BASE, SOMETHING)

    assert "unproven" == judged.end, str(judged)
    assert all(judged[r].detail["person"] for r in judged.unproven)


@pytest.mark.slow
def test_a_checkout_that_somebody_else_writes_is_thrown_away(make, tmp_path: Path):
    """At the level `open` an agent of the same user can reach it: what was measured in it counts nothing."""
    repo, runs = make(BASE), []
    base = repo.git("rev-parse", "HEAD")
    head = repo.commit({"app.py": APP.replace("2 * x", "3 * x")})
    bench = bench_of(repo, tmp_path, PYTEST, runs=runs, **FAST)
    plain, meddled = bench.run, []

    def meddling(argv, *, cwd, **how):
        if not meddled and "3 * x" in (cwd / "app.py").read_text():
            meddled.append(cwd)
            (cwd / "app.py").write_text(APP)
        return plain(argv, cwd=cwd, **how)

    facts = measure_change(replace(bench, run=meddling), base=base, head=head)

    judged = Judged({f.rule: f for f in facts})
    assert meddled and "suite" in judged.refuted, str(judged)
    assert ["app.py"] == judged["suite"].detail["thrown_away"]


@pytest.mark.slow
def test_files_that_the_tests_write_themselves_are_no_meddling(court: Court):
    """At the base as at the head, or at the head both times."""
    writes = TEST + "\n\ndef test_log():\n    open('log.txt', 'a').write('x')\n"

    judged = court.judge({**BASE, "tests/test_app.py": writes, "log.txt": "x"}, SOMETHING, PYTEST, **FAST)

    assert "proven" == judged.end and "thrown_away" not in judged["suite"].detail, str(judged)


WEAK = RED.replace("assert double(1) == 3", "assert double(1) >= 2")


@pytest.mark.parametrize(
    "code", few([APP, APP + "# more\n"], 1), ids=["only the test", "beside other changes"]
)
def test_a_red_test_that_is_made_green_by_changing_the_test_is_refuted(court: Court, code: str):
    """Unless the agent names it: then a person reads it."""
    base, change = {**BASE, "tests/test_app.py": RED}, {"app.py": code, "tests/test_app.py": WEAK}

    judged = court.judge(base, change, PYTEST, **FAST)
    named = court.judge(
        base, change, PYTEST, note="tests/test_app.py::test_red: the issue asks for it", **FAST
    )

    assert {"base-tests"} == judged.refuted, str(judged)
    assert (
        "green only because the branch changed the test: tests/test_app.py::test_red"
        in judged["base-tests"].message
    )
    assert "except 1" == named.end, str(named)


@pytest.mark.slow
def test_a_red_test_that_the_code_makes_green_is_a_success(court: Court):
    """With its test changed, too, as long as the old one passes as well."""
    base = {**BASE, "app.py": APP.replace("2 * x", "2 * x if x != 2 else 5")}
    change = {"app.py": APP, "tests/test_app.py": TEST + "\n\ndef test_three():\n    assert double(3) == 6\n"}

    judged = court.judge(base, change, PYTEST, proof=Proof.REQUIRED, **FAST)

    assert "proven" == judged.end, str(judged)


@pytest.mark.slow
def test_a_new_test_that_fails_once_in_a_used_tree_is_called_flaky(court: Court, tmp_path: Path):
    test = COUNTED.format(file=str(tmp_path / "count"), rule="!= 2")

    judged = court.judge(BASE, {**SOMETHING, "tests/test_new.py": test}, PYTEST, **FAST)

    assert "proven" == judged.end, str(judged)
    assert "flaky: tests/test_new.py::test_counted failed once" in judged["steady"].message


SHELL = {
    "run.sh": ". ./src/app.sh\np=0 f=0\nfor t in tests/*.sh; do if . ./$t; then p=$((p+1)); else f=$((f+1)); fi; done\n"
    'echo "$p passed, $f failed"\ntest $f = 0\n',
    "src/app.sh": "double() { echo $(($1 * 2)); }\n",
    "tests/test_two.sh": "test $(double 2) = 4\n",
}
"""A runner of the repository's own, which cannot run single tests."""


@pytest.mark.slow
def test_where_single_tests_cannot_be_run_the_whole_suite_is_repeated(court: Court, tmp_path: Path):
    """A new test that passes one time only is found there, too."""
    seen = tmp_path / "seen"
    change = {
        "src/app.sh": SHELL["src/app.sh"] + "# more\n",
        "tests/test_once.sh": f"test ! -e {seen} && touch {seen}\n",
    }

    judged = court.judge(SHELL, change, "sh run.sh")

    assert "steady" in judged.refuted, str(judged)
    assert "all tests passed once and failed in run 2" in judged["steady"].message


@pytest.mark.slow
def test_where_single_tests_cannot_be_run_the_whole_suite_shows_the_change(court: Court):
    """The head's tests on the base's sources."""
    change = {
        "src/app.sh": SHELL["src/app.sh"] + "half() { echo $(($1 / 2)); }\n",
        "tests/test_half.sh": "test $(half 4) = 2\n",
    }

    judged = court.judge(SHELL, change, "sh run.sh", proof=Proof.REQUIRED)

    assert "proven" == judged.end, str(judged)
    assert (
        judged["shows-the-change"].detail["shows"] and "all tests passed 3 times" in judged["steady"].message
    )


TABLE = "def roman(n):\n    return {4: 'IV', 9: 'IX', 14: 'XIV'}.get(n, '')\n"
RULES = """def roman(n):
    out = ''
    for value, letters in ((10, 'X'), (9, 'IX'), (5, 'V'), (4, 'IV'), (1, 'I')):
        while n >= value:
            out, n = out + letters, n - value
    return out
"""


@pytest.mark.parametrize(
    ("code", "refuted"), [(TABLE, {"no-special-case"}), (RULES, set())], ids=["table", "rules"]
)
def test_code_that_answers_the_inputs_of_a_test_that_was_red_is_named(
    court: Court, code: str, refuted: set[str]
):
    """The test is not changed: the code was made for it."""
    base = {
        "app.py": "def roman(n):\n    return ''\n",
        "test_app.py": "from app import roman\n\n\ndef test_roman():\n    assert roman(4) == 'IV'\n    assert roman(9) == 'IX'\n    assert roman(14) == 'XIV'\n\n\ndef test_type():\n    assert isinstance(roman(3), str)\n",
    }

    judged = court.judge(base, {"app.py": code}, PYTEST, repeats=1, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")

    assert refuted == judged.refuted, str(judged)


WHOLE = (
    "def pytest_sessionfinish(session):\n    if session.testscollected < 2:\n        session.exitstatus = 1\n"
)


@pytest.mark.slow
def test_what_a_command_asks_of_the_whole_suite_a_part_of_it_may_lack(court: Court):
    """As coverage with a threshold does: the new test alone ends with 1 though it passes."""
    base = {"app.py": "X = 1\n", "conftest.py": WHOLE, "test_a.py": "".join(
        f"def test_{n}():\n    import app\n    assert app.X == 1\n\n\n" for n in "ab")}  # fmt: skip
    change = {
        "app.py": "X = 1\nY = 2\n",
        "test_b.py": "def test_y():\n    import app\n    assert app.Y == 2\n",
    }

    judged = court.judge(base, change, PYTEST, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")

    assert "proven" == judged.end and "3 times" in judged["steady"].message, str(judged)
