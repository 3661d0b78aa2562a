"""Which shard works on which tasks."""

from __future__ import annotations

import pytest

from orchestrator_action.plan.shards import shards_of
from orchestrator_action.protocol.model import Task


def tasks(**needs: str) -> list[Task]:
    return [Task(id=t, title=t, text="", branch=t, depends_on=tuple(d.split())) for t, d in needs.items()]


@pytest.mark.parametrize(
    ("needs", "shards", "expected"),
    [
        ({"a": "", "b": "", "c": "", "d": ""}, 2, (("a", "c"), ("b", "d"))),
        ({"a": "", "b": ""}, 8, (("a",), ("b",))),
        ({"a": "", "b": "", "c": "a"}, 2, (("a", "c"), ("b",))),
        ({"a": "", "b": "", "c": "", "d": "a c", "e": "b"}, 3, (("a", "c", "d"), ("b", "e"))),
        ({"a": "", "b": "", "c": "a b"}, 3, (("a", "b", "c"),)),
        ({}, 4, ()),
    ],
)
def test_tasks_that_depend_on_each_other_stay_together_and_no_shard_is_empty(needs, shards, expected):
    assert expected == shards_of(tasks(**needs), shards)
