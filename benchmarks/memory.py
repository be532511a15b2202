"""What an idle resource that is online takes, against a task that holds an open nursery."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio
import trio.testing

from benchmarks.measure import flatness, row_of_ratios, row_of_size
from benchmarks.sides import (
    Polled,
    bring_online,
    consumed_cluster,
    consumed_monitor,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from multiprocessing.connection import Connection

    from benchmarks.measure import Effort, Pairs, Row

NAME = "memory"
TITLE = "an idle resource online, polls armed / a task that holds an open nursery"
BAR = 1.6


def run(effort: Effort) -> Iterator[Row]:
    """Per resource: against bare Trio for the least number, by itself for the others."""
    first, *others = effort.sizes
    pairs = trio.run(_compare, effort.pairs, first, _monitor_bytes)
    rows = [_row(pairs, f"{first:,} in a monitor", BAR)]
    yield rows[0]
    for size in others:
        # The same to the byte each time, so once is enough.
        value = trio.run(_monitor_bytes, size)
        rows.append(
            row_of_size([value], benchmark=NAME, what=f"{size:,} in a monitor", unit="bytes")
        )
        yield rows[-1]
    yield from flatness(rows, "size of a resource")
    pairs = trio.run(_compare, effort.pairs, first, _cluster_bytes)
    yield _row(pairs, f"{first:,} in a cluster", None)


def _row(pairs: Pairs, what: str, bar: float | None) -> Row:
    return row_of_ratios(pairs, benchmark=NAME, what=what, unit="bytes", scale=1, bar=bar)


async def _compare(pairs: int, size: int, ours: Callable[[int], Awaitable[float]]) -> Pairs:
    return [(await ours(size), await _bare_bytes(size)) for _ in range(pairs)]


@contextmanager
def _traced() -> Iterator[Callable[[], int]]:
    """Trace from here to the call; not what is freed later, which would take long."""
    gc.collect()
    tracemalloc.start()

    def stop() -> int:
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size

    try:
        yield stop
    finally:
        tracemalloc.stop()


async def _monitor_bytes(size: int, connection: Connection | None = None) -> float:
    async with consumed_monitor() as (monitor, drain):
        with _traced() as traced:
            resources = await bring_online(monitor, Polled, size)
            await drain.emptied()
            # The list that holds them here is none of theirs.
            found = (traced() - sys.getsizeof(resources)) / size
        if connection is not None:
            connection.send(found)
            # Here this process is ended: in good order that would take long.
            connection.recv()
    return found


def _serve(size: int, connection: Connection) -> None:
    connection.recv()
    trio.run(_monitor_bytes, size, connection)


async def _cluster_bytes(size: int) -> float:
    # Without a history: what it takes has a bound of its own.
    async with consumed_cluster(history=0) as cluster:
        with _traced() as traced:
            resources = await bring_online(cluster, Polled, size)
            await trio.testing.wait_all_tasks_blocked()
            return (traced() - sys.getsizeof(resources)) / size


async def _bare_bytes(size: int) -> float:
    async with trio.open_nursery() as nursery:
        with _traced() as traced:
            for _ in range(size):
                await nursery.start(_hold_nursery)
            found = traced() / size
        nursery.cancel_scope.cancel()
    return found


async def _hold_nursery(*, task_status: trio.TaskStatus[None]) -> None:
    async with trio.open_nursery():
        task_status.started()
        await trio.sleep_forever()
