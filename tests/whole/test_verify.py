"""Judged again, on any machine: by the audit trail at the remote and by what is measured at the head now."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from orchestrator_action.protocol.events import claim_data, decode_event, encode_event, seal
from orchestrator_action.protocol.model import Claim
from tests.kit.repos import Repo, clean_env, git, make_repo
from tests.kit.tables import few
from tests.kit.whole import GOOD, LIBRARY, LIES, THERE, House, copy, house, new_file


@pytest.fixture(scope="module")
def good_run(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A house after a good run of one issue. It is copied, and never changed."""
    root = tmp_path_factory.mktemp("good")
    home = house(root, make_repo(root / "r", LIBRARY))
    home.issue(1, "Add more", GOOD)
    assert 0 == home.run().code
    return home


@pytest.fixture
def elsewhere(good_run: House, tmp_path: Path) -> House:
    """A fresh clone, on a machine that never ran anything, after a good run; remote and forge are its own."""
    remote, forge = tmp_path / "remote.git", tmp_path / "forge"
    shutil.copytree(good_run.repo.remote, remote, symlinks=True)
    shutil.copytree(good_run.forge, forge)
    git(tmp_path, "clone", "-q", str(remote), "clone")
    return House(Repo(tmp_path / "clone", remote), forge)


def verify(at: House, *args: str):
    return at.cli("verify", "--forge", f"local:{at.forge}", "--agent", "patch", "--json", *args)


BRANCH = "orchestrator/issue-1-add-more"


def test_a_good_branch_is_good_on_any_machine(elsewhere: House):
    ran = verify(elsewhere, "--branch", BRANCH)

    assert (0, "success") == (ran.code, json.loads(ran.out)["task"]["status"]), ran.err
    elsewhere.assert_tidy()


@pytest.mark.slow
def test_a_token_that_only_reads_keeps_no_trail_and_the_check_stands(elsewhere: House):
    """The remote refuses the trail; what was measured is posted all the same, and that is said."""
    hook = elsewhere.repo.remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho refused; exit 1\n")
    hook.chmod(0o755)

    ran = verify(elsewhere, "--branch", BRANCH)

    assert (0, "success") == (ran.code, json.loads(ran.out)["task"]["status"]), ran.err
    assert "is not added to the trail of issue-1" in ran.err


@pytest.mark.slow
def test_a_pull_is_found_by_its_number(elsewhere: House):
    ran = verify(elsewhere, "--pr", "2")

    assert (0, BRANCH) == (ran.code, json.loads(ran.out)["task"]["branch"]), ran.err


@pytest.mark.parametrize(("text", "state"), [("x = 2\n", "proven"), ("import nothing_there\n", "refuted")])
def test_a_persons_later_push_is_measured_anew_and_the_check_posted_there(elsewhere: House, text, state):
    """What a run proved does not outlive the push; what verify measures at the new head decides.

    The change is not what the task asked for, so the review of the new head leaves it open in any case.
    """
    elsewhere.repo.git("checkout", "-q", "-b", "mine", f"origin/{BRANCH}")
    head = elsewhere.repo.commit({"more.py": text, "tests/test_more.py": "import more\nimport unittest\n"})
    elsewhere.repo.git("push", "-q", "origin", f"HEAD:{BRANCH}")

    ran = verify(elsewhere, "--branch", BRANCH)

    task = json.loads(ran.out)["task"]
    assert (1, head) == (ran.code, task["head_sha"]), ran.err
    assert state == {p["phase"]: p["state"] for p in task["phases"]}["testing"]
    check = json.loads((elsewhere.forge / "checks" / head / "orchestrator.json").read_text())
    assert "failure" == check["conclusion"]


@pytest.mark.slow
def test_a_commit_that_is_not_the_task_is_found_by_the_review(elsewhere: House):
    """The reviewer compares with the task's own diff, and nobody has answered its finding."""
    elsewhere.repo.git("checkout", "-q", "-b", "mine", f"origin/{BRANCH}")
    elsewhere.repo.commit({"more.py": "x = 7\n"})
    elsewhere.repo.git("push", "-q", "origin", f"HEAD:{BRANCH}")

    states = {
        p["phase"]: p["state"]
        for p in json.loads(verify(elsewhere, "--branch", BRANCH).out)["task"]["phases"]
    }

    assert ("proven", "refuted") == (states["review"], states["review-response"])


@pytest.mark.slow
def test_a_pull_that_links_another_issue_is_refuted(elsewhere: House):
    [pull] = (elsewhere.forge / "pulls" / "2").glob("*.md")
    pull.write_text(pull.read_text().replace("Closes #1\n", "Closes #11\n"))

    ran = verify(elsewhere, "--branch", BRANCH)

    [found] = [p for p in json.loads(ran.out)["task"]["phases"] if p["phase"] == "pull-request"]
    assert (1, "refuted") == (ran.code, found["state"]), ran.err
    assert "does not link issue #1" in found["findings"][0]["message"]


def test_a_branch_that_changes_nothing_is_named(elsewhere: House):
    ran = verify(elsewhere, "--branch", "main")

    assert (2, True) == (ran.code, "holds nothing that main has not" in ran.err)


def test_the_trail_is_read_on_a_machine_that_never_ran_it(elsewhere: House):
    ran = elsewhere.cli("report", "--task", "issue-1")

    body = json.loads(ran.out)
    assert (0, [], "success") == (ran.code, body["problems"], body["status"])
    assert {"proven"} == set(body["phases"].values())
    kinds = [e["kind"] for e in body["events"]]
    assert "task-started" in kinds and "task-ended" == kinds[-1] and 11 == kinds.count("claim")


def tamper(at: House, change) -> None:
    """Rewrite the trail at the remote: `change` gets and returns the lines of its one file."""
    repo = at.repo
    ref = "refs/orchestrator/tasks/issue-1"
    repo.git("fetch", "-q", "origin", f"{ref}:refs/x/trail")
    [name] = repo.git("ls-tree", "--name-only", "refs/x/trail").splitlines()
    lines = repo.git("show", f"refs/x/trail:{name}").splitlines()
    (repo.path / name).write_text("".join(f"{line}\n" for line in change(lines)))
    blob = repo.git("hash-object", "-w", name)
    (repo.path / name).unlink()
    import subprocess

    row = f"100644 blob {blob}\t{name}\n"
    done = subprocess.run(
        ["git", "mktree"], input=row, cwd=repo.path, env=clean_env(), capture_output=True, text=True
    )
    commit = repo.git("commit-tree", done.stdout.strip(), "-p", "refs/x/trail", "-m", "nothing to see")
    repo.git("push", "-q", "origin", f"{commit}:{ref}")


def forge_a_fact(lines: list[str]) -> list[str]:
    at = next(i for i, line in enumerate(lines) if '"suite"' in line)
    return [*lines[:at], lines[at].replace('"holds":true', '"holds":false'), *lines[at + 1 :]]


@pytest.mark.parametrize(
    ("change", "words"),
    few(
        [
            (forge_a_fact, "was changed"),
            (lambda lines: lines[:5] + lines[6:], "missing or out of order"),
            (lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]], "missing or out of order"),
            (lambda lines: lines[:-3], "takes back"),
            (lambda lines: [*lines, "{}"], "not an event"),
        ],
        2,
    ),
    ids=["changed", "missing", "reordered", "cut short", "garbage"],
)
def test_each_kind_of_tampering_is_detected_and_named(elsewhere: House, change, words):
    tamper(elsewhere, change)

    report, verdict = elsewhere.cli("report", "--task", "issue-1"), verify(elsewhere, "--branch", BRANCH)

    assert 1 == report.code and any(words in p for p in json.loads(report.out)["problems"])
    assert 1 == verdict.code and words in json.loads(verdict.out)["task"]["error"]


def forged(lines: list[str], **data: object) -> list[str]:
    """One more event, well-made to the last hash, that says what no event of ours says."""
    last = decode_event(lines[-1])
    made = seal(
        seq=last.seq + 1, at=1.0, run=last.run, task=last.task, kind="claim", data=data, prev=last.hash
    )
    return [*lines, encode_event(made)]


@pytest.mark.parametrize(
    ("change", "words"),
    few(
        [
            (lambda lines: forged(lines, phase="testing"), "an event that is not ours"),
            (
                lambda lines: forged(lines, **claim_data(Claim(phase="x", head_sha="")), admin=True),
                "not ours",
            ),
            (lambda lines: [*lines, "[" * 100_000], "not JSON"),
            (lambda lines: [*lines, '"\\ud800"', "\x00\x01"], "not an event"),
        ],
        2,
    ),
    ids=["half", "more", "deep", "binary"],
)
def test_a_trail_that_no_version_of_ours_wrote_is_named_and_never_a_crash(elsewhere: House, change, words):
    tamper(elsewhere, change)

    report, verdict = elsewhere.cli("report", "--task", "issue-1"), verify(elsewhere, "--branch", BRANCH)

    assert 1 == report.code and any(words in p for p in json.loads(report.out)["problems"]), report.err
    assert (1, "failure") == (verdict.code, json.loads(verdict.out)["task"]["conclusion"])


@pytest.mark.slow
def test_the_trail_of_another_task_in_this_ones_place_is_named(home: House, tmp_path: Path):
    """Every hash of it is good, and it is still not this task's."""
    home.issue(1, "Add more", GOOD)
    home.issue(2, "Only code", "x\n\n" + new_file("two.py"))
    assert 0 == home.run().code
    mine, other = (git(home.repo.remote, "rev-parse", f"refs/orchestrator/tasks/issue-{n}") for n in (1, 2))
    git(home.repo.remote, "update-ref", "refs/orchestrator/tasks/issue-1", other)
    other_house = house(tmp_path, Repo(copy(home.repo, tmp_path / "clone"), home.repo.remote))
    other_house.forge = home.forge

    there, here = other_house.cli("report", "--task", "issue-1"), home.cli("report", "--task", "issue-1")

    assert (1, 1) == (there.code, here.code)
    assert any("belongs to issue-2, not to issue-1" in p for p in json.loads(there.out)["problems"])
    assert any(f"does not go on from {mine[:12]}" in p for p in json.loads(here.out)["problems"])
    assert 2 == verify(other_house, "--branch", BRANCH).code


@pytest.mark.slow
def test_a_trail_that_was_taken_back_is_named_where_it_was_known_and_shows_no_end_elsewhere(
    home: House, tmp_path: Path
):
    """A shorter trail is whole in itself; it just does not tell how the task ended."""
    home.issue(1, "Add more", GOOD)
    assert 0 == home.run().code
    elsewhere = House(Repo(copy(home.repo, tmp_path / "clone"), home.repo.remote), home.forge)
    ref = "refs/orchestrator/tasks/issue-1"
    git(home.repo.remote, "update-ref", ref, git(home.repo.remote, "rev-parse", f"{ref}~1"))

    here, there = home.cli("report", "--task", "issue-1"), elsewhere.cli("report", "--task", "issue-1")

    assert 1 == here.code and "taken back or replaced" in here.err
    assert ("", True) == (
        json.loads(there.out)["status"],
        "note: the trail does not say how the task ended" in there.err,
    )


@pytest.mark.parametrize(
    ("args", "code", "words"),
    few(
        [
            (["--branch", "nosuch"], 5, "refs/heads/nosuch is not at the remote"),
            (["--branch", "orchestrator/nosuch"], 2, "no audit trail at the remote speaks of branch"),
            (["--pr", "99"], 4, "99"),
            (["--branch", BRANCH, "--pr", "2"], 2, "name two things to judge"),
        ],
        2,
    ),
)
def test_what_cannot_be_judged_is_one_error_and_one_hint(elsewhere: House, args, code, words):
    ran = verify(elsewhere, *args)

    assert (code, "", True) == (ran.code, ran.out, words in ran.err), ran.err
    assert ["error", "hint"] == [line.split(":")[0] for line in ran.err.splitlines() if line]


def test_an_unknown_task_has_no_trail(elsewhere: House):
    ran = elsewhere.cli("report", "--task", "issue-99")

    assert (2, True) == (ran.code, "no audit trail" in ran.err)


@pytest.mark.slow
def test_every_task_leaves_a_trail_also_one_that_failed(home: House):
    for number, text in enumerate((LIES, THERE), 1):
        home.issue(number, f"Task {number}", text)
    home.run()

    refs = git(home.repo.remote, "for-each-ref", "--format=%(refname)", "refs/orchestrator/tasks/")

    assert ["refs/orchestrator/tasks/issue-1", "refs/orchestrator/tasks/issue-2"] == refs.splitlines()


@pytest.mark.slow
def test_the_trail_of_a_second_run_follows_the_first(home: House):
    for _ in range(2):
        home.issue(1, "Add more", GOOD)
        assert 0 == home.run().code

    body = json.loads(home.cli("report", "--task", "issue-1").out)

    assert 2 == len({e["run"] for e in body["events"]})
    assert [] == body["problems"]


@pytest.mark.slow
def test_a_verification_is_no_run(home: House):
    """What people look at afterwards is still the run."""
    home.issue(1, "Add more", GOOD)
    report = home.run().report

    assert 0 == verify(home, "--branch", BRANCH).code
    assert 2 == verify(home, "--branch", "main").code

    assert report == json.loads(home.cli("report", "last").out)
    assert "every phase was claimed" in home.cli("logs", "issue-1").out
    status = json.loads(home.cli("status", "--json").out)
    assert [(report["run_id"], "ended")] == [(r["run_id"], r["state"]) for r in status["runs"]]
