"""Closing one resource, and the whole block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource import (
    Deadlines,
    InvalidStateError,
    OnlineScope,
    ResourceHandler,
    ResourceMonitor,
    ResourceState,
    ResourceStuck,
    open_monitor,
)

from .conftest import Recorder, SlowToEnd, cling

if TYPE_CHECKING:
    from trio.testing import MockClock

RS = ResourceState


async def test_nothing_comes_online_while_it_is_closed(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    handler = SlowToEnd()
    hosted = await monitor.host("r", lambda: handler)
    await hosted.online()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(monitor.unhost, "r")
        await trio.sleep(0.5)
        with pytest.raises(InvalidStateError, match="r is not open"):
            hosted.begin_online()
    assert handler.events == ["online", "terminate", "close", "closed"]


async def test_it_is_closed_once(autojump_clock: MockClock, monitor: ResourceMonitor) -> None:
    handler = SlowToEnd()
    hosted = await monitor.host("r", lambda: handler)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(monitor.unhost, "r")
        nursery.start_soon(hosted.close)
    assert handler.events == ["close", "closed"]
    assert trio.current_time() == 1


async def test_a_late_unhost_spares_the_next_of_that_name(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    await monitor.host("r", SlowToEnd)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(monitor.unhost, "r")
        nursery.start_soon(monitor.unhost, "r")
        while "r" in monitor.resources:  # noqa: ASYNC110 - there is no event for this
            await trio.sleep(0.1)
        new = await monitor.host("r", SlowToEnd)
    assert monitor.resources == {"r": new}


async def test_it_can_not_be_closed_by_a_task_of_its_own(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", SlowToEnd)
    await hosted.online()
    answers: list[str] = []

    async def close() -> None:
        with pytest.raises(InvalidStateError) as caught:
            await monitor.unhost("r")
        answers.append(str(caught.value))
        await trio.sleep_forever()

    hosted.value.start_soon(close)
    await trio.testing.wait_all_tasks_blocked()
    assert answers == ["r cannot be closed by a task of its own"]
    assert hosted.state is RS.ONLINE


async def test_close_is_not_torn_by_cancellation(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    handler = SlowToEnd()
    await monitor.host("r", lambda: handler)
    with trio.move_on_after(0.5):
        await monitor.unhost("r")
    assert handler.events == ["close", "closed"]


async def test_a_stuck_resource_stays_hosted(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", SlowToEnd, deadlines=Deadlines(terminate=5))
    await hosted.online()
    hosted.value.start_soon(cling, 20)
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(ResourceStuck):
        await monitor.unhost("r")
    assert "r" in monitor.resources
    await trio.sleep(30)
    await monitor.unhost("r")
    assert dict(monitor.resources) == {}


async def test_close_waits_only_so_long_for_its_turn(autojump_clock: MockClock) -> None:
    class Clings(SlowToEnd):
        async def control(self, code: str, argument: Any = None) -> None:
            await cling(100)

    async with open_monitor() as monitor:
        hosted = await monitor.host("r", Clings, deadlines=Deadlines(deadlock=10, terminate=5))
        with pytest.raises(TimeoutError, match="r: control does not end"):
            await hosted.control("x")
        assert trio.current_time() == 15
        with pytest.raises(TimeoutError, match="r: close: control does not end"):
            await monitor.unhost("r")
        assert trio.current_time() == 25


async def test_nothing_is_left_when_the_block_is_cancelled() -> None:
    handlers: list[Recorder] = []

    def make() -> Recorder:
        handlers.append(Recorder(online=0 if len(handlers) % 2 else 10, leave=0.2))
        return handlers[-1]

    with trio.CancelScope() as scope:
        async with open_monitor() as monitor:
            for number in range(4):
                hosted = await monitor.host(f"r{number}", make)
                hosted.begin_online()
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert [one.events[-3:] for one in handlers] == [["left", "terminate", "close"]] * 4


async def test_a_stuck_resource_holds_the_block_no_longer_than_it_clings(
    autojump_clock: MockClock,
) -> None:
    class Clings(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            scope.start_soon(self.cling)

        async def cling(self) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(45)

    async with open_monitor() as monitor:
        hosted = await monitor.host("r", Clings)
        await hosted.online()
        await trio.testing.wait_all_tasks_blocked()
    assert trio.current_time() == pytest.approx(45)
