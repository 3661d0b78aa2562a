"""Anybody's change: no ledger, no agent, no key; the same facts, the same check, and a document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kit.repos import git
from tests.kit.whole import LIBRARY, House, Ran

FIXED = "def double(n):\n    return n + n\n"
NEW_TEST = (
    LIBRARY["tests/test_numbers.py"] + "\n    def test_zero(self):\n        self.assertEqual(0, double(0))\n"
)


def push(home: House, branch: str, files: dict[str, str | None]) -> str:
    """A person's branch with one commit; the checkout stays on main."""
    home.repo.git("checkout", "-q", "-b", branch)
    for name, text in files.items():
        path = home.repo.path / name
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    home.repo.git("add", "-A")
    home.repo.git("commit", "-q", "-m", "A person's change")
    home.repo.git("push", "-q", "origin", branch)
    head = home.repo.git("rev-parse", "HEAD").strip()
    home.repo.git("checkout", "-q", "main")
    return head


def verify(home: House, *args: str) -> Ran:
    return home.cli("verify", "--forge", f"local:{home.forge}", *args, env={"PATH": "/usr/bin:/bin"})


def check_of(home: House, head: str) -> dict[str, object]:
    return dict(json.loads((home.forge / "checks" / head / "orchestrator.json").read_text()))


def test_an_honest_change_passes_without_any_ceremony(home: House) -> None:
    """No agent is installed, nobody claims anything, and no documentation was changed."""
    head = push(home, "feature", {"numbers_.py": FIXED, "tests/test_numbers.py": NEW_TEST})

    ran = verify(home, "--branch", "feature")

    assert 0 == ran.code, ran.out + ran.err
    assert ran.out.startswith(f"feature at {head[:12]}: success\n")
    assert "success" == check_of(home, head)["conclusion"]


@pytest.mark.parametrize(
    ("files", "rule"),
    [
        ({"numbers_.py": "def double(n):\n    return n * 3\n"}, "suite"),
        ({"tests/test_numbers.py": None, "tests/test_other.py": "import unittest\n\n\nclass T(unittest.TestCase):\n"
          "    def test_it(self):\n        pass\n"}, "nothing-lost"),
        ({".github/workflows/x.yml": "on: push\n"}, "protected-untouched"),
    ],
    ids=["broken", "a test is gone", "a workflow"],
)  # fmt: skip
def test_a_change_that_lies_is_refuted_by_name(home: House, files: dict[str, str | None], rule: str) -> None:
    """The check is red and says which fact does not hold."""
    head = push(home, "feature", files)

    ran = verify(home, "--branch", "feature")

    assert 1 == ran.code
    assert f"FAIL {rule}:" in ran.out
    assert "failure" == check_of(home, head)["conclusion"]


def test_its_document_is_checked_offline_and_an_altered_one_refused(home: House, tmp_path: Path) -> None:
    """Whole, of commits that are here, and with the conclusion that its facts come to."""
    push(home, "feature", {"numbers_.py": FIXED})
    out = tmp_path / "verdict.json"
    assert 0 == verify(home, "--branch", "feature", "--out", str(out)).code
    home.repo.git("fetch", "-q", "origin")
    statement = json.loads(out.read_text())

    good = home.cli("verify", "--document", str(out))
    statement["predicate"]["facts"][0]["holds"] = False
    out.write_text(json.dumps(statement))
    forged = home.cli("verify", "--document", str(out))
    statement["subject"][0]["digest"]["gitCommit"] = "e" * 40
    out.write_text(json.dumps(statement))
    elsewhere = home.cli("verify", "--document", str(out))

    assert (0, "https://in-toto.io/Statement/v1") == (good.code, statement["_type"]), good.err
    assert (1, True) == (forged.code, "its facts come to 'failure'" in forged.err)
    assert (1, True) == (elsewhere.code, "is not in this repository" in elsewhere.err)


def test_what_is_no_document_is_said(home: House, tmp_path: Path) -> None:
    """In one line with the file's name."""
    (tmp_path / "x.json").write_text("{}")

    refused = home.cli("verify", "--document", str(tmp_path / "x.json"))
    missing = home.cli("verify", "--document", str(tmp_path / "none.json"))

    assert (2, 2) == (refused.code, missing.code)
    assert "x.json is no verdict document" in refused.err
    assert "none.json" in missing.err


def test_a_branch_that_holds_nothing_new_is_said(home: House) -> None:
    """There is nothing to measure."""
    git(home.repo.path, "push", "-q", "origin", "main:refs/heads/same")

    refused = verify(home, "--branch", "same")

    assert (2, True) == (refused.code, "holds nothing that main has not" in refused.err)
