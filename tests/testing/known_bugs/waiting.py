"""Tasks that wait for something that does not come, or is taken away."""

from __future__ import annotations

import trio

from trioresource.testing import Deadlock, choose

from .known_bug import KnownBug, steps

# -- lost wakeup


class Mailbox:
    """The event is replaced with each message, so a task that looks it up too late misses it.

    ``get`` finds no message, then writes its log; a message that comes meanwhile sets the
    old event and makes a new one, and ``get`` waits for the new one, for ever. Fails if
    the whole of ``put`` runs between the check and the wait.
    """

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.arrived = trio.Event()

    def put(self, message: str) -> None:
        self.messages.append(message)
        self.arrived.set()
        self.arrived = trio.Event()

    async def get(self) -> str:
        while not self.messages:
            await steps(1)  # "mailbox is empty", says the log
            await self.arrived.wait()
        return self.messages.pop(0)


class FixedMailbox(Mailbox):
    """The event is looked up before the messages are."""

    async def get(self) -> str:
        while True:
            arrived = self.arrived
            if self.messages:
                return self.messages.pop(0)
            await steps(1)
            await arrived.wait()


async def one_message(mailbox: Mailbox) -> None:
    read: list[str] = []

    async def reader() -> None:
        read.append(await mailbox.get())

    async def writer() -> None:
        await steps(2)
        mailbox.put("hello")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        nursery.start_soon(writer)
    assert read == ["hello"]


async def lost_wakeup() -> None:
    await one_message(Mailbox())


async def fixed_wakeup() -> None:
    await one_message(FixedMailbox())


# -- channel closed under a waiter


async def closed_channel() -> None:
    """The task that asks the program to end closes the channel that others send to.

    A reporter that waits in ``send`` at that moment, or comes to it later, gets a
    ``ClosedResourceError`` for no fault of its own. Fails unless the report was taken
    before the end was asked for.
    """
    send, receive = trio.open_memory_channel[str](0)

    async def reporter() -> None:
        await steps(1)
        await send.send("disk full")

    async def closer() -> None:
        await steps(4)
        send.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reporter)
        nursery.start_soon(closer)
        assert [report async for report in receive] == ["disk full"]


async def fixed_channel() -> None:
    """The reporter sends to a clone of its own, which no other task closes."""
    send, receive = trio.open_memory_channel[str](0)

    async def reporter(own: trio.MemorySendChannel[str]) -> None:
        with own:
            await steps(1)
            await own.send("disk full")

    async def closer() -> None:
        await steps(4)
        send.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reporter, send.clone())
        nursery.start_soon(closer)
        assert [report async for report in receive] == ["disk full"]


# -- dropped error


class Job:
    """``join`` asks for the job's error, and only then waits for its end.

    An error that comes during the wait is dropped: the job counts as done. Fails if the
    job fails, which it does if it is so chosen, after ``join`` was called.
    """

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.ended = trio.Event()

    async def run(self) -> None:
        try:
            await steps(2)
            if choose(["works", "fails"]) == "fails":
                raise OSError("no space left on device")
        except OSError as error:
            self.error = error
        self.ended.set()

    async def join(self) -> None:
        if self.error is not None:
            raise self.error
        await self.ended.wait()


class FixedJob(Job):
    """First the end, then the error."""

    async def join(self) -> None:
        await self.ended.wait()
        if self.error is not None:
            raise self.error


async def joined(job: Job) -> None:
    raised: list[OSError] = []

    async def joiner() -> None:
        await steps(4)
        try:
            await job.join()
        except OSError as error:
            raised.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(job.run)
        nursery.start_soon(joiner)
    assert job.error is None or raised, f"never raised: {job.error}"


async def dropped_error() -> None:
    await joined(Job())


async def fixed_error() -> None:
    await joined(FixedJob())


BUGS = (
    KnownBug("lost wakeup", lost_wakeup, fixed_wakeup, fails_with=Deadlock),
    KnownBug("closed channel", closed_channel, fixed_channel, fails_with=ExceptionGroup),
    KnownBug("dropped error", dropped_error, fixed_error),
)
