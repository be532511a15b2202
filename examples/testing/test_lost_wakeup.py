"""A lost wakeup: a reader misses the bell, and waits for the next one for ever.

A queue rings a bell when an item comes, and then uses a new bell. A reader that finds the
queue empty goes to wait for the bell. If the item comes between these two steps, the old bell
rings while no task waits for it, and the reader waits for the new one. In everyday runs the
reader is quick enough. ``explore`` finds the order in which it is not, and sees that nothing
can happen any more: a deadlock.
"""

from __future__ import annotations

import pytest
import trio

from trioresource.testing import Deadlock, explore, explored


class BuggyQueue:
    def __init__(self) -> None:
        self.items: list[str] = []
        self.bell = trio.Event()

    def put(self, item: str) -> None:
        self.items.append(item)
        self.bell.set()
        self.bell = trio.Event()

    async def get(self) -> str:
        while not self.items:
            await log("the queue is empty")  # <- here the bell may ring
            await self.bell.wait()
        return self.items.pop(0)


class FixedQueue(BuggyQueue):
    async def get(self) -> str:
        while True:
            bell = self.bell  # first listen, then look
            if self.items:
                return self.items.pop(0)
            await log("the queue is empty")
            await bell.wait()


async def log(text: str) -> None:
    await trio.lowlevel.checkpoint()  # stands for I/O: other tasks may run


async def one_item(queue: BuggyQueue) -> None:
    async def writer() -> None:
        await log("writing")
        await log("still writing")
        queue.put("hello")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer)
        assert await queue.get() == "hello"


def test_buggy_queue_is_found_out() -> None:
    with pytest.raises(Deadlock):
        explore(lambda: one_item(BuggyQueue()))


@explored(strategy="exhaustive")
async def test_fixed_queue() -> None:
    await one_item(FixedQueue())
