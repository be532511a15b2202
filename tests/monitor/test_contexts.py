"""Contexts that an attempt has entered."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource import (
    FailureReason,
    OnlineScope,
    PollIntervals,
    ResourceHandler,
    ResourceMonitor,
    ResourceState,
    open_monitor,
)

from .conftest import SlowToEnd, cling

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from trio.testing import MockClock

RS = ResourceState


async def test_what_was_entered_is_left_in_reverse_order_in_the_same_task(
    autojump_clock: MockClock,
    monitor: ResourceMonitor,
) -> None:
    events: list[str] = []
    tasks: list[trio.lowlevel.Task] = []

    @asynccontextmanager
    async def entered(name: str) -> AsyncGenerator[str, None]:
        tasks.append(trio.lowlevel.current_task())
        async with trio.open_nursery():
            events.append(f"enter {name}")
            try:
                yield name
            finally:
                events.append(f"leave {name}")
                tasks.append(trio.lowlevel.current_task())

    @contextmanager
    def plain() -> Iterator[str]:
        events.append("enter plain")
        yield "plain"
        events.append("leave plain")

    class Enters(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> list[str]:
            first = await scope.enter(entered("first"))
            scope.start_soon(self.task)
            second = await scope.enter(plain())
            return [first, second]

        async def task(self) -> None:
            events.append("task")
            try:
                await trio.sleep_forever()
            finally:
                events.append("task ends")

        async def offline(self, scope: OnlineScope) -> None:
            await scope.enter(entered("third"))
            events.append("offline")

    hosted = await monitor.host("r", Enters)
    await hosted.online()
    assert hosted.value == ["first", "plain"]
    await trio.testing.wait_all_tasks_blocked()
    assert await hosted.offline() is RS.OFFLINE
    # The task may begin at any checkpoint after it was started.
    events.remove("task")
    assert events == [
        "enter first",
        "enter plain",
        "enter third",
        "offline",
        "leave third",
        "leave plain",
        "task ends",
        "leave first",
    ]
    assert all(task is tasks[0] for task in tasks)


async def test_entering_from_another_task_is_refused(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Enters(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            scope.start_soon(self.task, scope)

        async def task(self, scope: OnlineScope) -> None:
            await scope.enter(trio.CancelScope())

    hosted = await monitor.host("r", Enters)
    hosted.begin_online()
    await hosted.wait_state(RS.FAILED)
    assert "must be left in the task that entered it" in str(hosted.last_failure)


@asynccontextmanager
async def connection() -> AsyncGenerator[None, None]:
    async def pump() -> None:
        await trio.sleep(5)
        raise OSError("connection lost")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump)
        yield


async def test_nothing_can_be_entered_in_terminate(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Enters(SlowToEnd):
        async def online(self, scope: OnlineScope) -> OnlineScope:
            self.scope = scope
            return scope

        async def terminate(self) -> None:
            with pytest.raises(RuntimeError, match="the attempt is over"):
                await self.scope.enter(connection())
            self.events.append("refused")

    handler = Enters()
    hosted = await monitor.host("r", lambda: handler)
    await hosted.online()
    await hosted.terminate()
    assert handler.events == ["refused"]


async def test_a_context_whose_task_crashes(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Connected(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            await scope.enter(connection())

    hosted = await monitor.host("r", Connected)
    await hosted.online()
    await hosted.wait_state(RS.FAILED)
    assert trio.current_time() == 5
    assert str(hosted.last_failure) == "a task crashed: OSError: connection lost"


async def test_a_context_that_is_slow_to_leave_after_a_crash(autojump_clock: MockClock) -> None:
    @asynccontextmanager
    async def sticky() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await cling(200)  # noqa: ASYNC102 - so it does

    class Connected(ResourceHandler[Any]):
        polls = 0

        async def online(self, scope: OnlineScope) -> None:
            await scope.enter(connection())
            await scope.enter(sticky())

        async def is_alive(self) -> bool:
            Connected.polls += 1
            return True

    async with open_monitor() as monitor:
        hosted = await monitor.host("r", Connected, poll=PollIntervals(is_alive=1))
        await hosted.online()
        await trio.sleep(100)
        assert hosted.state is RS.FAILED
        assert hosted.statistics().stuck
        assert Connected.polls <= 5
        assert hosted.last_failure is not None
        assert hosted.last_failure.reason is FailureReason.TASK_CRASHED
