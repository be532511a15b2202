"""Numbered commands, as a cluster gives them: each is answered, and each says what it means."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource import (
    AttemptEnded,
    CommandTaken,
    FailureReport,
    MonitorClosing,
    OnlineFailed,
    OnlineScope,
    Report,
    ResourceHandler,
    ResourceMonitor,
    ResourceNotAvailable,
    ResourceState,
    ResourceType,
    StateChange,
    open_monitor,
)

from .conftest import SlowToEnd, Watched

if TYPE_CHECKING:
    from trio.testing import MockClock

    from .conftest import Drain

RS = ResourceState


def answers(reports: list[Report]) -> list[tuple[str, int, ResourceState]]:
    """Which command each report has observed, and the state that it tells."""
    found = []
    for report in reports:
        if isinstance(report, StateChange):
            found.append(("changed", report.generation, report.new))
        elif isinstance(report, CommandTaken):
            found.append(("taken", report.generation, report.state))
    return found


async def test_every_numbered_command_is_answered(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    """G1: also one that changes nothing, and one that is refused."""
    hosted = await monitor.host("r", Watched)
    drain()
    hosted.begin_offline(1)
    hosted.begin_online(2, 1)
    hosted.begin_online(3, 1)
    await hosted.wait_state(RS.ONLINE)
    hosted.begin_online(4, 1)
    hosted.begin_offline(5)
    hosted.begin_offline(6)
    # Refused: the attempt before has not ended.
    hosted.begin_online(7, 2)
    await hosted.wait_state(RS.OFFLINE)
    hosted.begin_terminate(8)
    await hosted.close()
    # Refused: it is closed.
    hosted.begin_online(9, 2)
    assert answers(drain()) == [
        ("taken", 1, RS.OFFLINE),
        ("changed", 2, RS.ONLINE_PENDING),
        ("taken", 3, RS.ONLINE_PENDING),
        ("changed", 3, RS.ONLINE),
        ("taken", 4, RS.ONLINE),
        ("changed", 5, RS.OFFLINE_PENDING),
        ("taken", 6, RS.OFFLINE_PENDING),
        ("taken", 7, RS.OFFLINE_PENDING),
        ("changed", 7, RS.OFFLINE),
        ("taken", 8, RS.OFFLINE),
        ("taken", 9, RS.OFFLINE),
    ]
    assert hosted.epoch == 1


async def test_commands_without_a_number_are_not_answered(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    hosted = await monitor.host("r", Watched)
    for command in (hosted.begin_offline, hosted.begin_terminate, hosted.begin_offline):
        command()
    assert [type(report) for report in drain()] == [StateChange]


@pytest.mark.parametrize("ended", [False, True])
async def test_a_confirmation_begins_nothing(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain, ended: bool
) -> None:
    """G3: it says that the attempt has failed; what comes of that the cluster decides."""
    hosted = await monitor.host("r", SlowToEnd)
    hosted.begin_online(1, 1)
    await hosted.wait_state(RS.ONLINE)
    hosted.fail("for the test", epoch=1)
    await trio.sleep(2 if ended else 0.5)
    drain()
    hosted.begin_online(2, 1)
    (answer,) = drain()
    assert isinstance(answer, CommandTaken)
    assert (answer.generation, answer.epoch, answer.state) == (2, 1, RS.FAILED)
    assert answer.is_ended is ended
    await trio.sleep(10)
    assert (hosted.state, hosted.epoch) == (RS.FAILED, 1)


async def test_an_answer_knows_of_a_failure_that_was_noticed_before(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    """The consumer of the failure channel had no turn yet, but the command comes after it."""

    class Trusted(Watched):
        type_info = ResourceType(name="trusted", trust_signals=True)

    hosted = await monitor.host("r", Trusted)
    hosted.begin_online(1, 1)
    await hosted.wait_state(RS.ONLINE)
    drain()
    hosted.value.report_failure("gone")
    hosted.begin_online(2, 1)
    kinds = [(type(report), getattr(report, "generation", None)) for report in drain()]
    assert kinds == [(StateChange, 1), (FailureReport, 1), (CommandTaken, 2)]


async def test_numbers_of_attempts_are_the_clusters(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    """G6: so they go on where a monitor is replaced, and an old command harms no new attempt."""
    hosted = await monitor.host("r", Watched)
    hosted.begin_online(1, 7)
    await hosted.wait_state(RS.ONLINE)
    assert hosted.epoch == 7
    hosted.fail("of an attempt before", epoch=6)
    hosted.begin_online(2, 6)
    await trio.testing.wait_all_tasks_blocked()
    assert (hosted.state, hosted.epoch) == (RS.ONLINE, 7)
    hosted.fail("of this one", epoch=7)
    assert hosted.state is RS.FAILED


async def test_a_value_comes_with_the_report_that_says_online(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    hosted = await monitor.host("r", Watched)
    await hosted.online()
    await hosted.offline()
    values = {report.new: report.value for report in drain() if isinstance(report, StateChange)}
    assert isinstance(values.pop(RS.ONLINE), OnlineScope)
    assert set(values.values()) == {None}


@pytest.mark.parametrize("where", ["online", "task", "looks_alive", "control"])
async def test_a_monitor_that_goes_down_says_so_before_its_attempts_end(
    autojump_clock: MockClock, where: str
) -> None:
    """G7: or their ends would be taken for something to recover from."""

    class Interrupts(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            self.interrupt("online")
            scope.start_soon(self.task)

        async def task(self) -> None:
            await trio.sleep(1)
            self.interrupt("task")
            await trio.sleep_forever()

        def looks_alive(self) -> bool:
            self.interrupt("looks_alive")
            return True

        async def control(self, code: str, argument: Any = None) -> None:
            self.interrupt("control")

        def interrupt(self, now: str) -> None:
            if now == where:
                raise SystemExit

    channels: list[trio.MemoryReceiveChannel[Report]] = []
    with pytest.RaisesGroup(SystemExit, flatten_subgroups=True):
        async with open_monitor() as monitor:
            channels.append(monitor.reports)
            others = [await monitor.host(f"other {number}", Watched) for number in range(3)]
            for other in others:
                await other.online()
            interrupts = await monitor.host("interrupts", Interrupts)
            with suppress(OnlineFailed, ResourceNotAvailable):
                await interrupts.online()
                await interrupts.control("code")
            await trio.sleep_forever()
    reports = [report async for report in channels[0]]
    closing = [place for place, one in enumerate(reports) if isinstance(one, MonitorClosing)]
    ends = [
        place
        for place, report in enumerate(reports)
        if isinstance(report, AttemptEnded)
        or (isinstance(report, StateChange) and report.new is RS.OFFLINE_PENDING)
    ]
    assert len(closing) == 1
    assert closing[0] < min(ends)
