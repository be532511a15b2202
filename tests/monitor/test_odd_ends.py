"""Ends that are not asked for: a Cancelled of another scope, interrupts at odd places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource import (
    Deadlines,
    FailureReason,
    HostedResource,
    MonitorClosing,
    OnlineFailed,
    OnlineScope,
    Report,
    ResourceHandler,
    ResourceMonitor,
    ResourceNotAvailable,
    ResourceState,
    open_monitor,
)

from .conftest import failures

if TYPE_CHECKING:
    from trio.testing import MockClock

    from .conftest import Drain

RS = ResourceState


async def kept_cancelled() -> BaseException:
    """A Cancelled of a scope that has been left, as a program may keep it by mistake."""
    kept: list[BaseException] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as error:
            kept.append(error)
            raise
    return kept[0]


class Odd(ResourceHandler[Any]):
    """Raises something odd in one entry point."""

    def __init__(self, where: str, error: BaseException) -> None:
        self.where = where
        self.error = error
        self.closed = False

    async def odd(self, now: str) -> None:
        await trio.lowlevel.checkpoint()
        if now == self.where:
            raise self.error

    async def online(self, scope: OnlineScope) -> OnlineScope:
        await self.odd("online")
        return scope

    async def is_alive(self) -> bool:
        await self.odd("is_alive")
        return True

    def looks_alive(self) -> bool:
        if self.where == "looks_alive":
            raise self.error
        return True

    async def control(self, code: str, argument: Any = None) -> None:
        await self.odd("control")

    async def terminate(self) -> None:
        await self.odd("terminate")

    async def close(self) -> None:
        await self.odd("close")
        self.closed = True


@pytest.mark.parametrize("where", ["online", "is_alive", "control"])
async def test_a_cancelled_of_another_scope_is_a_failure(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain, where: str
) -> None:
    error = await kept_cancelled()
    hosted = await monitor.host("r", lambda: Odd(where, error))
    neighbour = await monitor.host("n", lambda: Odd("", error))
    await neighbour.online()
    if where == "online":
        with pytest.raises(OnlineFailed, match="a Cancelled of another scope was raised"):
            await hosted.online()
    else:
        await hosted.online()
        if where == "is_alive":
            hosted.value.report_failure("look at it")
            await hosted.wait_state(RS.FAILED)
        else:
            with pytest.raises(ResourceNotAvailable, match="a Cancelled of another scope"):
                await hosted.control("code")
    await trio.testing.wait_all_tasks_blocked()
    if where == "control":
        # Its answer alone is odd; the attempt goes on.
        assert (hosted.state, failures(drain())) == (RS.ONLINE, [])
    else:
        (failure,) = failures(drain())
        assert failure.reason is FailureReason.TASK_RETURNED
    assert neighbour.state is RS.ONLINE


@pytest.mark.parametrize("where", ["terminate", "close", "control"])
async def test_a_cancelled_of_another_scope_takes_nothing_else_down(
    autojump_clock: MockClock, where: str
) -> None:
    error = await kept_cancelled()
    went_on = False
    async with open_monitor() as monitor:
        hosted = await monitor.host("r", lambda: Odd(where, error))
        neighbour = await monitor.host("n", lambda: Odd("", error))
        await neighbour.online()
        if where == "control":
            with pytest.raises(ResourceNotAvailable, match="a Cancelled of another scope"):
                await hosted.control("code")
        else:
            await hosted.online()
            await hosted.terminate()
            if where == "terminate":
                assert hosted.last_failure is not None
                assert hosted.last_failure.reason is FailureReason.TERMINATE_RAISED
        await trio.sleep(1)
        assert neighbour.state is RS.ONLINE
        went_on = True
    assert went_on


@pytest.mark.parametrize("where", ["terminate", "control", "looks_alive"])
async def test_an_interrupt_is_told_before_anything_ends_and_clean_up_stays_bounded(
    autojump_clock: MockClock, where: str
) -> None:
    class Hangs(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            pass

        async def terminate(self) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(500)

    channels: list[trio.MemoryReceiveChannel[Report]] = []
    hanging: list[HostedResource] = []
    with pytest.RaisesGroup(SystemExit, flatten_subgroups=True):
        async with open_monitor() as monitor:
            channels.append(monitor.reports)
            hanging.append(await monitor.host("hangs", Hangs, deadlines=Deadlines(terminate=5)))
            await hanging[0].online()
            hosted = await monitor.host("r", lambda: Odd(where, SystemExit()))
            if where == "control":
                try:
                    await hosted.control("code")
                except ResourceNotAvailable:
                    await trio.sleep_forever()
            await hosted.online()
            if where == "terminate":
                hosted.begin_terminate()
            await trio.sleep_forever()
    reports = [report async for report in channels[0]]
    assert len([report for report in reports if isinstance(report, MonitorClosing)]) == 1
    # What hangs in its clean-up was found out by the timers, which outlive the interrupt.
    assert hanging[0].last_failure is not None
    assert trio.current_time() == pytest.approx(500, abs=20)


async def test_an_interrupt_in_one_close_leaves_the_others_theirs(
    autojump_clock: MockClock,
) -> None:
    handlers = [Odd("close" if number == 1 else "", SystemExit()) for number in range(3)]
    with pytest.RaisesGroup(SystemExit, flatten_subgroups=True):
        async with open_monitor() as monitor:
            for number, handler in enumerate(handlers):
                await monitor.host(f"r{number}", lambda handler=handler: handler)  # type: ignore[misc]
    assert [handler.closed for handler in handlers] == [True, False, True]
