from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import comb
from typing import TYPE_CHECKING

import pytest
import trio

from trioresource.testing import explore
from trioresource.testing._search.portfolio import make_strategy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioresource.testing import Strategy


def interleavings(strategy: str, lengths: tuple[int, ...], schedules: int) -> Counter[str]:
    """How often the strategy came up with each order of the tasks' steps."""
    seen: Counter[str] = Counter()
    calls = 0

    async def scenario() -> None:
        nonlocal calls
        calls += 1
        order: list[str] = []

        async def worker(name: str, steps: int) -> None:
            for _ in range(steps - 1):
                order.append(name)
                await trio.lowlevel.checkpoint()
            order.append(name)

        async with trio.open_nursery() as nursery:
            for name, steps in zip("abcdef", lengths, strict=False):
                nursery.start_soon(worker, name, steps)
        # The first schedule is the plain one, and runs twice.
        if calls > 2:
            seen["".join(order)] += 1

    explore(scenario, strategy=strategy, schedules=schedules)
    return seen


@pytest.mark.parametrize("strategy", ["random", "pos", "pct", "pct:3", "urw", "auto"])
def test_every_interleaving_can_come_up(strategy: str) -> None:
    assert len(interleavings(strategy, (2, 2), 400)) >= (4 if strategy.startswith("pct") else 6)


@pytest.mark.parametrize(("lengths"), [(2, 2), (3, 3), (2, 3), (2, 2, 2), (1, 4)])
def test_exhaustive_runs_every_interleaving(lengths: tuple[int, ...]) -> None:
    seen = interleavings("exhaustive", lengths, 100_000)
    expected, total = 1, 0
    for length in lengths:
        total += length
        expected *= comb(total, length)
    assert len(seen) == expected


@pytest.mark.parametrize("lengths", [(1,), (2, 2), (3, 2), (2, 2, 2)])
@pytest.mark.parametrize("strategy", ["exhaustive", "exhaustive:0", "exhaustive:1"])
def test_exhaustive_counts_each_schedule_once(strategy: str, lengths: tuple[int, ...]) -> None:
    async def worker(steps: int) -> None:
        for _ in range(steps - 1):
            await trio.lowlevel.checkpoint()

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            for steps in lengths:
                nursery.start_soon(worker, steps)

    runs: list[list[tuple[int, int]]] = []
    plain: list[list[tuple[int, int]]] = []
    # Wrapped, it is not known to be exhaustive.
    explore(scenario, strategy=Recorder(strategy, runs), schedules=10_000)
    explore(scenario, strategy=Recorder("fifo", plain), schedules=2)
    result = explore(scenario, strategy=strategy, schedules=10_000)
    assert result.exhausted
    assert result.beyond == (plain[0] not in runs)
    assert result.schedules == len(runs) + result.beyond


def test_exhaustive_runs_no_schedule_twice() -> None:
    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(trio.lowlevel.checkpoint)

    runs: list[list[tuple[int, int]]] = []
    result = explore(scenario, strategy=Recorder("exhaustive", runs), schedules=10_000)
    tokens = {tuple(picks) for picks in runs}
    assert len(tokens) == len(runs) == result.schedules - 1


class Recorder:
    """A strategy of one's own: another one, and a note of what came of it."""

    def __init__(self, name: str, runs: list[list[tuple[int, int]]]) -> None:
        self.inner: Strategy = make_strategy(name, 0)
        self.runs = runs

    def begin(self) -> bool:
        return self.inner.begin()

    def pick(self, keys: Sequence[str], last: str | None) -> int:
        return self.inner.pick(keys, last)

    def choose(self, count: int) -> int:
        return self.inner.choose(count)

    def end(self, picks: Sequence[tuple[int, int]], failed: bool) -> None:
        self.runs.append(list(picks))
        self.inner.end(picks, failed)


def preemptions_of(order: str, finished_by: dict[str, int]) -> int:
    left = Counter(finished_by)
    count = 0
    for before, after in pairwise(order):
        left[before] -= 1
        count += before != after and left[before] > 0
    return count


@pytest.mark.parametrize("bound", [0, 1, 2])
def test_a_bound_on_preemptions_is_exact(bound: int) -> None:
    lengths = (3, 3, 2)
    sizes: dict[str, int] = dict(zip("abc", lengths, strict=True))
    everything = interleavings("exhaustive", lengths, 100_000)
    bounded = interleavings(f"exhaustive:{bound}", lengths, 100_000)
    # The last step of a task ends it, and the nursery's task then takes no step in between:
    # all switches that the order shows are the strategy's.
    assert set(bounded) == {o for o in everything if preemptions_of(o, sizes) <= bound}


def test_the_uniform_walk_is_more_even_than_the_random_one() -> None:
    # A task of one step beside one of seven: at even chances, the short one is soon over.
    def spread(strategy: str) -> float:
        seen = interleavings(strategy, (1, 7), 800)
        return max(seen.values()) / 800

    assert spread("urw") < 0.3 < 0.4 < spread("random")


def test_pct_of_depth_one_never_comes_back_to_a_task() -> None:
    for order in interleavings("pct:1", (3, 3), 200):
        assert order in ("aaabbb", "bbbaaa")


@pytest.mark.parametrize("strategy", ["random", "pos", "pct:2", "urw", "auto", "exhaustive:1"])
def test_the_same_seed_the_same_schedules(strategy: str) -> None:
    runs: list[list[list[tuple[int, int]]]] = [[], []]

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(trio.lowlevel.checkpoint)

    for each in runs:
        explore(scenario, strategy=Recorder(strategy, each), schedules=30)
    assert runs[0] == runs[1] != []


@pytest.mark.parametrize("strategy", ["pct:1", "pct:3", "exhaustive:0", "auto"])
def test_who_spins_does_not_starve_whom_it_waits_for(strategy: str) -> None:
    async def scenario() -> None:
        ready = False

        async def waiter() -> None:
            while not ready:
                await trio.lowlevel.checkpoint()

        async def worker() -> None:
            nonlocal ready
            await trio.lowlevel.checkpoint()
            ready = True

        async with trio.open_nursery() as nursery:
            nursery.start_soon(waiter)
            nursery.start_soon(waiter)
            nursery.start_soon(worker)

    assert explore(scenario, strategy=strategy, schedules=20).failure is None


@pytest.mark.parametrize(
    "name", ["best", "pct:", "pct:x", "pct:0", "random:2", "exhaustive:-1", ""]
)
def test_an_unknown_strategy_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"strategy|depth"):
        make_strategy(name, 0)
