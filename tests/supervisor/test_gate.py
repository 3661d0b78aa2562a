"""Transient failures slow everybody down together and are tried again, on a clock that the test turns."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_action.process.cancel import Cancel
from orchestrator_action.process.gate import GROW_S, STORM_S, Flow, RateGate, tried
from orchestrator_action.protocol.attempt import LONGEST_PAUSE_S
from tests.kit.ill import eventually


class Clock:
    """Time as the test says, and a list of all waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return False


def test_a_refusal_halves_the_concurrency_once_per_storm() -> None:
    """Eight parallel sessions are refused at one moment: that is one message, not eight."""
    clock = Clock()
    gate = RateGate(16, clock=clock)

    for _ in range(8):
        gate.refused()
    assert 8 == gate.limit

    clock.now += STORM_S
    gate.refused()
    assert 4 == gate.limit
    for _ in range(10):
        clock.now += STORM_S
        gate.refused()
    assert 1 == gate.limit


def test_the_concurrency_grows_back_one_by_one() -> None:
    """After quiet time, up to where it began."""
    clock = Clock()
    gate = RateGate(8, clock=clock)
    gate.refused()

    seen = []
    for _ in range(6):
        clock.now += GROW_S
        seen.append(gate.limit)

    assert [5, 6, 7, 8, 8, 8] == seen


def test_retry_after_closes_the_gate_for_everybody() -> None:
    """Nobody is let in before the time the API named, and one is right after."""
    clock = Clock()
    flow = Flow(4)

    flow.refused(clock.now, retry_after_s=90)

    assert 90 == flow.wait_s(clock.now)
    assert 30 == flow.wait_s(clock.now + 60)
    assert 0 == flow.wait_s(clock.now + 90)


def test_a_shorter_retry_after_does_not_open_the_gate_early() -> None:
    """The longest of several counts, and none counts beyond the longest pause."""
    flow = Flow(4)
    flow.refused(0.0, retry_after_s=60)
    flow.refused(1.0, retry_after_s=2)
    assert 59 == flow.wait_s(1.0)

    flow.refused(2.0, retry_after_s=1e9)
    assert LONGEST_PAUSE_S == flow.wait_s(2.0)


@given(
    most=st.integers(1, 64),
    events=st.lists(st.tuples(st.floats(0, 100), st.booleans(), st.floats(0, 200)), max_size=60),
)
def test_the_limit_stays_between_one_and_the_most(most: int, events: list[tuple[float, bool, float]]) -> None:
    """Whatever happens in whatever order; and the gate always opens again."""
    flow, now = Flow(most), 0.0
    for passed, refused, asked in events:
        now += passed
        if refused:
            flow.refused(now, retry_after_s=asked)
        flow.wait_s(now)
        assert 1 <= flow.limit <= most
    assert 0 == flow.wait_s(now + LONGEST_PAUSE_S)


def test_no_more_are_inside_than_the_gate_allows() -> None:
    """Real threads: those beyond the limit wait for one to leave."""
    gate, cancel = RateGate(2), Cancel()
    inside, leave, peak = [], threading.Event(), []

    def work(number: int) -> None:
        with gate.passed(cancel) as entered:
            assert entered
            inside.append(number)
            peak.append(len(inside))
            leave.wait(30)
            inside.remove(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(inside) == 2, what="two inside")
    leave.set()
    for thread in threads:
        thread.join()

    assert 2 == max(peak)
    assert 6 == len(peak)


def test_waiting_at_the_gate_can_be_cancelled() -> None:
    """And whoever did not enter is not inside."""
    gate, cancel = RateGate(1), Cancel()
    with gate.passed(cancel) as first:
        threading.Timer(0.1, cancel.set).start()
        with gate.passed(cancel) as second:
            assert (True, False) == (first, second)
    with gate.passed(Cancel()) as third:
        assert third


@dataclass
class Answer:
    """What an attempt came to."""

    good: bool
    transient: bool = False
    retry_after_s: float = 0.0


def asked(answer: Answer) -> float | None:
    return answer.retry_after_s if answer.transient else None


def attempt(answers: list[Answer], clock: Clock, *, retries: int = 2) -> tuple[Answer, int]:
    made = []

    def once() -> Answer:
        made.append(1)
        return answers[len(made) - 1]

    return tried(once, retries=retries, transient=asked, pause=clock.pause), len(made)


def test_overloaded_twice_then_fine_is_a_success_after_three_attempts() -> None:
    """FAULTS 21: with two waits, random below a bound that doubles."""
    clock = Clock()

    answer, count = attempt([Answer(False, True), Answer(False, True), Answer(True)], clock)

    assert (True, 3) == (answer.good, count)
    first, second = clock.waits
    assert 0 <= first <= 2
    assert 0 <= second <= 4


def test_a_permanent_failure_is_not_tried_again() -> None:
    """FAULTS 21: 401, an unknown model, a missing program."""
    clock = Clock()

    answer, count = attempt([Answer(False)], clock)

    assert (False, 1, []) == (answer.good, count, clock.waits)


def test_retry_after_is_the_shortest_wait() -> None:
    """The API knows better than our dice."""
    clock = Clock()

    attempt([Answer(False, True, 75.0), Answer(True)], clock)

    assert [75.0] == clock.waits


def test_a_ban_is_not_waited_out() -> None:
    """An hour is not a queue."""
    clock = Clock()

    answer, count = attempt([Answer(False, True, 3600.0), Answer(True)], clock)

    assert (False, 1, []) == (answer.good, count, clock.waits)


def test_retries_are_bounded_and_the_last_result_stands() -> None:
    """What failed for good is reported as it was."""
    clock = Clock()

    answer, count = attempt([Answer(False, True)] * 9, clock, retries=3)

    assert (False, True, 4, 3) == (answer.good, answer.transient, count, len(clock.waits))


def test_a_cancel_during_the_wait_ends_the_trying() -> None:
    """`pause` says so, as Cancel.wait does."""
    cancel = Cancel()
    cancel.set()
    made = []

    def once() -> Answer:
        made.append(1)
        return Answer(False, True)

    answer = tried(once, retries=5, transient=asked, pause=cancel.wait)

    assert (False, 1) == (answer.good, len(made))


@pytest.mark.parametrize("most", [0, -1])
def test_a_gate_for_nobody_is_a_mistake(most: int) -> None:
    """It would never open."""
    with pytest.raises(ValueError, match="at least one"):
        RateGate(most)
