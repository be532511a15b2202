"""Rule 5: what is noticed goes through one channel, and one task consumes it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import pytest
import trio
import trio.testing

from tests.testing.interleavings.race import Race
from trioresource import (
    AttemptEnded,
    Deadlines,
    FailureReason,
    FailureReport,
    OnlineScope,
    Report,
    ResourceHandler,
    ResourceMonitor,
    ResourceState,
    StateChange,
    open_monitor,
    resource_type,
)
from trioresource.testing import explore

from .conftest import SlowToEnd, Watched, failures

if TYPE_CHECKING:
    from trio.testing import MockClock

    from .conftest import Drain

RS = ResourceState
MANY: Final = 10_000


class Detecting(Watched):
    """Watched, with a failure source of its own."""

    channel: trio.MemorySendChannel[str]

    async def online(self, scope: OnlineScope) -> OnlineScope:
        self.channel = scope.failure_channel()
        return await super().online(scope)


async def start_detecting(monitor: ResourceMonitor) -> tuple[Any, Detecting]:
    hosted = await monitor.host("r", Detecting)
    await hosted.online()
    assert isinstance(hosted.handler, Detecting)
    return hosted, hosted.handler


async def test_a_flood_takes_one_check(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    hosted, handler = await start_detecting(monitor)
    for number in range(MANY):
        handler.channel.send_nowait(f"message {number}")
    await trio.testing.wait_all_tasks_blocked()
    assert len(handler.asked) == 1
    assert hosted.state is RS.ONLINE
    for number in range(MANY):
        hosted.value.report_failure(f"report {number}")
    await trio.testing.wait_all_tasks_blocked()
    assert len(handler.asked) == 2


async def test_a_message_during_a_check_is_checked_after_it(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    hosted, handler = await start_detecting(monitor)
    handler.seconds = 1.0
    handler.channel.send_nowait("first")
    await trio.sleep(0.5)
    handler.channel.send_nowait("second")
    handler.channel.send_nowait("third")
    await trio.sleep(0.6)
    # The answer to the first was yes.
    handler.alive = False
    await hosted.wait_state(RS.FAILED)
    assert handler.asked == pytest.approx([0, 1])
    assert [failure.detail for failure in failures(drain())] == ["second"]


async def test_a_message_whose_check_hangs_in_maintenance_is_checked_after_it(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", Detecting, deadlines=Deadlines(pending=10, deadlock=10))
    await hosted.online()
    handler = hosted.handler
    assert isinstance(handler, Detecting)
    handler.seconds = 1000.0
    handler.channel.send_nowait("lost the primary")
    await trio.sleep(1)
    hosted.set_maintenance(True)
    await trio.sleep(20)
    assert hosted.state is RS.ONLINE
    handler.seconds, handler.alive = 0.0, False
    hosted.set_maintenance(False)
    await hosted.wait_state(RS.FAILED)
    assert str(hosted.last_failure) == "the resource reported a failure: lost the primary"


async def test_closing_it_means_nothing(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted, handler = await start_detecting(monitor)
    other = hosted.value.failure_channel()
    handler.channel.close()
    await trio.sleep(1000)
    assert (hosted.state, hosted.last_failure) == (RS.ONLINE, None)
    handler.alive = False
    other.send_nowait("the other one is still open")
    await hosted.wait_state(RS.FAILED)
    assert str(hosted.last_failure).endswith("the other one is still open")


async def test_the_sender_runs_no_code_but_its_own(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    """Neither the handler nor the monitor is entered below a detector, whatever it says."""

    @resource_type("trusted", trust_signals=True)
    class Trusted(Detecting):
        pass

    hosted = await monitor.host("r", Trusted)
    await hosted.online()
    drain()
    hosted.value.report_failure("gone")
    # Over at once, so that nothing more counts; told by the consumer, when it has its turn.
    assert hosted.value.terminated
    assert drain() == []
    await trio.testing.wait_all_tasks_blocked()
    assert [type(report) for report in drain()] == [StateChange, FailureReport, AttemptEnded]


async def test_it_ends_with_the_attempt(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted, handler = await start_detecting(monitor)
    first = handler.channel
    await hosted.offline()
    with pytest.raises(trio.ClosedResourceError):
        first.send_nowait("too late")
    await hosted.online()
    assert handler.channel is not first
    handler.alive = False
    handler.channel.send_nowait("in time")
    await hosted.wait_state(RS.FAILED)
    assert hosted.last_failure is not None
    assert (hosted.last_failure.epoch, hosted.last_failure.detail) == (2, "in time")


async def test_messages_before_online_has_returned_are_looked_into_then(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Early(Watched):
        async def online(self, scope: OnlineScope) -> OnlineScope:
            scope.failure_channel().send_nowait("not well from the start")
            await trio.sleep(1)
            self.alive = False
            return await super().online(scope)

    hosted = await monitor.host("r", Early)
    await hosted.online()
    await hosted.wait_state(RS.FAILED)
    assert trio.current_time() == pytest.approx(1)
    assert str(hosted.last_failure).endswith("not well from the start")


def test_reports_from_a_thread_with_a_run_of_its_own() -> None:
    """``in_trio_run()`` is true there as well; the tokens are not the same."""
    outcome: list[object] = []

    async def main() -> None:
        async with open_monitor() as monitor:
            hosted = await monitor.host("r", Watched)
            await hosted.online()
            assert isinstance(hosted.handler, Watched)
            hosted.handler.alive = False
            scope: OnlineScope = hosted.value

            async def elsewhere() -> None:
                await trio.lowlevel.checkpoint()
                outcome.append(scope.report_failure("from another run"))

            thread = threading.Thread(target=trio.run, args=(elsewhere,))
            thread.start()
            await hosted.wait_state(RS.FAILED)
            await trio.to_thread.run_sync(thread.join)
            outcome.append(str(hosted.last_failure))

    trio.run(main)
    assert outcome == [True, "the resource reported a failure: from another run"]


def order_of(reports: list[Report]) -> list[str]:
    """What is told of the end of an attempt, in order."""
    told = []
    for report in reports:
        if isinstance(report, StateChange) and report.new in (RS.FAILED, RS.OFFLINE):
            told.append(report.new.value)
        elif isinstance(report, FailureReport | AttemptEnded):
            told.append(type(report).__name__)
    return told


@pytest.mark.parametrize("ending", ["return", "raise", "another"])
def test_in_every_order_the_message_is_the_cause(ending: str) -> None:
    """``send("lost the primary"); return`` keeps its message, and nothing overtakes it."""
    strategy = Race(0)

    class Follower(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            self.go = trio.Event()
            scope.start_soon(self.follow, scope.failure_channel())
            if ending == "another":
                scope.start_soon(self.end)

        async def follow(self, channel: trio.MemorySendChannel[str]) -> None:
            await self.go.wait()
            channel.send_nowait("lost the primary")
            if ending == "raise":
                raise OSError("connection reset")
            if ending == "another":
                self.ended.set()
                await trio.sleep_forever()

        async def end(self) -> None:
            await self.ended.wait()

        async def is_alive(self) -> bool:
            return False

        def __init__(self) -> None:
            self.ended = trio.Event()

    async def scenario() -> None:
        async with open_monitor() as monitor:
            with monitor.reports as reports:
                hosted = await monitor.host("r", Follower)
                await hosted.online()
                assert isinstance(hosted.handler, Follower)
                with strategy.run():
                    hosted.handler.go.set()
                    await hosted.wait_state(RS.FAILED)
                await trio.testing.wait_all_tasks_blocked()
                told: list[Report] = []
                while reports.statistics().current_buffer_used:
                    told.append(reports.receive_nowait())
        assert order_of(told) == ["offline", "failed", "FailureReport", "AttemptEnded"]
        (failure,) = failures(told)
        assert (failure.reason, failure.detail) == (FailureReason.SIGNAL, "lost the primary")

    if ending == "another":
        # Two tasks more: the space is too large to be seen whole.
        explore(scenario, schedules=1_500)
    else:
        explore(scenario, strategy=strategy, schedules=20_000)
        assert strategy.exhausted


def test_in_every_order_one_failure_for_an_attempt() -> None:
    """Crash, message, request, command to go down and the end beside each other."""
    strategy = Race(0)

    class Many(SlowToEnd):
        async def online(self, scope: OnlineScope) -> OnlineScope:
            self.go = trio.Event()
            scope.start_soon(self.crash)
            return scope

        async def crash(self) -> None:
            await self.go.wait()
            raise OSError("connection reset")

        async def terminate(self) -> None:
            await trio.lowlevel.checkpoint()

        async def close(self) -> None:
            await trio.lowlevel.checkpoint()

    async def scenario() -> None:
        async with open_monitor() as monitor:
            with monitor.reports as reports:
                hosted = await monitor.host("r", Many)
                await hosted.online()
                assert isinstance(hosted.handler, Many)
                with strategy.run():
                    async with trio.open_nursery() as nursery:
                        hosted.handler.go.set()
                        nursery.start_soon(hosted.terminate)
                        hosted.value.report_failure("not well")
                told: list[Report] = []
                while reports.statistics().current_buffer_used:
                    told.append(reports.receive_nowait())
        assert order_of(told) in (
            ["offline", "failed", "FailureReport", "AttemptEnded"],
            ["offline", "failed", "FailureReport", "AttemptEnded", "offline"],
            ["offline", "offline"],
        )

    explore(scenario, strategy=strategy, schedules=20_000)
    assert strategy.exhausted
