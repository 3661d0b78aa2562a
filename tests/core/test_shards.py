"""Which shard works on which tasks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.shards import simulate
from orchestrator_action.plan.shards import shards_of, verify_jobs, waves_of
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


@pytest.mark.parametrize(
    ("needs", "most", "expected"),
    [
        ({"a": "", "b": "", "c": "a"}, 1, ["a b c"]),
        ({"a": "", "b": "", "c": "a"}, 2, ["a b", "c"]),
        ({"a": "", "b": "a", "c": "b", "d": "a c", "e": ""}, 4, ["a e", "b", "c", "d"]),
        ({"a": "", "b": "a", "c": "b", "d": "a c", "e": ""}, 2, ["a e", "b c d"]),
        ({"a": "", "b": ""}, 3, ["a b"]),
        ({}, 3, []),
    ],
)
def test_a_task_is_in_the_wave_behind_those_it_depends_on(needs, most, expected):
    assert expected == [" ".join(t.id for t in wave) for wave in waves_of(tasks(**needs), most)]


def test_what_tasks_of_an_earlier_wave_are_to_one_does_not_join_shards():
    some = tasks(a="", b="", c="a", d="a")

    assert (("c",), ("d",)) == shards_of(waves_of(some, 2)[1], 2)


def test_tasks_that_touch_the_same_file_are_in_one_shard():
    some = tasks(a="", b="", c="", d="", e="", f="")

    made = shards_of(some, 3, {"a": ["x.py"], "f": ["x.py", "README.md"], "b": ["y.py"], "d": ["y.py"]})

    assert (("a", "f"), ("b", "d"), ("c", "e")) == made


def test_a_file_that_everybody_touches_does_not_make_one_shard_of_all():
    some = tasks(**{f"t{n}": "" for n in range(12)})

    made = shards_of(some, 4, {t.id: ["README.md"] for t in some})

    assert [3, 3, 3, 3] == [len(shard) for shard in made]


def test_ten_thousand_tasks_are_spread_evenly():
    some = [Task(id=f"t{n}", title="", text="", branch="") for n in range(10_000)]
    chained = [replace(t, depends_on=(some[n - 1].id,)) if n % 3 else t for n, t in enumerate(some)]
    made = shards_of(chained, 64, {t.id: ["README.md", f"src/{n % 700}.py"] for n, t in enumerate(some)})

    assert 10_000 == sum(map(len, made))
    assert max(map(len, made)) <= -(-10_000 // 64) + 3


@pytest.mark.parametrize(
    ("sizes", "most", "expected"),
    [
        ((2, 1), 256, [1, 1, 1]),
        ((2, 2), 3, [2, 2]),
        ((5, 3), 4, [3, 2, 3]),
        ((), 256, []),
    ],
)
def test_a_verify_job_takes_one_task_as_long_as_there_are_jobs_enough(sizes, most, expected):
    shards = [[f"s{n}t{i}" for i in range(size)] for n, size in enumerate(sizes, 1)]

    jobs = verify_jobs(shards, most)

    assert expected == [len(some) for _, some in jobs]
    assert [t for shard in shards for t in shard] == [t for _, some in jobs for t in some]
    assert all(t.startswith(f"s{number}t") for number, some in jobs for t in some)


def test_a_thousand_tasks_on_64_shards_of_4_places_end_within_5_per_cent_of_the_bound_of_list_scheduling():
    figures = simulate()

    assert figures.ratio_to_bound <= 1.05, figures
