"""Several attempts at one task in four steps: each is measured by itself, and publish takes the best."""

from __future__ import annotations

import json

import pytest

from orchestrator_action.config.schema import Config
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.candidates import agents_for, tasks_at_work
from orchestrator_action.protocol.documents import Bundle, Plan, VerdictDocument
from orchestrator_action.protocol.events import Ledger
from orchestrator_action.protocol.model import Fact, Status, Task
from orchestrator_action.run.budget import config_for
from orchestrator_action.run.steps.bundle import Work
from orchestrator_action.run.steps.offers import Offer, best_offers
from tests.kit.repos import Repo
from tests.kit.steps import Split
from tests.kit.whole import GOOD, LIBRARY
from tests.run.test_candidates import LIE, LONG, TRIPLE, works

REVIEWS = """if [ -z "$ORCHESTRATOR_SOCKET" ]; then echo '{"findings": []}'; exit 0; fi\n"""


def configure(split: Split, **pieces: str) -> None:
    """A candidate for each of the pieces, which a program does that is called with its name."""
    cases = "\n".join(f"{name})\n{piece}\n;;" for name, piece in pieces.items())
    argv = json.dumps(["sh", "-c", f"{REVIEWS}case $1 in\n{cases}\nesac", "agent", "{model}"])
    names = ", ".join(f"command:{name}" for name in pieces)
    split.home.configure(
        f"{LIBRARY['.github/orchestrator.yml']}agent: command\nagent-command: {{argv: {argv}}}\n"
        f"candidates: [{names}]\n"
    )


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_best_of_several_candidates_is_published(split: Split) -> None:
    """A lie never wins, and of those that are verified the smaller one does; the branches of all are kept."""
    configure(split, lie=works(LIE), long=works(LONG), short=works(TRIPLE))
    split.home.issue(1, "Triple", "Add `triple(n)`.")

    made = split.plan(shards=2, agent="command")
    for shard in (1, 2):
        split.work(shard)
    for number in (1, 2, 3):
        split.verify(f"issue-1.{number}")
    ran = split.publish()

    assert [["issue-1"], 3] == [made["tasks"], sum(map(len, made["shards"]))]
    assert 2 == len(made["shards"]), "candidates of one task are spread, too"
    [task] = ran.report["tasks"]
    assert (0, "success", "issue-1") == (ran.code, task["status"], task["task_id"]), ran.err
    ends = {c["id"]: (c["agent"], c["chosen"], c["status"]) for c in task["candidates"]}
    assert {
        "issue-1.1": ("command:lie", False, "failed"),
        "issue-1.2": ("command:long", False, "success"),
        "issue-1.3": ("command:short", True, "success"),
    } == ends
    heads = {c["branch"]: c["head_sha"] for c in task["candidates"]}
    assert heads == {b: split.home.repo.at_remote(f"refs/heads/{b}") for b in heads}
    assert (
        task["head_sha"]
        == heads[f"{task['branch']}.3"]
        == split.home.repo.at_remote(f"refs/heads/{task['branch']}")
    )
    forge = split.home.forge
    [pull] = (forge / "pulls").glob("*/pull.md")
    assert task["branch"] in pull.read_text()
    [comment] = (forge / "comments" / "1").glob("*.md")
    assert "| `issue-1.3` | `command:short` | chosen, success" in comment.read_text()
    assert "orchestrate:done" in (forge / "issues" / "1.md").read_text().split("---")[1]

    again = split.publish(clone="other")

    assert [c["id"] for c in task["candidates"]] == [c["id"] for c in again.task("issue-1")["candidates"]]
    assert 1 == len(list((forge / "pulls").glob("*/pull.md")))


ISSUE = Task(id="issue-1", title="Triple", text="", branch="orchestrator/issue-1-triple")
PLAN = Plan(
    run_id="r", repository="o/r", forge="github", base_branch="main", base_sha="b" * 40, policy_digest="",
    config={"candidates": ["3"], "agent": "claude"}, test_commands=("true",), tasks=(ISSUE,),
)  # fmt: skip


def offer(
    number: int, *, holds: bool | None = True, status: Status = Status.SUCCESS, cost: float = 1.0
) -> Offer:
    """What came from the n-th candidate: its bundle, and a verdict whose one fact `holds`; None for no verdict."""
    head, fork = str(number) * 40, f"{ISSUE.branch}.{number}"
    bundle = Bundle(
        run_id="r", task_id=f"issue-1.{number}", branch=fork, base_sha=PLAN.base_sha, head_sha=head, status=status,
        cost_usd=cost, attempts=1, turns=2, wall_s=float(number),
    )  # fmt: skip
    fact = Fact(phase="testing", rule="suite", commit=head, holds=bool(holds), message="2 of 3 tests fail")
    verdict = VerdictDocument(commit=head, name=fork, base=PLAN.base_sha, conclusion="", facts=(fact,))
    work = Work(bundle=bundle, digest=str(number), ledger=Ledger(task=bundle.task_id))
    return Offer(work=work, verdict=None if holds is None else verdict, error="")


REFUTED, UNMEASURED, STUCK = offer(1, holds=False), offer(1, holds=None), offer(1, status=Status.INCOMPLETE)


@pytest.mark.parametrize(
    ("came", "best", "ends"),
    [
        ({1: REFUTED, 2: offer(2), 3: offer(3, cost=0.5)}, 3, ["failed", "success", "success"]),
        ({2: offer(2)}, 2, ["failed", "success", "failed"]),
        ({1: UNMEASURED, 2: offer(2)}, 2, ["incomplete", "success", "failed"]),
        ({1: UNMEASURED, 2: REFUTED, 3: REFUTED}, 1, ["incomplete", "failed", "failed"]),
        ({1: STUCK, 3: offer(3, holds=False)}, 1, ["incomplete", "failed", "failed"]),
    ],
)  # fmt: skip
def test_what_was_measured_of_each_candidate_decides_which_one_counts(
    repo: Repo, came: dict[int, Offer], best: int, ends: list[str]
) -> None:
    """What never came, or has no verdict, is behind all that is verified; the chosen one speaks for its task."""
    offers = {f"issue-1.{n}": one for n, one in came.items()}

    [(task, found)] = best_offers(PLAN, Git.open(repo.path), offers)

    assert ("issue-1", ends) == (task, [c.status for c in found.candidates])
    assert [f"issue-1.{best}"] == [c.id for c in found.candidates if c.chosen]
    assert found.work is not None
    assert ("issue-1", ISSUE.branch, str(best) * 40) == (
        found.work.bundle.task_id, found.work.bundle.branch, found.work.head,
    )  # fmt: skip
    assert sum(o.work.bundle.cost_usd or 0 for o in came.values() if o.work) == found.work.bundle.cost_usd


def test_a_task_of_whose_candidates_nothing_came_says_so(repo: Repo) -> None:
    [(_, found)] = best_offers(PLAN, Git.open(repo.path), {})

    assert (None, 3, True) == (found.work, len(found.candidates), "nothing came" in found.error)


def test_a_candidate_is_planned_as_a_task_of_its_own_and_has_no_candidates() -> None:
    at_work = tasks_at_work(PLAN)

    assert ["issue-1.1", "issue-1.2", "issue-1.3"] == [t.id for t in at_work]
    assert [()] * 3 == [agents_for(t, ["3"], "claude") for t in at_work]
    shares = [
        config_for(Config(max_budget_usd=6.0, candidates=("3",)), t).max_budget_usd
        for t in ("issue-1.2", "issue-1")
    ]
    assert [2.0, 6.0] == shares


def test_a_plan_spreads_candidates_and_takes_no_more_than_it_may(split: Split) -> None:
    """What depends on a task with candidates comes in a wave of its own, and no task is taken in part."""
    split.home.configure(f"{LIBRARY['.github/orchestrator.yml']}candidates: 2\n")
    split.home.issue(1, "One", GOOD)
    split.home.issue(2, "Two", f"Depends on #1\n\n{GOOD}")

    few = split.try_plan("--agent", "patch", "--waves", "2", "--max-tasks", "1")
    together = split.try_plan("--agent", "patch")
    front = (split.home.forge / "issues" / "1.md").read_text().split("---")[1]
    made = split.plan("--waves", "2", "--max-tasks", "3", shards=2)

    assert (2, 2) == (few.code, together.code), few.err + together.err
    assert "error: the first task alone has more candidates than the 1 that may be taken" in few.err
    assert (
        "error: issue-2 depends on issue-1, of which several candidates are tried in the same wave"
        in together.err
    )
    assert "orchestrate:running" not in front
    assert (["issue-1"], [["issue-1.1"], ["issue-1.2"]]) == (made["tasks"], made["shards"])
    assert ["issue-1.1", "issue-1.2"] == [job["tasks"] for job in made["matrix"][0]["verify"]]
