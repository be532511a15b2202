"""What an idle resource that is online takes, against a task that holds an open nursery."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from typing import TYPE_CHECKING

import trio
import trio.testing

from benchmarks.measure import Row, alternate, flatness, row_of_ratios
from benchmarks.sides import (
    Polled,
    bring_online,
    consumed_cluster,
    consumed_monitor,
    hold_nursery,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from benchmarks.measure import Effort, Pairs

NAME = "memory"
TITLE = "an idle resource online, polls armed / a task that holds an open nursery"
BAR = 1.6


def run(effort: Effort) -> Iterator[Row]:
    """Per resource, for each number of them."""
    rows: list[Row] = []
    for size in effort.sizes:
        # The same to the byte each time, but for what the allocator rounds up.
        pairs = effort.pairs if size < 10_000 else 1
        found = _measure(pairs, size, _monitor_bytes)
        rows.append(_row(found, f"{size:,} in a monitor", BAR))
        yield rows[-1]
    yield from flatness(iter(rows), NAME, "size of a resource")
    size = effort.sizes[0]
    yield _row(_measure(effort.pairs, size, _cluster_bytes), f"{size:,} in a cluster", None)


def _row(pairs: Pairs, what: str, bar: float | None) -> Row:
    return row_of_ratios(pairs, benchmark=NAME, what=what, unit="bytes", scale=1, bar=bar)


def _measure(pairs: int, size: int, ours: Callable[[int], Awaitable[float]]) -> Pairs:
    async def both() -> Pairs:
        return await alternate(pairs, lambda: ours(size), lambda: _bare_bytes(size))

    tracemalloc.start()
    try:
        return trio.run(both)
    finally:
        tracemalloc.stop()


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def _monitor_bytes(size: int) -> float:
    async with consumed_monitor() as (monitor, drain):
        before = _traced()
        resources = await bring_online(monitor, Polled, size)
        await drain.emptied()
        # The list that holds them here is none of theirs.
        return (_traced() - before - sys.getsizeof(resources)) / size


async def _cluster_bytes(size: int) -> float:
    async with consumed_cluster() as cluster:
        # Of the history, which has a bound of its own, nothing more is to come.
        await bring_online(cluster, Polled, 500, prefix="before")
        before = _traced()
        resources = await bring_online(cluster, Polled, size)
        await trio.testing.wait_all_tasks_blocked()
        return (_traced() - before - sys.getsizeof(resources)) / size


async def _bare_bytes(size: int) -> float:
    async with trio.open_nursery() as nursery:
        before = _traced()
        for _ in range(size):
            await nursery.start(hold_nursery, trio.Event())
        found = (_traced() - before) / size
        nursery.cancel_scope.cancel()
    return found
