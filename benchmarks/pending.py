"""Ten thousand resources that come online slowly: when is each caller told so?"""

from __future__ import annotations

import gc
import statistics
import time
from functools import partial
from typing import TYPE_CHECKING, final

import trio

from benchmarks.measure import Row, row_of_values
from benchmarks.sides import Slow, consumed_cluster, consumed_monitor
from trioresource import HostedResource, Resource, ResourceState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.measure import Effort

NAME = "pending"
TITLE = "the longest of many concurrent online() calls until ONLINE_PENDING, in ms"
BAR = 350.0


def run(effort: Effort) -> Iterator[Row]:
    """With the garbage collector as it is, and with what is set up frozen."""
    for level, measure in (("monitor", _in_monitor), ("cluster", _in_cluster)):
        for frozen, setting, bar in ((False, "gc as it is", BAR), (True, "gc.freeze()", BAR)):
            slowest: list[float] = []
            lost: list[float] = []
            for _ in range(effort.pending_runs):
                gc.collect()
                taken, others = trio.run(partial(measure, effort.pending, frozen=frozen))
                slowest.append(taken * 1e3)
                lost.append(others * 1e3)
            row = Row(
                benchmark=NAME,
                what=f"{effort.pending:,} calls, {level}, {setting}",
                unit="ms",
                ours=statistics.median(slowest),
                result_unit="ms",
                bar=bar,
                note=f"worst run {max(slowest):.0f} ms; while it wanted the processor, others had "
                f"it for {statistics.median(lost):.0f} ms",
            )
            yield row_of_values(slowest, row)


async def _in_monitor(count: int, *, frozen: bool) -> tuple[float, float]:
    async with consumed_monitor() as (monitor, _):
        resources = [await monitor.host(f"r{number}", Slow) for number in range(count)]
        return await _slowest(resources, frozen=frozen)


async def _in_cluster(count: int, *, frozen: bool) -> tuple[float, float]:
    async with consumed_cluster() as cluster:
        resources = [await cluster.add(f"r{number}", Slow) for number in range(count)]
        return await _slowest(resources, frozen=frozen)


async def _slowest(
    resources: Sequence[HostedResource | Resource], *, frozen: bool
) -> tuple[float, float]:
    taken: list[float] = []

    async def call(resource: HostedResource | Resource) -> None:
        begun = time.perf_counter()
        state = await resource.online()
        taken.append(time.perf_counter() - begun)
        assert state is ResourceState.ONLINE_PENDING

    gc.collect()
    if frozen:
        gc.freeze()
    idle = _Idle()
    trio.lowlevel.add_instrument(idle)
    wall, own = time.perf_counter(), time.process_time()
    try:
        async with trio.open_nursery() as nursery:
            for resource in resources:
                nursery.start_soon(call, resource)
    finally:
        gc.unfreeze()
    wall, own = time.perf_counter() - wall, time.process_time() - own
    trio.lowlevel.remove_instrument(idle)
    assert len(taken) == len(resources)
    return max(taken), max(0.0, wall - own - idle.seconds)


@final
class _Idle(trio.abc.Instrument):
    """How long the event loop had nothing to do."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._begun = 0.0

    def before_io_wait(self, timeout: float) -> None:
        self._begun = time.perf_counter()

    def after_io_wait(self, timeout: float) -> None:
        # What goes beyond the timeout is not its own doing.
        self.seconds += min(time.perf_counter() - self._begun, timeout)
