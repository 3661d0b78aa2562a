"""Which labelled issues run: who asked, on which text, and what other runs do."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from typing import Any

import pytest

from orchestrator_action.protocol.lease import Lease, with_lease
from orchestrator_action.text.limits import marker
from tests.kit.github_server import PAT
from tests.kit.github_server.state import Issue, Pull
from tests.kit.repos import git
from tests.kit.runner import RUN_ID, Runner
from tests.kit.whole import GOOD, LIBRARY, LIES, change, new_file


def issue(runner: Runner, text: str = GOOD, *, by: str = "octo", title: str = "Add more") -> Issue:
    """An issue of `by`'s whose label `octo` set, unless it was `by` through an issue template."""
    made = runner.github.state.add_issue(title, text, user=by)
    runner.github.label(made.number, "orchestrate", actor="octo")
    return made


def started(runner: Runner) -> list[str]:
    """Branches that agents made."""
    return git(
        runner.repo.remote, "for-each-ref", "--format=%(refname)", "refs/heads/orchestrator/"
    ).splitlines()


def refusals(runner: Runner, number: int) -> list[str]:
    return [c.body for c in runner.github.state.comments_on(number) if ":refused:" in c.body[:60]]


def edit(runner: Runner, one: Issue, **fields: str) -> None:
    """Somebody edits an issue, a second after all that happened before."""
    state = runner.github.state
    now = state.clock()
    state.clock = lambda: now + 2
    if "title" in fields:
        state.happened(one, "renamed", one.user, rename=(one.title, fields["title"]))
        one.title = fields["title"]
    if "body" in fields:
        one.body, one.updated_at, one.edited_at = fields["body"], state.now(), state.now()


# the queue


def test_githubs_own_dependencies_and_sub_issues_order_the_queue(runner: Runner):
    """The parent grows from its sub-issue; what an open issue outside blocks waits, and says so."""
    readme = LIBRARY["README.md"]
    child = issue(runner, new_file("child.py") + change("README.md", readme, f"{readme}- child\n"))
    parent = issue(
        runner,
        new_file("parent.py") + change("README.md", f"{readme}- child\n", f"{readme}- child\n- parent\n"),
    )
    outside = runner.github.state.add_issue("Later", "later", user="octo")
    waits = issue(runner, new_file("waits.py"))
    child.parent, waits.blocked_by = parent.number, [outside.number]

    done = runner.step(event="issues", payload=runner.labeled(parent.number))

    assert ["success", "success", "blocked"] == [
        done.status(i.number) for i in (child, parent, waits)
    ], done.log  # fmt: skip
    base = {t["issue"]: t["base_sha"] for t in done.report["tasks"]}
    head = {t["issue"]: t["head_sha"] for t in done.report["tasks"]}
    assert base[parent.number] == head[child.number]
    [pull] = [
        i.pull
        for i in runner.github.state.issues.values()
        if i.pull and f"issue-{parent.number}-" in i.pull.head
    ]
    assert f"issue-{child.number}-" in pull.base
    assert "orchestrate" in waits.labels
    [said] = [c.body for c in runner.github.state.comments_on(waits.number)]
    assert "it waits for #" in said and f"{outside.number}, which is not part of this run" in said


def test_one_event_drains_all_labelled_issues_in_one_parallel_run(runner: Runner):
    made = [issue(runner, new_file(f"more{n}.py")) for n in range(3)]

    done = runner.step(event="issues", payload=runner.labeled(made[0].number))

    assert (0, 3) == (done.code, done.report["requested"]), done.log
    assert [["orchestrate:done"]] * 3 == [i.labels for i in made]


def test_a_rerun_of_a_finished_job_does_nothing_twice(runner: Runner):
    one = issue(runner)
    payload = runner.labeled(one.number)
    runner.step(event="issues", payload=payload)
    before = (started(runner), len(runner.github.state.comments))

    again = runner.step(event="issues", payload=payload)

    assert (0, "neutral") == (again.code, again.outputs["conclusion"]), again.log
    assert before == (started(runner), len(runner.github.state.comments))


def test_a_label_that_could_not_be_taken_off_is_no_second_wish(runner: Runner):
    """The key is the label event: only a new one starts an agent again."""
    one = issue(runner)
    runner.step()
    one.labels.append("orchestrate")  # as if its removal had never arrived

    again = runner.step()

    assert "neutral" == again.outputs["conclusion"], again.log
    assert 1 == len(started(runner)) and "orchestrate" not in one.labels


def test_a_claim_of_a_version_before_counts_as_answered(runner: Runner):
    """It names the label event by its id, which the list of issues does not tell."""
    one = issue(runner)
    state = runner.github.state
    [wish] = [e for e in state.events if e.label == "orchestrate"]
    runner.step()
    [claim] = [c for c in state.comments_on(one.number) if " request=" in c.body]
    claim.body = re.sub(r"(?<= request=)\S+", str(wish.id), claim.body)
    one.labels.append("orchestrate")  # as if its removal had never arrived

    again = runner.step()

    assert "neutral" == again.outputs["conclusion"], again.log
    assert 1 == len(started(runner)) and "orchestrate" not in one.labels


def test_a_label_set_again_is_a_new_wish(runner: Runner):
    one = issue(runner)
    runner.step()
    now = runner.github.state.clock()
    runner.github.state.clock = lambda: now + 5
    runner.github.label(one.number, "orchestrate", actor="octo")

    again = runner.step()

    assert ("success", 2) == (again.outputs["conclusion"], len(started(runner))), again.log


@pytest.mark.parametrize("label", ["orchestrate:running", "orchestrate:done", "orchestrate:failed", "bug"])
def test_other_labels_and_our_own_bookkeeping_start_nothing(runner: Runner, label: str):
    one = issue(runner)

    done = runner.step(event="issues", payload=runner.labeled(one.number, label))

    assert (0, "neutral") == (done.code, done.outputs["conclusion"]), done.log
    assert ["orchestrate"] == one.labels


def test_of_two_runs_at_once_one_works_on_the_issue(runner: Runner):
    one = issue(runner)
    payload = runner.labeled(one.number)

    first, files = runner.start(event="issues", payload=payload)
    second = runner.step(event="issues", payload=payload)
    log, _ = first.communicate(timeout=100)

    assert ["orchestrate:done"] == one.labels, second.log + log
    assert 1 == len([i for i in runner.github.state.issues.values() if i.pull])
    assert 1 == len(runner.github.state.comments_on(one.number))
    assert {0} == {first.returncode, second.code}, log + second.log
    del files


def test_of_many_runs_at_once_each_issue_has_one(runner: Runner):
    """Every label is raced for by all of them; nothing is done twice and nothing is left out."""
    made = [issue(runner, new_file(f"more{n}.py")) for n in range(6)]

    begun = [runner.start(event="schedule", max_parallel="2")[0] for _ in range(3)]
    logs = [p.communicate(timeout=200)[0] for p in begun]

    assert [["orchestrate:done"]] * 6 == [i.labels for i in made], "\n".join(logs)
    assert 6 == len([i for i in runner.github.state.issues.values() if i.pull]) == len(started(runner))
    assert [1] * 6 == [len(runner.github.state.comments_on(i.number)) for i in made]
    assert {0} == {p.returncode for p in begun}, "\n".join(logs)


@pytest.mark.parametrize("event", ["label", "command", "number"])
def test_what_a_living_run_works_on_is_not_begun_by_another(runner: Runner, event: str):
    """Also when somebody asks for it again meanwhile: the label stays for the run after it."""
    one = abandoned(runner, "98.1")
    runner.github.state.runs[98] = {"id": 98, "status": "in_progress", "conclusion": None}
    more: dict[str, Any] = {"event": "schedule"}
    if event == "label":
        runner.github.label(one.number, "orchestrate", actor="octo")
    if event == "command":
        runner.github.state.add_comment(one, "/orchestrate", user="octo")
        payload = runner.commented(one.number, "/orchestrate", user="octo")
        more = {"event": "issue_comment", "payload": payload}
    if event == "number":
        more = {"event": "workflow_dispatch", "issue": str(one.number)}
    before = list(one.labels)

    done = runner.step(**more)

    assert ("neutral", []) == (done.outputs["conclusion"], started(runner)), done.log
    assert before == one.labels and "is being worked on by run 98.1" in done.log


def abandoned(runner: Runner, run: str) -> Issue:
    """An issue that a run claimed before it died."""
    one = issue(runner)
    state = runner.github.state
    state.drop_label(one, "orchestrate", actor="github-actions[bot]")
    state.set_label(one, "orchestrate:running", actor="github-actions[bot]")
    claim = Lease(run=run, request="1", state="running")
    body = with_lease(f"{marker('task', f'issue-{one.number}')}\nworking", claim)
    state.add_comment(one, body, user="github-actions[bot]")
    return one


def test_a_claim_of_a_dead_run_is_taken_over(runner: Runner):
    one = abandoned(runner, "99.1")
    runner.github.state.runs[99] = {"id": 99, "status": "completed", "conclusion": "cancelled"}

    done = runner.step()

    assert ["orchestrate:done"] == one.labels, done.log
    assert 1 == len(runner.github.state.comments_on(one.number))


def test_a_claim_of_an_earlier_attempt_of_this_run_is_taken_over(runner: Runner):
    one = abandoned(runner, f"{RUN_ID}.1")
    runner.env["GITHUB_RUN_ATTEMPT"] = "2"

    assert "success" == runner.step().outputs["conclusion"] and ["orchestrate:done"] == one.labels


@pytest.mark.parametrize("run", ["98.1", "20261122-120000-abcdef"])
def test_a_living_claim_and_a_laptops_are_left_alone(runner: Runner, run: str):
    one = abandoned(runner, run)
    runner.github.state.runs[98] = {"id": 98, "status": "in_progress", "conclusion": None}

    done = runner.step()

    assert ("neutral", ["orchestrate:running"]) == (done.outputs["conclusion"], one.labels), done.log


def pulls_of(runner: Runner) -> list[Issue]:
    return [i for i in runner.github.state.issues.values() if i.pull]


def test_a_verified_second_attempt_takes_the_place_of_the_first_ones_pull_request(runner: Runner):
    one = issue(runner)
    runner.step()
    runner.github.label(one.number, "orchestrate", actor="octo")

    done = runner.step()

    first, second = pulls_of(runner)
    assert ("success", "closed", "open") == (done.status(one.number), first.state, second.state), done.log
    said = [c.body for c in runner.github.state.comments_on(first.number)]
    assert f"#{second.number} takes the place" in said[-1]
    assert first.pull and second.pull
    [told] = runner.github.state.comments_on(one.number)
    assert f"begun anew on {second.pull.head}" in told.body and first.pull.head in told.body


def test_a_pull_request_that_a_person_opened_on_a_branch_of_such_a_name_stays_open(runner: Runner):
    """Only what we opened gives way to a new one."""
    one, name = issue(runner), "orchestrator/issue-1-add-more"
    git(runner.repo.remote, "branch", name, "main")
    by_hand = runner.github.state.add_issue("By hand", "", user="octo")
    by_hand.pull = Pull(head=name, base="main", draft=False)

    done = runner.step()

    assert "success" == done.status(one.number), done.log
    first, second = pulls_of(runner)
    assert (first, "open", "open") == (by_hand, first.state, second.state)
    assert [] == runner.github.state.comments_on(first.number)
    assert second.pull and f"{name}-2" == second.pull.head


def test_what_could_not_be_verified_replaces_nothing(runner: Runner):
    one = issue(runner)
    runner.step()
    edit(runner, one, body=LIES)
    runner.github.state.clock = lambda: time.time() + 60
    runner.github.label(one.number, "orchestrate", actor="octo")

    done = runner.step()

    assert "failed" == done.status(one.number), done.log
    assert ["open"] == [p.state for p in pulls_of(runner)][:1]


def taken(runner: Runner, *, ago_s: float) -> Issue:
    """An issue whose label a run took, and that died before it could say who it was."""
    state = runner.github.state
    state.clock = lambda: time.time() - ago_s
    one = issue(runner)
    state.set_label(one, "orchestrate:running", actor="github-actions[bot]")
    state.drop_label(one, "orchestrate", actor="github-actions[bot]")
    state.clock = time.time
    return one


def test_an_issue_that_was_taken_and_never_claimed_is_found_again(runner: Runner):
    one = taken(runner, ago_s=1000)

    done = runner.step()

    assert (0, ["orchestrate:done"]) == (done.code, one.labels), done.log
    assert 1 == len(runner.github.state.comments_on(one.number))


@pytest.mark.parametrize(
    ("user", "ago_s", "found"), [("octo", 1000, True), ("stranger", 1000, False), ("octo", 60, False)]
)
def test_an_issue_that_a_command_had_taken_and_nobody_claimed_is_found_again(
    runner: Runner, user: str, ago_s: float, found: bool
):
    """A stranger's command is none, and what was taken just now may be claimed yet."""
    state = runner.github.state
    state.clock = lambda: time.time() - ago_s
    one = state.add_issue("Add more", GOOD, user="octo")
    state.add_comment(one, "/orchestrate", user=user)
    state.set_label(one, "orchestrate:running", actor="github-actions[bot]")
    state.clock = time.time

    done = runner.step()
    again = runner.step()

    assert (["orchestrate:done"] if found else ["orchestrate:running"]) == one.labels, done.log
    assert ("success" if found else "neutral", "neutral") == (
        done.outputs["conclusion"],
        again.outputs["conclusion"],
    )
    assert int(found) == len(pulls_of(runner))


def test_an_issue_that_was_taken_just_now_is_left_to_the_run_that_took_it(runner: Runner):
    one = taken(runner, ago_s=60)

    done = runner.step()

    assert ("neutral", ["orchestrate:running"]) == (done.outputs["conclusion"], one.labels), done.log


def test_a_second_wish_that_was_taken_and_never_claimed_is_found_again(runner: Runner):
    """The comment still tells of the first one's end."""
    one = issue(runner)
    runner.step()
    state = runner.github.state
    state.clock = lambda: time.time() + 10
    runner.github.label(one.number, "orchestrate", actor="octo")
    state.set_label(one, "orchestrate:running", actor="github-actions[bot]")
    state.drop_label(one, "orchestrate", actor="github-actions[bot]")
    for event in state.events[-3:]:
        event.created_at = "2026-01-01T00:00:00Z"

    done = runner.step()

    assert (0, "success", ["orchestrate:done"]) == (done.code, done.status(one.number), one.labels), done.log


# who may


@pytest.mark.parametrize(
    ("actor", "may"), [("octo", True), ("maintainer", True), ("stranger", False), ("nobody", False)]
)
def test_only_who_could_push_may_ask(runner: Runner, actor: str, may: bool):
    one = runner.github.state.add_issue("Add more", GOOD, user="octo")
    runner.github.label(one.number, "orchestrate", actor=actor)

    done = runner.step(event="issues", payload=runner.labeled(one.number))

    assert may == bool(started(runner)), done.log
    assert (0, "success" if may else "neutral") == (done.code, done.outputs["conclusion"])
    told = [f"{actor} has no write access" in body for body in refusals(runner, one.number)]
    assert ([] if may else [True]) == told


def test_a_label_of_an_issue_template_is_its_authors(runner: Runner):
    """Labels in a template are applied whoever opens the issue; the payload's sender is not asked."""
    one = runner.github.state.add_issue("Add more", GOOD, user="stranger", labels=("orchestrate",))

    runner.step(event="issues", payload=runner.labeled(one.number))

    assert [] == started(runner) and 1 == len(refusals(runner, one.number))


def test_a_refusal_is_said_once(runner: Runner):
    one = runner.github.state.add_issue("Add more", GOOD, user="stranger", labels=("orchestrate",))
    runner.step()
    runner.step()
    runner.github.label(one.number, "orchestrate", actor="stranger")
    runner.step()

    assert 1 == len(runner.github.state.comments_on(one.number)) and "orchestrate" not in one.labels


@pytest.mark.parametrize(
    ("allowed", "kind", "may"),
    [
        ("helper", "Bot", True),
        ("helper[bot]", "Bot", True),
        ("", "Bot", False),
        ("other", "Bot", False),
        ("helper", "User", False),
    ],
)
def test_bots_only_by_name_and_only_when_they_are_bots(runner: Runner, allowed: str, kind: str, may: bool):
    """A person who took a bot's name is asked for their role."""
    runner.github.state.user("helper[bot]", type_=kind)
    one = runner.github.state.add_issue("Add more", GOOD, user="octo")
    runner.github.label(one.number, "orchestrate", actor="helper[bot]")

    done = runner.step(allowed_bots=allowed)

    assert may == bool(started(runner)), done.log


def test_a_pull_request_is_never_taken_for_an_issue(runner: Runner):
    one = issue(runner)
    payload = runner.labeled(one.number)
    payload["issue"]["pull_request"] = {"url": "x"}

    done = runner.step(event="issues", payload=payload)

    assert (0, "neutral") == (done.code, done.outputs["conclusion"]) and [] == started(runner)


# comments as commands


@pytest.mark.parametrize(
    ("body", "user", "may"),
    [
        ("/orchestrate", "octo", True), ("/orchestrate please", "maintainer", True),
        ("/orchestrate", "stranger", False), ("I would not /orchestrate this", "octo", False),
        ("> /orchestrate", "octo", False), ("/orchestrated", "octo", False),
        ("/orchestrate retry", "octo", True), ("/orchestrate cancel", "octo", False),
        ("/orchestrate Explain: why?", "octo", False), ("/orchestrate accept suite: fine", "octo", False),
    ],
)  # fmt: skip
def test_a_comment_is_a_command_of_people_with_write_access(runner: Runner, body: str, user: str, may: bool):
    one = runner.github.state.add_issue("Add more", GOOD, user="octo")
    runner.github.state.add_comment(one, body, user=user)

    done = runner.step(event="issue_comment", payload=runner.commented(one.number, body, user=user))

    assert (0, may) == (done.code, bool(started(runner))), done.log


def test_a_rerun_of_a_command_does_nothing_twice(runner: Runner):
    one = runner.github.state.add_issue("Add more", GOOD, user="octo")
    runner.github.state.add_comment(one, "/orchestrate", user="octo")
    payload = runner.commented(one.number, "/orchestrate", user="octo")

    first = runner.step(event="issue_comment", payload=payload)
    second = runner.step(event="issue_comment", payload=payload)

    assert ("success", "neutral") == (first.outputs["conclusion"], second.outputs["conclusion"]), second.log
    assert 1 == len(started(runner))


@pytest.mark.parametrize(("actor", "runs"), [("octo", True), ("stranger", False)])
def test_on_a_laptop_labels_count_by_the_same_rules(runner: Runner, actor: str, runs: bool):
    one = runner.github.state.add_issue("Add more", GOOD, user="octo")
    runner.github.label(one.number, "orchestrate", actor=actor)
    env, _ = runner.environment("run", "", None, {})
    mine = {k: v for k, v in env.items() if k in {"PATH", "HOME", "GITHUB_API_URL", "GITHUB_SERVER_URL"}}

    done = subprocess.run(
        [sys.executable, "-I", "-m", "orchestrator_action.cli.main", "run", "--agent", "patch", "--forge", "github"],
        cwd=runner.repo.path, env={**mine, "GITHUB_TOKEN": PAT}, capture_output=True, text=True, timeout=100,
        check=False,
    )  # fmt: skip

    assert (0 if runs else 3, runs) == (done.returncode, bool(started(runner))), done.stderr


def test_a_number_given_by_hand_asks_for_the_hands_role(runner: Runner):
    one = runner.github.state.add_issue("Add more", GOOD, user="octo")
    runner.env["GITHUB_ACTOR"] = "stranger"
    assert "neutral" == runner.step(event="workflow_dispatch", issue=str(one.number)).outputs["conclusion"]
    assert [] == started(runner)

    runner.env["GITHUB_ACTOR"] = "maintainer"
    assert "success" == runner.step(event="workflow_dispatch", issue=str(one.number)).outputs["conclusion"]


# what may reach an agent


@pytest.mark.parametrize(
    "fields", [{"title": "Add evil"}, {"body": new_file("evil.py")}], ids=["title", "body"]
)
@pytest.mark.parametrize("event", ["issues", "schedule"])
def test_what_was_edited_after_the_label_is_refused(runner: Runner, event: str, fields: dict[str, str]):
    one = issue(runner, by="stranger")
    payload = runner.labeled(one.number) if event == "issues" else None
    edit(runner, one, **fields)

    done = runner.step(event=event, payload=payload)

    assert ("neutral", []) == (done.outputs["conclusion"], started(runner)), done.log
    [said] = refusals(runner, one.number)
    assert "was edited after octo asked" in said


def test_whoever_set_the_label_is_asked_where_the_policy_says_so(runner: Runner):
    """The label stays, nothing is said twice, and the command that answers starts what was read."""
    one = issue(runner, by="stranger")
    edit(runner, one, body=new_file("read.py"))
    for _ in range(2):
        done = runner.step(edited_after_label="ask")
        assert ("neutral", []) == (done.outputs["conclusion"], started(runner)), done.log

    [said] = refusals(runner, one.number)
    assert "was edited after octo asked" in said and "@octo, shall it" in said and "`/orchestrate`" in said
    assert "orchestrate" in one.labels

    now = runner.github.state.clock()
    runner.github.state.clock = lambda: now + 5
    done = runner.step(
        event="issue_comment",
        payload=runner.commented(one.number, "/orchestrate", user="octo"),
        edited_after_label="ask",
    )
    assert "success" == done.outputs["conclusion"], done.log


def test_an_edit_is_found_where_only_the_time_tells(runner: Runner):
    """Without GraphQL, a change that no event explains is an edit; a comment after it hides nothing then."""
    runner.github.graphql = False
    one = issue(runner, by="stranger")
    edit(runner, one, body=new_file("evil.py"))

    runner.step()

    assert [] == started(runner)


@pytest.mark.usefixtures("graphql")
def test_an_edit_that_a_comment_covers_is_found(runner: Runner):
    one = issue(runner, by="stranger")
    edit(runner, one, body=new_file("evil.py"))
    runner.github.state.add_comment(one, "please hurry", user="stranger")

    done = runner.step()

    assert [] == started(runner), done.log


def test_edits_are_allowed_where_the_policy_says_so(runner: Runner):
    one = issue(runner)
    edit(runner, one, body=new_file("later.py"))

    done = runner.step(edited_after_label="allow")

    assert "success" == done.outputs["conclusion"], done.log


def test_what_happened_before_the_label_and_other_labels_after_it_are_no_edits(runner: Runner):
    state = runner.github.state
    one = state.add_issue("Draft", "first", user="octo")
    edit(runner, one, title="Add more", body=GOOD)
    now = state.clock()
    state.clock = lambda: now + 5
    runner.github.label(one.number, "orchestrate", actor="octo")
    state.clock = lambda: now + 10
    runner.github.label(one.number, "bug", actor="stranger")
    state.add_comment(one, "nice", user="stranger")

    done = runner.step()

    assert "success" == done.outputs["conclusion"], done.log


def test_comments_count_only_of_people_with_write_access_and_from_before_the_label(runner: Runner):
    state = runner.github.state
    one = state.add_issue("Add more", "See the comments.", user="octo")
    state.add_comment(one, new_file("good.py"), user="maintainer")
    state.add_comment(one, new_file("stranger.py"), user="stranger")
    now = state.clock()
    state.clock = lambda: now + 5
    runner.github.label(one.number, "orchestrate", actor="octo")
    state.clock = lambda: now + 10
    state.add_comment(one, new_file("late.py"), user="maintainer")

    done = runner.step()

    [branch] = started(runner)
    files = git(runner.repo.remote, "ls-tree", "--name-only", branch).split()
    assert "good.py" in files and not {"stranger.py", "late.py"} & set(files), done.log


def test_an_issue_that_was_deleted_meanwhile_is_passed_over(runner: Runner):
    runner.github.graphql = False  # no list tells of its events: it is asked by itself
    runner.github.fail("403", "GET", "/issues/events")
    one, gone = issue(runner), issue(runner)
    fault = runner.github.fail("410", "GET", f"/issues/{gone.number}/events")

    done = runner.step()

    assert ("success", ["orchestrate:done"]) == (done.outputs["conclusion"], one.labels), done.log
    assert 1 == fault.struck


def test_a_dry_run_writes_nothing(runner: Runner):
    issue(runner)
    runner.github.state.add_issue("No", GOOD, user="stranger", labels=("orchestrate",))

    done = runner.step(dry_run="true")

    assert (0, "neutral") == (done.code, done.outputs["conclusion"]), done.log
    assert "would run issue-1" in done.log
    asked = [r for r in runner.github.requests if r.method != "GET" and r.path != "/graphql"]
    assert {422} == {r.status for r in asked}, (
        "all that is not read is a question about a permission, and is refused"
    )
