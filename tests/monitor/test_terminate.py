"""Rules 3 and 4: terminate cancels and joins; late reports are inert."""

from __future__ import annotations

import threading
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
    OnlineFailed,
    OnlineScope,
    ResourceHandler,
    ResourceMonitor,
    ResourceNotAvailable,
    ResourceState,
    ResourceStuck,
    StateChange,
    open_monitor,
)

from .conftest import Recorder, recorder

if TYPE_CHECKING:
    from trio.testing import MockClock

    from .conftest import Drain

RS = ResourceState


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
    channel = scopes[0].failure_channel()
    assert scopes[0].report_progress("still here")
    assert [scope.terminated for scope in scopes] == [False]
    await hosted.terminate()
    await hosted.online()
    drain()
    assert [scope.terminated for scope in scopes] == [True, False]
    assert not scopes[0].report_progress("late")
    assert not scopes[0].report_failure("late")
    with pytest.raises(trio.ClosedResourceError):
        channel.send_nowait("late")
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
