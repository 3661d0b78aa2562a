"""Between verify and publish: the verified branches as one tree, tested on a machine that holds no token."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator_action.errors import BundleError
from orchestrator_action.protocol.model import Integration
from orchestrator_action.run.integration import Branch
from orchestrator_action.run.steps.files import ReadPlan
from orchestrator_action.run.steps.integrate import (
    IntegrationDocument,
    encode_together,
    read_together,
    use_found,
)
from tests.kit.steps import Split
from tests.kit.tables import few
from tests.kit.whole import new_file

FEW = (
    "import pathlib\nimport unittest\n\n\nclass Few(unittest.TestCase):\n    def test_few(self):\n"
    "        self.assertLessEqual(len(list(pathlib.Path('.').glob('t*.py'))), 2)\n"
)


def adds(path: str) -> str:
    return new_file(path) + new_file(path.replace(".py", ".md"), "# new\n")


def verified(split: Split, *, tasks: int, shards: int = 2) -> list[str]:
    """So many tasks, each of which adds one module, planned, worked on and verified; the digests of their bundles."""
    split.home.configure(f"integration: test\ntest: {sys.executable} -m unittest discover\n")
    for number in range(1, tasks + 1):
        split.home.issue(number, f"Task {number}", adds(f"t{number}.py"))
    planned = split.plan(shards=shards)
    assert ("test" if tasks > 1 else "off") == planned["integration"]
    worked = [split.work(shard) for shard in range(1, len(planned["shards"]) + 1)]
    for number in range(1, tasks + 1):
        assert 0 == split.verify(f"issue-{number}").code
    return [b["sha256"] for ran in worked for b in ran["bundles"]]


def found(ran: Any) -> tuple[str, list[str], list[str]]:
    made = ran.report["integration"]
    return made["tests"], made["order"], made["red"]


@pytest.mark.slow
def test_what_passes_alone_and_fails_together_is_bisected_and_told_on_its_pull_request(split: Split):
    """A test of the base says that there are at most two such modules. Nothing is tested again by publish."""
    split.home.repo.commit({"tests/test_few.py": FEW})
    verified(split, tasks=3)

    ran = split.integrate()
    published = split.publish()

    assert 1 == ran.code, ran.err
    assert "2 of 3 verified branches pass together, in this order: issue-1, issue-2" in ran.out
    assert {"success"} == {t["status"] for t in published.report["tasks"]}, published.err
    assert ("failed", ["issue-1", "issue-2"], ["issue-3"]) == found(published), published.err
    number = published.task("issue-3")["pull"]["number"]
    said = "".join(p.read_text() for p in (split.home.forge / "comments" / str(number)).glob("*.md"))
    assert "With this branch the tests of the merged tree fail" in said


def test_the_suite_runs_once_on_what_passes_together_and_not_at_the_base_again(split: Split, tmp_path: Path):
    seen = tmp_path / "seen"
    seen.mkdir()
    test = f"ls t1.py t2.py 2>/dev/null | wc -l >> {seen}/counts; {sys.executable} -m unittest discover"
    split.home.configure(f"sandbox: {{write: [{seen}]}}\nintegration: test\ntest: {test}\n")
    for number in (1, 2):
        split.home.issue(number, f"Task {number}", adds(f"t{number}.py"))
    split.plan()
    split.base()
    split.work(1, "--base-suite", str(split.base_file))
    for task in ("issue-1", "issue-2"):
        split.verify(task, "--base-suite", str(split.base_file))
    before = (seen / "counts").read_text().split()

    ran = split.integrate("--base-suite", str(split.base_file))
    published = split.publish()

    assert 0 == ran.code, ran.err
    assert ["2"] == (seen / "counts").read_text().split()[len(before) :]
    assert ("passed", ["issue-1", "issue-2"], []) == found(published), published.err


@pytest.mark.slow
def test_one_that_is_not_verified_is_not_in_the_tree(split: Split):
    verified(split, tasks=3)
    (split.files / "verdicts" / "issue-2.json").unlink()

    ran = split.integrate()
    published = split.publish()

    assert "2 verified branches pass together, in this order: issue-1, issue-3" in ran.out, ran.err
    assert ("passed", ["issue-1", "issue-3"], []) == found(published), published.err


def test_fewer_than_two_branches_are_nothing_to_try(split: Split):
    verified(split, tasks=1)

    ran = split.integrate()

    assert (0, True) == (ran.code, "nothing to try together" in ran.out), ran.err
    assert split.publish().report["integration"] is None


BRANCHES = [Branch("issue-1", "a" * 40, "0" * 40), Branch("issue-2", "b" * 40, "0" * 40)]
MERGED = Integration(order=("issue-1", "issue-2"))
FITS = IntegrationDocument(
    plan_digest="c" * 64, heads={b.task_id: b.head for b in BRANCHES}, tests="passed", order=MERGED.order
)
LIES: dict[str, dict[str, Any]] = {
    "a branch that was not verified": {"heads": {**FITS.heads, "issue-9": "a" * 40}},
    "one branch fewer": {"heads": {"issue-1": "a" * 40}},
    "another head": {"heads": {**FITS.heads, "issue-1": "f" * 40}},
    "one left out of the tree": {"order": ("issue-1",)},
    "one twice in the tree": {"order": ("issue-1", "issue-2", "issue-1")},
    "another order": {"order": ("issue-2", "issue-1")},
    "a red one that is not there": {"tests": "failed", "red": ("issue-9",)},
    "red and green at once": {"tests": "failed", "red": ("issue-1",)},
    "red ones that pass": {"order": ("issue-1",), "red": ("issue-2",)},
}


@pytest.mark.parametrize("lie", LIES)
def test_what_speaks_of_other_branches_is_passed_over_and_nothing_is_called_tested(lie: str):
    """The tests of the merged tree are the agents' code, on that machine too: its word is checked like any other."""
    said: list[str] = []

    taken = use_found(replace(FITS, **LIES[lie]), said.append)(NO_RUN, BRANCHES, MERGED)

    assert MERGED == taken
    assert ["what was tested together is passed over"] == [line.partition(":")[0] for line in said]
    assert "passed" == use_found(FITS, said.append)(NO_RUN, BRANCHES, MERGED).tests


NO_RUN: Any = None
"""Only what is believed and red is merged again, in a run's repository."""


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (b'"tests":"passed"->"tests":"<b>passed</b>"', "bad-document"),
        (b'"order":["issue-1","issue-2"]->"order":1', "bad-document"),
        (b'"schema":1->"schema":2', "other-plan"),
        (b"c" * 64 + b"->" + b"d" * 64, "other-plan"),
    ],
)
def test_a_file_that_is_no_such_document_is_refused_by_name(tmp_path: Path, change: bytes, kind: str):
    old, _, new = change.partition(b"->")
    body = encode_together(FITS)
    assert old in body
    file = tmp_path / "together.json"
    file.write_bytes(body.replace(old, new))
    read = ReadPlan(plan=NO_RUN, config=NO_RUN, digest="c" * 64)

    with pytest.raises(BundleError) as refused:
        read_together(file, read)

    assert kind == refused.value.kind
    file.write_bytes(body)
    assert FITS == read_together(file, read)


@pytest.mark.parametrize("accepted", few([True, False], 1))
def test_only_a_document_of_an_accepted_digest_counts(split: Split, accepted: bool):
    digests = verified(split, tasks=2, shards=1)
    split.integrate()
    wanted = [*digests, *split.verdict_digests()]
    if accepted:
        wanted.append(hashlib.sha256(split.together.read_bytes()).hexdigest())

    ran = split.publish(*(a for d in wanted for a in ("--accept", d)))

    assert ("passed" if accepted else "not run") == found(ran)[0], ran.err
    assert accepted == ("what was tested together is refused" not in ran.err)
