"""One life: online, terminate, joined; against start, cancel, join of a bare task."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import trio

from benchmarks.flat import compare_sizes
from benchmarks.measure import QUICK, alternate, row_of_ratios
from benchmarks.sides import (
    Idle,
    bare_cycle,
    bring_online,
    consumed_cluster,
    consumed_monitor,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from benchmarks.measure import Effort, Pairs, Row
    from trioresource import HostedResource, Resource

NAME = "cycle"
TITLE = "online, terminate, joined / start, cancel, join of a task with an open nursery"
BAR_MONITOR = 1.7
BAR_CLUSTER = 3.0


def run(effort: Effort) -> Iterator[Row]:
    """The life of one resource, alone and among many that are idle."""
    yield _row(trio.run(_in_monitor, effort), "monitor", BAR_MONITOR)
    yield _row(trio.run(_in_cluster, effort), "cluster", BAR_CLUSTER)
    yield from compare_sizes(_serve, effort, benchmark=NAME, what="a life, idle neighbours")


def _row(pairs: Pairs, what: str, bar: float) -> Row:
    return row_of_ratios(pairs, benchmark=NAME, what=what, unit="us", scale=1e6, bar=bar)


async def _in_monitor(effort: Effort) -> Pairs:
    async with consumed_monitor() as (monitor, _):
        return await _compare(effort, await monitor.host("one", Idle))


async def _in_cluster(effort: Effort) -> Pairs:
    async with consumed_cluster() as cluster:
        return await _compare(effort, await cluster.add("one", Idle))


async def _compare(effort: Effort, one: HostedResource | Resource) -> Pairs:
    cycles = effort.cycles
    async with trio.open_nursery() as nursery:

        async def bare() -> float:
            begun = time.process_time()
            for _ in range(cycles):
                await bare_cycle(nursery)
            return (time.process_time() - begun) / cycles

        pairs = await alternate(effort.pairs, lambda: _lives(one, cycles), bare)
    return pairs


async def _lives(one: HostedResource | Resource, cycles: int) -> float:
    begun = time.process_time()
    for _ in range(cycles):
        await one.online()
        await one.terminate()
    return (time.process_time() - begun) / cycles


def _serve(neighbours: int, connection: Connection) -> None:
    trio.run(_among, neighbours, connection)


async def _among(neighbours: int, connection: Connection) -> None:
    async with consumed_monitor() as (monitor, drain):
        await bring_online(monitor, Idle, neighbours, prefix="idle")
        await drain.emptied()
        gc.collect()
        one = await monitor.host("one", Idle)
        while connection.recv():
            connection.send(await _lives(one, QUICK.cycles))
