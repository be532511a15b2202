"""A poll of looks_alive, against one turn of a task that loops over trio.sleep."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Final

import trio
import trio.testing

from benchmarks.flat import compare_sizes
from benchmarks.measure import row_of_ratios
from benchmarks.sides import Polled, consumed_monitor
from trioresource import PollIntervals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from benchmarks.measure import Effort, Pairs, Row

NAME = "poll"
TITLE = "a poll of looks_alive / one turn of a task that loops over trio.sleep"
BAR = 0.1

# On a virtual clock, which jumps while there is nothing to do: what is left is work. Polls
# are due at multiples of the interval, the bare tasks wake up half an interval later, and
# the time that the process takes is read a quarter before and after either.
_INTERVAL: Final = 1_000.0


def run(effort: Effort) -> Iterator[Row]:
    """All due together, for each number of resources; and each at an instant of its own."""
    size = effort.sizes[0]
    yield _row(_measure(effort.pairs, size, spread=False), f"{size:,} due together", BAR)
    yield from compare_sizes(_serve, effort, benchmark=NAME, what="a poll")
    pairs = _measure(effort.pairs, size, spread=True)
    yield _row(pairs, f"{size:,} each at its own instant", None)


def _row(pairs: Pairs, what: str, bar: float | None) -> Row:
    return row_of_ratios(pairs, benchmark=NAME, what=what, unit="us", scale=1e6, bar=bar)


def _measure(pairs: int, size: int, *, spread: bool) -> Pairs:
    found: Pairs = []
    _run(
        size,
        _INTERVAL / 4 / size if spread else 0.0,
        bare=True,
        more=lambda: len(found) <= pairs,
        tell=lambda polled, woken: found.append((polled, woken)),
    )
    # The first one was for nothing.
    return found[1:]


def _serve(size: int, connection: Connection) -> None:
    def tell(polled: float, _: float) -> None:
        connection.send(polled)

    _run(size, 0.0, bare=False, more=connection.recv, tell=tell)


def _run(
    size: int,
    apart: float,
    *,
    bare: bool,
    more: Callable[[], bool],
    tell: Callable[[float, float], None],
) -> None:
    clock = trio.testing.MockClock(autojump_threshold=0)
    trio.run(_poll, size, apart, bare, more, tell, clock=clock)


async def _poll(
    size: int,
    apart: float,
    bare: bool,
    more: Callable[[], bool],
    tell: Callable[[float, float], None],
) -> None:
    """Tell the cost of one poll and of one wake-up, in seconds, as long as more is wanted."""
    poll = PollIntervals(looks_alive=_INTERVAL, is_alive=1e9)
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
        turns = 0
        while more():
            turns += 1
            polled = await half()
            tell(polled, await half())
        # Every resource was polled once in each pair, and no more.
        assert {one.statistics().looks_alive_polls for one in hosted} == {turns}
        nursery.cancel_scope.cancel()


async def _loop(first: float) -> None:
    await trio.sleep_until(first)
    while True:  # noqa: ASYNC110 (this is what is measured)
        await trio.sleep(_INTERVAL)
