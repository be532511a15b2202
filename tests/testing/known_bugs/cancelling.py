"""Code that is right until it is cancelled."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from trioresource.testing import cancellable

from .known_bug import KnownBug, steps

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

# -- leak when cancelled amidst open


class Server:
    """``open`` starts a process, greets it, and only then writes down that it is there.

    Cancelled during the greeting, it leaves a process of which ``close`` does not know.
    Fails if the canceller comes between the start and the end of the greeting.
    """

    def __init__(self) -> None:
        self.running = 0
        self.has_process = False

    async def start_process(self) -> None:
        await steps(1)
        self.running += 1

    async def greet(self) -> None:
        await steps(1)

    async def open(self) -> None:
        await self.start_process()
        await self.greet()
        self.has_process = True

    def close(self) -> None:
        if self.has_process:
            self.has_process = False
            self.running -= 1


class FixedServer(Server):
    """What was started is written down before anything else is waited for."""

    async def open(self) -> None:
        await self.start_process()
        self.has_process = True
        await self.greet()


async def open_and_cancel(server: Server) -> None:
    scope = trio.CancelScope()

    async def opener() -> None:
        with scope:
            await server.open()
        server.close()

    async def canceller() -> None:
        await steps(4)
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(opener)
        nursery.start_soon(canceller)
    assert server.running == 0, f"processes left behind: {server.running}"


async def cancelled_open() -> None:
    await open_and_cancel(Server())


async def fixed_open() -> None:
    await open_and_cancel(FixedServer())


# -- forgotten shield


class Lease:
    """``release`` has to wait, and after a cancellation every wait is cancelled at once.

    So the lease is never given back, although ``finally`` was reached. Fails if the body
    is cancelled, or the release itself.
    """

    def __init__(self) -> None:
        self.holder: str | None = None

    async def release(self) -> None:
        await steps(1)  # the store is told
        self.holder = None

    @asynccontextmanager
    async def held_by(self, name: str) -> AsyncGenerator[None]:
        await steps(1)
        self.holder = name
        try:
            yield
        finally:
            await self.release()  # noqa: ASYNC102


class FixedLease(Lease):
    """The release is shielded, and bounded."""

    @asynccontextmanager
    async def held_by(self, name: str) -> AsyncGenerator[None]:
        await steps(1)
        self.holder = name
        try:
            yield
        finally:
            with trio.move_on_after(1, shield=True):
                await self.release()


async def cancelled_holder(lease: Lease) -> None:
    async def holder() -> None:
        with cancellable():
            async with lease.held_by("east"):
                await steps(2)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(holder)
        nursery.start_soon(steps, 2)
    assert lease.holder is None, f"{lease.holder} holds the lease for ever"


async def forgotten_shield() -> None:
    await cancelled_holder(Lease())


async def fixed_shield() -> None:
    await cancelled_holder(FixedLease())


# -- swallowed Cancelled


class Poll:
    """Whatever a probe raises counts as a failure of the resource, even ``Cancelled``.

    So a poll that is called off reports a failure that did not happen, and goes on as if
    nothing was. Fails if it is cancelled while the probe runs.
    """

    def __init__(self) -> None:
        self.failures = 0

    async def probe(self) -> None:
        await steps(1)

    async def once(self) -> None:
        try:
            await self.probe()
        except BaseException:  # noqa: ASYNC103
            self.failures += 1


class FixedPoll(Poll):
    """Only what a probe may raise is caught."""

    async def once(self) -> None:
        try:
            await self.probe()
        except OSError:
            self.failures += 1


async def cancelled_poll(poll: Poll) -> None:
    async def poller() -> None:
        with cancellable():
            await steps(3)
            await poll.once()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(poller)
        nursery.start_soon(steps, 4)
    assert poll.failures == 0, "the probe did not fail, it was cancelled"


async def swallowed_cancelled() -> None:
    await cancelled_poll(Poll())


async def fixed_cancelled() -> None:
    await cancelled_poll(FixedPoll())


BUGS = (
    KnownBug("cancelled open", cancelled_open, fixed_open),
    KnownBug("forgotten shield", forgotten_shield, fixed_shield, cancel=True),
    KnownBug("swallowed Cancelled", swallowed_cancelled, fixed_cancelled, cancel=True),
)
