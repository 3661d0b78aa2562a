"""The tests are run by us, at one commit, and counted; each case here starts real processes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.model import Fact
from orchestrator_action.verify.test_run import Known, TestRun, run_tests, tail_of
from tests.evidence.judge import PYTEST, UNITTEST, alone, start
from tests.kit.repos import Repo, clean_env
from tests.kit.tables import few
from tests.kit.trees import trees_of


class Bench:
    """Runs commands on a tree of files, in a clean checkout at its commit."""

    def __init__(self, repo: Repo, evidence: Path) -> None:
        self.repo, self.evidence = repo, evidence
        self.git = Git.open(repo.path)
        self.trees = trees_of(self.git)
        self.known: Known = {}

    def run(
        self,
        *commands: str,
        timeout_s: float = 60.0,
        commit: str = "HEAD",
        limits: Mapping[str, float] | None = None,
    ) -> TestRun:
        sha = self.git.rev_parse(commit)
        tree = self.trees.measure("t", sha)
        return run_tests(
            commands, commit=sha, tree=self.git.tree(sha), worktree=tree.path, env=clean_env(),
            evidence_dir=self.evidence, run=start, known=self.known,
            timeout_of=lambda command: (limits or {}).get(command, timeout_s),
        )  # fmt: skip

    def fact(self, *commands: str, **how: Any) -> Fact:
        fact = alone(self.run(*commands, **how))
        assert (fact.phase, fact.rule) == ("testing", "suite")
        assert "\n" not in fact.message
        return fact


@pytest.fixture
def bench(make: Callable[..., Repo], tmp_path: Path) -> Callable[..., Bench]:
    def _bench(**files: str) -> Bench:
        named = {
            name.replace("__", "/").replace("_py", ".py").replace("_js", ".js"): t
            for name, t in files.items()
        }
        return Bench(make({"README.md": "x\n", **named}), tmp_path / "evidence")

    return _bench


GOOD = "def test_a():\n    assert True\n\n\ndef test_b():\n    assert True\n"
BAD = "def test_a():\n    assert True\n\n\ndef test_b():\n    assert 1 == 2\n"


def state(fact: Fact) -> str:
    return "holds" if fact.holds else "unproven" if fact.detail.get("unproven") else "refuted"


def test_passing_tests_prove_their_commit(bench: Callable[..., Bench]):
    """With the figures: command, counts, duration, log, tail."""
    b = bench(test_a_py=GOOD)
    fact = b.fact(PYTEST)

    assert fact.holds
    assert fact.commit == b.repo.git("rev-parse", "HEAD")
    assert (2, 0, 0) == (fact.detail["passed"], fact.detail["failed"], fact.detail["skipped"])
    [command] = fact.detail["commands"]
    assert command["exit_code"] == 0 and command["duration_s"] > 0
    assert command["counts"]["source"] == "pytest"
    assert Path(command["log"]).is_file() and "2 passed" in command["tail"]
    assert fact.message.startswith("2 passed in ")


def test_failing_tests_are_refuted(bench: Callable[..., Bench]):
    """By number, whatever the agent said."""
    fact = bench(test_a_py=BAD).fact(PYTEST)

    assert state(fact) == "refuted"
    assert "failed with exit code 1: 1 of 2 tests failed" in fact.message


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({}, PYTEST),
        ({"test_a_py": "x = 1\n"}, PYTEST),
        ({"test_a_py": GOOD}, f"{PYTEST} -k nothing_of_that_name"),
        ({"test_a_py": "import pytest\npytestmark = pytest.mark.skip('x')\n" + GOOD}, PYTEST),
        ({}, UNITTEST),
        ({}, f"{PYTEST}; true"),
    ],
)
def test_nothing_collected_is_not_tested(bench: Callable[..., Bench], files: dict[str, str], command: str):
    """Neither 0 tests with exit 0 nor pytest's exit 5; skipped tests did not run."""
    fact = bench(**files).fact(command)

    assert state(fact) == "unproven"
    assert "nothing was tested" in fact.message


@pytest.mark.parametrize("command", few(["true", "echo all good", "make -v", "exit 0"], 2))
def test_an_unknown_count_is_unproven(bench: Callable[..., Bench], command: str):
    """And the message says how to make it readable."""
    fact = bench().fact(command)

    assert state(fact) == "unproven"
    assert "no test count could be read" in fact.message and "12 passed, 0 failed" in fact.message


def test_no_command_is_unproven(bench: Callable[..., Bench]):
    """A repository whose test command nobody knows is not tested."""
    fact = bench().fact()

    assert state(fact) == "unproven"
    assert "set `test`" in fact.message


def test_a_plain_closing_line_makes_any_command_count(bench: Callable[..., Bench]):
    """As the message of an unknown count advises."""
    assert bench().fact("echo '12 passed, 0 failed'").holds


def test_exit_0_does_not_hide_failures(bench: Callable[..., Bench]):
    """`|| true` is an old trick."""
    fact = bench(test_a_py=BAD).fact(f"{PYTEST} || true")

    assert state(fact) == "refuted"
    assert "although 1 tests failed" in fact.message


def test_a_failing_exit_with_passing_counts_is_a_failure(bench: Callable[..., Bench]):
    """A coverage limit, a linter after the tests."""
    fact = bench(test_a_py=GOOD).fact(f"{PYTEST} && echo coverage too low && exit 3")

    assert state(fact) == "refuted"
    assert "exit code 3: coverage too low" in fact.message


def test_a_program_that_is_missing_is_named(bench: Callable[..., Bench]):
    """So that nobody looks for a mistake in the tests."""
    b = bench()
    fact = b.fact("no-such-runner --all")

    assert (state(fact), fact.detail["person"]) == ("unproven", True), "a person has to install it"
    assert "cannot run here: no-such-runner is not installed" in fact.message
    assert "person" in b.fact("true && FOO=1 no-such-runner").detail
    assert "person" in b.fact(f"{sys.executable} -S -m nox").detail


@pytest.mark.parametrize(
    "command",
    few(["./missing.sh", "sh missing.sh", f"{sys.executable} -m tools.check", "sh -c 'a-tool'; exit 127"], 2),
)
def test_what_the_repository_itself_should_have_is_not_missing_from_the_machine(
    bench: Callable[..., Bench], command: str
):
    """A script or a module of its own may have been taken away by the branch: that is refuted."""
    fact = bench().fact(command)

    assert (state(fact), "person" in fact.detail) == ("refuted", False), fact.message


def test_a_killed_command_is_named(bench: Callable[..., Bench]):
    """By its signal."""
    fact = bench().fact("kill -9 $$")

    assert "killed by signal 9" in fact.message


def test_a_command_out_of_time_is_named(bench: Callable[..., Bench]):
    """With its own limit, and how long it did take; the ones before it had theirs."""
    quick, slow = "sleep 0.6; echo '1 passed, 0 failed'", "echo '2 passed, 0 failed'; exec sleep 60"
    fact = bench().fact(quick, slow, timeout_s=60, limits={slow: 0.5})

    assert state(fact) == "refuted"
    assert f"`{slow}` did not end within 0.5 s and was stopped after 0." in fact.message
    assert [(60, "exited"), (0.5, "timeout")] == [
        (c["timeout_s"], c["ending"]) for c in fact.detail["commands"]
    ]
    assert 0.5 <= fact.detail["commands"][1]["duration_s"] < 30


def test_each_command_has_the_whole_of_its_time(bench: Callable[..., Bench]):
    """Two commands of 0.6 s each under a limit of 1 s: none of them is out of time."""
    b = bench()
    both = [f"sleep 0.6; echo '{n} passed, 0 failed'" for n in (1, 2)]

    assert b.fact(*both, timeout_s=1.0).holds


def test_several_commands_are_summed_and_the_first_failure_ends_it(bench: Callable[..., Bench]):
    """What comes after it is not started."""
    b = bench(test_a_py=GOOD)

    both = b.fact(PYTEST, "echo '3 passed, 0 failed'")
    assert both.holds and both.detail["passed"] == 5

    failing = b.fact("false", f"touch {b.evidence}/started")
    assert state(failing) == "refuted"
    assert not (b.evidence / "started").exists()


def test_two_pytests_in_one_command_are_both_counted(bench: Callable[..., Bench]):
    """Although they write the same report, one over the other."""
    fact = bench(test_a_py=GOOD, test_b_py=GOOD).fact(f"{PYTEST} test_a.py && {PYTEST} test_b.py -k test_a")

    assert fact.detail["passed"] == 3


def test_a_quiet_pytest_is_counted_by_its_report(bench: Callable[..., Bench]):
    """Where no closing line is printed at all."""
    assert bench(test_a_py=GOOD).fact(f"{PYTEST} -qq > /dev/null").detail["passed"] == 2


def test_a_pytest_that_writes_no_reports_is_counted_by_its_lines(bench: Callable[..., Bench]):
    """Asked for one it would refuse to start at all."""
    fact = bench(test_a_py=GOOD).fact(f"{PYTEST} -p no:junitxml")

    assert fact.holds
    assert fact.detail["commands"][0]["counts"]["source"] == "pytest"


def test_options_of_the_environment_are_kept(bench: Callable[..., Bench], tmp_path: Path):
    """PYTEST_ADDOPTS of the repository's own goes on working."""
    b = bench(test_a_py=BAD)
    tree = b.trees.measure("t", b.git.rev_parse("HEAD"))
    env = {**clean_env(), "PYTEST_ADDOPTS": "-k test_a"}

    done = run_tests([PYTEST], commit="c", tree="t", worktree=tree.path, env=env, evidence_dir=tmp_path / "e",
                     timeout_of=lambda _: 60, run=start)  # fmt: skip

    assert alone(done).detail["passed"] == 1


def test_reports_left_in_the_build_folder_are_read(bench: Callable[..., Bench]):
    """Gradle prints no count when all is well."""
    report = '<testsuite name="A"><testcase name="a"/><testcase name="b"/></testsuite>'
    command = (
        f"mkdir -p app/build/test-results/test && echo '{report}' > app/build/test-results/test/TEST-A.xml"
    )

    fact = bench().fact(command)

    assert fact.holds
    assert fact.detail["passed"] == 2


def test_reports_that_were_there_before_are_not(bench: Callable[..., Bench]):
    """A report that is committed says nothing about this run, not even freshly checked out or touched."""
    report = "<testsuite><testcase name='a'/></testsuite>"
    b = bench(**{"build__test-results__TEST-A.xml": report, "junit.xml": report})

    assert state(b.fact("true")) == "unproven"
    assert state(b.fact("touch junit.xml build/test-results/TEST-A.xml; true")) == "unproven"
    assert b.fact("sed -i s/case/case\\ x=\\'1\\'/ junit.xml").detail["passed"] == 1


def test_a_report_left_by_the_run_before_is_not_one_of_this_run(bench: Callable[..., Bench]):
    """Two commands one after the other: the second wrote nothing."""
    write = "echo '<testsuite><testcase name=\"a\"/></testsuite>' > junit.xml"
    done = bench().run(write, "true")

    assert [1, None] == [r.counts and r.counts.passed for r in done.runs]


def test_only_the_runners_own_closing_line_counts(bench: Callable[..., Bench]):
    """A module that prints what another runner would, while nothing is tested at all."""
    b = bench(test_a_py="print('12 passed, 0 failed')\nprint('===== 5 passed in 0.1s =====')\n")

    assert state(b.fact(f"{UNITTEST} test_a")) == "unproven"
    assert state(b.fact(PYTEST)) == "unproven"


def test_tests_that_are_all_expected_to_fail_have_shown_nothing(bench: Callable[..., Bench]):
    """Counted alike by report and by closing lines."""
    b = bench(test_a_py="import pytest\n\n\n@pytest.mark.xfail\ndef test_a():\n    assert 0\n")

    assert state(b.fact(PYTEST)) == state(b.fact(f"{PYTEST} -p no:junitxml")) == "unproven"


def test_the_same_tree_is_measured_once(bench: Callable[..., Bench], tmp_path: Path):
    """Also when another commit has it; other files or other commands are measured anew."""
    b = bench(test_a_py=GOOD)
    counted = f"echo x >> {tmp_path}/count && {PYTEST}"
    first = b.fact(counted)
    b.repo.git("commit", "-q", "--allow-empty", "-m", "same files")
    second = b.fact(counted)
    b.repo.commit({"c": "1"})
    third = b.fact(counted)
    assert third == b.fact(counted)  # asked again at the same commit: nothing was taken from elsewhere

    assert (tmp_path / "count").read_text() == "x\nx\n"
    assert second.holds and second.commit == b.repo.git("rev-parse", "HEAD~1")
    assert second.detail["reused_from"] == first.commit
    assert f"measured at {first.commit[:12]}" in second.message
    assert "reused_from" not in third.detail


def test_only_what_is_committed_is_tested(bench: Callable[..., Bench]):
    """The agent's uncommitted mending does not count, nor what an earlier measurement left."""
    b = bench(test_a_py=BAD)
    (b.repo.path / "test_a.py").write_text(GOOD)
    assert state(b.fact(PYTEST)) == "refuted"

    b.fact("echo 'def test_extra(): pass' > test_extra.py; echo '1 passed, 0 failed'")
    b.repo.commit({})
    assert b.fact(PYTEST).detail["passed"] == 2


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_node_s_own_runner_is_counted(bench: Callable[..., Bench]):
    """On the machine's real node."""
    good = "const t = require('node:test'); t('a', () => {}); t('b', () => {});\n"
    bad = good + "t('c', () => { throw new Error('no') });\n"
    b = bench(**{"a.test.cjs": good, "b.test.cjs": bad})

    assert b.fact("node --test a.test.cjs").detail["passed"] == 2
    assert "1 of 3 tests failed" in b.fact("node --test b.test.cjs").message


def test_unittest_is_counted(bench: Callable[..., Bench]):
    """What every Python has."""
    text = "import unittest\n\n\nclass T(unittest.TestCase):\n    def test_a(self):\n        pass\n"

    assert bench(test_a_py=text).fact(UNITTEST).detail["passed"] == 1


@pytest.mark.slow
def test_binary_output_and_floods_are_survived(bench: Callable[..., Bench]):
    """The closing line is found at the end; the tail is short and readable."""
    fact = bench().fact("head -c 9000000 /dev/urandom; printf '\\n\\033[32m3 passed, 0 failed\\033[0m\\n'")

    assert fact.holds
    assert len(fact.detail["commands"][0]["tail"]) <= 4000


def test_the_tail_is_what_a_terminal_would_show_last():
    """Progress bars at their last state, no colours."""
    assert tail_of("a\r\n10%\r20%\r100%\n\n\x1b[31mred\x1b[0m\n") == "a\n100%\nred"
    assert len(tail_of("x\n" * 500).splitlines()) == 40
    assert (
        tail_of('File "/t/a.measure/repo/tests/x.py"', tree=Path("/t/a.measure/repo")) == 'File "tests/x.py"'
    )


def test_a_hostile_report_is_no_report(bench: Callable[..., Bench]):
    """A link to somewhere else, an entity bomb, a folder: the closing line still counts."""
    b = bench()
    for trick in (
        "ln -s /etc/passwd $X",
        "mkdir $X",
        "echo '<!DOCTYPE a [<!ENTITY b \"c\">]><testsuite/>' > $X",
    ):
        command = f"X=${{PYTEST_ADDOPTS#--junitxml=}}; {trick}; echo '2 passed, 0 failed'"
        assert b.fact(command).detail["passed"] == 2


def test_tests_do_not_change_the_repository(bench: Callable[..., Bench]):
    """A test that configures git in the wrong place writes its own view of the configuration."""
    b = bench()
    before = (b.repo.path / ".git/config").read_bytes()

    b.fact("git config core.bare true; git config user.name Test; git init -q . ; echo '1 passed, 0 failed'")

    assert (b.repo.path / ".git/config").read_bytes() == before
    assert b.repo.git("status", "--porcelain") == ""


def test_the_environment_is_exactly_what_was_given(bench: Callable[..., Bench], tmp_path: Path):
    """Plus what asks pytest for its report, and CI=1: nothing of ours leaks into the commands."""
    b = bench()
    tree = b.trees.measure("t", b.git.rev_parse("HEAD"))
    env = {"PATH": os.environ["PATH"], "GIVEN": "yes"}

    done = run_tests(["env"], commit="c", tree="t", worktree=tree.path, env=env, evidence_dir=tmp_path / "e",
                     timeout_of=lambda _: 60, run=start)  # fmt: skip

    names = {line.split("=")[0] for line in done.runs[0].tail.splitlines()}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "GIVEN", "CI", "PYTEST_ADDOPTS"}
