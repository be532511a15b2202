"""Workloads from Hypothesis, schedules from the kit: each searches what it is good at.

Callers borrow connections from a pool of two, and give up after a while. Hypothesis chooses
when each caller comes and how long it waits. The kit runs every such workload in several
schedules, in which time also passes at the worst moment. The buggy pool loses a connection if
its caller is cancelled while the connection is checked. The report shows the smallest
workload, and the simplest schedule in which it fails.
"""

from __future__ import annotations

import pytest
import trio
from hypothesis import strategies as st

from trioresource.testing.hypothesis import explored_workload

# When a caller comes, and how long it waits. Only few values, so that callers meet.
CALLERS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)), max_size=5)


class BuggyPool:
    def __init__(self) -> None:
        self.free = trio.Semaphore(2, max_value=2)

    async def borrow(self) -> None:
        await self.free.acquire()
        await trio.sleep(1)  # does it work? <- cancelled here, it is never given back

    def give_back(self) -> None:
        self.free.release()


class FixedPool(BuggyPool):
    async def borrow(self) -> None:
        await self.free.acquire()
        try:
            await trio.sleep(1)
        except BaseException:
            self.give_back()
            raise


async def serve(pool: BuggyPool, callers: list[tuple[int, int]]) -> None:
    async def call(after: int, patience: int) -> None:
        await trio.sleep(after)
        with trio.move_on_after(patience):
            await pool.borrow()
            pool.give_back()

    async with trio.open_nursery() as nursery:
        for caller in callers:
            nursery.start_soon(call, *caller)
    assert pool.free.value == 2, f"{2 - pool.free.value} connections were lost"


@explored_workload(CALLERS, schedules=10, timers=True)
async def test_fixed_pool(callers: list[tuple[int, int]]) -> None:
    await serve(FixedPool(), callers)


def test_buggy_pool_is_found_out() -> None:
    @explored_workload(CALLERS, schedules=10, timers=True)
    async def search(callers: list[tuple[int, int]]) -> None:
        await serve(BuggyPool(), callers)

    with pytest.raises(AssertionError, match="1 connections were lost"):
        search()
