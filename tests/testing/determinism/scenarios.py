"""Programs that use one part of Trio each, and return what they saw."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import anyio
import attrs
import trio

from trioresource import NoProperties, OnlineScope, ResourceHandler, open_monitor
from trioresource.testing import cancellable, choose
from trioresource.testing._scheduling.running import Settings

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream

_PLAIN: Final = Settings()
_TIMERS: Final = Settings(timers=True)


@attrs.frozen
class Program:
    """A scenario, and what there is to decide in it."""

    scenario: Callable[[], Awaitable[object]]
    settings: Settings = _PLAIN


async def steps(count: int) -> None:
    for _ in range(count):
        await trio.lowlevel.checkpoint()


async def timers() -> object:
    """Sleeps of which some end at the same instant, one of them sooner than it was to."""
    seen: list[object] = []

    async def sleep(number: int) -> None:
        await steps(number % 3)
        await trio.sleep(0.1 * (number % 3))
        seen.append((number, trio.current_time()))
        if number == 0:
            scope.deadline = trio.current_time() + 0.05

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(sleep, number)
        with trio.CancelScope() as scope:
            await trio.sleep(1)
        seen.append(("scope", trio.current_time(), scope.cancelled_caught))
    return seen


async def cancellation() -> object:
    """Cancellation from inside and from outside, with cleanup that is shielded."""
    seen: list[object] = []

    async def clean(number: int) -> None:
        try:
            await steps(3)
            if number == 1:
                nursery.cancel_scope.cancel()
            await trio.sleep(number)
        finally:
            with trio.CancelScope(shield=True):
                await steps(2)
                seen.append(number)

    with cancellable() as scope:
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(clean, number)
    return [*seen, scope.cancelled_caught]


async def choices() -> object:
    """A fake that fails when the schedule says so, and those who try again."""
    seen: list[object] = []

    async def call(number: int) -> None:
        for attempt in range(3):
            await trio.lowlevel.checkpoint()
            if choose(("works", "fails")) == "works":
                seen.append((number, attempt))
                return
            await trio.sleep(choose((0.1, 0.2, 0.3)))
        seen.append((number, "gave up"))

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(call, number)
    return seen


async def starting() -> object:
    """Tasks that are started, one of which fails before it says that it has."""
    seen: list[object] = []

    async def serve(number: int, *, task_status: trio.TaskStatus[int]) -> None:
        await steps(number)
        if number == 1:
            raise LookupError(number)
        task_status.started(number)
        await steps(2)
        seen.append(number)

    async def start(number: int) -> None:
        try:
            seen.append(("started", await nursery.start(serve, number)))
        except LookupError:
            seen.append(("failed", number))

    async with trio.open_nursery() as nursery, trio.open_nursery() as starters:
        for number in range(3):
            starters.start_soon(start, number)
    return seen


async def channels() -> object:
    """Two who send, two who receive, in a channel with room for one."""
    seen: list[object] = []
    sending, receiving = trio.open_memory_channel[int](1)

    async def send(first: int, channel: trio.MemorySendChannel[int]) -> None:
        async with channel:
            for value in range(first, first + 3):
                await channel.send(value)

    async def receive(name: str, channel: trio.MemoryReceiveChannel[int]) -> None:
        async with channel:
            async for value in channel:
                seen.append((name, value))  # noqa: PERF401 (it may be cancelled)

    async with trio.open_nursery() as nursery, sending, receiving:
        for first in (0, 10):
            nursery.start_soon(send, first, sending.clone())
        for name in ("a", "b"):
            nursery.start_soon(receive, name, receiving.clone())
    return seen


async def timeouts() -> object:
    """Waits that end in the very instant in which their time is up."""
    seen: list[object] = []
    event = trio.Event()

    async def wait(number: int) -> None:
        with trio.move_on_after(0.3 + 0.1 * (number % 2)) as scope:
            await steps(number)
            await event.wait()
        seen.append((number, scope.cancelled_caught))

    async def work() -> None:
        try:
            with trio.fail_after(0.35):
                await trio.sleep(0.3)
                await steps(2)
                event.set()
        except trio.TooSlowError:
            seen.append("too slow")
        with trio.move_on_after(0):
            await steps(3)
            seen.append("not reached")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        for number in range(4):
            nursery.start_soon(wait, number)
    return seen


async def system_task() -> object:
    """A task that is no child of the scenario's."""
    seen: list[object] = []
    done = trio.Event()

    async def background() -> None:
        await steps(3)
        seen.append("background")
        done.set()

    async def foreground(number: int) -> None:
        await steps(2)
        seen.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(2):
            nursery.start_soon(foreground, number)
        trio.lowlevel.spawn_system_task(background)
        await done.wait()
    return seen


async def locks() -> object:
    """Everything that keeps tasks waiting for each other."""
    seen: list[object] = []
    lock, limiter = trio.StrictFIFOLock(), trio.CapacityLimiter(2)
    condition, semaphore = trio.Condition(), trio.Semaphore(0)

    async def work(number: int) -> None:
        async with limiter:
            await trio.lowlevel.checkpoint()
            async with lock:
                seen.append(("locked", number))
            semaphore.release()
        async with condition:
            condition.notify()

    async def wait(name: str) -> None:
        await semaphore.acquire()
        async with condition:
            with trio.move_on_after(1):
                await condition.wait()
        seen.append(name)

    async with trio.open_nursery() as nursery:
        for name in ("a", "b"):
            nursery.start_soon(wait, name)
        for number in range(3):
            nursery.start_soon(work, number)
    return seen


async def callbacks() -> object:
    """Functions that Trio calls between two steps."""
    seen: list[object] = []
    token = trio.lowlevel.current_trio_token()
    events = [trio.Event() for _ in range(3)]

    async def ask(number: int) -> None:
        await steps(number)
        token.run_sync_soon(events[number].set)
        await events[number].wait()
        seen.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(ask, number)
    return seen


async def through_anyio() -> object:
    """The same loop, as AnyIO uses it."""
    seen: list[object] = []
    send, receive = anyio.create_memory_object_stream[int](2)

    async def produce(number: int, stream: MemoryObjectSendStream[int]) -> None:
        async with stream:
            for value in range(2):
                await stream.send(10 * number + value)
                await anyio.sleep(0.1)

    async with send, receive, anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(produce, number, send.clone())
        with anyio.move_on_after(0.15):
            async for value in receive:
                seen.append(value)  # noqa: PERF401 (it may be cancelled)
        group.cancel_scope.cancel()
    return seen


class Slow(ResourceHandler[NoProperties]):
    """Takes the time that the soft deadline allows, or more."""

    async def online(self, scope: OnlineScope) -> None:
        await trio.sleep(choose((0.1, 0.3, 0.5)))


async def resources() -> object:
    """A resource that is terminated while it comes online."""
    seen: list[object] = []
    async with open_monitor() as monitor:
        hosted = await monitor.host("one", Slow)

        async def bring_online() -> None:
            try:
                seen.append(str(await hosted.online()))
            except Exception as error:
                seen.append(type(error).__name__)

        async def terminate() -> None:
            await trio.sleep(0.3)
            await hosted.terminate()
            seen.append("terminated")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(bring_online)
            nursery.start_soon(terminate)
    return seen


PORTABLE: Final[dict[str, Program]] = {
    "timers": Program(timers, _TIMERS),
    "cancellation": Program(cancellation, Settings(cancel=True)),
    "choices": Program(choices),
    "starting": Program(starting),
    "channels": Program(channels),
    "timeouts": Program(timeouts, _TIMERS),
    "system task": Program(system_task),
    "locks": Program(locks),
}
"""What depends on nothing but Trio, and so has the same traces everywhere."""

PROGRAMS: Final[dict[str, Program]] = {
    **PORTABLE,
    "callbacks": Program(callbacks),
    "anyio": Program(through_anyio),
    "resources": Program(resources),
}
