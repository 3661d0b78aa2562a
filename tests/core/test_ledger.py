"""The chain of events: what a hand changes is seen."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_action.protocol.events import broken_links, decode_event, encode_event, fold, seal


def chain(*tasks: str):
    events, prev = [], {}
    for seq, task in enumerate(tasks, 1):
        event = seal(
            seq=seq, at=seq / 2, run="r", task=task, kind="note", data={"n": seq}, prev=prev.get(task, "")
        )
        prev[task] = event.hash
        events.append(event)
    return events


def test_an_event_survives_its_line():
    [event] = chain("t")

    assert event == decode_event(encode_event(event))


@given(st.sampled_from(["seq", "at", "run", "task", "kind", "prev", "hash"]))
def test_a_changed_field_is_named(field):
    body = json.loads(encode_event(chain("t")[0]))
    body[field] = "x" if isinstance(body[field], str) else 99

    with pytest.raises(ValueError, match="changed"):
        decode_event(json.dumps(body))


@pytest.mark.parametrize("line", ["", "{", "[]", "{}", '"x"', '{"seq":1}', "null"])
def test_what_is_no_event_is_refused(line):
    with pytest.raises(ValueError):
        decode_event(line)


def test_streams_of_different_tasks_do_not_disturb_each_other():
    assert () == broken_links(chain("a", "b", "a", "", "b", "a"))


@given(st.integers(0, 4))
def test_a_missing_event_is_named(gone):
    events = chain("t", "t", "t", "t", "t", "t")
    del events[gone]

    assert 1 == len(broken_links(events))


def test_reordered_events_are_named():
    events = chain("t", "t", "t")

    assert broken_links([events[1], events[0], events[2]])


def test_an_unknown_kind_is_a_bug_not_an_event():
    with pytest.raises(ValueError, match="unknown event kind"):
        seal(seq=1, at=0, run="r", task="t", kind="nonsense", data={}, prev="")


def test_the_fold_passes_other_tasks_over():
    assert "t" == fold(chain("a", "b"), "t").task
