"""A poll of looks_alive, against one turn of a task that loops over trio.sleep."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Final

import trio
import trio.testing

from benchmarks.measure import flatness, row_of_ratios, row_of_size
from benchmarks.sides import Polled, consumed_monitor
from trioresource import PollIntervals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Effort, Pairs, Row

NAME = "poll"
TITLE = "a poll of looks_alive / one turn of a task that loops over trio.sleep"
BAR = 0.25

# On a virtual clock, which jumps while there is nothing to do: what is left is work. Polls
# are due at multiples of the interval, the bare tasks wake up half an interval later, and
# the time that the process takes is read a quarter before and after either.
_INTERVAL: Final = 1_000.0


def run(effort: Effort) -> Iterator[Row]:
    """All due together, for each number of resources; and each at an instant of its own."""
    first, *others = effort.sizes
    rows = [_row(_measure(effort.pairs, first), f"{first:,} due together", BAR)]
    yield rows[0]
    for size in others:
        polls = [ours for ours, _ in _measure(effort.pairs, size, bare=False)]
        what = f"{size:,} due together"
        rows.append(row_of_size(polls, benchmark=NAME, what=what, unit="us", scale=1e6))
        yield rows[-1]
    yield from flatness(rows, "cost of a poll")
    pairs = _measure(effort.pairs, first, spread=True)
    yield _row(pairs, f"{first:,} each at its own instant", None)


def _row(pairs: Pairs, what: str, bar: float | None) -> Row:
    return row_of_ratios(pairs, benchmark=NAME, what=what, unit="us", scale=1e6, bar=bar)


def _measure(pairs: int, size: int, *, spread: bool = False, bare: bool = True) -> Pairs:
    clock = trio.testing.MockClock(autojump_threshold=0)
    apart = _INTERVAL / 4 / size if spread else 0.0
    return trio.run(_poll, pairs, size, apart, bare, clock=clock)


async def _poll(pairs: int, size: int, apart: float, bare: bool) -> Pairs:
    poll = PollIntervals(looks_alive=_INTERVAL, is_alive=1e9)
    found: Pairs = []
    async with trio.open_nursery() as nursery, consumed_monitor() as (monitor, drain):
        begun = trio.current_time()
        hosted = [await monitor.host(f"r{number}", Polled, poll=poll) for number in range(size)]
        for number, one in enumerate(hosted):
            if apart:
                await trio.sleep_until(begun + number * apart)
            await one.online()
        await drain.emptied()
        for number in range(size if bare else 0):
            nursery.start_soon(_loop, begun + _INTERVAL / 2 + number * apart)
        # After the bare tasks' first wake-up, before the first polls.
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
    while True:  # noqa: ASYNC110 (this is what is measured)
        await trio.sleep(_INTERVAL)
