"""The suite at the base is run once for all machines of a run, and believed only where it fits."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

from tests.kit.steps import Split
from tests.kit.tables import few
from tests.kit.whole import GOOD


def count_at_base(split: Split, tmp_path: Path) -> Path:
    """Make the base's suite leave a line in a file whenever it is run without the change."""
    seen = tmp_path / "seen"
    seen.mkdir()
    test = f"test -e more.py || echo x >> {seen}/base; {sys.executable} -m unittest discover"
    split.home.configure(f"sandbox: {{write: [{seen}]}}\ntest: {test}\n")
    split.home.issue(1, "Add more", GOOD)
    return seen / "base"


@pytest.mark.slow
def test_the_base_is_measured_by_one_machine_for_all(split: Split, tmp_path: Path):
    """Neither work nor verify runs the suite at the base again; the verdict compares with it all the same."""
    runs = count_at_base(split, tmp_path)
    split.plan()

    measured = split.base()
    once = runs.read_text()
    known = ("--base-suite", str(split.base_file), "--base-suite-sha256", json.loads(measured.out)["sha256"])
    split.work(1, *known)
    verified = split.verify("issue-1", *known)

    assert (0, 0) == (measured.code, verified.code), measured.err + verified.err
    assert hashlib.sha256(split.base_file.read_bytes()).hexdigest() == known[-1]
    assert once == runs.read_text() == "x\n"
    facts = {f["rule"]: f for f in json.loads(verified.out)["predicate"]["facts"]}
    assert facts["nothing-lost"]["holds"] and "1" in facts["nothing-lost"]["message"]
    assert "success" == split.publish().task("issue-1")["status"]


@pytest.mark.slow
def test_a_machine_with_other_walls_measures_for_itself(split: Split, tmp_path: Path):
    runs = count_at_base(split, tmp_path)
    split.plan()
    split.base()
    other = json.loads(split.base_file.read_text())
    other["isolation"] = "open" if other["isolation"] != "open" else "sandboxed"
    split.base_file.write_text(json.dumps(other))

    split.work()
    before = runs.read_text()
    verified = split.verify("issue-1", "--base-suite", str(split.base_file))

    assert 0 == verified.code, verified.err
    assert "the base is measured here again" in verified.err
    assert len(before) < len(runs.read_text())


def test_a_base_that_is_red_is_written_down_as_red(split: Split):
    """What failed there before is no fault of a change; so every machine has to know it."""
    bad = "import unittest\n\n\nclass Bad(unittest.TestCase):\n    def test_bad(self):\n        self.fail('red')\n"
    split.home.repo.commit({"tests/test_bad.py": bad})
    split.home.repo.push()
    split.home.issue(1, "Add more", GOOD)
    split.plan()

    measured = split.base()
    split.work(1, "--base-suite", str(split.base_file))
    verified = split.verify("issue-1", "--base-suite", str(split.base_file))

    assert (1, 0) == (measured.code, verified.code), measured.err + verified.err
    [suite] = json.loads(measured.out)["suites"]
    assert not suite["passed"]
    assert "success" == split.publish().task("issue-1")["status"]


@pytest.mark.parametrize(
    ("change", "words"),
    few(
        [
            (lambda body: body.replace(b'"base_sha":"', b'"base_sha":"0'), "measured for another plan"),
            (lambda body: body.replace(b'"schema":1', b'"schema":7'), "measured for another plan"),
            (lambda body: body[:-9], "is no measured base"),
            (lambda body: b"[]", "is no measured base"),
        ],
        2,
    ),
)
def test_a_measured_base_of_something_else_is_refused(planned: Split, change, words: str):
    planned.base()
    planned.base_file.write_bytes(change(planned.base_file.read_bytes()))

    ran = planned.cli(
        "work", "work", str(planned.plan_file), "--shard", "1", "--out", "b", "--base-suite", str(planned.base_file)
    )  # fmt: skip

    assert 2 == ran.code and words in ran.err, ran.err


def test_a_measured_base_with_another_digest_is_refused(planned: Split):
    planned.base()

    ran = planned.cli(
        "work", "work", str(planned.plan_file), "--shard", "1", "--out", "b",
        "--base-suite", str(planned.base_file), "--base-suite-sha256", "0" * 64,
    )  # fmt: skip

    assert 2 == ran.code and "is not the measured base that was asked for" in ran.err, ran.err
    missing = planned.cli(
        "work", "work", str(planned.plan_file), "--shard", "1", "--out", "b", "--base-suite", "none"
    )
    assert 2 == missing.code and "cannot read what was measured of the base" in missing.err
