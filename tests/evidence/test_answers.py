"""What an agent is told of a red claim: the failing tests, whether they were red before, the end of the output."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from orchestrator_action.protocol.events import Ledger
from orchestrator_action.protocol.judge import judge
from orchestrator_action.protocol.model import Claim, Demand
from orchestrator_action.protocol.phases import BY_ID, PHASES
from orchestrator_action.work.claims import OUTPUT_BYTES, words
from tests.evidence.judge import PYTEST, Court, Judged

BASE = {
    "app.py": "def double(x):\n    return 2 * x\n",
    "test_app.py": "from app import double\n\n\ndef test_two():\n    assert double(2) == 4\n\n\n"
    "def test_old():\n    assert double(1) == 3\n",
}
TOKEN = "ghp_" + "a1B2" * 9


def answer(judged: Judged) -> str:
    """The words of a claim of Testing with these facts."""
    facts = tuple(judged.facts.values())
    head = facts[0].commit
    ledger = Ledger(
        task="issue-1",
        claims={"testing": Claim(phase="testing", head_sha=head)},
        facts={("testing", f.rule): (f,) for f in facts},
    )
    policy: Mapping[str, Demand] = {p.id: Demand.OFF for p in PHASES if p.id != "testing"}
    verdict = judge(ledger, policy=policy, head=head)
    [found] = [p for p in verdict.phases if p.phase == "testing"]
    return words(BY_ID["testing"], found, ledger)


def test_a_red_claim_names_its_tests_and_those_that_were_red_before(court: Court):
    judged = court.judge(BASE, {"app.py": "def double(x):\n    return 3 * x if x > 1 else 2 * x\n"}, PYTEST)

    said = answer(judged)

    assert "1 test fails: test_app.py::test_two; 1 test was red before" in said, said
    assert "assert 6 == 4" in said  # the end of what pytest printed


@pytest.mark.slow
def test_the_output_is_short_and_without_secrets_and_said_once(court: Court):
    """However much was printed, and although several facts rest on one run."""
    noisy = f"import app\n\n\ndef test_two():\n    print('x' * 50_000, '{TOKEN}')\n    assert app.double(2) == 4\n"
    judged = court.judge(
        {**BASE, "test_app.py": noisy},
        {
            "app.py": "def double(x):\n    return 5\n",
            "test_app.py": noisy + "\n\ndef test_new():\n    assert app\n",
        },
        PYTEST,
    )

    said = answer(judged)

    printed = said.split("What was printed, its end:\n")[1:]
    assert printed and len(printed) == len(set(printed))
    assert sum(len(part.rstrip("\n").encode()) for part in printed) <= OUTPUT_BYTES
    assert TOKEN not in said and "assert 5 == 4" in said
