"""Slots are given out by number, memory, load and pressure; the machine is what the test says it is."""

from __future__ import annotations

import dataclasses
import threading

import pytest

from orchestrator_action.errors import AgentError
from orchestrator_action.process.cancel import Cancel
from orchestrator_action.process.concurrency import (
    LOAD_SETTLE_S,
    MEMORY_FLOOR_MIB,
    STARVED_S,
    Machine,
    Slot,
    Slots,
    read_machine,
    sensible_parallel,
)
from tests.kit.ill import eventually

ROOMY = Machine(cores=4, memory_mib=16_000)


class World:
    """A machine and a clock that a test changes."""

    def __init__(self, machine: Machine = ROOMY) -> None:
        self.is_ = machine
        self.now = 0.0

    def machine(self) -> Machine:
        return self.is_

    def clock(self) -> float:
        return self.now

    def set(self, **what: float) -> None:
        self.is_ = dataclasses.replace(self.is_, **what)  # type: ignore[arg-type]

    def slots(self, most: object) -> Slots:
        return Slots(most, machine=self.machine, clock=self.clock)  # type: ignore[arg-type]


class Worker(threading.Thread):
    """Takes a slot and holds it until told to leave."""

    def __init__(self, slots: Slots, cancel: Cancel) -> None:
        super().__init__()
        self.slots, self.cancel = slots, cancel
        self.leave = threading.Event()
        self.slot: Slot | None = None
        self.start()

    def run(self) -> None:
        with self.slots.taken(self.cancel) as self.slot:
            if self.slot is not None:
                self.leave.wait(60)


@pytest.fixture
def work():
    """Start workers; all leave at the end."""
    cancel, workers = Cancel(), []

    def start(slots: Slots) -> Worker:
        workers.append(Worker(slots, cancel))
        return workers[-1]

    yield start
    cancel.set()
    for worker in workers:
        worker.leave.set()
        worker.join(30)


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (Machine(cores=4, memory_mib=16_000), 8),
        (Machine(cores=2, memory_mib=7_000), 4),
        (Machine(cores=16, memory_mib=4_000), 7),
        (Machine(cores=1, memory_mib=100), 1),
        (Machine(cores=128, memory_mib=1_000_000), 32),
        (Machine(cores=64, memory_mib=1_000_000, open_files=256), 24),
    ],
)
def test_auto_follows_cores_memory_and_open_files(machine: Machine, expected: int) -> None:
    """Twice the cores, as far as the memory goes; never none."""
    assert expected == sensible_parallel(machine) == World(machine).slots("auto").limit


def test_a_number_is_taken_at_its_word(work) -> None:
    """Four slots are four at work, however busy the machine; the fifth waits."""
    world = World(Machine(cores=1, memory_mib=16_000, load=50.0, cpu_pressure=99.0, memory_pressure=50.0))
    slots = world.slots(4)

    first, *others = [work(slots) for _ in range(4)]
    eventually(lambda: slots.working == 4, what="four at work")
    fifth = work(slots)
    assert fifth.slot is None

    first.leave.set()
    eventually(lambda: fifth.slot is not None, what="the fifth at work")
    assert 4 == slots.working
    assert all(w.slot for w in others)


@pytest.mark.parametrize("most", [3, "auto"])
def test_nothing_is_admitted_below_the_memory_floor(work, most: object) -> None:
    """FAULTS 23: and the reason is there to be shown."""
    world = World()
    slots = world.slots(most)
    world.set(memory_mib=MEMORY_FLOOR_MIB - 1)

    worker = work(slots)
    eventually(lambda: slots.waiting_for, what="a reason")
    assert f"{MEMORY_FLOOR_MIB - 1} MiB of memory free, the floor is {MEMORY_FLOOR_MIB}" == slots.waiting_for
    assert worker.slot is None

    world.set(memory_mib=8000)
    eventually(lambda: worker.slot is not None, what="admission")
    assert "" == slots.waiting_for


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"load": 17.0}, "load 17.0"),
        ({"memory_pressure": 30.0}, "memory pressure"),
        ({"cpu_pressure": 99.0}, "CPU"),
    ],
)
def test_auto_waits_while_the_machine_is_pressed(work, what: dict[str, float], words: str) -> None:
    """But somebody is always at work."""
    world = World()
    slots = world.slots("auto")
    world.set(**what)

    first = work(slots)
    eventually(lambda: first.slot is not None, what="the first at work")
    second = work(slots)
    eventually(lambda: words in slots.waiting_for, what=words)
    assert second.slot is None


def test_memory_that_was_given_out_is_not_given_out_twice(work) -> None:
    """`auto` counts what an agent has not taken yet."""
    world = World(Machine(cores=4, memory_mib=MEMORY_FLOOR_MIB + 400))
    slots = Slots("auto", machine=lambda: world.is_, clock=world.clock)
    slots.limit = 4

    first = work(slots)
    eventually(lambda: first.slot is not None, what="the first at work")
    second = work(slots)
    eventually(lambda: slots.waiting_for, what="a reason to wait")
    assert second.slot is None

    world.now += LOAD_SETTLE_S
    eventually(lambda: second.slot is not None, what="the second at work")


def test_the_youngest_is_asked_to_come_again(work) -> None:
    """FAULTS 23: its own switch is thrown, it is marked as shed, the others go on."""
    world = World()
    slots = world.slots(3)
    workers = []
    for _ in range(3):
        world.now += 1
        workers.append(work(slots))
        eventually(lambda: workers[-1].slot is not None, what="a slot")
    assert None is slots.relieve()

    world.set(memory_mib=100)
    shed = slots.relieve()

    assert shed is workers[2].slot
    assert (True, True) == (shed.shed, shed.cancel.is_set())
    assert "100 MiB" in shed.cancel.reason
    assert [False, False] == [w.slot.cancel.is_set() for w in workers[:2]]
    assert None is slots.relieve(), "memory gets time to come back"


def test_the_last_one_at_work_is_never_shed(work) -> None:
    """Otherwise nothing would ever be finished."""
    world = World()
    slots = world.slots(2)
    worker = work(slots)
    eventually(lambda: worker.slot is not None, what="a slot")
    world.set(memory_mib=1)

    assert None is slots.relieve()


def test_no_memory_and_nobody_at_work_ends_the_waiting() -> None:
    """FAULTS 23: after five minutes of it, with a hint."""
    world = World()
    slots = world.slots(2)
    world.set(memory_mib=1)
    failures: list[AgentError] = []

    def start() -> None:
        try:
            with slots.taken(Cancel()):
                pass
        except AgentError as exc:
            failures.append(exc)

    thread = threading.Thread(target=start)
    thread.start()
    eventually(lambda: slots.waiting_for, what="a reason")
    while thread.is_alive():
        world.now += STARVED_S / 2
        thread.join(0.1)

    [failure] = failures
    assert "1 MiB of memory free" in failure.message
    assert failure.hint


def test_waiting_for_a_slot_can_be_cancelled() -> None:
    """And holds nothing afterwards."""
    world, cancel = World(), Cancel()
    slots = world.slots(1)
    with slots.taken(cancel) as first:
        threading.Timer(0.1, cancel.set).start()
        with slots.taken(cancel) as second:
            assert first is not None
            assert second is None
    assert 0 == slots.working


def test_this_machine_can_be_read() -> None:
    """Real figures, whatever they are."""
    machine = read_machine()

    assert machine.cores >= 1
    assert machine.memory_mib > 0
    assert machine.open_files > 0
    assert 0 <= machine.memory_pressure <= 100
    assert Slots("auto").limit >= 1
