"""Rule 5: the channel of reports loses nothing that counts, and holds up nobody."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import trio
import trio.testing

from trioresource import (
    OnlineScope,
    Progress,
    ResourceMonitor,
    ResourceState,
    StateChange,
    open_monitor,
    resource_type,
)

from .conftest import SlowToEnd, Watched, failures

if TYPE_CHECKING:
    from trio.testing import MockClock

    from .conftest import Drain

RS = ResourceState


async def test_reports_are_never_lost_and_never_block(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    """Nobody receives while a thousand resources fail."""

    @resource_type("trusted", trust_signals=True)
    class Trusted(Watched):
        pass

    for number in range(1000):
        hosted = await monitor.host(f"r{number}", Trusted)
        await hosted.online()
        hosted.value.report_failure("dead")
    await trio.testing.wait_all_tasks_blocked()
    found = failures(drain())
    assert [one.resource for one in found] == [f"r{number}" for number in range(1000)]


async def test_progress_may_be_left_out_when_nobody_listens(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    class Chatty(Watched):
        async def online(self, scope: OnlineScope) -> OnlineScope:
            for number in range(20_000):
                assert scope.report_progress(str(number))
            return scope

    hosted = await monitor.host("r", Chatty)
    await hosted.online()
    hosted.fail("for the test")
    reports = drain()
    assert len([one for one in reports if isinstance(one, Progress)]) < 10_001
    assert len(failures(reports)) == 1


async def test_a_closed_receiver_harms_nobody(autojump_clock: MockClock) -> None:
    async with open_monitor() as monitor:
        hosted = await monitor.host("r", Watched)
        monitor.reports.close()
        assert await hosted.online() is RS.ONLINE
        hosted.fail("for the test")
        assert hosted.state is RS.FAILED


async def test_the_channel_ends_with_the_monitor(autojump_clock: MockClock) -> None:
    async with open_monitor() as monitor:
        hosted = await monitor.host("r", Watched)
        await hosted.online()
    reports = [report async for report in monitor.reports]
    assert [one.new for one in reports if isinstance(one, StateChange)][-1] is RS.OFFLINE


def test_a_report_from_a_thread_after_the_end() -> None:
    scopes: list[OnlineScope] = []

    async def main() -> None:
        async with open_monitor() as monitor:
            hosted = await monitor.host("r", SlowToEnd)
            await hosted.online()
            scopes.append(hosted.value)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(scopes[0].report_failure("late")))
    thread.start()
    thread.join()
    assert answers == [False]
