"""One life: online, terminate, joined; against start, cancel, join of a bare task."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import trio

from benchmarks.measure import Row, alternate, flatness, row_of_ratios
from benchmarks.sides import (
    Idle,
    bare_cycle,
    bring_online,
    consumed_cluster,
    consumed_monitor,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Effort, Pairs
    from trioresource import HostedResource, Resource

NAME = "cycle"
TITLE = "online, terminate, joined / start, cancel, join of a task with an open nursery"
BAR = 2.0


def run(effort: Effort) -> Iterator[Row]:
    """The life of one resource, alone and among many that are idle."""
    yield _row(trio.run(_in_monitor, effort, 0), "monitor", BAR)
    yield _row(trio.run(_in_cluster, effort), "cluster", None)
    rows: list[Row] = []
    for size in effort.sizes:
        pairs = trio.run(_in_monitor, effort, size)
        rows.append(_row(pairs, f"{size:,} idle neighbours in the monitor", None))
        yield rows[-1]
    yield from flatness(rows, "cost of a life")


def _row(pairs: Pairs, what: str, bar: float | None) -> Row:
    return row_of_ratios(pairs, benchmark=NAME, what=what, unit="us", scale=1e6, bar=bar)


async def _in_monitor(effort: Effort, neighbours: int) -> Pairs:
    async with consumed_monitor() as (monitor, drain):
        await bring_online(monitor, Idle, neighbours, prefix="idle")
        await drain.emptied()
        return await _measure(effort, await monitor.host("one", Idle))


async def _in_cluster(effort: Effort) -> Pairs:
    async with consumed_cluster() as cluster:
        return await _measure(effort, await cluster.add("one", Idle))


async def _measure(effort: Effort, one: HostedResource | Resource) -> Pairs:
    cycles = effort.cycles

    async def ours() -> float:
        begun = time.process_time()
        for _ in range(cycles):
            await one.online()
            await one.terminate()
        return (time.process_time() - begun) / cycles

    async with trio.open_nursery() as nursery:

        async def bare() -> float:
            begun = time.process_time()
            for _ in range(cycles):
                await bare_cycle(nursery)
            return (time.process_time() - begun) / cycles

        pairs = await alternate(effort.pairs, ours, bare)
    return pairs
