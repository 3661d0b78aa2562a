"""Several attempts at one task, side by side: the best one that is verified counts, and a lie never does."""

from __future__ import annotations

import json
import shlex
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import pytest

from orchestrator_action.git import audit_trail as audit
from orchestrator_action.git.repo import Git
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.protocol.candidates import candidate_tasks
from orchestrator_action.publish.progress import times
from orchestrator_action.run.run import run_tasks
from orchestrator_action.run.setup import RunRequest, start_run
from orchestrator_action.state import orders
from orchestrator_action.state.journal import read_events
from tests.kit.ill import Pids, eventually
from tests.kit.scripted import ScriptedAgent, claims
from tests.kit.tables import few
from tests.kit.whole import GOOD, THERE, House, new_file
from tests.run.conftest import InProcess

QUIET = ("sh", "-c", 'echo \'{"findings": []}\' > "$0"', "{out}")
"""A reviewer that finds nothing."""
TRIPLE = "def triple(n):\n    return n * 3\n"
LONG = "def triple(n):\n    doubled = n + n\n    tripled = doubled + n\n    return tripled\n"
ONE_AT_NONE = "def triple(n):\n    return n * 3 or 1\n"
LIE = f"{TRIPLE}\n\ndef double(n):\n    return n * 3\n"
OTHER_NAME = "def thrice(n):\n    return n * 3\n\n\ndef more(n):\n    return n + 1\n"
SIX = "self.assertEqual(6, triple(2))"
NOTHING = "self.assertEqual(0, triple(0))"


def works(code: str, test: str = SIX, *, name: str = "triple", docs: bool = True, whole: bool = True) -> str:
    """A piece of shell that goes through all eleven phases with this code and this test, whatever the answers."""
    file = (
        f"import unittest\n\nfrom numbers_ import {name}\n\n\nclass New(unittest.TestCase):\n"
        f"    def test_new(self):\n        {test}\n"
    )
    phases = "initial-setup", "issue-creation", "branch-management"
    lines = [
        claims(*(f"done {p}" for p in phases), "done research-and-planning --note 'change `numbers_.py`'"),
        f"printf %s {shlex.quote(chr(10) * 2 + code)} >>numbers_.py",
        f"printf %s {shlex.quote(file)} >tests/test_new.py",
        *(["printf -- '- `triple(n)` is three times n.\\n' >>README.md"] if docs else []),
        "git add -A && git commit -qm 'Add triple'",
        claims(
            "done implementation",
            "done testing",
            *(["done documentation"] if docs else []),
            "done pull-request --note 'Add triple'",
            *(f"done {p}" for p in ("review", "review-response", *(["settings-update"] if whole else []))),
        ),
        "exit 0",
    ]
    return "\n".join(lines)


def rivals(*pieces: str) -> dict[str, str]:
    """The n-th candidate of issue 1 does the n-th piece."""
    return {f"issue-1.{n}": piece for n, piece in enumerate(pieces, 1)}


def of(*pieces: str) -> ScriptedAgent:
    return ScriptedAgent(shell=rivals(*pieces), reviewer=QUIET)


def flags(count: int, **more: object) -> dict[str, object]:
    return {"candidates": (str(count),), "reminders": 0, "retries": 0, **more}


def task(home: House):
    home.issue(1, "Add triple", "Please add `triple(n)`.\n")


def texts(home: House, *under: str) -> str:
    return "\n".join(f.read_text() for f in sorted(home.forge.joinpath(*under).rglob("*.md")))


def ends(result) -> dict[str, tuple[str, bool]]:
    return {c.id: (str(c.status), c.chosen) for c in result.candidates}


def test_the_smallest_verified_one_becomes_the_task(home: House, inside: InProcess):
    """Of three: one is longer, one lies in fewer lines. One pull request, and every branch is kept and named."""
    task(home)

    report = inside.run(of(works(LONG), works(LIE, docs=False), works(TRIPLE)), slots=3, flags=flags(3))

    [result] = report.tasks
    assert "success" == result.status, result.error
    expected = {
        "issue-1.1": ("success", False),
        "issue-1.2": ("failed", False),
        "issue-1.3": ("success", True),
    }
    assert expected == ends(result)
    assert [False, True, False] == [c.refuted for c in result.candidates]
    assert (3, 3) == (report.peak_parallel, result.attempts)
    assert {"proven"} == {str(p.state) for p in result.phases}
    remote = home.repo.git("ls-remote", "origin", "refs/heads/orchestrator/*")
    heads = {ref: sha for sha, ref in (line.split() for line in remote.splitlines())}
    own = f"refs/heads/{result.branch}"
    assert {own, f"{own}.1", f"{own}.2", f"{own}.3"} == set(heads)
    assert result.head_sha == heads[own] == heads[f"{own}.3"]
    [pull] = (home.forge / "pulls").glob("*/pull.md")
    assert f'head: "{result.branch}"\n' in pull.read_text()
    said = texts(home, "comments", "1")
    for c in result.candidates:
        assert f"{c.branch}` (at the remote)" in said, said
    assert "failed, a claim is refuted" in said and "chosen, success" in said
    home.assert_tidy()


@pytest.mark.slow
def test_the_trail_of_the_task_says_why(home: House, inside: InProcess):
    """Whoever fetches the trails can check each candidate, and which one was chosen of them."""
    task(home)

    [result] = inside.run(of(works(LONG), works(TRIPLE)), flags=flags(2)).tasks

    git = Git.open(home.repo.path)
    trails = {t: audit.read(git, audit.ref_of(t), t) for t in ("issue-1", "issue-1.1", "issue-1.2")}
    assert {()} == {t.problems for t in trails.values()}
    [chosen] = [e.data for e in trails["issue-1"].events if e.kind == "chosen"]
    assert ("issue-1.2", 2) == (chosen["candidate"], len(chosen["candidates"]))
    spans = times(read_events(home.run_dir / "journal.jsonl"))
    assert spans["issue-1"] == spans["issue-1.2"] != [], "the phases were those of the chosen one, then"
    pulls = {name: [e.data for e in t.events if e.kind == "pull"] for name, t in trails.items()}
    assert [result.pull.number] == [p["number"] for p in pulls["issue-1"]]
    assert all(p["stand_in"] for name in ("issue-1.1", "issue-1.2") for p in pulls[name])


@pytest.mark.slow
def test_where_none_is_verified_an_honest_one_counts_before_a_liar(home: House, inside: InProcess):
    """The liar claims everything and is smaller; the other one did not finish. The task is not finished."""
    task(home)
    [result] = inside.run(of(works(LIE, docs=False), works(LONG, whole=False)), flags=flags(2)).tasks

    assert "incomplete" == result.status, result.error
    assert {"issue-1.1": ("failed", False), "issue-1.2": ("incomplete", True)} == ends(result)
    assert "orchestrate:failed" in (home.forge / "issues" / "1.md").read_text()
    home.assert_tidy()


def test_only_liars_end_as_a_lie(home: House, inside: InProcess):
    task(home)

    [result] = inside.run(of(works(LIE), works(LIE, docs=False)), flags=flags(2)).tasks

    assert ("failed", "refuted") == (
        result.status, next(str(p.state) for p in result.phases if p.phase == "testing"),
    )  # fmt: skip
    assert [] == list((home.forge / "pulls").glob("*/pull.md"))


def test_one_that_crashes_takes_nobody_with_it(home: House, inside: InProcess):
    task(home)

    [result] = inside.run(of("exit 3", works(TRIPLE)), flags=flags(2)).tasks

    assert ("success", ("agent",)) == (result.status, result.failures)
    assert {"issue-1.1": ("failed", False), "issue-1.2": ("success", True)} == ends(result)
    assert "failed (agent)" in texts(home, "comments", "1")


@pytest.mark.slow
def test_agents_by_name_are_a_candidate_each_and_the_pull_request_names_the_best(home, inside: InProcess):
    task(home)
    others = {"command": ScriptedAgent(shell=rivals("", works(TRIPLE)), reviewer=QUIET)}
    wanted = {**flags(2), "candidates": ("patch", "command"), "agent_command": {"argv": ("true",)}}

    [result] = inside.run(of(works(LONG)), others=others, flags=wanted).tasks

    assert ("success", ("command",)) == (result.status, result.agents)
    assert ["patch", "command"] == [c.agent for c in result.candidates]
    assert "agent `command`" in texts(home, "comments", str(result.pull.number))


def test_a_label_for_an_agent_wins_over_names_in_the_configuration(home: House, inside: InProcess):
    home.issue(1, "Add more", GOOD, labels=["orchestrate", "orchestrate-agent:patch"])
    wanted = {**flags(2), "candidates": ("patch", "command")}

    [result] = inside.run(ScriptedAgent(), flags=wanted).tasks

    assert ("success", ()) == (result.status, result.candidates)


@pytest.mark.slow
def test_tests_that_disagree_are_a_finding(home: House, inside: InProcess):
    """What was chosen is verified by its own tests; another's test fails on it, and that is said in all places."""
    task(home)
    third = works(OTHER_NAME, SIX.replace("triple", "thrice"), name="thrice")
    agent = of(works(ONE_AT_NONE), works(LONG, NOTHING), third)

    report = inside.run(agent, slots=3, flags=flags(3, ready="verified"))

    [result] = report.tasks
    assert ("success", "issue-1.1") == (result.status, next(c.id for c in result.candidates if c.chosen))
    found = {(c.tests_of, c.code_of): c for c in result.cross_tests}
    assert 6 == len(found)
    hits = {pair: c.failed for pair, c in found.items() if c.failed}
    assert [("issue-1.2", "issue-1.1")] == list(hits), [asdict(c) for c in result.cross_tests]
    [test] = hits["issue-1.2", "issue-1.1"]
    assert "test_new" in test
    assert 1 == found["issue-1.1", "issue-1.2"].passed
    assert found["issue-1.1", "issue-1.3"].cannot_run and not found["issue-1.1", "issue-1.3"].failed
    words = "1 test of issue-1.2 fails on the code of issue-1.1, which was chosen"
    assert words in texts(home, "comments", str(result.pull.number))
    body = json.loads((home.run_dir / "report.json").read_text())
    assert [test] == next(c["failed"] for c in body["tasks"][0]["cross_tests"] if c["failed"])
    [pull] = (home.forge / "pulls").glob("*/pull.md")
    assert "draft: true" in pull.read_text(), "a person has to look at it first"


@pytest.mark.slow
def test_the_budget_of_the_task_is_shared_and_its_cost_is_the_sum(home: House, inside: InProcess):
    """Of two that are alike the cheaper one counts; the limit of the run sees what both have spent."""
    task(home)
    home.issue(2, "Add more", GOOD)
    dear, cheap = (f"echo '{json.dumps({'cost': cost})}'; {works(TRIPLE)}" for cost in (1.25, 0.5))
    agent = of(dear, cheap)

    first, second = inside.run(agent, slots=2, flags=flags(2, max_budget_usd=3.0, max_run_usd=4.0)).tasks

    assert {1.5} == {c.limits.max_budget_usd for c in agent.given}
    assert (1.75, [1.25, 0.5]) == (first.cost_usd, [c.cost_usd for c in first.candidates])
    assert ["issue-1.2"] == [c.id for c in first.candidates if c.chosen]
    assert ("blocked", 2) == (second.status, len(agent.given)), "3.00 of 4.00 were reserved, 1.75 are spent"
    assert "budget of the run" in second.error


@pytest.mark.slow
def test_more_candidates_than_places_take_turns(home: House, inside: InProcess):
    task(home)

    report = inside.run(of(works(LONG), works(TRIPLE)), slots=1, flags=flags(2))

    assert ("success", 1) == (report.tasks[0].status, report.peak_parallel)


@pytest.mark.slow
def test_the_same_change_twice_is_nobody_elses_work(home: House, inside: InProcess):
    """Two that come to the very same commit do not refute each other."""
    home.issue(1, "Add more", GOOD)

    [result] = inside.run(ScriptedAgent(), flags=flags(2)).tasks

    assert "success" == result.status, result.error
    assert {"issue-1.1": ("success", True), "issue-1.2": ("success", False)} == ends(result)


def hangs(pids: Pids) -> str:
    return f": > {pids.folder}/$$; exec sleep 1000"


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_candidates_that_are_open(home: House, conduct, pids: Pids):
    """What had ended is not done again; nothing is told twice."""
    task(home)
    reviewer = list(QUIET)
    run = conduct(shell=rivals(works(TRIPLE), hangs(pids)), reviewer=reviewer, flags=flags(2))
    run.until("task-ended")
    pids.expect(1)

    run.signal(signal.SIGKILL)
    run.end()
    first = [e for e in home.events() if e["task"] == "issue-1.1"]
    again = conduct("resume", shell=rivals("exit 9", works(LONG)), reviewer=reviewer).end()

    [result] = again.report["tasks"]
    assert (0, "success") == (again.code, result["status"]), again.err
    assert first == [e for e in home.events() if e["task"] == "issue-1.1"]
    assert {"issue-1.1": True, "issue-1.2": False} == {c["id"]: c["chosen"] for c in result["candidates"]}
    assert 1 == len(list((home.forge / "pulls").glob("*/pull.md")))
    assert 1 == len(list((home.forge / "comments" / "1").glob("*.md")))
    home.assert_tidy()


@pytest.mark.slow
def test_ctrl_c_ends_all_candidates_and_loses_nothing(home: House, conduct, pids: Pids):
    """Their commits are kept, and the run can be gone on with."""
    task(home)
    begun = "orchestrator-phase done initial-setup; printf 'x = 1\\n' >early.py; git add -A; git commit -qm early; "
    run = conduct(
        shell=rivals(begun + hangs(pids), begun + hangs(pids)), reviewer=list(QUIET), flags=flags(2)
    )
    pids.expect(2)

    run.signal(signal.SIGINT)
    ended = run.end()

    [result] = ended.report["tasks"]
    assert (130, "cancelled") == (ended.code, result["status"]), ended.err
    assert {"cancelled"} == {c["status"] for c in result["candidates"]}
    for rival in ("issue-1.1", "issue-1.2"):
        assert "early" == home.repo.git("log", "-1", "--format=%s", f"refs/orchestrator/branches/{rival}")
    again = conduct("resume", shell=rivals(works(LONG), works(TRIPLE)), reviewer=list(QUIET)).end()
    [result] = again.report["tasks"]
    assert (0, "success") == (again.code, result["status"]), again.err
    home.assert_tidy_after_cancel()


@pytest.mark.parametrize("given", ["0", "10", "3,codex", "1,2"])
def test_a_number_that_makes_no_sense_is_said_in_one_line(home: House, given: str):
    task(home)

    ran = home.cli("run", "--forge", f"local:{home.forge}", "--agent", "patch", f"--candidates={given}")

    assert 2 == ran.code
    assert "--candidates" in ran.err and "error:" in ran.err, ran.err


@pytest.mark.slow
def test_every_command_shows_candidates(home: House):
    """The real command: plan, run, status, logs and report."""
    home.issue(1, "Add more", GOOD)
    where = ("--forge", f"local:{home.forge}", "--agent", "patch", "--candidates", "2")

    planned = home.cli("plan", *where)
    ran = home.cli("run", *where, "--json")
    status = home.cli("status")

    assert "the best of 2 candidates, side by side: patch, patch" in planned.out
    assert (0, "success") == (ran.code, ran.task("issue-1")["status"]), ran.err
    assert "issue-1.1" in status.out and "issue-1.2" in status.out
    assert "Testing: proven" in home.cli("logs", "issue-1.2").out
    refused = home.cli("logs", "issue-1")
    assert 2 == refused.code and "issue-1.1" in refused.err, (refused.out, refused.err)
    page = home.repo.path.parent / "page.html"
    assert 0 == home.cli("report", "last", "--html", str(page)).code
    assert "the best of" not in page.read_text() and "<h4>Candidates</h4>" in page.read_text()
    outcomes = json.loads(home.cli("report", "--outcomes", "--json", *where[:2]).out)
    assert ["issue-1"] == [t["task_id"] for t in outcomes["tasks"]]
    agents = json.loads(home.cli("report", "--agents", "--json", *where[:2]).out)["agents"]
    assert [("patch", 2, 2)] == [(a["agent"], a["tasks"], a["verified"]) for a in agents]


@pytest.mark.slow
def test_a_run_after_one_that_died_takes_fresh_names(home: House, conduct, pids: Pids):
    """Branches that the candidates of a dead run left at the remote are in nobody's way, and stay."""
    task(home)
    early = f"git add -A && git commit -qm 'Add triple'\n{claims('done implementation')}"
    work = f"{works(TRIPLE).partition('git add -A')[0]}{early}\n{hangs(pids)}"
    run = conduct(shell=rivals(work, work), reviewer=list(QUIET), flags=flags(2))
    pids.expect(2)
    run.until("pushed", 2)
    run.signal(signal.SIGKILL)
    run.end()
    before = home.repo.git("ls-remote", "origin", "refs/heads/orchestrator/*").split()[1::2]
    eventually(lambda: not pids.running(), what="the end of the candidates")
    state = home.repo.path / ".git" / "orchestrator"
    state.rename(state.with_name("of another machine"))  # guards may still write into it
    task(home)  # with its label again

    again = conduct(shell=rivals(works(LONG), works(TRIPLE)), reviewer=list(QUIET), flags=flags(2)).end()

    [result] = again.report["tasks"]
    assert (0, "success") == (again.code, result["status"]), again.err
    after = home.repo.git("ls-remote", "origin", "refs/heads/orchestrator/*").split()[1::2]
    assert len(before) == 2 and set(before) < set(after)
    assert f"refs/heads/{result['branch']}" not in before


def test_where_nothing_is_needed_no_candidate_proposes_anything(home: House, inside: InProcess):
    home.issue(1, "Be there", THERE)

    [result] = inside.run(ScriptedAgent(), flags=flags(2)).tasks

    assert ("no-change", None) == (result.status, result.pull), result.error
    assert {"no-change"} == {c.status for c in result.candidates}
    assert "orchestrate:done" in (home.forge / "issues" / "1.md").read_text()


@pytest.mark.slow
def test_a_change_that_is_verified_counts_before_one_that_declines(home: House, inside: InProcess):
    task(home)
    nothing = "orchestrator-phase done initial-setup; orchestrator-phase stop --because 'it is all there'"

    [result] = inside.run(of(nothing, works(TRIPLE)), flags=flags(2)).tasks

    assert {"issue-1.1": ("declined", False), "issue-1.2": ("success", True)} == ends(result)


@pytest.mark.slow
def test_what_all_decline_is_declined_with_the_words_of_one(home: House, inside: InProcess):
    task(home)
    agent = of(*(f"orchestrator-phase stop --because 'no {what}'" for what in ("numbers", "letters")))

    [result] = inside.run(agent, flags=flags(2)).tasks

    assert ("declined", "no numbers") == (result.status, result.declined.because)
    assert "orchestrate:declined" in (home.forge / "issues" / "1.md").read_text()
    assert "no letters" in texts(home, "comments", "1")


@pytest.mark.slow
def test_a_prompt_file_gets_one_issue_and_one_pull_request(home: House):
    file = home.repo.path.parent / "task.md"
    file.write_text(f"# Add more\n\n{GOOD}")
    where = ("--forge", f"local:{home.forge}", "--agent", "patch", "--candidates", "2")

    ran = home.cli("run", str(file), *where, "--json")

    task_ = ran.task("prompt-task")
    assert (0, "success") == (ran.code, task_["status"]), ran.err
    assert 1 == len(list((home.forge / "issues").glob("*.md")))
    [pull] = (home.forge / "pulls").glob("*/pull.md")
    assert f"#{task_['issue']}" in pull.read_text()


@pytest.mark.slow
def test_what_depends_on_a_task_grows_from_its_best_candidate(home: House, inside: InProcess):
    task(home)
    home.issue(2, "Use it", "Depends on #1\n\n" + new_file("uses.py", "from numbers_ import triple\n"))

    first, second = inside.run(of(works(LONG), works(TRIPLE)), flags=flags(2)).tasks

    assert ("success", "success") == (first.status, second.status), second.error
    assert first.head_sha == second.base_sha


@pytest.mark.parametrize(
    "moment",
    few(
        [
            "issue-1 task-started",
            "issue-1.2 task-ended",
            "issue-1 chosen",
            "issue-1 claim",
            "issue-1 pull",
            "issue-1 judged",
        ],
        1,
    ),
)
def test_killed_at_any_moment_it_ends_as_if_it_had_not_been(home: House, conduct, moment: str):
    """One pull request, one comment, one choice; what was carried over is carried over once."""
    task(home)
    pieces = {"shell": rivals(works(LONG), works(TRIPLE)), "reviewer": list(QUIET)}
    killed = conduct(flags=flags(2, dies_at=moment), **pieces).end()
    assert -signal.SIGKILL == killed.code, killed.err

    again = conduct("resume", **pieces).end()

    [result] = again.report["tasks"]
    assert (0, "success") == (again.code, result["status"]), again.err
    assert {"issue-1.1": False, "issue-1.2": True} == {c["id"]: c["chosen"] for c in result["candidates"]}
    own = [e for e in home.events() if e["task"] == "issue-1"]
    assert 1 == sum(e["kind"] == "chosen" for e in own)
    claims = [e["data"]["phase"] for e in own if e["kind"] == "claim"]
    assert len(set(claims)) == len(claims) == 11
    assert 1 == len(list((home.forge / "pulls").glob("*/pull.md")))
    assert 1 == len(list((home.forge / "comments" / "1").glob("*.md")))
    home.assert_tidy()


def test_an_order_for_a_task_ends_the_candidates_that_are_worked_on_without_it(home: House) -> None:
    """So it is in a work job of four steps, where each candidate is a task of its own."""
    home.issue(1, "Triple", "Add `triple(n)`.")
    flags = {"agent": "patch", "isolation": "off"}
    asked = RunRequest(repo=home.repo.path, forge=f"local:{home.forge}", flags=flags)
    sleeper = ScriptedAgent(programs=[["sh", "-c", "exec sleep 600"]])
    with start_run(asked, home.environment(), Cancel(), say=lambda _: None) as (found, run):
        each = candidate_tasks(found.tasks[0], ("patch", "patch"))
        run = replace(run, agents=lambda _: sleeper, stand_in=True)

        def order() -> None:
            eventually(
                lambda: sum(e.kind == "attempt-running" for e in run.journal.events) == 2, what="both at work"
            )
            orders.place(run.run_dir, f"{orders.ONE}issue-1", words="cancelled by a comment")

        with ThreadPoolExecutor(1) as beside:
            ordered = beside.submit(order)
            report = run_tasks(each, run, slots=2, tell=lambda _: None)
            ordered.result()

    assert [("cancelled", "cancelled by a comment")] * 2 == [(t.status, t.error) for t in report.tasks]
