"""Rules 3 and 4: terminate cancels and joins; late reports are inert."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource import (
    AttemptEnded,
    AttemptStuck,
    Deadlines,
    FailureReason,
    FailureReport,
    OfflineFailed,
    OnlineFailed,
    OnlineScope,
    Report,
    ResourceHandler,
    ResourceMonitor,
    ResourceNotAvailable,
    ResourceState,
    ResourceStuck,
    StateChange,
    open_monitor,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trio.testing import MockClock

RS = ResourceState
Drain = Callable[[], list[Report]]


class Recorder(ResourceHandler[Any]):
    """Notes what happens to it; each entry point takes the time it is given."""

    def __init__(self, **seconds: float) -> None:
        self.seconds = seconds
        self.events: list[str] = []

    async def step(self, name: str) -> None:
        self.events.append(name)
        try:
            await trio.sleep(self.seconds.get(name, 0))
        except trio.Cancelled:
            self.events.append(f"{name} cancelled")
            raise

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            with trio.move_on_after(1, shield=True):
                await trio.sleep(self.seconds.get("leave", 0))
            self.events.append("left")

    async def open(self) -> None:
        await self.step("open")

    async def online(self, scope: OnlineScope) -> None:
        await scope.enter(self.held())
        await self.step("online")

    async def offline(self, scope: OnlineScope) -> None:
        await self.step("offline")

    async def is_alive(self) -> bool:
        await self.step("is_alive")
        return True

    async def control(self, code: str, argument: Any = None) -> str:
        await self.step("control")
        return "done"

    async def terminate(self) -> None:
        await self.step("terminate")

    async def close(self) -> None:
        await self.step("close")


def recorder(hosted: Any) -> Recorder:
    assert isinstance(hosted.handler, Recorder)
    return hosted.handler


async def test_beside_online(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    hosted = await monitor.host("r", lambda: Recorder(online=10, leave=0.5))
    assert await hosted.online() is RS.ONLINE_PENDING
    await hosted.terminate()
    # It has joined: the context is left, and the handler's terminate came after that.
    assert recorder(hosted).events == [
        "open",
        "online",
        "online cancelled",
        "left",
        "terminate",
    ]
    assert trio.current_time() == pytest.approx(0.8)
    assert hosted.state is RS.OFFLINE
    changes = [one for one in drain() if isinstance(one, StateChange)]
    assert [(one.new, one.detail) for one in changes][1:] == [
        (RS.ONLINE_PENDING, ""),
        (RS.OFFLINE_PENDING, "terminated"),
        (RS.OFFLINE, "terminated"),
    ]


async def test_beside_offline(autojump_clock: MockClock, monitor: ResourceMonitor) -> None:
    hosted = await monitor.host("r", lambda: Recorder(offline=10))
    await hosted.online()
    assert await hosted.offline() is RS.OFFLINE_PENDING
    await hosted.terminate()
    assert hosted.state is RS.OFFLINE
    assert recorder(hosted).events[2:] == ["offline", "offline cancelled", "left", "terminate"]


async def test_beside_is_alive(autojump_clock: MockClock, monitor: ResourceMonitor) -> None:
    hosted = await monitor.host("r", lambda: Recorder(is_alive=10))
    await hosted.online()
    await trio.sleep(61)
    await hosted.terminate()
    assert recorder(hosted).events[2:] == ["is_alive", "is_alive cancelled", "left", "terminate"]


async def test_beside_control(autojump_clock: MockClock, monitor: ResourceMonitor) -> None:
    hosted = await monitor.host("r", lambda: Recorder(control=10))
    await hosted.online()

    async def call() -> None:
        with pytest.raises(ResourceNotAvailable, match="terminated during control"):
            await hosted.control("x")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
        await trio.testing.wait_all_tasks_blocked()
        await hosted.terminate()
    assert recorder(hosted).events[2:] == ["control", "control cancelled", "left", "terminate"]


async def test_before_the_first_step_no_handler_code_runs(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", Recorder)
    hosted.begin_online()
    await hosted.terminate()
    assert recorder(hosted).events == ["open"]
    assert hosted.state is RS.OFFLINE
    assert await hosted.online() is RS.ONLINE


async def test_while_online_waits_for_its_turn(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    """Nothing was begun, so there is nothing to undo, least of all beside control."""
    hosted = await monitor.host("r", lambda: Recorder(control=1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hosted.control, "x")
        await trio.testing.wait_all_tasks_blocked()
        hosted.begin_online()
        await trio.testing.wait_all_tasks_blocked()
        await hosted.terminate()
        assert trio.current_time() == 0
    assert recorder(hosted).events == ["open", "control"]


async def test_without_an_attempt_it_is_harmless(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", Recorder)
    await hosted.terminate()
    await hosted.online()
    await hosted.offline()
    await hosted.terminate()
    await hosted.terminate()
    assert recorder(hosted).events == ["open", "online", "offline", "left"]


async def test_all_callers_await_one_completion(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", lambda: Recorder(leave=0.5, terminate=0.5))
    await hosted.online()
    returned: list[float] = []

    async def terminate(after: float) -> None:
        await trio.sleep(after)
        await hosted.terminate()
        returned.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        for after in (0, 0.2, 0.7):
            nursery.start_soon(terminate, after)
    assert returned == pytest.approx([1.0, 1.0, 1.0])
    assert recorder(hosted).events.count("terminate") == 1


async def test_a_cancelled_caller_still_joins(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", lambda: Recorder(leave=0.5))
    await hosted.online()
    with trio.move_on_after(0.1) as scope:
        await hosted.terminate()
    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(0.5)
    assert hosted.is_ended


async def test_from_its_own_task_it_is_not_joined_with_itself(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Suicidal(Recorder):
        async def online(self, scope: OnlineScope) -> None:
            await super().online(scope)
            scope.start_soon(self.later)

        async def later(self) -> None:
            await trio.sleep(1)
            await hosted.terminate()
            self.events.append("returned")
            await trio.sleep_forever()

    hosted = await monitor.host("r", Suicidal)
    await hosted.online()
    await hosted.wait_state(RS.OFFLINE)
    assert trio.current_time() == pytest.approx(1)
    assert "returned" in recorder(hosted).events
    assert hosted.is_ended


async def test_stuck_attempt_is_named_refused_and_forgiven(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    release = trio.Event()

    class Stubborn(Recorder):
        async def online(self, scope: OnlineScope) -> None:
            await super().online(scope)
            scope.start_soon(self.cling)

        async def cling(self) -> None:
            with trio.CancelScope(shield=True):
                await release.wait()

    hosted = await monitor.host("r", Stubborn, deadlines=Deadlines(terminate=7))
    await hosted.online()
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(ResourceStuck, match="r does not end") as caught:
        await hosted.terminate()
    assert trio.current_time() == pytest.approx(7)
    assert "cling" in caught.value.task_tree
    assert "test_terminate.py" in caught.value.task_tree
    assert hosted.state is RS.FAILED
    assert hosted.statistics().stuck
    with pytest.raises(ResourceStuck):
        await hosted.online()
    with pytest.raises(ResourceStuck):
        await hosted.offline()
    with pytest.raises(ResourceStuck):
        await hosted.terminate()
    reports = drain()
    assert [one.reason for one in reports if isinstance(one, FailureReport)] == [
        FailureReason.STUCK
    ]
    assert ["cling" in one.task_tree for one in reports if isinstance(one, AttemptStuck)] == [True]
    release.set()
    await trio.testing.wait_all_tasks_blocked()
    assert [one for one in drain() if isinstance(one, AttemptEnded)]
    assert not hosted.statistics().stuck
    assert recorder(hosted).events[-1] == "terminate"
    assert await hosted.online() is RS.ONLINE
    release.set()


async def test_swallowed_cancellation_does_not_keep_it_alive(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Swallows(Recorder):
        async def online(self, scope: OnlineScope) -> None:
            try:
                await trio.sleep(10)
            except trio.Cancelled:  # noqa: ASYNC103
                self.events.append("swallowed")

    hosted = await monitor.host("r", Swallows)
    await hosted.online()
    await hosted.terminate()
    assert hosted.state is RS.OFFLINE
    assert recorder(hosted).events == ["open", "swallowed", "terminate"]


async def test_cleanup_that_raises_is_reported(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    @asynccontextmanager
    async def bad() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            raise OSError("can not close")

    class Raises(Recorder):
        async def online(self, scope: OnlineScope) -> None:
            await scope.enter(bad())

    hosted = await monitor.host("r", Raises)
    await hosted.online()
    await hosted.terminate()
    assert hosted.state is RS.FAILED
    assert str(hosted.last_failure) == "clean-up raised: OSError: can not close"
    assert recorder(hosted).events == ["open", "terminate"]
    await hosted.online()
    with pytest.raises(OfflineFailed, match="clean-up raised"):
        await hosted.offline()
    assert len([one for one in drain() if isinstance(one, FailureReport)]) == 2


async def test_terminate_that_raises(autojump_clock: MockClock, monitor: ResourceMonitor) -> None:
    class Raises(Recorder):
        async def terminate(self) -> None:
            raise OSError("will not go")

    hosted = await monitor.host("r", Raises)
    await hosted.online()
    await hosted.terminate()
    assert hosted.state is RS.FAILED
    assert str(hosted.last_failure) == "terminate raised: OSError: will not go"
    assert await hosted.online() is RS.ONLINE


async def test_terminate_that_hangs_is_bounded(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", lambda: Recorder(terminate=1e6))
    await hosted.online()
    await hosted.terminate()
    assert trio.current_time() == pytest.approx(30)
    assert hosted.last_failure is not None
    assert hosted.last_failure.reason is FailureReason.TERMINATE_TIMEOUT
    assert not hosted.statistics().stuck
    assert hosted.is_ended


async def test_terminate_that_swallows_its_bound_is_stuck(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    release = trio.Event()

    class Clings(Recorder):
        async def terminate(self) -> None:
            with trio.CancelScope(shield=True):
                await release.wait()

    hosted = await monitor.host("r", Clings)
    await hosted.online()
    with pytest.raises(ResourceStuck):
        await hosted.terminate()
    assert trio.current_time() == pytest.approx(60)
    release.set()
    await trio.testing.wait_all_tasks_blocked()
    assert hosted.is_ended


async def test_cleanup_that_hangs_while_going_offline_fails_it(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Hangs(Recorder):
        @asynccontextmanager
        async def held(self) -> AsyncGenerator[None, None]:
            yield
            await trio.sleep_forever()

    hosted = await monitor.host("r", Hangs)
    await hosted.online()
    assert await hosted.offline() is RS.OFFLINE_PENDING
    await hosted.wait_state(RS.FAILED)
    assert trio.current_time() == pytest.approx(30)
    await trio.testing.wait_all_tasks_blocked()
    assert recorder(hosted).events[-1] == "terminate"
    assert hosted.is_ended


async def test_offline_while_online_is_pending_settles_offline(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", lambda: Recorder(online=10))
    answers: list[str] = []

    async def online() -> None:
        with pytest.raises(OnlineFailed, match="taken offline while it was coming online"):
            await hosted.online()
        answers.append("online")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(online)
        await trio.testing.wait_all_tasks_blocked()
        assert await hosted.offline() is RS.OFFLINE
    assert answers == ["online"]
    assert recorder(hosted).events == ["open", "online", "online cancelled", "left", "terminate"]


async def test_online_while_offline_is_pending_follows_it(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", lambda: Recorder(offline=1))
    await hosted.online()
    assert await hosted.offline() is RS.OFFLINE_PENDING
    assert await hosted.online() is RS.ONLINE_PENDING
    await hosted.wait_state(RS.ONLINE)
    assert trio.current_time() == pytest.approx(1)
    assert hosted.epoch == 2
    assert recorder(hosted).events == ["open", "online", "offline", "left", "online"]


async def test_the_latest_command_counts(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", lambda: Recorder(offline=1))
    await hosted.online()
    hosted.begin_offline()
    hosted.begin_online()
    hosted.begin_offline()
    await trio.sleep(5)
    assert hosted.state is RS.OFFLINE
    hosted.begin_online()
    await trio.sleep(5)
    hosted.begin_offline()
    hosted.begin_online()
    hosted.begin_terminate()
    await trio.sleep(5)
    assert hosted.state is RS.OFFLINE
    assert hosted.epoch == 2


async def test_offline_of_a_failed_resource(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", lambda: Recorder(leave=0.5))
    await hosted.online()
    hosted.fail("for the test")
    assert hosted.state is RS.FAILED
    assert await hosted.offline() is RS.OFFLINE_PENDING
    await hosted.wait_state(RS.OFFLINE)
    assert trio.current_time() == pytest.approx(0.5)
    await hosted.online()
    hosted.fail("again")
    await trio.sleep(5)
    assert hosted.state is RS.FAILED
    assert await hosted.offline() is RS.OFFLINE


async def test_late_reports_are_inert(
    autojump_clock: MockClock, monitor: ResourceMonitor, drain: Drain
) -> None:
    scopes: list[OnlineScope] = []

    class Late(Recorder):
        async def online(self, scope: OnlineScope) -> None:
            scopes.append(scope)

    hosted = await monitor.host("r", Late)
    await hosted.online()
    signal = scopes[0].failure_signal()
    assert scopes[0].report_progress("still here")
    assert [scope.terminated for scope in scopes] == [False]
    await hosted.terminate()
    await hosted.online()
    drain()
    assert [scope.terminated for scope in scopes] == [True, False]
    assert not scopes[0].report_progress("late")
    assert not scopes[0].report_failure("late")
    assert not signal.report("late")
    with pytest.raises(RuntimeError, match="the attempt is over"):
        scopes[0].start_soon(trio.sleep_forever)
    with pytest.raises(RuntimeError, match="left in the task that entered it"):
        await scopes[0].enter(trio.CancelScope())
    await trio.testing.wait_all_tasks_blocked()
    assert hosted.state is RS.ONLINE
    assert hosted.epoch == 2
    assert drain() == []


async def test_a_thread_can_ask_whether_it_was_terminated() -> None:
    """Cancellation does not reach into a thread; it has to look."""
    rounds: list[bool] = []
    begun = threading.Event()

    class Threaded(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            await trio.to_thread.run_sync(self.work, scope)

        def work(self, scope: OnlineScope) -> None:
            begun.set()
            while not scope.terminated:
                rounds.append(scope.terminated)
                trio.from_thread.run_sync(scope.report_progress, "working")

    async with open_monitor() as real:
        hosted = await real.host("r", Threaded)
        hosted.begin_online()
        await trio.to_thread.run_sync(begun.wait)
        await hosted.terminate()
        assert hosted.is_ended
    assert True not in rounds


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
