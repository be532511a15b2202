"""Trio's own primitives, three tasks at each, of which one is cancelled: nothing may fail."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TypeAlias

import trio

from .known_bug import Scenario, steps

Exclusive: TypeAlias = AbstractAsyncContextManager[object]


async def exclusive(lock: Exclusive) -> None:
    """Two users, and one that is cancelled: one at a time, and all get their turn."""
    inside = 0
    served: list[str] = []
    impatience = trio.CancelScope()

    async def use(name: str) -> None:
        nonlocal inside
        async with lock:
            inside += 1
            assert inside == 1, "two are inside"
            try:
                await steps(1)
                served.append(name)
            finally:
                inside -= 1

    async def impatient() -> None:
        with impatience:
            await use("impatient")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(use, "first")
        nursery.start_soon(impatient)
        nursery.start_soon(use, "last")
        await steps(1)
        impatience.cancel()
    assert {"first", "last"} <= {*served}
    async with lock:
        pass  # it is free, or this is a deadlock


async def lock() -> None:
    await exclusive(trio.Lock())


async def strict_fifo_lock() -> None:
    await exclusive(trio.StrictFIFOLock())


async def semaphore() -> None:
    slots = trio.Semaphore(1, max_value=1)
    await exclusive(slots)
    assert slots.value == 1


async def capacity_limiter() -> None:
    limiter = trio.CapacityLimiter(1)
    await exclusive(limiter)
    assert limiter.borrowed_tokens == 0


async def condition() -> None:
    """One waits for the light, another one no longer wants to, a third one switches it on."""
    changed = trio.Condition()
    light = False
    saw: list[str] = []
    impatience = trio.CancelScope()

    async def watch(name: str) -> None:
        async with changed:
            while not light:
                await changed.wait()
            saw.append(name)

    async def impatient() -> None:
        with impatience:
            await watch("impatient")

    async def switch() -> None:
        nonlocal light
        async with changed:
            light = True
            changed.notify_all()
        impatience.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, "patient")
        nursery.start_soon(impatient)
        nursery.start_soon(switch)
    assert "patient" in saw
    assert not changed.locked()


async def event() -> None:
    """As with the condition."""
    light = trio.Event()
    saw: list[str] = []
    impatience = trio.CancelScope()

    async def watch(name: str) -> None:
        await light.wait()
        saw.append(name)

    async def impatient() -> None:
        with impatience:
            await watch("impatient")

    async def switch() -> None:
        await steps(1)
        impatience.cancel()
        await steps(1)
        light.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, "patient")
        nursery.start_soon(impatient)
        nursery.start_soon(switch)
    assert "patient" in saw
    assert light.statistics().tasks_waiting == 0


async def channel(capacity: float) -> None:
    """One that sends, one that receives, and one that stops receiving: nothing is lost."""
    send, receive = trio.open_memory_channel[int](capacity)
    received: list[int] = []
    impatience = trio.CancelScope()

    async def source() -> None:
        with send:
            await send.send(1)
            impatience.cancel()
            await send.send(2)

    async def drain(own: trio.MemoryReceiveChannel[int]) -> None:
        with own:
            async for value in own:
                received.append(value)  # noqa: PERF401

    async def impatient(own: trio.MemoryReceiveChannel[int]) -> None:
        with impatience:
            await drain(own)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(source)
        nursery.start_soon(impatient, receive.clone())
        nursery.start_soon(drain, receive)
    assert sorted(received) == [1, 2]


PRIMITIVES: tuple[tuple[str, Scenario], ...] = (
    ("Lock", lock),
    ("StrictFIFOLock", strict_fifo_lock),
    ("Semaphore", semaphore),
    ("CapacityLimiter", capacity_limiter),
    ("Condition", condition),
    ("Event", event),
    ("channel without a buffer", partial(channel, 0)),
    ("channel with a buffer", partial(channel, 1)),
)
