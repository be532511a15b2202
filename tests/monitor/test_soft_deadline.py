"""Rules 1 and 2: three clocks; an attempt is one task, one scope, one epoch."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource import (
    Deadlines,
    FailureReason,
    FailureReport,
    OnlineFailed,
    OnlineScope,
    Progress,
    Report,
    ResourceHandler,
    ResourceMonitor,
    ResourceNotAvailable,
    ResourceState,
    StateChange,
    service,
)

if TYPE_CHECKING:
    from trio.testing import MockClock

    from .conftest import Drain

RS = ResourceState


class Slow(ResourceHandler[Any]):
    """Comes online after ``seconds`` and goes offline after ``leave``."""

    def __init__(self, seconds: float = 0.0, leave: float = 0.0) -> None:
        self.seconds = seconds
        self.leave = leave
        self.calls: list[str] = []

    async def online(self, scope: OnlineScope) -> str:
        self.calls.append("online")
        await trio.sleep(self.seconds)
        return f"value {scope.epoch}"

    async def offline(self, scope: OnlineScope) -> None:
        self.calls.append("offline")
        await trio.sleep(self.leave)

    async def terminate(self) -> None:
        self.calls.append("terminate")


def states(reports: list[Report]) -> list[ResourceState]:
    return [report.new for report in reports if isinstance(report, StateChange)]


async def test_quick_online_answers_online(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    hosted = await monitor.host("r", lambda: Slow(0.1))
    begun = trio.current_time()
    assert await hosted.online() is RS.ONLINE
    assert trio.current_time() == pytest.approx(begun + 0.1)
    assert hosted.value == "value 1"
    assert hosted.epoch == 1
    assert states(drain()) == [RS.OFFLINE, RS.ONLINE_PENDING, RS.ONLINE]


async def test_slow_online_answers_pending_and_works_on(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    hosted = await monitor.host("r", lambda: Slow(5))
    begun = trio.current_time()
    assert await hosted.online() is RS.ONLINE_PENDING
    assert trio.current_time() == pytest.approx(begun + 0.3)
    with pytest.raises(ResourceNotAvailable, match="r is online-pending"):
        _ = hosted.value
    await hosted.wait_state(RS.ONLINE)
    assert trio.current_time() == pytest.approx(begun + 5)
    assert hosted.value == "value 1"
    assert states(drain()) == [RS.OFFLINE, RS.ONLINE_PENDING, RS.ONLINE]


async def test_soft_deadline_is_per_resource(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", lambda: Slow(5), deadlines=Deadlines(soft=2))
    assert await hosted.online() is RS.ONLINE_PENDING
    assert trio.current_time() == pytest.approx(2)


@pytest.mark.parametrize("passes", [0, 1])
async def test_tie_at_the_soft_deadline_is_settled(
    autojump_clock: MockClock, monitor: ResourceMonitor, passes: int
) -> None:
    class Tied(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            await trio.sleep(0.3)
            for _ in range(passes):
                await trio.lowlevel.checkpoint()

    for number in range(40):
        hosted = await monitor.host(f"r{number}", Tied)
        assert await hosted.online() is RS.ONLINE, number


async def test_tie_at_the_soft_deadline_of_offline(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    for number in range(40):
        hosted = await monitor.host(f"r{number}", lambda: Slow(0, leave=0.3))
        await hosted.online()
        assert await hosted.offline() is RS.OFFLINE, number


async def test_second_online_joins_the_attempt(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    hosted = await monitor.host("r", lambda: Slow(1))
    assert await hosted.online() is RS.ONLINE_PENDING
    assert await hosted.online() is RS.ONLINE_PENDING
    await trio.sleep(0.2)
    assert await hosted.online() is RS.ONLINE
    assert trio.current_time() == pytest.approx(1)
    assert await hosted.online() is RS.ONLINE
    assert hosted.epoch == 1
    assert isinstance(hosted.handler, Slow)
    assert hosted.handler.calls == ["online"]


async def test_cancelling_the_caller_leaves_the_attempt_alone(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", lambda: Slow(1))
    with trio.move_on_after(0.1) as scope:
        await hosted.online()
    assert scope.cancelled_caught
    assert hosted.state is RS.ONLINE_PENDING
    await hosted.wait_state(RS.ONLINE)
    assert trio.current_time() == pytest.approx(1)
    with trio.move_on_after(0.1) as scope:
        await hosted.offline()
    assert await hosted.offline() is RS.OFFLINE


async def test_cancelled_before_it_began_to_wait(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", lambda: Slow(0.1))
    with trio.CancelScope() as scope:
        scope.cancel()
        await hosted.online()
    assert scope.cancelled_caught
    assert await hosted.online() is RS.ONLINE


async def test_context_variables_are_the_monitors(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="monitor's")
    seen: list[str] = []

    class Looks(ResourceHandler[Any]):
        async def open(self) -> None:
            seen.append(variable.get())

        async def online(self, scope: OnlineScope) -> None:
            seen.append(variable.get())
            scope.start_soon(self.task)

        async def task(self) -> None:
            seen.append(variable.get())
            await trio.sleep_forever()

        async def is_alive(self) -> bool:
            seen.append(variable.get())
            return True

        async def control(self, code: str, argument: Any = None) -> None:
            seen.append(variable.get())

    variable.set("caller's")
    hosted = await monitor.host("r", Looks)
    await hosted.online()
    await hosted.control("look")
    await trio.sleep(61)
    assert seen == ["monitor's"] * 5


async def test_pending_deadline_is_the_gap_between_reports(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    class Reports(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            for step in range(5):
                await trio.sleep(179)
                assert scope.report_progress(f"step {step}", fraction=step / 5)
            await trio.sleep(181)

    hosted = await monitor.host("r", Reports)
    await hosted.online()
    await hosted.wait_state(RS.FAILED)
    assert trio.current_time() == pytest.approx(5 * 179 + 180)
    assert hosted.last_failure is not None
    assert hosted.last_failure.reason is FailureReason.ONLINE_TIMEOUT
    progress = [report for report in drain() if isinstance(report, Progress)]
    assert [report.message for report in progress] == [f"step {step}" for step in range(5)]
    assert [report.fraction for report in progress] == [0, 0.2, 0.4, 0.6, 0.8]


async def test_pending_deadline_of_offline(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", lambda: Slow(0, leave=1000))
    await hosted.online()
    assert await hosted.offline() is RS.OFFLINE_PENDING
    assert trio.current_time() == pytest.approx(0.3)
    await hosted.wait_state(RS.FAILED)
    assert trio.current_time() == pytest.approx(180)
    assert hosted.last_failure is not None
    assert hosted.last_failure.reason is FailureReason.OFFLINE_TIMEOUT
    assert isinstance(hosted.handler, Slow)
    await trio.testing.wait_all_tasks_blocked()
    assert hosted.handler.calls == ["online", "offline", "terminate"]


async def test_pending_is_capped_by_deadlock(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    deadlines = Deadlines(pending=100, deadlock=10)
    hosted = await monitor.host("r", lambda: Slow(50), deadlines=deadlines)
    await hosted.online()
    await hosted.wait_state(RS.FAILED)
    assert trio.current_time() == pytest.approx(10)


async def test_pending_clock_stops_when_online(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", lambda: Slow(1))
    await hosted.online()
    await trio.sleep(10_000)
    assert hosted.state is RS.ONLINE


async def test_online_that_raises(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    class Raises(Slow):
        async def online(self, scope: OnlineScope) -> str:
            await super().online(scope)
            raise ValueError("no luck")

    hosted = await monitor.host("r", Raises)
    with pytest.raises(OnlineFailed, match="r: online raised: ValueError: no luck") as caught:
        await hosted.online()
    assert isinstance(caught.value.__cause__, ValueError)
    assert hosted.state is RS.FAILED
    await trio.testing.wait_all_tasks_blocked()
    assert isinstance(hosted.handler, Slow)
    assert hosted.handler.calls == ["online", "terminate"]
    failures = [report for report in drain() if isinstance(report, FailureReport)]
    assert [(one.reason, one.epoch) for one in failures] == [(FailureReason.ONLINE_RAISED, 1)]


async def test_failure_after_the_answer_was_pending(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Raises(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            await trio.sleep(1)
            raise ValueError

    hosted = await monitor.host("r", Raises)
    assert await hosted.online() is RS.ONLINE_PENDING
    await hosted.wait_state(RS.FAILED)
    assert str(hosted.last_failure) == "online raised: ValueError"


async def test_a_scope_of_the_handlers_own_may_end_the_attempt(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Bounded(Slow):
        async def online(self, scope: OnlineScope) -> str:
            await scope.enter(trio.move_on_after(5))  # noqa: ASYNC122
            return await super().online(scope)

    hosted = await monitor.host("r", Bounded)
    await hosted.online()
    await hosted.wait_state(RS.OFFLINE, RS.FAILED)
    assert trio.current_time() == pytest.approx(5)
    assert hosted.state is RS.FAILED
    assert hosted.last_failure is not None
    assert hosted.last_failure.reason is FailureReason.TASK_RETURNED


async def test_service_is_online_when_it_says_started(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    async def serve(answer: str, *, task_status: trio.TaskStatus[str]) -> None:
        await trio.sleep(0.2)
        task_status.started(answer)
        await trio.sleep_forever()

    hosted = await monitor.host("r", service(serve, "here"))
    assert await hosted.online() is RS.ONLINE
    assert hosted.value == "here"
    assert trio.current_time() == pytest.approx(0.2)
    assert await hosted.offline() is RS.OFFLINE


async def test_epochs_rise_by_one(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    hosted = await monitor.host("r", Slow)
    for epoch in (1, 2, 3):
        await hosted.online()
        assert hosted.value == f"value {epoch}"
        await hosted.offline()
    assert [report.epoch for report in drain() if isinstance(report, StateChange)] == [
        *[0],
        *[1] * 4,
        *[2] * 4,
        *[3] * 4,
    ]
