"""A poll of looks_alive, against one turn of a task that loops over trio.sleep."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Final

import trio
import trio.testing

from benchmarks.measure import Row, flatness, row_of_ratios
from benchmarks.sides import Polled, bring_online, consumed_monitor
from trioresource import PollIntervals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Effort, Pairs

NAME = "poll"
TITLE = "a poll of looks_alive / one turn of a task that loops over trio.sleep"
BAR = 0.25

# On a virtual clock, which jumps while there is nothing to do: what is left is work. Polls
# are due at multiples of the interval, the bare tasks wake up half an interval later, and
# the time that the process takes is read a quarter before and after either.
_INTERVAL: Final = 1_000.0


def run(effort: Effort) -> Iterator[Row]:
    """All due together, for each number of resources; and each at an instant of its own."""
    rows: list[Row] = []
    for size in effort.sizes:
        pairs = _measure(effort.pairs_of(size), size, spread=False)
        rows.append(_row(pairs, f"{size:,} due together", BAR))
        yield rows[-1]
    yield from flatness(iter(rows), NAME, "cost of a poll")
    size = effort.sizes[0]
    pairs = _measure(effort.pairs, size, spread=True)
    yield _row(pairs, f"{size:,} each at its own instant", None)


def _row(pairs: Pairs, what: str, bar: float | None) -> Row:
    return row_of_ratios(pairs, benchmark=NAME, what=what, unit="us", scale=1e6, bar=bar)


def _measure(pairs: int, size: int, *, spread: bool) -> Pairs:
    clock = trio.testing.MockClock(autojump_threshold=0)
    return trio.run(_poll, pairs, size, spread, clock=clock)


async def _poll(pairs: int, size: int, spread: bool) -> Pairs:
    poll = PollIntervals(looks_alive=_INTERVAL, is_alive=1e9)
    apart = _INTERVAL / 4 / size if spread else 0.0
    found: Pairs = []
    async with trio.open_nursery() as nursery, consumed_monitor() as (monitor, drain):
        begun = trio.current_time()
        hosted = [await monitor.host(f"r{number}", Polled, poll=poll) for number in range(size)]
        for number, one in enumerate(hosted):
            if spread:
                await trio.sleep_until(begun + number * apart)
            await one.online()
        await drain.emptied()
        first = begun + _INTERVAL / 2
        for number in range(size):
            nursery.start_soon(_loop, first + number * apart)
        # Half way from the bare tasks' first wake-up to the first polls.
        edge = begun + _INTERVAL * 7 / 8
        await trio.sleep_until(edge)

        async def half() -> float:
            nonlocal edge
            edge += _INTERVAL / 2
            started = time.process_time()
            await trio.sleep_until(edge)
            return (time.process_time() - started) / size

        gc.collect()
        for _ in range(pairs + 1):
            polled = await half()
            found.append((polled, await half()))
        # Every resource was polled once in each pair, and no more.
        assert {one.statistics().looks_alive_polls for one in hosted} == {pairs + 1}
        nursery.cancel_scope.cancel()
    # The first one was for nothing.
    return found[1:]


async def _loop(first: float) -> None:
    await trio.sleep_until(first)
    while True:
        await trio.sleep(_INTERVAL)
