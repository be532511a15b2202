"""One call of is_alive: what comes of it if it can not answer, and in maintenance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource import (
    Deadlines,
    FailureReason,
    OnlineScope,
    PollIntervals,
    ProbeInconclusive,
    ResourceHandler,
    ResourceMonitor,
    ResourceState,
    open_monitor,
)

from .conftest import cling, failures, start

if TYPE_CHECKING:
    from trio.testing import MockClock

    from .conftest import Drain

RS = ResourceState


async def test_a_probe_that_could_not_run_is_no_failure(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    hosted, handler = await start(monitor)
    handler.alive = OSError("no route")
    await trio.sleep(200)
    assert hosted.state is RS.ONLINE
    assert len([one for one in drain() if isinstance(one, ProbeInconclusive)]) == 3
    assert hosted.statistics().inconclusive_calls == 3


async def test_a_probe_that_hangs_is_a_failure(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted, handler = await start(monitor, deadlines=Deadlines(deadlock=20))
    handler.seconds = 1e6
    await hosted.wait_state(RS.FAILED)
    assert trio.current_time() == pytest.approx(80)
    assert hosted.last_failure is not None
    assert hosted.last_failure.reason is FailureReason.PROBE_HUNG


async def test_a_probe_that_can_not_be_cancelled_is_noticed(autojump_clock: MockClock) -> None:
    class Hangs(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            pass

        async def is_alive(self) -> bool:
            await cling(100)
            return True

    async with open_monitor() as monitor:
        hosted = await monitor.host(
            "r",
            Hangs,
            deadlines=Deadlines(deadlock=10, terminate=5),
            poll=PollIntervals(is_alive=1),
        )
        await hosted.online()
        await hosted.wait_state(RS.FAILED)
        assert trio.current_time() == 11
        assert hosted.last_failure is not None
        assert hosted.last_failure.reason is FailureReason.PROBE_HUNG
        await trio.sleep(6)
        assert hosted.statistics().stuck


async def test_one_probe_at_a_time(autojump_clock: MockClock, monitor: ResourceMonitor) -> None:
    """What is asked for during a probe is asked once more after it."""
    hosted, handler = await start(monitor)
    handler.seconds = 1
    for _ in range(5):
        hosted.value.report_failure("hm")
        await trio.sleep(0.1)
    await trio.sleep(10)
    assert handler.asked == pytest.approx([0, 1])


async def test_maintenance_mutes_bad_answers(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    hosted, handler = await start(monitor)
    hosted.set_maintenance(True)
    handler.alive = False
    hosted.value.report_failure("somebody pulled the plug")
    await trio.sleep(200)
    assert hosted.state is RS.ONLINE
    assert failures(drain()) == []
    hosted.set_maintenance(False)
    await hosted.wait_state(RS.FAILED)
    assert str(hosted.last_failure).endswith("somebody pulled the plug")


async def test_the_end_of_maintenance_checks(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted, handler = await start(monitor)
    hosted.set_maintenance(True)
    handler.alive = False
    await trio.sleep(1)
    hosted.set_maintenance(False)
    await hosted.wait_state(RS.FAILED)
    assert trio.current_time() == pytest.approx(1)
