"""Locks that are taken in the wrong order, or given back once too often."""

from __future__ import annotations

import attrs
import trio

from trioresource.testing import Deadlock, always, cancellable

from .known_bug import KnownBug, steps

# -- lock order


@attrs.frozen(eq=False)
class Host:
    name: str
    resources: list[str]
    lock: trio.Lock = attrs.field(factory=trio.Lock)


async def move(resource: str, source: Host, target: Host) -> None:
    """Two moves in opposite directions: each may hold the lock that the other one needs.

    Fails if both have got their first lock before either has got its second.
    """
    async with source.lock, target.lock:
        await steps(1)
        source.resources.remove(resource)
        target.resources.append(resource)


async def fixed_move(resource: str, source: Host, target: Host) -> None:
    """All locks are taken in the same order, whatever the direction."""
    first, second = sorted((source, target), key=lambda host: host.name)
    async with first.lock, second.lock:
        await steps(1)
        source.resources.remove(resource)
        target.resources.append(resource)


async def opposite_moves(*, fixed: bool) -> None:
    east, west = Host("east", ["web"]), Host("west", ["mail"])
    moving = fixed_move if fixed else move

    async def back() -> None:
        await steps(4)  # asked for later
        await moving("mail", west, east)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(moving, "web", east, west)
        nursery.start_soon(back)
    assert (east.resources, west.resources) == (["mail"], ["web"])


async def lock_order() -> None:
    await opposite_moves(fixed=False)


async def fixed_order() -> None:
    await opposite_moves(fixed=True)


# -- semaphore released once too often


class Pool:
    """``acquire`` is inside the ``try``: when it is cancelled, ``release`` runs all the same.

    From then on there is one slot too many, and two are inside where one may be. Fails if
    one that waits for the slot is cancelled while another one has it, and a third comes.
    """

    def __init__(self) -> None:
        self.slots = trio.Semaphore(1)
        self.inside = 0

    async def use(self) -> None:
        try:
            await self.slots.acquire()
            await self.work()
        finally:
            self.slots.release()

    async def work(self) -> None:
        self.inside += 1
        try:
            await steps(2)
        finally:
            self.inside -= 1


class FixedPool(Pool):
    """What was not acquired is not released."""

    async def use(self) -> None:
        async with self.slots:
            await self.work()


async def three_users(pool: Pool) -> None:
    def at_most_one_inside() -> bool:
        return pool.inside <= 1

    async def impatient() -> None:
        with cancellable():
            await pool.use()

    always(at_most_one_inside)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.use)
        nursery.start_soon(impatient)
        nursery.start_soon(pool.use)
    assert pool.slots.value == 1, f"there are {pool.slots.value} slots, not 1"


async def released_twice() -> None:
    await three_users(Pool())


async def fixed_release() -> None:
    await three_users(FixedPool())


BUGS = (
    KnownBug("lock order", lock_order, fixed_order, fails_with=Deadlock),
    KnownBug("released twice", released_twice, fixed_release, cancel=True),
)
