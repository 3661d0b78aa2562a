"""The journal is the truth: torn ends are cut, damaged middles refused, two writers excluded."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import threading

import pytest

from orchestrator_action.errors import JournalError
from orchestrator_action.process.files import replace_file
from orchestrator_action.state.journal import Journal, new_run_id, read_events


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "runs" / "r" / "journal.jsonl", "r", clock=lambda: 12.0)
    yield opened
    opened.close()


def test_what_was_appended_is_read_back(journal):
    journal.append("run-started", requested=1)
    journal.append("note", "t", text="ünï \U0001f600")

    assert ["run-started", "note"] == [e.kind for e in read_events(journal.path)]


@pytest.mark.parametrize("tail", [b'{"seq":', b"\x00\xff garbage\n", b"{}\n", b"\n", b"half\nhalf"])
def test_a_torn_tail_is_cut_off_and_the_run_goes_on(journal, tail):
    journal.append("note", "t", n=1)
    journal.close()
    with journal.path.open("ab") as file:
        file.write(tail)

    again = Journal(journal.path, "r")
    again.append("note", "t", n=2)

    assert [1, 2] == [e.data["n"] for e in read_events(journal.path)]
    journal._file = again._file


def test_a_last_line_without_its_newline_did_not_happen(journal):
    journal.append("note", "t", n=1)
    journal.append("note", "t", n=2)
    os.truncate(journal.path, journal.path.stat().st_size - 1)

    assert [1] == [e.data["n"] for e in read_events(journal.path)]


def test_damage_in_the_middle_is_refused_with_its_line(journal):
    for n in range(3):
        journal.append("note", "t", n=n)
    lines = journal.path.read_text().splitlines(keepends=True)
    lines[1] = lines[1].replace('"n":1', '"n":7')
    journal.path.write_text("".join(lines))

    with pytest.raises(JournalError, match=r"journal\.jsonl:2: .*changed"):
        read_events(journal.path)


def test_a_line_taken_out_is_refused(journal):
    for n in range(3):
        journal.append("note", "t", n=n)
    lines = journal.path.read_text().splitlines(keepends=True)
    journal.path.write_text(lines[0] + lines[2])

    with pytest.raises(JournalError, match="missing or out of order"):
        read_events(journal.path)


def test_a_second_orchestrator_says_so(journal):
    with pytest.raises(JournalError, match="another orchestrator"):
        Journal(journal.path, "r")


def test_many_threads_make_one_whole_chain(journal):
    def write(task: str) -> None:
        for n in range(20):
            journal.append("note", task, n=n)

    threads = [threading.Thread(target=write, args=(f"t{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    events = read_events(journal.path)
    assert list(range(1, 161)) == [e.seq for e in events]
    assert list(range(20)) == [e.data["n"] for e in events if e.task == "t3"]


def test_a_full_disk_is_named_and_leaves_no_half_line(journal):
    """The file size limit of the process stands in for the disk: the kernel refuses the write."""
    journal.append("note", "t", n=1)
    size = journal.path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, before[1]))
    try:
        with pytest.raises(JournalError, match="cannot write the journal"):
            journal.append("note", "t", n=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert size == journal.path.stat().st_size
    journal.append("note", "t", n=3)
    assert [1, 3] == [e.data["n"] for e in read_events(journal.path)]


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.unlink(),
        lambda path: shutil.rmtree(path.parent),
        lambda path: path.rename(path.with_name("elsewhere")),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes() + b"{}\n"),
        lambda path: replace_file(path, "something else\n"),
    ],
    ids=["deleted", "with its folder", "moved", "emptied", "lengthened", "replaced"],
)
def test_what_somebody_does_to_it_while_it_is_held_is_undone(journal, harm):
    """An agent of the same user can reach it; nothing that happened is lost."""
    journal.append("note", "t", n=1)

    harm(journal.path)
    journal.append("note", "t", n=2)
    journal.append("note", "t", n=3)

    assert [1, 2, 3] == [e.data["n"] for e in read_events(journal.path)]
    with pytest.raises(JournalError, match="another orchestrator"):
        Journal(journal.path, "r")


def test_a_missing_journal_is_named(tmp_path):
    with pytest.raises(JournalError, match="no journal at"):
        read_events(tmp_path / "journal.jsonl")


def test_an_empty_journal_is_a_run_that_did_nothing(tmp_path):
    (tmp_path / "journal.jsonl").touch()

    assert () == read_events(tmp_path / "journal.jsonl")


def test_a_report_is_replaced_whole(journal):
    path = journal.write_report({"a": 1})
    journal.write_report({"a": 2})

    assert {"a": 2} == json.loads(path.read_text())
    assert {"journal.jsonl", "report.json"} == {p.name for p in path.parent.iterdir()}


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    target = tmp_path / "f"
    replace_file(target, "old")

    with pytest.raises(UnicodeEncodeError):
        replace_file(target, "\ud800")
    assert "old" == target.read_text()
    assert [target] == list(tmp_path.iterdir())


def test_a_run_id_is_sortable_and_recognised():
    assert new_run_id(0).startswith("19700101-000000-")
    assert re.fullmatch(r"20010909-014640-[0-9a-f]{6}", new_run_id(1e9))
