"""A bug of several tasks that hides among many steps."""

from __future__ import annotations

import trio

from .known_bug import KnownBug, steps


class Cluster:
    """The owner of the data, and the epoch of its ownership, change in two steps.

    One preemption is needed: ``fail_over`` stops between the two, then the cache copies
    the new owner, and then a client writes by the cache, in the old epoch: the new owner
    takes a write that the next reader will not see. Any other order is harmless, and two
    more tasks with many steps are in the way.
    """

    def __init__(self) -> None:
        self.owner = "east"
        self.epoch = 1
        self.cached_owner = "east"
        self.lost: list[str] = []

    async def fail_over(self) -> None:
        await steps(5)
        self.owner = "west"
        await steps(1)
        self.epoch = 2
        await steps(1)

    async def refresh_cache(self) -> None:
        await steps(6)
        self.cached_owner = self.owner
        await steps(2)

    async def write(self) -> None:
        await steps(7)
        if self.cached_owner == "west" and self.epoch == 1:
            self.lost.append("a write by the new owner in the old epoch")
        await steps(2)

    async def poll(self) -> None:
        await steps(7)


class FixedCluster(Cluster):
    """Owner and epoch change in one step."""

    async def fail_over(self) -> None:
        await steps(5)
        self.owner = "west"
        self.epoch = 2
        await steps(2)


async def five_tasks(cluster: Cluster) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cluster.fail_over)
        nursery.start_soon(cluster.refresh_cache)
        nursery.start_soon(cluster.write)
        nursery.start_soon(cluster.poll)
        nursery.start_soon(cluster.poll)
    assert not cluster.lost, f"lost: {cluster.lost[0]}"


async def deep() -> None:
    await five_tasks(Cluster())


async def fixed_deep() -> None:
    await five_tasks(FixedCluster())


BUGS = (KnownBug("deep", deep, fixed_deep),)
