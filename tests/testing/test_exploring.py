from __future__ import annotations

import functools
import traceback
import unittest
from typing import Any

import pytest
import trio
import trio.lowlevel
import trio.testing

from trioresource.testing import Diverged, always, cancellable, choose, explore, explored, replay


class Counter:
    def __init__(self) -> None:
        self.value = 0

    async def increment(self) -> None:
        value = self.value
        await trio.lowlevel.checkpoint()
        self.value = value + 1


async def two_increments() -> None:
    counter = Counter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(counter.increment)
        nursery.start_soon(counter.increment)
    assert counter.value == 2, f"one of two increments was lost: {counter.value}"


async def deep() -> None:
    """Fails if ``first`` stops after ``a = 1``, ``second`` runs, and then ``third``."""
    seen = {"a": 0, "b": 0, "c": 0, "d": 0}

    async def first() -> None:
        await pause(5)
        seen["a"] = 1
        await trio.lowlevel.checkpoint()
        seen["a"] = 2
        await pause(2)

    async def second() -> None:
        await pause(5)
        seen["b"] = seen["a"]
        await pause(3)

    async def third() -> None:
        await pause(5)
        seen["c"], seen["d"] = seen["a"], seen["b"]

    async def pause(times: int) -> None:
        for _ in range(times):
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for task in (third, second, first, functools.partial(pause, 6)):
            nursery.start_soon(task)
    assert (seen["c"], seen["d"]) != (1, 1)


def test_the_error_is_the_scenarios_own_with_a_note() -> None:
    with pytest.raises(AssertionError, match="one of two increments was lost: 1") as caught:
        explore(two_increments)
    (note,) = caught.value.__notes__
    assert "main/increment#1" in note
    assert "value = self.value" in note
    assert "--schedule=tr1-" in note


def test_the_traceback_shows_the_scenario_and_not_the_kit() -> None:
    with pytest.raises(AssertionError) as caught:
        explore(two_increments)
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames == [
        "test_the_traceback_shows_the_scenario_and_not_the_kit",
        "explore",
        "two_increments",
    ]


def test_the_note_replays_it() -> None:
    failure = explore(two_increments, check=False).failure
    assert failure is not None
    with pytest.raises(AssertionError, match="was lost"):
        replay(two_increments, failure.token)
    again = replay(two_increments, failure.token, check=False)
    assert again.schedules == 1
    assert again.found is not None
    assert again.found.digest == failure.digest


def test_a_replay_runs_once_and_if_it_fails_once_more_for_the_table() -> None:
    runs = 0

    async def scenario() -> None:
        nonlocal runs
        runs += 1
        await deep()

    found = explore(deep, schedules=2000, strategy="random", check=False).found
    assert found is not None
    result = replay(scenario, found.token, check=False)
    assert (runs, result.shrinking) == (2, 0)
    assert result.failure is not None
    # It is the schedule that was asked for, though a simpler one fails as well.
    assert result.failure.preemptions == found.preemptions > 1
    assert any(step.lines for step in result.failure.steps)
    runs = 0
    assert replay(scenario, "tr1-").failure is None
    assert runs == 1


def test_a_replay_that_does_something_else_the_second_time_is_found() -> None:
    runs = 0

    async def scenario() -> None:
        nonlocal runs
        runs += 1
        for _ in range(runs):
            await trio.sleep(1)
        raise LookupError

    with pytest.raises(Diverged, match="step 4 was the end, and then <clock>"):
        replay(scenario, "tr1-")


def test_it_is_shrunk_to_the_one_switch_that_matters() -> None:
    result = explore(deep, schedules=2000, check=False)
    assert result.failure is not None
    assert result.failure.preemptions == 1
    assert result.found is not None
    assert result.failure.switches <= result.found.switches
    # first .. a = 1 | second | third: what came before the star, and after it.
    rows = result.failure.table().splitlines()
    starred = [row for row in rows if row.startswith("*")]
    assert len(starred) == 1


def test_shrinking_never_makes_a_schedule_worse() -> None:
    for seed in range(5):
        result = explore(deep, schedules=2000, strategy="random", seed=seed, check=False)
        assert result.found is not None
        assert result.failure is not None
        assert result.failure.preemptions <= result.found.preemptions


async def correct() -> None:
    lock, values = trio.Lock(), [0]

    async def increment() -> None:
        await trio.lowlevel.checkpoint()
        async with lock:
            value = values[0]
            await trio.lowlevel.checkpoint()
            values[0] = value + 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(increment)
        nursery.start_soon(increment)
    assert values == [2]


def test_what_is_correct_passes_and_says_how_much_was_tried() -> None:
    result = explore(correct, schedules=50)
    assert (result.schedules, result.exhausted, result.failure) == (50, False, None)
    assert str(result) == "50 schedules (auto, seed 0)"
    whole = explore(correct, strategy="exhaustive", schedules=10_000)
    assert whole.exhausted
    assert str(whole).endswith("every schedule there is")
    bounded = explore(correct, strategy="exhaustive:1", schedules=10_000)
    assert (bounded.exhausted, bounded.bound) == (True, 1)
    assert "every schedule with at most 1 preemption" in str(bounded)
    assert bounded.schedules < whole.schedules


def test_not_exhausted_is_said_so() -> None:
    assert not explore(correct, strategy="exhaustive", schedules=3).exhausted


def test_time_is_virtual_and_starts_at_zero() -> None:
    began: list[float] = []

    async def scenario() -> None:
        began.append(trio.current_time())
        await trio.sleep(6 * 3600)
        assert trio.current_time() == 6 * 3600

    explore(scenario, schedules=5)
    assert began == [0.0] * len(began)


async def soft_deadline() -> None:
    """Answers "pending" although the result was there in the same instant."""
    done = trio.Event()

    async def worker() -> None:
        await trio.sleep(0.3)
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker)
        with trio.move_on_after(0.3) as scope:
            await done.wait()
        assert not scope.cancelled_caught or not done.is_set()


def test_timers_are_a_choice_if_asked_for() -> None:
    async def slow_computer() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.lowlevel.checkpoint)
            with trio.move_on_after(0.3) as scope:
                for _ in range(3):
                    await trio.lowlevel.checkpoint()
        assert not scope.cancelled_caught, "three checkpoints took 0.3 s"

    assert explore(slow_computer, schedules=100).failure is None
    with pytest.raises(AssertionError, match=r"three checkpoints took 0\.3 s"):
        explore(slow_computer, schedules=100, timers=True)


def test_two_deadlines_in_one_instant() -> None:
    result = explore(soft_deadline, strategy="exhaustive", schedules=1000, check=False)
    assert result.failure is not None


def test_cancellation_is_a_choice_if_asked_for() -> None:
    async def scenario() -> None:
        opened = []
        with cancellable():
            await trio.lowlevel.checkpoint()
            opened.append("handle")
            await trio.lowlevel.checkpoint()
            opened.remove("handle")
        assert not opened, "left open"

    assert explore(scenario).failure is None
    with pytest.raises(AssertionError, match="left open") as caught:
        explore(scenario, cancel=True)
    assert "-- cancel main --" in caught.value.__notes__[-1]


def test_a_choice_of_the_scenario_is_recorded() -> None:
    async def scenario() -> None:
        values = [choose(["right", "wrong"]) for _ in range(4)]
        assert values[2] == "right"

    result = explore(scenario, check=False)
    assert result.failure is not None
    assert result.failure.picks == (0, 0, 1, 0)
    with pytest.raises(AssertionError):
        replay(scenario, result.failure.token)


def test_without_an_exploration_the_plain_thing_happens() -> None:
    async def main() -> None:
        assert choose("ab") == "a"
        with cancellable() as scope:
            await trio.lowlevel.checkpoint()
        assert not scope.cancelled_caught
        with pytest.raises(RuntimeError, match="in an exploration only"):
            always(lambda: True)

    trio.run(main)
    with pytest.raises(ValueError, match="at least one option"):
        choose([])


def test_an_invariant_is_checked_after_every_step() -> None:
    async def scenario() -> None:
        running = 0
        always(lambda: running <= 1, "one at a time")

        async def job() -> None:
            nonlocal running
            running += 1
            await trio.lowlevel.checkpoint()
            running -= 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(job)
            nursery.start_soon(job)

    with pytest.raises(AssertionError, match="one at a time: does not hold"):
        explore(scenario)


def test_system_tasks_are_controlled() -> None:
    order: list[str] = []

    async def scenario() -> None:
        order.clear()
        done = trio.Event()

        async def system() -> None:
            order.append("system")
            done.set()

        trio.lowlevel.spawn_system_task(system)
        await trio.lowlevel.checkpoint()
        order.append("main")
        await done.wait()
        assert order == ["system", "main"]

    result = explore(scenario, check=False)
    assert result.failure is not None
    assert [step.key for step in result.failure.steps].count("system/system") == 1


def test_trios_own_helpers_work() -> None:
    async def scenario() -> None:
        sequencer = trio.testing.Sequencer()
        order = []

        async def one() -> None:
            async with sequencer(0):
                order.append(0)
            async with sequencer(2):
                order.append(2)

        async def started(task_status: trio.TaskStatus[int]) -> None:
            await trio.lowlevel.checkpoint()
            task_status.started(5)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            assert await nursery.start(started) == 5
            await trio.testing.wait_all_tasks_blocked()
            assert order == [0]
            async with sequencer(1):
                order.append(1)
        assert order == [0, 1, 2]

    assert explore(scenario).failure is None


@explored
async def test_decorated_without_options() -> None:
    await correct()


@explored(schedules=3, strategy="random")
async def test_decorated_with_options(request: pytest.FixtureRequest) -> None:
    assert request.node.name == "test_decorated_with_options"
    await trio.lowlevel.checkpoint()


class TestUnittest(unittest.TestCase):
    @explored(schedules=5)
    async def test_a_method(self) -> None:
        await trio.lowlevel.checkpoint()
        self.assertIsInstance(self, TestUnittest)  # noqa: PT009


@pytest.mark.parametrize("options", [{"schedules": 0}, {"max_steps": 0}, {"replay": "tr1-!"}])
def test_arguments_that_mean_nothing(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"1 at least|is not a schedule"):
        explore(correct, **options)


def test_a_bound_in_seconds() -> None:
    result = explore(correct, schedules=1_000_000, seconds=0.05)
    assert result.schedules < 1_000_000


async def test_an_exploration_inside_of_trio_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"decorate the async test with @explored\(\) instead"):
        explore(correct)
