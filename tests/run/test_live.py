"""A run seen while it is under way: what is new is read once, what was harmed is read anew."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from orchestrator_action.agents.registry import words_of
from orchestrator_action.cli.board import board_table, cells, footer, rows
from orchestrator_action.run.live import BASE_FIRST, RunView, TaskView, tell_lines
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
    """One measurement can refute two facts: a person reads it once."""
    journal, view = begin(tmp_path), RunView(tmp_path, words_of)
    for rule in ("pull-open", "pull-current"):
        journal.append("fact", "issue-1", phase="pull-request", rule=rule, commit="a" * 40, holds=False,
                       message="pull request #5: closed", detail={})  # fmt: skip

    assert ["Pull Request, does not hold: pull request #5: closed"] == [
        words for _, _, words in view.refresh()
    ]
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


@pytest.mark.parametrize(
    ("width", "names"),
    [
        (40, ["task", "phase", "now"]),
        (80, ["task", "phase", "time", "now"]),
        (100, ["task", "phase", "time", "turns", "cost", "now"]),
        (200, ["task", "title", "phase", "time", "turns", "cost", "now"]),
    ],
)
@pytest.mark.parametrize("number", [1, 3, 12, 64])
def test_the_board_uses_the_width_that_there_is(
    tmp_path: Path, width: int, names: list[str], number: int
) -> None:
    """Whatever titles say, in whatever script: a row a task, none wider than its terminal, what it does in each."""
    from rich.cells import cell_len
    from rich.console import Console

    titles = ["Grüße " * 20, "你好，世界" * 12, "مرحبا بالعالم " * 9, "👩‍👩‍👧 🚀" * 20, "\u202eevil\n\x1b[2J"]
    view = RunView(tmp_path, words_of, began=1.0, slots=4)
    for n in range(number):
        view.tasks[f"issue-{n}"] = TaskView(
            f"issue-{n}", title=titles[n % 5], status="running", began=1.0, doing=f"reads {titles[n % 5]}"
        )
    console = Console(width=width, height=24, file=(tmp_path / "out").open("w"), color_system=None)

    with console.capture() as out:
        console.print(board_table(view, width, 24, 100.0))

    heading, *lines = out.get().splitlines()
    shown = [line for line in lines if line.startswith("issue-")]
    assert names == heading.split()
    assert min(number, 20) == len(shown) and len(lines) < 24
    assert all("reads" in line for line in shown)
    assert all(cell_len(line) <= width for line in (heading, *lines))
    assert f"0 of {number} task" in lines[len(shown)]


def test_a_row_says_what_is_known_and_a_dash_for_what_is_not(tmp_path: Path) -> None:
    """No cost is not a cost of nothing."""
    task = TaskView("issue-1", title="T", status="running", phase=6, doing="runs the tests", began=10.0)

    assert ["issue-1", "T", "6/11", "1 min 30 s", "–", "–", "runs the tests"] == [
        *cells(task, 100.0).values()
    ]
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


def claim(journal: Journal, phase: str) -> None:
    journal.append("claim", "issue-1", phase=phase, head_sha="a" * 40, note="", text="", digest="", no_change="",
                   waive="", seq=0)  # fmt: skip


def over() -> threading.Event:
    """That a run is over already: what is there is told, and that is all."""
    event = threading.Event()
    event.set()
    return event


def test_lines_say_each_thing_with_its_time(tmp_path: Path) -> None:
    journal, said = begin(tmp_path), list[str]()
    claim(journal, "research-and-planning")
    claim(journal, "testing")

    tell_lines(RunView(tmp_path, words_of), over(), said.append)

    assert [["issue-1", "claims", "Research", "and", "Planning"], ["issue-1", "claims", "Testing"]] == [
        line.split()[1:] for line in said
    ]
    journal.close()


def test_lines_that_are_kept_apart_say_the_newest_only(tmp_path: Path) -> None:
    """A runner's log gets at most one in so many seconds for each task."""
    journal, said, view = begin(tmp_path), list[str](), RunView(tmp_path, words_of)
    claim(journal, "research-and-planning")
    claim(journal, "testing")

    tell_lines(view, over(), said.append, apart_s=60.0)

    assert ["issue-1 claims Testing"] == [line.partition(" ")[2] for line in said]
    journal.append("task-ended", "issue-1", status="failed", error="no", wall_s=0.4)
    claim(journal, "documentation")
    tell_lines(view, over(), said.append, apart_s=60.0)
    assert 1 == len(said), "a task that has ended says nothing more"
    journal.close()


def test_it_is_said_that_everything_is_measured_again_once_the_agent_has_ended(tmp_path: Path) -> None:
    """That may take longer than the agent did."""
    journal, view = begin(tmp_path), RunView(tmp_path, words_of)
    journal.append("attempt-started", "issue-1", agent="patch", attempt=1)
    for _ in range(2):
        journal.append("fact", "issue-1", phase="branch-management", rule="on-branch", commit="a" * 40, holds=True,
                       message="fine", detail={})  # fmt: skip
    journal.append("attempt-ended", "issue-1", attempt=1, exit_code=0, wall_s=1.0, pid=0)
    for _ in range(2):
        journal.append("fact", "issue-1", phase="branch-management", rule="on-branch", commit="b" * 40, holds=True,
                       message="fine", detail={})  # fmt: skip

    assert ["agent starts", "agent ended: exit 0", "is measured again at bbbbbbbbbbbb"] == [
        words for _, _, words in view.refresh()
    ]
    journal.close()


def test_it_is_said_that_the_base_is_tried_before_an_agent_starts(tmp_path: Path) -> None:
    """Otherwise a run would stand still for minutes with nothing said."""
    journal, view = begin(tmp_path), RunView(tmp_path, words_of)
    view.refresh()
    assert not view.tries_base
    (tmp_path / "tasks/base").mkdir(parents=True)
    assert view.tries_base and footer(view, 0.0, 0).endswith(BASE_FIRST)
    journal.append("task-started", "issue-1", base_sha="b" * 40, branch="b1")
    view.refresh()
    assert not view.tries_base and BASE_FIRST not in footer(view, 0.0, 0)
    journal.close()
