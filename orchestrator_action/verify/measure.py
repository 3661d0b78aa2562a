"""What is measured for a claim of each phase, and the acts that the broker does on the agent's behalf.

The agent asks; this opens the issue, pushes the branch, opens the pull and starts the reviewer, and then
reads back what is really there. Every fact is tied to the commit it was measured at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from orchestrator_action.errors import AgentError, OrchestratorError
from orchestrator_action.git.repo import Git
from orchestrator_action.protocol.events import Ledger
from orchestrator_action.protocol.forge_values import Pull, ReviewFinding
from orchestrator_action.protocol.judge import demand_of
from orchestrator_action.protocol.model import Claim, Demand, Fact
from orchestrator_action.protocol.paths import listed
from orchestrator_action.protocol.phases import BY_ID
from orchestrator_action.protocol.review import parse_answers
from orchestrator_action.sandbox.policy import Level
from orchestrator_action.state.context import ForgeActs, RunContext, TaskRun
from orchestrator_action.text.figures import count
from orchestrator_action.verify import facts as evidence
from orchestrator_action.verify.base_suite import BaseSuite, shared_base
from orchestrator_action.verify.bench import Bench
from orchestrator_action.verify.change import change_facts, run_change
from orchestrator_action.verify.change_runs import ChangeRuns, Proof
from orchestrator_action.verify.no_change import already_met, base_passes, not_asked
from orchestrator_action.verify.pull_facts import pull_facts, read_pull
from orchestrator_action.verify.review import Reviewers, why_no_fix
from orchestrator_action.verify.settings import settings_facts

FRESH_S = 60.0
"""What the forge said of an issue so recently, in a list of many for example, is not asked again."""


def bench_of(task_run: TaskRun, git: Git) -> Bench:
    """Where suites of a task are run, base and head alike: with the tree's own set-up, and nobody's home."""
    run = task_run.run
    return Bench(
        git=git, commands=task_run.test_commands, checkout=task_run.measuring, env=task_run.command_env,
        evidence_dir=task_run.directory / "evidence", run=task_run.run_command,
        timeout_of=run.config.test_timeout_of, tree_env=task_run.tree_env,
        own_home=run.isolation.level is not Level.SANDBOXED,
        roots=tuple(p for p in (run.trees.main, task_run.tree.path) if p),
    )  # fmt: skip


def suite_at_base(run: RunContext, base: str, bench: Bench) -> BaseSuite:
    """The suite at a base commit, one for all tasks of the run, remembered by the level of its walls too."""
    return shared_base(run.bases, base, bench.commands, lambda: _suite_at(run, base, bench))


def _suite_at(run: RunContext, commit: str, bench: Bench) -> BaseSuite:
    return BaseSuite(bench, commit, memory=memory_of(run), level=run.isolation.level.name)


def memory_of(run: RunContext) -> Path:
    """Where the suites of bases are remembered, from run to run."""
    return run.git.common_dir / "orchestrator" / "bases"


class Measure:
    """The measurements of one task."""

    rounds_count = True
    """Whether a review uses up one of the rounds that the task's agent has."""

    def __init__(self, task_run: TaskRun, acts: ForgeActs, *, ledger: Callable[[], Ledger]) -> None:
        self.run, self.task_run, self.acts, self.ledger = task_run.run, task_run, acts, ledger
        self.git = task_run.git
        self._meanwhile: dict[str, ChangeRuns] = {}
        """What was run while the agent lived, by tree; it answers claims and decides nothing."""
        self._at_end: dict[str, ChangeRuns] = {}
        self.pull: Pull | None = None
        """The pull as the forge last showed it."""
        self._pull_at_end: Pull | None = None
        """The same, as the last measurement at the end re-read it."""

    def __call__(self, claim: Claim, head: str, final: bool) -> Iterable[Fact]:
        """The facts of the claim's phase at `head`; with `final`, only those that can go stale."""
        measure: Callable[[Claim, str, bool], Iterable[Fact]] = getattr(
            self, "_" + claim.phase.replace("-", "_")
        )
        return measure(claim, head, final)

    def _initial_setup(self, claim: Claim, head: str, final: bool) -> Iterable[Fact]:
        if final or self._set_up_before(claim):
            return ()
        return evidence.setup_facts(
            self.git,
            base_sha=self.task_run.base_sha,
            digest=self.task_run.context.digest,
            claimed_digest=claim.digest,
        )

    def _set_up_before(self, claim: Claim) -> bool:
        """An earlier attempt began on the clean base; this one goes on with what it committed."""
        ledger, head = self.ledger(), self.git.head()
        facts = [ledger.fact("initial-setup", rule) for rule in ("context-read", "clean-base")]
        began_well = all(f is not None and f.holds for f in facts)
        return began_well and claim.digest == self.task_run.context.digest and head != self.task_run.base_sha

    def _issue_creation(self, claim: Claim, head: str, final: bool) -> Iterable[Fact]:
        if final:
            return ()
        task, forge, journal = self.task_run.task, self.run.forge, self.run.journal
        number = self.ledger().issue
        if number is None:
            made = self.acts.open_issue(self.task_run)
            journal.append("issue", task.id, number=made.number, url=made.url, **self._asked_for)
            number = made.number
        issue = forge.issue(number, max_age_s=FRESH_S)
        return [
            Fact(
                phase="issue-creation",
                rule="issue-exists",
                commit=head,
                holds=issue.state == "open",
                message=f"issue #{issue.number} is {issue.state} "
                + ("as planned" if self.run.stand_in else "on the forge"),
                detail={"number": issue.number, "url": issue.url, "state": issue.state},
            )
        ]

    @property
    def _asked_for(self) -> dict[str, bool]:
        """What marks an act that was only asked for: no forge has done it."""
        return {"stand_in": True} if self.run.stand_in else {}

    def _branch_management(self, claim: Claim, head: str, final: bool) -> Iterable[Fact]:
        return evidence.branch_facts(self.git, branch=self.task_run.branch, base_sha=self.task_run.base_sha)

    def _research_and_planning(self, claim: Claim, head: str, final: bool) -> Iterable[Fact]:
        if final:
            return ()
        text = "\n".join(t for t in (claim.note, claim.text) if t)
        if text.strip():
            self.run.journal.append("plan", self.task_run.task.id, text=text)
        return evidence.plan_facts(text, self.git.paths(head), commit=head)

    def _implementation(self, claim: Claim, head: str, final: bool) -> Iterable[Fact]:
        if claim.no_change:
            return self._no_change(claim, head)
        config = self.run.config
        return evidence.implementation_facts(
            self.git, base=self.task_run.base_sha, head=head, protected=config.protected, size=config.size,
            since=self.ledger().follow_up_at,
        )  # fmt: skip

    def _no_change(self, claim: Claim, head: str) -> Iterable[Fact]:
        """The base's tests and the reviewer are asked only where nothing was changed indeed."""
        changed = evidence.nothing_changed_facts(self.git, base=self.task_run.base_sha, head=head)
        if not all(f.holds for f in changed):
            return changed
        demand = demand_of(BY_ID["testing"], self.run.config.phases)
        wanted = demand is not Demand.OFF and bool(self.task_run.test_commands)
        try:
            base = self.base_suite(bench_of(self.task_run, self.git)).result() if wanted else None
        except OrchestratorError as exc:
            why = f"the base's tests could not be run: {exc.message}"
            passes = replace(base_passes(None, head, demand), message=why)
        else:
            passes = base_passes(base, head, demand)
        return (*changed, passes, *([self._already_met(claim, head)] if passes.holds else []))

    def _already_met(self, claim: Claim, head: str) -> Fact:
        """What a reviewer says, asked whether the task is met already; asked as often as there are rounds."""
        ledger = self.ledger()
        known = ledger.facts.get(("implementation", "already-met"), ())
        asked = [f for f in known if f.commit == head]
        if asked and (asked[-1].holds or len(asked) >= self.run.config.review_rounds):
            return asked[-1]
        try:
            return already_met(self._ask_reviewers(head, ledger, claim.no_change), head)
        except AgentError as exc:
            return not_asked(f"nobody could be asked: {exc.message}", head, person=True)
        except ValueError as exc:
            return not_asked(f"nobody could be asked: {exc}", head, person=False)

    def _testing(self, claim: Claim, head: str, final: bool) -> Iterable[Fact]:
        """At the end nothing counts that was measured while an agent lived; what is switched off is not measured."""
        if demand_of(BY_ID["testing"], self.run.config.phases) is Demand.OFF:
            return ()
        if final:
            self._at_end.clear()
        return self._tested(claim, head, self._at_end if final else self._meanwhile)

    def _tested(self, claim: Claim, head: str, known: dict[str, ChangeRuns]) -> Iterable[Fact]:
        bench, note, proof = bench_of(self.task_run, self.git), self._said_of_tests(claim), self._proof()
        runs, suite = self._runs(bench, head, known), self.base_suite(bench)
        facts = change_facts(bench, runs, note=note, proof=proof)
        if suite.from_elsewhere and not all(f.holds for f in facts):
            runs = known[self.git.tree(head)] = replace(runs, base=suite.measured_here())
            facts = change_facts(bench, runs, note=note, proof=proof)
        return facts if known is self._at_end else [self._with_difference(f, head) for f in facts]

    def _with_difference(self, fact: Fact, head: str) -> Fact:
        """A red suite tells the agent what its own tree has that the commit, which is what we measure, has not."""
        if fact.rule != "suite" or fact.holds:
            return fact
        there = {p.split("/")[0] for p in self.git.paths(head)} | {".git"}
        with contextlib.suppress(OSError):
            only_here = sorted(p.name for p in self.task_run.tree.path.iterdir() if p.name not in there)
            if only_here:
                words = f"your tree also has what the commit has not: {listed(only_here)}"
                return replace(
                    fact,
                    message=f"{fact.message}. {words}",
                    detail={**fact.detail, "differs": only_here[:50]},
                )
        return fact

    def _proof(self) -> Proof:
        return Proof(self.run.config.proof)

    def _runs(self, bench: Bench, head: str, known: dict[str, ChangeRuns]) -> ChangeRuns:
        """What was run of this tree; what was red is run once more, and both results are kept."""
        tree = self.git.tree(head)
        before = known.get(tree)
        if before is not None and before.head and (before.head_before or before.head.passed):
            untouched = before.laid.commit == before.head_sha
            laid = replace(before.laid, commit=head) if untouched else before.laid
            return replace(before, head_sha=head, laid=laid)
        runs = run_change(
            bench, base=self.task_run.base_sha, head=head, proof=self._proof(), repeats=self.run.config.test_repeats,
            base_run=self.base_suite(bench).result, thorough=known is self._at_end,
        )  # fmt: skip
        if before is not None:
            runs = replace(runs, head_before=before.head)
        known[tree] = runs
        return runs

    def base_suite(self, bench: Bench) -> BaseSuite:
        """The suite at this task's base, one for all tasks of the run."""
        return suite_at_base(self.run, self.task_run.base_sha, bench)

    def remember_head(self, head: str) -> Path | None:
        """Keep the suite at a head that others will grow from; its file, where it is green."""
        runs = self._at_end.get(self.git.tree(head))
        if runs is None or runs.head is None:
            return None
        return _suite_at(self.run, head, bench_of(self.task_run, self.git)).remember(runs.head)

    def _said_of_tests(self, claim: Claim) -> str:
        """What was said of tests; an answer to the review does not take it back."""
        testing = self.ledger().claims.get("testing")
        return f"{claim.note}\n{claim.text}\n{testing.note}\n{testing.text}" if testing else claim.note

    def _documentation(self, claim: Claim, head: str, final: bool) -> Iterable[Fact]:
        return evidence.docs_facts(
            self.git, base=self.task_run.base_sha, head=head, patterns=self.run.config.docs
        )

    def _pull_request(self, claim: Claim, head: str, final: bool) -> Iterable[Fact]:
        """What the forge answers to the opening of the pull is a reading of it; at the end it is read anew."""
        self._pull_at_end = None
        self._push(head)
        opened = self._open_pull(claim) if self.ledger().pull is None or not final else None
        facts = self._pull_facts(head, None if final else opened)
        self._pull_at_end = self.pull if final else None
        return facts

    def _push(self, head: str) -> None:
        """The branch at the remote becomes exactly `head`."""
        self.run.check_not_cancelled()
        if self.ledger().pushed_sha != head:
            self.acts.push(self.task_run, head)

    def _open_pull(self, claim: Claim) -> Pull:
        task = self.task_run.task
        pull = self.acts.open_pull(self.task_run, claim.note or task.title, claim.text or claim.note)
        self.run.journal.append("pull", task.id, number=pull.number, url=pull.url, **self._asked_for)
        return pull

    def _pull_facts(self, head: str, known: Pull | None = None) -> list[Fact]:
        """What holds of the pull, as `known` shows it at `head`, or as it is read back now."""
        ledger = self.ledger()
        if ledger.pull is None:
            return []
        there = known is not None and (known.number, known.head_sha) == (ledger.pull, head)
        self.pull = known if known and there else read_pull(self.run.forge, ledger.pull, head)
        return pull_facts(self.run, self.pull, head, issue=ledger.issue)

    def _review(self, claim: Claim, head: str, final: bool) -> Iterable[Fact]:
        ledger = self.ledger()
        if (known := ledger.fact("review", "reviewed", head)) and known.holds:
            return ()
        if self._rounds_used(ledger) >= self.run.config.review_rounds:
            why = f"the review's {ledger.review_rounds} rounds are used up: a person has to look at it"
            return [self._unreviewed(head, why, person=True)]
        try:
            fresh = self._ask_reviewers(head, ledger)
        except AgentError as exc:  # the author can do nothing about a reviewer that is not there
            return [self._unreviewed(head, f"no review took place: {exc.message}", person=True)]
        except ValueError as exc:
            return [self._unreviewed(head, f"no review took place: {exc}")]
        self.run.journal.append(
            "review",
            self.task_run.task.id,
            head=head,
            findings=[asdict(f) for f in fresh],
            round=ledger.review_rounds + 1,
            counts=self.rounds_count,
        )
        url = self.acts.post_review(self.task_run, head, fresh)
        return [
            Fact(
                phase="review", rule="reviewed", commit=head, holds=True,
                message=f"a separate session reviewed {head[:12]} and has {count(len(fresh), 'finding')}",
                detail={"findings": len(fresh), "url": url, "round": ledger.review_rounds + 1},
            )
        ]  # fmt: skip

    def _rounds_used(self, ledger: Ledger) -> int:
        return ledger.review_rounds

    def _known_findings(self, ledger: Ledger) -> Sequence[ReviewFinding]:
        """Findings that a reviewer does not make again by saying the same."""
        return ledger.findings

    def _open_findings(self, head: str) -> Sequence[ReviewFinding]:
        return self.ledger().open_findings

    def _unreviewed(self, head: str, why: str, *, person: bool = False) -> Fact:
        return Fact(
            phase="review", rule="reviewed", commit=head, holds=False, message=why,
            detail={"unproven": True, "person": True} if person else {"unproven": True},
        )  # fmt: skip

    def _ask_reviewers(self, head: str, ledger: Ledger, no_change: str = "") -> tuple[ReviewFinding, ...]:
        return Reviewers(self.task_run, head, ledger, self._known_findings(ledger)).ask(no_change)

    def _review_response(self, claim: Claim, head: str, final: bool) -> Iterable[Fact]:
        problems = [] if final else self._record_answers(claim, head)
        facts: list[Fact] = []
        if self.ledger().fact("review", "reviewed", head) is None:
            facts += self._tested(claim, head, self._at_end if final else self._meanwhile)
            self._push(head)
            facts += self._review(claim, head, final)
        still = [f.id for f in self._open_findings(head)]
        problems += [f"{', '.join(still)} not answered"] if still else []
        answered = Fact(
            phase="review-response", rule="findings-answered", commit=head, holds=not problems,
            message="; ".join(problems) or "every finding is fixed or declined",
            detail={"open": still},
        )  # fmt: skip
        return [*facts, answered, *self._pull_facts(head, self._pull_at_end if final else self.pull)]

    def _record_answers(self, claim: Claim, head: str) -> list[str]:
        ledger = self.ledger()
        known = {f.id: f for f in ledger.findings}
        try:
            answers = parse_answers(f"{claim.note}\n{claim.text}")
        except ValueError as exc:
            return [str(exc)]
        problems = []
        for answer in answers:
            if answer.finding not in known:
                problems.append(f"there is no finding {answer.finding}")
                continue
            sha = head if answer.fixed_in.upper() == "HEAD" else self.git.rev_parse(answer.fixed_in)
            reviewed = self._reviewed_at(answer.finding)
            if answer.fixed_in and (
                why := why_no_fix(self.git, answer.fixed_in, head, known[answer.finding], reviewed)
            ):
                problems.append(f"{answer.finding}: {why}")
                continue
            self.run.journal.append(
                "answer",
                self.task_run.task.id,
                finding=answer.finding,
                fixed_in=sha if answer.fixed_in else "",
                declined=answer.declined,
            )
        return problems

    def _reviewed_at(self, finding: str) -> str:
        for event in self.run.journal.of(self.task_run.task.id):
            if event.kind == "review" and any(f["id"] == finding for f in event.data["findings"]):
                return str(event.data["head"])
        return self.task_run.base_sha

    def _settings_update(self, claim: Claim, head: str, final: bool) -> Iterable[Fact]:
        return settings_facts(self.git, base=self.task_run.base_sha, head=head)
