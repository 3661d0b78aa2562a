"""A run seen while it is under way: what is new is read once, what was harmed is read anew."""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator_action.agents.registry import words_of
from orchestrator_action.cli.board import board_table, cells, footer, rows
from orchestrator_action.run.live import RunView, TaskView
from orchestrator_action.state.journal import Journal

TASKS = [{"id": f"issue-{n}", "title": f"T{n}", "text": "", "branch": f"b{n}"} for n in (1, 2, 3)]


def begin(folder: Path) -> Journal:
    journal = Journal(folder / "journal.jsonl", "r")
    journal.append(
        "run-started", "", requested=[t["id"] for t in TASKS], tasks=TASKS, agent="claude", slots=2
    )
    return journal


def test_what_happens_is_seen_once(tmp_path: Path) -> None:
    """Each line of words comes with the look after its event, and never again."""
    journal, view = begin(tmp_path), RunView(tmp_path, words_of)
    view.refresh()
    journal.append("task-started", "issue-1", base_sha="b" * 40, branch="b1")
    journal.append("claim", "issue-1", phase="testing", head_sha="a" * 40, note="", text="", digest="",
                   no_change="", waive="", seq=0)  # fmt: skip

    said = [(task.id, words) for task, _, words in view.refresh()]

    assert [("issue-1", "begins on b1 at bbbbbbbbbbbb"), ("issue-1", "claims Testing")] == said
    assert [] == view.refresh()
    assert ("running", 6) == (view.tasks["issue-1"].status, view.tasks["issue-1"].phase)
    journal.close()


def test_what_came_before_the_end_is_told_when_the_end_is_seen_with_it(tmp_path: Path) -> None:
    """A task can be over before the first look. Its end is `run`'s own line."""
    journal, view = begin(tmp_path), RunView(tmp_path, words_of)
    journal.append("task-started", "issue-1", base_sha="b" * 40, branch="b1")
    journal.append("claim", "issue-1", phase="testing", head_sha="a" * 40, note="", text="", digest="",
                   no_change="", waive="", seq=0)  # fmt: skip
    journal.append("task-ended", "issue-1", status="failed", error="no", wall_s=0.4)

    assert ["begins on b1 at bbbbbbbbbbbb", "claims Testing"] == [words for _, _, words in view.refresh()]
    assert "failed" == view.tasks["issue-1"].status
    journal.close()


def test_the_same_words_are_not_said_twice_in_a_row(tmp_path: Path) -> None:
    """One measurement can prove two phases: a person reads it once."""
    journal, view = begin(tmp_path), RunView(tmp_path, words_of)
    for rule in ("pull-open", "pull-current"):
        journal.append("fact", "issue-1", phase="pull-request", rule=rule, commit="a" * 40, holds=True,
                       message="pull request #5: open", detail={})  # fmt: skip

    assert ["Pull Request, measured: pull request #5: open"] == [words for _, _, words in view.refresh()]
    journal.close()


def test_what_an_agents_output_said_first_is_told_all_the_same(tmp_path: Path) -> None:
    """So that no output of an agent keeps a line of the journal from being told."""
    journal, view = begin(tmp_path), RunView(tmp_path, words_of)
    journal.append("attempt-started", "issue-1", agent="patch", attempt=1)
    log = tmp_path / "tasks/issue-1/agent.log"
    log.parent.mkdir(parents=True)
    log.write_text("claims Testing\n")
    view.refresh()
    assert "claims Testing" == view.tasks["issue-1"].doing
    journal.append("claim", "issue-1", phase="testing", head_sha="a" * 40, note="", text="", digest="",
                   no_change="", waive="", seq=0)  # fmt: skip

    assert ["claims Testing"] == [words for _, _, words in view.refresh()]
    journal.close()


def test_what_the_agent_does_now_is_shown(tmp_path: Path) -> None:
    """Its newest line that says something; a half written one waits for its end."""
    journal, view = begin(tmp_path), RunView(tmp_path, words_of)
    journal.append("task-started", "issue-1", base_sha="b", branch="b1")
    log = tmp_path / "tasks/issue-1/agent.log"
    log.parent.mkdir(parents=True)
    block = {"type": "tool_use", "name": "Read", "input": {"file_path": "src/app.py"}}
    line = json.dumps({"type": "assistant", "message": {"content": [block]}})
    log.write_text(line + "\n" + line.replace("Read", "Edit")[:30])

    view.refresh()

    assert "reads src/app.py" == view.tasks["issue-1"].doing
    journal.close()


def test_a_journal_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    """Nobody is shown twice, and nothing is missing."""
    journal, view = begin(tmp_path), RunView(tmp_path, words_of)
    view.refresh()
    body = (tmp_path / "journal.jsonl").read_bytes()
    (tmp_path / "journal.jsonl").unlink()
    (tmp_path / "journal.jsonl").write_bytes(body)

    view.refresh()

    assert ["issue-1", "issue-2", "issue-3"] == list(view.tasks)
    journal.close()


def test_the_board_shows_what_runs_first_and_counts_the_rest(tmp_path: Path) -> None:
    """64 tasks on 24 lines."""
    tasks = [TaskView(f"issue-{n}", status="success", began=1.0, ended=2.0) for n in range(61)]
    tasks += [TaskView("issue-90"), TaskView("issue-91", status="running", began=5.0)]
    tasks += [TaskView("issue-92", status="running", began=4.0)]

    shown, more = rows(tasks, 20)

    assert ["issue-92", "issue-91", "issue-90"] == [t.id for t in shown[:3]]
    assert (20, 44) == (len(shown), more)


def test_the_board_fits_its_terminal(tmp_path: Path) -> None:
    """80 columns by 24 lines, with titles that try to break out."""
    from rich.console import Console

    view = RunView(tmp_path, words_of)
    for n in range(64):
        view.tasks[f"issue-{n}"] = TaskView(
            f"issue-{n}", status="running", began=1.0, doing="\x1b[2J[bold]ü\n" * 40
        )
    console = Console(width=80, height=24, file=(tmp_path / "out").open("w"), color_system=None)

    with console.capture() as out:
        console.print(board_table(view, 80, 24, 100.0))

    lines = out.get().splitlines()
    assert len(lines) <= 24
    assert all(len(line) <= 80 for line in lines)
    assert "\x1b" not in out.get()
    assert "44 more not shown" in out.get()


def test_a_row_says_what_is_known_and_a_dash_for_what_is_not(tmp_path: Path) -> None:
    """No cost is not a cost of nothing."""
    task = TaskView("issue-1", title="T", status="running", phase=6, doing="runs the tests", began=10.0)

    assert ["issue-1", "6/11", "1 min 30 s", "–", "–", "runs the tests"] == cells(task, 100.0, wide=True)
    assert ["issue-1", "6/11", "1 min 30 s", "runs the tests"] == cells(task, 100.0, wide=False)
    view = RunView(tmp_path, words_of, tasks={"issue-1": task}, began=10.0, slots=4)
    assert "0 of 1 task ended · 1 at work · 4 slots · 1 min 30 s" == footer(view, 100.0, 0)


def test_candidates_have_rows_of_their_own_and_count_as_one_task(tmp_path: Path) -> None:
    """The footer counts who is at work; money is not counted twice when the task's own sum is known."""
    journal, view = begin(tmp_path), RunView(tmp_path, words_of)
    two = [{"id": f"issue-1.{n}", "agent": agent} for n, agent in ((1, "codex"), (2, "gemini"))]
    journal.append("task-started", "issue-1", base_sha="b" * 40, branch="b1", candidates=two)
    for one in two:
        journal.append("attempt-started", one["id"], attempt=1, agent=one["agent"])
        journal.append("attempt-ended", one["id"], attempt=1, cost_usd=0.5, wall_s=1.0, pid=0)
    view.refresh()

    assert {"codex", "gemini"} == {t.agent for t in view.tasks.values() if t.id.startswith("issue-1.")}
    assert footer(view, view.began, 0).startswith("0 of 3 tasks ended · 2 at work")

    for name, cost in (("issue-1.1", 0.5), ("issue-1.2", 0.5), ("issue-1", 1.0)):
        journal.append("task-ended", name, status="success", cost_usd=cost, wall_s=1.0)
    view.refresh()

    assert footer(view, view.began, 0).startswith("1 of 3 tasks ended · 0 at work")
    assert footer(view, view.began, 0).endswith("$1.00")
    journal.close()
