"""What a push to the base branch measured is used again, by pull requests and on machines that have nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.kit.person import Person
from tests.kit.repos import git
from tests.kit.runner import Runner, Stepped
from tests.kit.whole import LIBRARY

FIXED = "def double(n):\n    return n + n\n"
BROKEN = "def double(n):\n    return n * 7\n"
MANY = 5
"""A run of so many tests is one of the whole suite."""
CASES = "".join(f"    def test_{n}(self):\n        pass\n\n" for n in range(MANY))
MORE_TESTS = {"tests/test_others.py": f"import unittest\n\n\nclass Others(unittest.TestCase):\n{CASES}"}
CHANGED = (
    LIBRARY["tests/test_numbers.py"] + "\n    def test_zero(self):\n        self.assertEqual(0, double(0))\n"
)
ONE_MORE = "import unittest\n\n\nclass More(unittest.TestCase):\n    def test_more(self):\n        pass\n"


@dataclass(frozen=True)
class Measured:
    """A step, its document's predicate, how many whole suites it ran, and the seconds it took."""

    step: Stepped
    predicate: dict[str, Any]
    suites: int
    took: float

    @property
    def facts(self) -> dict[str, bool]:
        return {f["rule"]: f["holds"] for f in self.predicate["facts"]}

    @property
    def base(self) -> str:
        """Where the base's result is from; empty when it was measured here."""
        return str(self.predicate["environment"].get("base", ""))


@dataclass
class Machines:
    """One checkout after the other on a machine of its own: nothing but a folder is handed on."""

    person: Person
    bases: Path
    mode: str = "measure"

    @property
    def runner(self) -> Runner:
        return self.person.runner

    def fresh(self) -> None:
        """Another machine: what this one remembers is gone."""
        shutil.rmtree(self.runner.repo.path / ".git" / "orchestrator", ignore_errors=True)

    def pushed(self, files: dict[str, str]) -> Stepped:
        """Somebody pushes to the default branch, and the event's run hands on what it measured."""
        tree = self.person.tree
        before = git(tree, "rev-parse", "HEAD").strip()
        for name, text in files.items():
            (tree / name).write_text(text)
        git(tree, "add", "-A")
        git(tree, "commit", "-qm", "Direct")
        git(tree, "push", "-q", "origin", "HEAD:main")
        after = git(tree, "rev-parse", "HEAD").strip()
        self.fresh()
        self.runner.env["GITHUB_REF_NAME"] = "main"
        payload = {"before": before, "after": after, "ref": "refs/heads/main"}
        done = self.runner.step(self.mode, event="push", payload=payload)
        del self.runner.env["GITHUB_REF_NAME"]
        if found := done.outputs.get("bases"):
            shutil.copytree(found, self.bases, dirs_exist_ok=True)
        return done

    def measured(self, *, reusing: bool = True) -> Measured:
        """A pull request on a machine that knows nothing."""
        self.fresh()
        if reusing:
            self.runner.env["INPUT_BASES"] = str(self.bases)
        began = time.monotonic()
        done = self.person.verify_as(self.mode)
        took = time.monotonic() - began
        self.runner.env.pop("INPUT_BASES", None)
        runs = self.runner.repo.path / ".git" / "orchestrator" / "runs"
        logs = [f.read_text() for f in runs.glob("*/tasks/*/evidence/tests-*/command-*.log")]
        ran = [
            int(found[1]) for text in logs if (found := re.search(r"^Ran (\d+) tests?", text, re.MULTILINE))
        ]
        statement = json.loads(Path(done.outputs["document"]).read_bytes())
        return Measured(done, statement["predicate"], sum(n >= MANY for n in ran), took)


@pytest.fixture
def machines(runner: Runner, tmp_path: Path) -> Machines:
    return Machines(Person(runner, tmp_path, "ada", role="write"), tmp_path / "bases")


@pytest.mark.parametrize("mode", ["measure", "verify"])
def test_a_base_that_a_push_measured_is_not_measured_again(machines: Machines, mode: str) -> None:
    """With two workflows and with one. One suite less, the same facts, and the document says where the base is from.

    A suite that takes no longer than half a minute is repeated once, where no test was changed.
    """
    machines.mode = mode
    pushed = machines.pushed(MORE_TESTS)
    assert "bases" in pushed.outputs, pushed.log
    machines.person.push({"numbers_.py": FIXED})

    alone = machines.measured(reusing=False)
    again = machines.measured()

    print(f"suites {alone.suites} -> {again.suites}, seconds {alone.took:.1f} -> {again.took:.1f}")
    assert (3, 2) == (alone.suites, again.suites), again.step.log
    assert alone.facts == again.facts and all(again.facts.values())
    assert ("", "measured by another run, on a push to the base branch") == (alone.base, again.base)
    assert "bases" not in again.step.outputs, "a pull request hands a base on"


def test_changed_tests_cost_at_most_four_suites(machines: Machines) -> None:
    """The base, the head, the base's tests on the head's sources; the changed ones alone come on top."""
    machines.pushed(MORE_TESTS)
    machines.person.push(
        {"numbers_.py": FIXED, "tests/test_more.py": ONE_MORE, "tests/test_numbers.py": CHANGED}
    )

    alone = machines.measured(reusing=False)
    again = machines.measured()

    assert (3, 2) == (alone.suites, again.suites), again.step.log
    assert all(again.facts.values()), again.step.log


def test_a_base_from_elsewhere_accuses_nobody(machines: Machines) -> None:
    """Where the head looks worse than it, the base is measured here, and that decides."""
    machines.pushed(MORE_TESTS)
    machines.person.push({"numbers_.py": BROKEN})

    done = machines.measured()

    assert (False, "") == (done.facts["suite"], done.base), done.step.log


def test_a_base_that_claims_more_than_there_is_accuses_nobody(machines: Machines) -> None:
    """A result that names a test which never was: measured here, nothing is lost."""
    machines.pushed(MORE_TESTS)
    [file] = machines.bases.glob("*.json")
    text = file.read_text()
    assert "test_double" in text
    file.write_text(text.replace("test_double", "test_that_never_was"))
    machines.person.push({"numbers_.py": FIXED})

    done = machines.measured()

    assert all(done.facts.values()) and "" == done.base, done.step.log


HARMS = ("garbage", "another tree", "red", "a link", "another name", "very long")


@pytest.mark.parametrize("harm", HARMS)
def test_what_is_no_result_of_this_base_is_passed_over(machines: Machines, harm: str, tmp_path: Path) -> None:
    """The base is measured as if nothing had been handed on."""
    machines.pushed(MORE_TESTS)
    [file] = machines.bases.glob("*.json")
    body = json.loads(file.read_text())
    if harm == "garbage":
        file.write_text("{")
    elif harm == "another tree":
        file.write_text(json.dumps(body | {"tree": "1" * 40}))
    elif harm == "red":
        body["runs"][0]["outcome"]["exit_code"] = 1
        file.write_text(json.dumps(body))
    elif harm == "a link":
        file.rename(tmp_path / "else.json")
        os.symlink(tmp_path / "else.json", file)
    elif harm == "another name":
        file.rename(file.with_name("0" * 64 + ".json"))
    else:
        with file.open("a") as out:
            out.truncate(40 << 20)
    machines.person.push({"numbers_.py": FIXED})

    done = machines.measured()

    assert all(done.facts.values()) and "" == done.base, done.step.log


def test_a_red_base_is_not_handed_on(machines: Machines) -> None:
    """What was red may have been red by chance."""
    done = machines.pushed({"numbers_.py": BROKEN})

    assert "bases" not in done.outputs, done.log
