"""What is explored: two scenarios that hold, and one with a bug."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from benchmarks.sides import Idle
from trioresource import open_cluster

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def counter(tasks: int, steps: int) -> Callable[[], Awaitable[None]]:
    """Tasks that count together, so many times each, under a lock."""

    async def scenario() -> None:
        lock = trio.Lock()
        value = 0

        async def work() -> None:
            nonlocal value
            for _ in range(steps):
                async with lock:
                    before = value
                    await trio.lowlevel.checkpoint()
                    value = before + 1

        async with trio.open_nursery() as nursery:
            for _ in range(tasks):
                nursery.start_soon(work)
        assert value == tasks * steps

    return scenario


async def three_resources() -> None:
    """Three resources come online together, and are terminated."""
    async with open_cluster() as cluster:
        resources = [await cluster.add(f"r{number}", Idle) for number in range(3)]
        async with trio.open_nursery() as nursery:
            for resource in resources:
                nursery.start_soon(resource.online)
        for resource in resources:
            await resource.terminate()


async def order_bug() -> None:
    """Fails if ``first`` stops after its first half, ``second`` sees it, and ``third`` both."""
    seen = {"first": 0, "second": 0}
    wrong = False

    async def pause(times: int) -> None:
        for _ in range(times):
            await trio.lowlevel.checkpoint()

    async def first() -> None:
        await pause(6)
        seen["first"] = 1
        await trio.lowlevel.checkpoint()
        seen["first"] = 2
        await pause(3)

    async def second() -> None:
        await pause(6)
        seen["second"] = seen["first"]
        await pause(4)

    async def third() -> None:
        nonlocal wrong
        await pause(6)
        wrong = seen == {"first": 1, "second": 1}

    async with trio.open_nursery() as nursery:
        for task in (third, second, first):
            nursery.start_soon(task)
        for _ in range(2):
            nursery.start_soon(pause, 8)
    assert not wrong
