"""What an idle resource that is online takes, against a task that holds an open nursery."""

from __future__ import annotations

import gc
import resource
import sys
import tracemalloc
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio
import trio.testing

from benchmarks.flat import worker
from benchmarks.measure import Row, flatness, row_of_ratios, row_of_size
from benchmarks.sides import (
    Polled,
    bring_online,
    consumed_cluster,
    consumed_monitor,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from multiprocessing.connection import Connection

    from benchmarks.flat import Serve
    from benchmarks.measure import Effort, Pairs

NAME = "memory"
TITLE = "an idle resource online, polls armed / a task that holds an open nursery"
BAR_MONITOR = 1.35
BAR_CLUSTER = 1.55

_TRACEABLE: Final = 10_000


def run(effort: Effort) -> Iterator[Row]:
    """Per resource: against bare Trio for the least number, by itself for the others."""
    first = effort.sizes[0]
    pairs = trio.run(_compare, effort.pairs, first, _monitor_bytes)
    yield _row(pairs, f"{first:,} in a monitor", BAR_MONITOR)
    # Traced for the smaller numbers; tracing 100,000 would take minutes.
    traced, resident = list[Row](), list[Row]()
    for size in effort.sizes:
        if size <= _TRACEABLE:
            traced.append(_alone(_serve_traced, size, f"{size:,} in a monitor"))
        if size >= _TRACEABLE:
            resident.append(_alone(_serve_resident, size, f"{size:,} in a monitor, resident"))
    yield from traced
    yield from flatness(traced, "size of a resource")
    yield from resident
    yield from flatness(resident, "resident size of a resource")
    pairs = trio.run(_compare, effort.pairs, first, _cluster_bytes)
    yield _row(pairs, f"{first:,} in a cluster", BAR_CLUSTER)


def _row(pairs: Pairs, what: str, bar: float) -> Row:
    return row_of_ratios(pairs, benchmark=NAME, what=what, unit="bytes", scale=1, bar=bar)


def _alone(serve: Serve, size: int, what: str) -> Row:
    """In a process of its own; once, for it is the same each time."""
    with worker(serve, size) as measure:
        return row_of_size([measure()], benchmark=NAME, what=what, unit="bytes")


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


async def _monitor_bytes(size: int) -> float:
    async with consumed_monitor() as (monitor, drain):
        with _traced() as traced:
            resources = await bring_online(monitor, Polled, size)
            await drain.emptied()
            # The list that holds them here is none of theirs.
            return (traced() - sys.getsizeof(resources)) / size


def _serve_traced(size: int, connection: Connection) -> None:
    connection.recv()
    connection.send(trio.run(_monitor_bytes, size))


def _serve_resident(size: int, connection: Connection) -> None:
    trio.run(_send_resident, size, connection)


async def _send_resident(size: int, connection: Connection) -> None:
    async with consumed_monitor() as (monitor, drain):
        before = _resident()
        await bring_online(monitor, Polled, size)
        await drain.emptied()
        connection.recv()
        connection.send((_resident() - before) / size)
        # Here this process is ended: in good order that would take long.
        connection.recv()


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


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
