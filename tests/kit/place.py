"""Where bundles are attacked: a repository of ours, a clone of somebody hostile, and a plan for both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orchestrator_action.config.records import to_record
from orchestrator_action.config.schema import Config
from orchestrator_action.git.repo import Git
from orchestrator_action.git.trees import Trees
from orchestrator_action.protocol.documents import Plan, VerdictDocument, digest_of
from orchestrator_action.protocol.forge_values import Issue
from orchestrator_action.protocol.model import Task
from orchestrator_action.run.steps.files import ReadPlan
from orchestrator_action.run.steps.offers import Offer, collect_offers
from tests.kit.forger import Forger
from tests.kit.repos import git, make_repo
from tests.kit.whole import LIBRARY


def plan_for(base: str, count: int) -> Plan:
    config = to_record(Config())
    tasks = tuple(
        Task(
            id=f"issue-{n}", title=f"Task {n}", text="", branch=f"orchestrator/issue-{n}-task",
            issue=Issue(number=n, title=f"Task {n}"),
        )
        for n in range(1, count + 1)
    )  # fmt: skip
    return Plan(
        run_id="20260101-000000-abcdef", repository="r", forge="local:/x", base_branch="main", base_sha=base,
        config=config, policy_digest=digest_of(config), test_commands=("true",), tasks=tasks,
        shards=(tuple(t.id for t in tasks),),
    )  # fmt: skip


class Place:
    """A clone of the attacked, a clone of the attacker, and a plan of two tasks."""

    def __init__(self, folder: Path) -> None:
        repo = make_repo(folder / "r", LIBRARY)
        git(folder, "clone", "-q", str(repo.remote), "theirs")
        self.plan = plan_for(repo.git("rev-parse", "HEAD"), 2)
        self.forger = Forger(folder / "theirs", self.plan)
        self.trees = Trees(Git.open(repo.path), run_id="x", root=folder / "trees")
        self.honest = self.forger.make(folder / "honest" / "issue-2", self.plan.tasks[1])

    @property
    def read(self) -> ReadPlan:
        return ReadPlan(plan=self.plan, config=Config(), digest="d" * 64)

    def offers(
        self, folders: list[Path], said: list[str], verdicts: Mapping[str, VerdictDocument] | None = None
    ) -> dict[str, Offer]:
        return collect_offers(self.read, self.trees.private, folders, verdicts or {}, say=said.append)
