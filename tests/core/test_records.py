"""Values as JSON and back: what one version wrote, another one reads."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_action.config.records import from_record, to_record
from orchestrator_action.config.schema import Config, TestCommand
from orchestrator_action.errors import JournalError
from orchestrator_action.protocol.forge_values import Check, Conclusion, Issue, Pull
from orchestrator_action.protocol.model import Status, Task, TaskResult
from orchestrator_action.state.fold import config_of, result_of, result_record, tasks_of

PULL = Pull(number=4, url="u", title="", body="", head_branch="b", head_sha="s", base_branch="main")
RESULT = TaskResult(
    task_id="t", status=Status.FAILED, conclusion=Conclusion.FAILURE, branch="b", head_sha="s", pull=PULL
)


@settings(max_examples=60, deadline=None)
@given(st.builds(Task, issue=st.none() | st.builds(Issue)))
def test_a_task_comes_back_as_it_was(task: Task):
    """Through real JSON, whatever its texts are."""
    text = json.dumps(to_record(task))

    assert task == from_record(Task, json.loads(text))


def test_a_result_comes_back_with_its_pull_request():
    assert RESULT == result_of(json.loads(json.dumps(result_record(RESULT))))
    assert replace(RESULT, pull=None) == result_of(result_record(replace(RESULT, pull=None)))


def test_keys_of_a_later_version_are_left_out_and_missing_ones_take_their_defaults():
    record = {**to_record(Config(test=(TestCommand(command="a"),))), "later": {"x": 1}}
    del record["retries"]

    assert Config(test=(TestCommand(command="a"),)) == config_of({"config": record})


def test_what_does_not_fit_is_said_with_its_place():
    record = to_record(Check(id=1, name="n", head_sha="a", status="completed", conclusion=Conclusion.SUCCESS))

    with pytest.raises(ValueError, match=r"^conclusion: input should be"):
        from_record(Check, {**record, "conclusion": "fine"})
    with pytest.raises(JournalError, match="the journal cannot be read: title") as caught:
        tasks_of({"tasks": [{"id": "t", "title": [], "text": "", "branch": "b"}]})
    assert "version" in caught.value.hint


def test_every_field_of_a_result_is_in_its_record():
    """But its phases, which the journal has as claims and facts."""
    assert {f.name for f in fields(TaskResult)} - {"phases"} == set(result_record(RESULT))
