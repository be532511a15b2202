"""What a crash takes with it, and what it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource import (
    AttemptStuck,
    Deadlines,
    FailureReason,
    OnlineFailed,
    OnlineScope,
    Report,
    ResourceHandler,
    ResourceMonitor,
    ResourceState,
    open_monitor,
    service,
)

from .conftest import SlowToEnd, Watched, cling

if TYPE_CHECKING:
    from trio.testing import MockClock

RS = ResourceState


async def test_a_service_that_never_starts(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    async def early(*, task_status: trio.TaskStatus[None]) -> None:  # noqa: ASYNC124
        raise LookupError("no such port")

    async def returns(*, task_status: trio.TaskStatus[None]) -> None:  # noqa: ASYNC128
        await trio.lowlevel.checkpoint()

    one = await monitor.host("one", service(early))
    with pytest.raises(OnlineFailed, match="online raised: LookupError: no such port"):
        await one.online()
    two = await monitor.host("two", service(returns))
    with pytest.raises(OnlineFailed, match="online raised: RuntimeError"):
        await two.online()


async def test_a_crash_while_coming_online(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    async def crash() -> None:  # noqa: ASYNC124
        raise ValueError("early")

    class Crashes(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            scope.start_soon(crash)
            await trio.sleep(10)

    hosted = await monitor.host("r", Crashes)
    with pytest.raises(OnlineFailed, match=r"a task crashed: .*ValueError: early"):
        await hosted.online()
    assert trio.current_time() == 0


async def test_neighbours_never_notice(autojump_clock: MockClock, monitor: ResourceMonitor) -> None:
    async def group() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(boom)
            nursery.start_soon(boom)
            await trio.sleep_forever()

    async def boom() -> None:
        await trio.sleep(1)
        raise ValueError

    class Crashes(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            scope.start_soon(group)

        async def terminate(self) -> None:
            raise OSError

        async def close(self) -> None:
            raise OSError

    good = await monitor.host("good", Watched)
    bad = await monitor.host("bad", Crashes)
    await good.online()
    await bad.online()
    await bad.wait_state(RS.FAILED)
    await trio.sleep(100)
    assert good.state is RS.ONLINE
    assert good.epoch == 1


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["online", "task", "looks_alive", "is_alive", "terminate"])
async def test_interrupts_take_the_monitor_down(
    autojump_clock: MockClock, kind: type[BaseException], where: str
) -> None:
    events: list[str] = []

    class Interrupts(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            self.raise_at("online")
            scope.start_soon(self.task)

        async def task(self) -> None:
            self.raise_at("task")
            await trio.sleep_forever()

        def looks_alive(self) -> bool:
            self.raise_at("looks_alive")
            return True

        async def is_alive(self) -> bool:
            self.raise_at("is_alive")
            return where != "terminate"

        async def terminate(self) -> None:
            self.raise_at("terminate")

        def raise_at(self, place: str) -> None:
            if place == where:
                raise kind

    class Neighbour(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            pass

        async def terminate(self) -> None:
            events.append("neighbour terminated")

        async def close(self) -> None:
            events.append("neighbour closed")

    with pytest.raises(BaseExceptionGroup) as caught:  # noqa: ASYNC401
        async with open_monitor() as monitor:
            neighbour = await monitor.host("n", Neighbour)
            await neighbour.online()
            hosted = await monitor.host("r", Interrupts)
            hosted.begin_online()
            await trio.sleep(1000)
    matching = caught.value.subgroup(kind)
    assert matching is not None
    assert events == ["neighbour terminated", "neighbour closed"]


class Crashes(ResourceHandler[Any]):
    async def online(self, scope: OnlineScope) -> None:
        scope.start_soon(self.crash)

    async def crash(self) -> None:
        await trio.sleep(1)
        raise SystemExit(3)


async def test_an_interrupt_cancels_the_block_at_once(autojump_clock: MockClock) -> None:
    """And not when all others have cleaned up."""
    cancelled: list[float] = []
    with pytest.RaisesGroup(SystemExit, flatten_subgroups=True):
        async with open_monitor() as monitor:
            slow = await monitor.host("slow", SlowToEnd)
            await slow.online()
            crashes = await monitor.host("crashes", Crashes)
            await crashes.online()
            try:
                await trio.sleep_forever()
            finally:
                cancelled.append(trio.current_time())
    assert cancelled == [1]


async def test_after_a_crash_clean_up_is_still_bounded(autojump_clock: MockClock) -> None:
    channels: list[trio.MemoryReceiveChannel[Report]] = []
    with pytest.RaisesGroup(SystemExit, flatten_subgroups=True):
        async with open_monitor() as monitor:
            channels.append(monitor.reports)
            clings = await monitor.host("clings", SlowToEnd, deadlines=Deadlines(terminate=30))
            await clings.online()
            clings.value.start_soon(cling, 500)
            crashes = await monitor.host("crashes", Crashes)
            await crashes.online()
            await trio.sleep_forever()
    reports = [report async for report in channels[0]]
    (stuck,) = [report for report in reports if isinstance(report, AttemptStuck)]
    assert stuck.time == pytest.approx(31)


async def test_an_error_behind_a_stuck_end_does_not_come_out_of_the_block(
    autojump_clock: MockClock,
) -> None:
    """Not even when the monitor is gone in the meantime."""

    class Fails(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            scope.start_soon(self.background)

        async def background(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                await cling(500)  # noqa: ASYNC102 - so it does
                raise LookupError("far too late")

    async with open_monitor() as monitor:
        hosted = await monitor.host("r", Fails)
        await hosted.online()
        await trio.testing.wait_all_tasks_blocked()
    assert trio.current_time() == pytest.approx(500)
    assert hosted.last_failure is not None
    assert hosted.last_failure.reason is FailureReason.STUCK
