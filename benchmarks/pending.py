"""Many resources come online slowly at the same time: when is each caller told so?"""

from __future__ import annotations

import gc
import statistics
import time
from functools import partial
from typing import TYPE_CHECKING, Final, final

import attrs
import trio

from benchmarks.measure import Row, row_of_ratios, row_of_values
from benchmarks.sides import Slow, consumed_cluster, consumed_monitor
from trioresource import HostedResource, Resource, ResourceState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from benchmarks.measure import Effort, Pairs

NAME = "pending"
TITLE = "the longest of many concurrent online() calls / start a task, wait under move_on_after"
BAR_LONGEST = 350.0
"""Milliseconds."""
BAR_BARE = 1.5

_FEW: Final = 1_000
"""Calls that must all be answered within ``BAR_LONGEST``."""
_MANY: Final = 10_000
"""Calls that one processor cannot answer in that time, so the same in bare Trio is the measure."""
_SOFT: Final = 0.3
"""Seconds: the soft deadline."""


def run(effort: Effort) -> Iterator[Row]:
    """Each number of calls in a monitor and in a cluster."""
    for level, measure in (("monitor", _in_monitor), ("cluster", _in_cluster)):
        pairs, note = trio.run(measure, effort, _FEW)
        yield _row_of_longest(pairs, f"{_FEW:,} calls, {level}", note)
        pairs, note = trio.run(measure, effort, _MANY)
        row = row_of_ratios(
            pairs,
            benchmark=NAME,
            what=f"{_MANY:,} calls, {level}",
            unit="ms",
            scale=1e3,
            bar=BAR_BARE,
        )
        yield attrs.evolve(row, note=note)


def _row_of_longest(pairs: Pairs, what: str, note: str) -> Row:
    values = [ours * 1e3 for ours, _ in pairs]
    return row_of_values(
        values,
        Row(
            benchmark=NAME,
            what=what,
            unit="ms",
            ours=statistics.median(values),
            other=statistics.median(bare for _, bare in pairs) * 1e3,
            result_unit="ms",
            bar=BAR_LONGEST,
            note=note,
        ),
    )


async def _in_monitor(effort: Effort, count: int) -> tuple[Pairs, str]:
    async with consumed_monitor() as (monitor, _):
        resources = [await monitor.host(f"r{number}", Slow) for number in range(count)]
        return await _compare(effort, resources)


async def _in_cluster(effort: Effort, count: int) -> tuple[Pairs, str]:
    async with consumed_cluster() as cluster:
        resources = [await cluster.add(f"r{number}", Slow) for number in range(count)]
        return await _compare(effort, resources)


async def _compare(
    effort: Effort, resources: Sequence[HostedResource | Resource]
) -> tuple[Pairs, str]:
    """Seconds that the longest call took, ours and bare, in turn; and what else there is to say."""
    found: Pairs = []
    lost: list[float] = []
    for turn in range(effort.pending_pairs + 1):
        halves: list[Callable[[], Awaitable[tuple[float, float]]]] = [
            partial(_slowest_online, resources),
            partial(_slowest_bare, len(resources)),
        ]
        if turn % 2:
            halves.reverse()
        results = [await half() for half in halves]
        if turn % 2:
            results.reverse()
        (ours, ours_lost), (bare, _) = results
        found.append((ours, bare))
        lost.append(ours_lost)
    # The first one was for nothing.
    found, lost = found[1:], lost[1:]
    note = (
        f"worst {max(ours for ours, _ in found) * 1e3:.0f} ms; while it wanted the processor, "
        f"others had it for {statistics.median(lost) * 1e3:.0f} ms"
    )
    return found, note


async def _slowest_online(resources: Sequence[HostedResource | Resource]) -> tuple[float, float]:
    taken: list[float] = []

    async def call(resource: HostedResource | Resource) -> None:
        begun = time.perf_counter()
        state = await resource.online()
        taken.append(time.perf_counter() - begun)
        assert state is ResourceState.ONLINE_PENDING

    gc.collect()
    with _Watch() as watch:
        async with trio.open_nursery() as nursery:
            for resource in resources:
                nursery.start_soon(call, resource)
    assert len(taken) == len(resources)
    async with trio.open_nursery() as nursery:
        for resource in resources:
            nursery.start_soon(resource.terminate)
    return max(taken), watch.lost


async def _slowest_bare(count: int) -> tuple[float, float]:
    """As many tasks start one more, which sleeps, and wait for it until the soft deadline."""
    taken: list[float] = []

    async def call(workers: trio.Nursery) -> None:
        begun = time.perf_counter()
        workers.start_soon(trio.sleep, 30)
        with trio.move_on_after(_SOFT):
            await trio.sleep_forever()
        taken.append(time.perf_counter() - begun)

    gc.collect()
    async with trio.open_nursery() as workers:
        with _Watch() as watch:
            async with trio.open_nursery() as nursery:
                for _ in range(count):
                    nursery.start_soon(call, workers)
        workers.cancel_scope.cancel()
    assert len(taken) == count
    return max(taken), watch.lost


@final
class _Watch(trio.abc.Instrument):
    """How long the event loop had something to do and other programs had the processor."""

    def __init__(self) -> None:
        self.lost = 0.0
        """Seconds, after the block."""
        self._idle = 0.0
        self._begun = 0.0

    def __enter__(self) -> _Watch:
        trio.lowlevel.add_instrument(self)
        self._wall, self._own = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        wall, own = time.perf_counter() - self._wall, time.process_time() - self._own
        trio.lowlevel.remove_instrument(self)
        self.lost = max(0.0, wall - own - self._idle)

    def before_io_wait(self, timeout: float) -> None:
        self._begun = time.perf_counter()

    def after_io_wait(self, timeout: float) -> None:
        # What goes beyond the timeout is not its own doing.
        self._idle += min(time.perf_counter() - self._begun, timeout)
