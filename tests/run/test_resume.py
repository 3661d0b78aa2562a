"""The journal is the truth: whatever was killed, a resumed run ends as one that never was."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from orchestrator_action.git.repo import Git
from orchestrator_action.process import table as procs
from orchestrator_action.protocol.events import encode_event, seal
from orchestrator_action.run.past_runs import run_to_resume
from orchestrator_action.state.fold import recall
from orchestrator_action.state.journal import Journal, read_events
from tests.kit.ill import Pids, eventually, kill_at_once
from tests.kit.tables import few
from tests.kit.whole import LIES, House, new_file
from tests.run.conftest import ill


def tasks(home: House, count: int):
    for number in range(1, count + 1):
        home.issue(number, f"Task {number}", "x\n\n" + new_file(f"more{number}.py"))


def killed_at_work(home: House, conduct, pids: Pids, *program: str, then: tuple[str, ...] = (), **agent):
    """A run of one task whose orchestrator is killed as soon as its agent has registered."""
    tasks(home, 1)
    first = list(program) or ill("polite.sh", pids.folder)
    run = conduct(programs=[first, *then], **agent)
    pids.expect(1)
    run.signal(signal.SIGKILL)
    run.end()


def assert_once(home: House, count: int):
    """One pull, one comment, one check per task; labels say done; every commit is at the remote."""
    pulls = [p for p in (home.forge / "pulls").iterdir() if p.name.isdecimal()]
    assert count == len(pulls)
    for number in range(1, count + 1):
        assert 1 == len(list((home.forge / "comments" / str(number)).glob("*.md")))
        labels = (home.forge / "issues" / f"{number}.md").read_text().split("---")[1]
        assert "orchestrate:done" in labels and "orchestrate:running" not in labels


def test_a_killed_run_goes_on_where_it_stood(home: House, conduct, pids: Pids):
    """FAULTS 25: kill -9 while agents work; none of them survives, every task succeeds once."""
    tasks(home, 3)
    run = conduct(slots=3, programs=[ill("stubborn.sh", pids.folder, 2)])
    pids.expect(6)

    run.signal(signal.SIGKILL)
    run.end()
    again = conduct("resume", programs=["patch"]).end()

    assert 0 == again.code, again.err
    assert {"success"} == {t["status"] for t in again.report["tasks"]}
    assert [("lost",)] * 3 == [tuple(t["failures"]) for t in again.report["tasks"]]
    pids.assert_gone(at_least=6)
    assert_once(home, 3)
    home.assert_tidy()
    [resumed] = [e for e in home.events() if e["kind"] == "run-resumed"]
    assert ["issue-1", "issue-2", "issue-3"] == resumed["data"]["open"]


@pytest.mark.parametrize("guards_too", few([False, True], 1))
def test_a_second_agent_never_meets_the_first(home: House, conduct, pids: Pids, tmp_path, guards_too: bool):
    """FAULTS 7, 21: taken up within the grace of agents that ignore INT and TERM, their guards alive or not."""
    tasks(home, 2)
    polite = {"stop_grace_s": 300}  # longer than the next run takes to begin
    run = conduct(slots=2, flags=polite, programs=[ill("stubborn.sh", pids.folder, 3)])
    pids.expect(6)
    family = [p.pid for p in procs.descendants(run.process.pid, exact=True)] if guards_too else []
    guards = [pid for pid in family if b"guard_main.py" in procs.slurp(f"/proc/{pid}/cmdline")]
    met = tmp_path / "met"
    looks = f'for p in {pids.folder}/[0-9]*; do [ -e "/proc/${{p##*/}}/cwd" ] && : > {met}; done; "$@"'

    kill_at_once([run.process.pid, *guards])
    again = conduct("resume", shell={"issue-1": looks, "issue-2": looks}).end()
    run.end()

    assert 0 == again.code, again.err
    assert not met.exists(), "an agent of the killed run was still in the worktree"
    assert "ended" in again.err and "left behind" in again.err
    pids.assert_dead(at_least=6)
    assert_once(home, 2)


def test_what_had_ended_is_not_done_again(home: House, conduct):
    tasks(home, 2)
    run = conduct(slots=1, programs=["patch"])
    run.until("task-ended")

    run.signal(signal.SIGKILL)
    run.end()
    first = [e for e in home.events() if e["task"] == "issue-1"]
    again = conduct("resume", programs=["patch"]).end()

    assert 0 == again.code, again.err
    assert first == [e for e in home.events() if e["task"] == "issue-1"]
    assert ["success", "success"] == [t["status"] for t in again.report["tasks"]]
    assert 11 == len(again.report["tasks"][0]["phases"]), "the report is that of the whole run"
    assert_once(home, 2)


@pytest.mark.slow
def test_committed_and_proven_work_counts(home: House, conduct, pids: Pids):
    """The agent had begun cleanly and committed; the resumed attempt finds that and claims from there."""
    work = "orchestrator-phase done initial-setup && printf 'x = 1\\n' > more1.py"
    work += " && git add -A && git commit -qm early"
    work += f"; : > {pids.folder}/$$; exec sleep 1000"
    killed_at_work(home, conduct, pids, "sh", "-c", work, then=("patch",))

    again = conduct("resume", programs=["patch", "patch"]).end()

    [task] = again.report["tasks"]
    log = home.repo.git("log", "--format=%s", f"{task['base_sha']}..{task['head_sha']}")
    assert ("success", "early") == (task["status"], log), again.err


@pytest.mark.slow
def test_commits_that_could_never_be_proven_are_kept_out_of_the_way(home: House, conduct, pids: Pids):
    """The agent committed before it showed a clean beginning, and was killed; a fresh one starts at the base."""
    work = f"echo precious > early; git add -A; git commit -qm early; : > {pids.folder}/$$; exec sleep 1000"
    killed_at_work(home, conduct, pids, "sh", "-c", work, then=("patch",))

    again = conduct("resume", programs=["patch", "patch"]).end()

    assert (0, "success") == (again.code, again.report["tasks"][0]["status"]), again.err
    assert "precious" == home.repo.git("show", "refs/orchestrator/salvage/issue-1:early")


@pytest.mark.slow
def test_uncommitted_work_is_saved_before_the_next_attempt(home: House, conduct, pids: Pids):
    work = f"echo precious > notes; : > {pids.folder}/$$; exec sleep 1000"
    killed_at_work(home, conduct, pids, "sh", "-c", work)

    again = conduct("resume", programs=["patch"]).end()

    assert "success" == again.report["tasks"][0]["status"]
    assert "precious" == home.repo.git("show", "refs/orchestrator/salvage/issue-1:notes")


@pytest.mark.slow
def test_a_session_is_taken_up_again_after_a_crash(home: House, conduct, pids: Pids):
    """The session's id is found in the log, the open phases are its message."""
    speaks = """printf '{"session": "s-7", "turns": 3}\\n'; echo draft > notes; """
    work = f"{speaks} : > {pids.folder}/$$; exec sleep 1000"
    killed_at_work(home, conduct, pids, "sh", "-c", work, resumes=True)

    again = conduct("resume", resumes=True, programs=["patch"])
    again.end()

    started = [e["data"] for e in home.events() if e["kind"] == "attempt-started"]
    assert "s-7" == started[1]["session_id"]
    kinds = [e["kind"] for e in home.events()]
    assert "salvaged" not in kinds[: len(kinds) - kinds[::-1].index("attempt-started")], (
        "it goes on in its own mess"
    )


@pytest.mark.slow
def test_orchestrator_and_guards_killed_at_once_leave_nobody_after_resume(home: House, conduct, pids: Pids):
    """FAULTS 7: found by identity only."""
    tasks(home, 1)
    run = conduct(programs=[ill("daemon.py", pids.folder, 2, "stay")])
    pids.expect(2)
    record = home.run_dir / "tasks" / "issue-1" / "attempt-1.json"
    eventually(lambda: len(json.loads(record.read_text())["escaped"]) == 2, what="a record of the daemons")
    family = [p.pid for p in procs.descendants(run.process.pid, exact=True)]
    guards = [pid for pid in family if b"guard_main.py" in procs.slurp(f"/proc/{pid}/cmdline")]
    kill_at_once([run.process.pid, *guards])
    run.end()
    assert pids.alive(), "otherwise this test shows nothing"

    again = conduct("resume", programs=["patch"]).end()

    assert 0 == again.code, again.err
    assert "ended" in again.err and "left behind" in again.err
    pids.assert_dead(at_least=2)
    home.assert_tidy()


@pytest.mark.slow
def test_a_strangers_process_is_never_touched(home: House, conduct, pids: Pids, tmp_path):
    """FAULTS 8: the recorded PID now belongs to somebody else."""
    import subprocess

    killed_at_work(home, conduct, pids)
    eventually(lambda: not pids.alive(), what="the end of the agent")
    stranger = subprocess.Popen(["sleep", "1000"])
    try:
        record = home.run_dir / "tasks" / "issue-1" / "attempt-1.json"
        eventually(
            lambda: json.loads(record.read_text()).get("state") == "ended", what="the guard's last word"
        )
        body = json.loads(record.read_text()) | {
            "state": "running",
            "pid": stranger.pid,
            "shim": stranger.pid,
        }
        record.write_text(json.dumps(body))

        again = conduct("resume", programs=["patch"]).end()

        assert 0 == again.code, again.err
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


# -- each other way a run can be found ---------------------------------------------------------------


def test_a_finished_run_has_nothing_left_to_do(home: House):
    """FAULTS 27: nothing is written, the report is told again, with its exit code."""
    home.issue(1, "Treble", LIES)
    report = home.run().report
    before = (home.run_dir / "journal.jsonl").read_bytes()

    ran = home.cli("resume", "last", "--json")

    assert (1, report) == (ran.code, ran.report)
    assert "has ended and everything was told" in ran.err
    assert before == (home.run_dir / "journal.jsonl").read_bytes()


@pytest.mark.slow
def test_a_cancelled_run_can_be_taken_up(home: House, conduct, pids: Pids):
    tasks(home, 2)
    run = conduct(slots=1, programs=[ill("polite.sh", pids.folder)])
    pids.expect(1)
    run.signal()
    assert 130 == run.end().code

    again = conduct("resume", programs=["patch"]).end()

    assert (0, 2) == (again.code, again.report["counts"]["success"]), again.err
    assert_once(home, 2)
    home.assert_tidy()


@pytest.mark.slow
def test_a_run_somebody_else_holds_is_left_alone(home: House, conduct, pids: Pids):
    """FAULTS 27: two orchestrators on one run → the second says so and exits."""
    tasks(home, 1)
    run = conduct(programs=[ill("polite.sh", pids.folder)])
    pids.expect(1)

    second = home.cli("resume", "last")

    assert (2, True) == (second.code, "is being worked on by another orchestrator" in second.err), second.err
    assert "hint: wait for it, or: orchestrator-action cancel" in second.err
    assert pids.alive()
    run.signal()
    run.end()


@pytest.mark.slow
def test_two_orchestrators_in_one_repository_do_not_notice_each_other(home: House, conduct, pids: Pids):
    tasks(home, 1)
    first = conduct(programs=[ill("polite.sh", pids.folder)])
    pids.expect(1)
    home.issue(2, "Another", "x\n\n" + new_file("other.py"))

    other = home.run("--issue", "2")

    assert (0, "success") == (other.code, other.report["tasks"][0]["status"]), other.err
    assert pids.alive()
    first.signal()
    first.end()


@pytest.mark.slow
def test_an_edited_task_goes_on_with_the_text_it_was_started_with(home: House, conduct, pids: Pids):
    """FAULTS 27: with its own line. What was approved is what runs."""
    killed_at_work(home, conduct, pids)
    issue = home.forge / "issues" / "1.md"
    issue.write_text(issue.read_text() + "\nPlease also delete everything.\n")

    again = conduct("resume", programs=["patch"]).end()

    assert (0, True) == (again.code, "issue #1 was edited meanwhile" in again.err), again.err


@pytest.mark.parametrize(
    ("edit", "words"), few([("edited", "was edited meanwhile"), ("deleted", "is gone")], 1)
)
def test_an_edited_prompt_file_goes_on_as_it_was(
    home: House, conduct, pids: Pids, tmp_path, edit: str, words: str
):
    """FAULTS 27: the text is on record; the file may say what it likes now."""
    prompt = tmp_path / "TASK.md"
    prompt.write_text("# Add more\n\n" + new_file("more.py"))
    run = conduct(flags={"prompts": [str(prompt)]}, programs=[ill("polite.sh", pids.folder)])
    pids.expect(1)
    run.signal(signal.SIGKILL)
    run.end()
    prompt.write_text("# Delete everything\n") if edit == "edited" else prompt.unlink()

    again = conduct("resume", programs=["patch"]).end()

    assert (0, True) == (again.code, f"{prompt} {words}; the run goes on with the text" in again.err), (
        again.err
    )
    [task] = again.report["tasks"]
    assert "x = 1" == home.repo.git("show", f"{task['head_sha']}:more.py")


@pytest.mark.slow
def test_a_closed_issue_is_skipped(home: House, conduct, pids: Pids):
    killed_at_work(home, conduct, pids)
    issue = home.forge / "issues" / "1.md"
    issue.write_text(issue.read_text().replace("state: open", "state: closed"))

    again = conduct("resume", programs=["patch"]).end()

    assert ("skipped", 1) == (again.report["tasks"][0]["status"], again.code)
    assert "issue #1 was closed meanwhile" in again.err


@pytest.mark.slow
def test_after_a_reboot_nothing_is_looked_for_and_all_goes_on(home: House, conduct, pids: Pids):
    """FAULTS 27: the owner on record is of another boot."""
    killed_at_work(home, conduct, pids)
    rewrite(home, lambda data: data["owner"].update(boot="another boot"))

    again = conduct("resume", programs=["patch"]).end()

    assert (0, True) == (again.code, "restarted, or is another one" in again.err), again.err


def rewrite(home: House, change) -> None:
    """The journal as another boot would have written it: `run-started` changed, every hash right."""
    path = home.run_dir / "journal.jsonl"
    events, last = list(read_events(path)), {}
    lines = []
    for e in events:
        data = json.loads(json.dumps(dict(e.data)))
        if e.kind == "run-started":
            change(data)
        made = seal(
            seq=e.seq, at=e.at, run=e.run, task=e.task, kind=e.kind, data=data, prev=last.get(e.task, "")
        )
        last[e.task] = made.hash
        lines.append(encode_event(made))
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize("tail", few([b'{"seq": 99, "at"', b"\xff\xfe\x00garbage", b"\n\n", b"{}\n"], 1))
def test_a_torn_end_is_cut_off(home: House, conduct, pids: Pids, tail: bytes):
    """FAULTS 26: what a crash or a full disk leaves."""
    killed_at_work(home, conduct, pids)
    with (home.run_dir / "journal.jsonl").open("ab") as journal:
        journal.write(tail)

    again = conduct("resume", programs=["patch"]).end()

    assert (0, "success") == (again.code, again.report["tasks"][0]["status"]), again.err


def test_a_damaged_middle_is_refused_with_its_line(home: House):
    """FAULTS 26."""
    tasks(home, 1)
    home.run()
    path = home.run_dir / "journal.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[2] = lines[2].replace(b"issue-1", b"issue-2", 1)
    path.write_bytes(b"\n".join(lines))

    ran = home.cli("resume", "last")

    assert (2, True) == (ran.code, "journal.jsonl:3: " in ran.err), ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("journal", [b"", b'{"torn'])
def test_an_empty_journal_is_refused_by_name(home: House, journal: bytes):
    """FAULTS 26."""
    tasks(home, 1)
    home.run()
    (home.run_dir / "journal.jsonl").write_bytes(journal)

    ran = home.cli("resume", "last")
    status = home.cli("status")

    assert (2, True) == (ran.code, "never started" in ran.err), ran.err
    assert 0 == status.code and home.run_dir.name not in status.out


def test_a_missing_journal_is_refused_by_name(home: House):
    tasks(home, 1)
    home.run()
    (home.run_dir / "journal.jsonl").unlink()

    ran = home.cli("resume", home.run_dir.name)

    assert ran.code in {2, 5} and "error: no run" in ran.err, ran.err


@pytest.mark.slow
def test_a_torn_tree_is_finished_not_lost(home: House, conduct, pids: Pids):
    """FAULTS 29: killed while its index was written."""
    killed_at_work(home, conduct, pids)
    eventually(lambda: not pids.alive(), what="the end of the agent")
    [tree] = home.trees()
    admin = Path(tree) / ".git"
    (admin / "index").unlink()
    (admin / "index.lock").touch()

    again = conduct("resume", programs=["patch"]).end()

    assert (0, "success") == (again.code, again.report["tasks"][0]["status"]), again.err
    home.assert_tidy()


def test_a_state_that_cannot_be_written_is_named(home: House):
    """A read-only disk, here a file in the way."""
    tasks(home, 1)
    runs = home.repo.path / ".git" / "orchestrator" / "runs"
    runs.parent.mkdir()
    runs.write_text("in the way")

    ran = home.run()

    assert 2 == ran.code
    assert "error: cannot open the journal" in ran.err and "hint: " in ran.err
    home.assert_tidy()


@pytest.mark.slow
def test_an_interrupted_run_is_named_by_status_and_by_the_next_run(home: House, conduct, pids: Pids):
    killed_at_work(home, conduct, pids)

    status, following = home.cli("status"), home.run()

    line = f"interrupted: orchestrator-action resume {recall_id(home)}"
    assert line in status.out
    assert f"orchestrator-action resume {recall_id(home)}" in following.err and 3 == following.code


def recall_id(home: House) -> str:
    return recall(read_events(home.run_dir / "journal.jsonl")).run_id


@pytest.mark.slow
def test_the_wall_clock_may_jump(home: House, conduct, pids: Pids):
    """FAULTS 24: an event from an hour ahead changes no limit and no figure below zero."""
    killed_at_work(home, conduct, pids)
    rewrite(home, lambda data: None)
    path = home.run_dir / "journal.jsonl"
    *lines, last = path.read_text().splitlines()
    body = json.loads(last)
    made = seal(seq=body["seq"], at=time.time() + 3600, run=body["run"], task=body["task"], kind=body["kind"],
                data=body["data"], prev=body["prev"])  # fmt: skip
    path.write_text("".join(f"{line}\n" for line in [*lines, encode_event(made)]))

    again = conduct("resume", programs=["patch"]).end()

    assert (0, "success") == (again.code, again.report["tasks"][0]["status"]), again.err
    assert again.report["wall_s"] >= 0 and again.report["tasks"][0]["wall_s"] >= 0


@pytest.mark.parametrize(
    ("ends", "wanted"), [(("cut short", "ended"), 0), (("ended", "cut short"), 1), (("ended", "ended"), 1)]
)
def test_without_a_name_the_run_that_was_cut_short_is_taken_up(
    home: House, ends: tuple[str, ...], wanted: int
):
    """Also where one came after it that has ended; where none was cut short, the latest says that it has ended."""
    names = ["20260101-000000-aaaaaa", "20260101-000001-bbbbbb"]
    task = {"id": "issue-1", "title": "T", "text": "", "branch": "b"}
    for name, end in zip(names, ends, strict=True):
        folder = home.repo.path / ".git/orchestrator/runs" / name
        folder.mkdir(parents=True)
        journal = Journal(folder / "journal.jsonl", name)
        journal.append("run-started", "", requested=["issue-1"], tasks=[task], agent="patch", slots=1)
        if end == "ended":
            journal.append("run-ended", "", counts={})
        journal.close()

    assert names[wanted] == run_to_resume(Git.open(home.repo.path)).name
