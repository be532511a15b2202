"""The simplest schedule: the fewest preemptions, then the fewest switches, then the shortest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.lowlevel

from trioresource.testing import choose, explore
from trioresource.testing._scheduling.running import Run, Settings, run
from trioresource.testing._search.replay import Replay
from trioresource.testing._search.shrink import Shrinker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


async def steps(count: int) -> None:
    for _ in range(count):
        await trio.lowlevel.checkpoint()


def run_once(scenario: Callable[[], Awaitable[None]], picks: Sequence[int]) -> Run:
    return run(scenario, Replay(picks), Settings(), follow=True)


def preemptions(of: Run) -> int:
    return len(of.controller.departures)


async def loads_once() -> None:
    value, loads = "", 0

    async def get() -> None:
        nonlocal value, loads
        if not value:
            loads += 1
            await trio.lowlevel.checkpoint()
            value = "loaded"

    async with trio.open_nursery() as nursery:
        nursery.start_soon(get)
        await steps(3)
        await get()
    assert loads == 1


@pytest.mark.parametrize("strategy", ["auto", "random", "pos"])
def test_fewer_preemptions_are_found_where_no_change_leads_to_them(strategy: str) -> None:
    # In most that fail, ``main`` is the second to come to ``get``, and both are left there
    # once. Where it comes first, one preemption is enough.
    for seed in range(10):
        failure = explore(loads_once, strategy=strategy, seed=seed, check=False).failure
        assert failure is not None
        assert (failure.preemptions, failure.switches) == (1, 2)


async def two_errors() -> None:
    """Fails in one way if ``first`` is interrupted, and in another if it comes last."""
    order: list[str] = []

    async def first() -> None:
        order.append("begins")
        await steps(2)
        order.append("ends")

    async def second() -> None:
        order.append("second")
        await steps(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(first)
        nursery.start_soon(second)
    if order[0] == "second":
        raise LookupError("first came last")
    assert order[1] != "second", "first was interrupted"


def test_a_schedule_that_fails_in_another_way_does_not_count() -> None:
    interrupted = run_once(two_errors, [])
    assert isinstance(interrupted.error, AssertionError)
    assert preemptions(interrupted) >= 1
    simplest = Shrinker(two_errors, Settings()).shrink(interrupted)
    assert isinstance(simplest.error, AssertionError)
    assert preemptions(simplest) == 1
    # Without a preemption, it fails in the other way.
    result = explore(two_errors, strategy="exhaustive:0", check=False)
    assert result.failure is not None


def test_what_the_scenario_decides_stays_as_it_is() -> None:
    async def scenario() -> None:
        number = choose(range(100_000))
        await loads_once() if number == 70_000 else await steps(2)

    found = explore(loads_once, strategy="random", seed=2, check=False).found
    assert found is not None
    assert found.preemptions > 1
    failed = run_once(scenario, [70_000, *found.picks])
    simplest = Shrinker(scenario, Settings()).shrink(failed)
    assert simplest.controller.choices == [70_000]
    assert preemptions(simplest) == 1


@pytest.mark.parametrize("budget", [1, 10, 40])
def test_it_ends_with_its_budget(budget: int) -> None:
    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(steps, 9)
        raise LookupError

    failed = run_once(scenario, [1, 2, 3, 4] * 10)
    shrinker = Shrinker(scenario, Settings(), budget=budget)
    shrinker.shrink(failed)
    assert shrinker.tried == budget


def test_schedules_with_fewer_preemptions_are_tried_for_a_bounded_time() -> None:
    # One preemption is needed, and there are 7! orders without one.
    async def scenario() -> None:
        going = 0
        overlap = 0

        async def one() -> None:
            nonlocal going, overlap
            going += 1
            overlap = max(overlap, going)
            await steps(1)
            going -= 1

        async with trio.open_nursery() as nursery:
            for _ in range(7):
                nursery.start_soon(one)
        assert overlap < 2

    shrinker = Shrinker(scenario, Settings())
    simplest = shrinker.shrink(run_once(scenario, []))
    assert preemptions(simplest) == 1
    assert shrinker.tried <= 400
