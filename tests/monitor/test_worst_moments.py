"""Handlers and callers that do the worst thing at the worst moment."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource import (
    AttemptStuck,
    Deadlines,
    FailureReason,
    InvalidStateError,
    OnlineScope,
    PollIntervals,
    Report,
    ResourceHandler,
    ResourceMonitor,
    ResourceState,
    ResourceStuck,
    open_monitor,
    resource_type,
)
from trioresource.monitor.tasktree import format_task_tree

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from trio.testing import MockClock

RS = ResourceState


class Slow(ResourceHandler[Any]):
    """Takes a second to terminate and a second to close."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def online(self, scope: OnlineScope) -> OnlineScope:
        self.events.append("late online" if scope.terminated else "online")
        return scope

    async def offline(self, scope: OnlineScope) -> None:
        self.events.append("offline")

    async def control(self, code: str, argument: Any = None) -> None:
        await trio.sleep(float(code))

    async def terminate(self) -> None:
        await trio.sleep(1)
        self.events.append("terminate")

    async def close(self) -> None:
        self.events.append("close")
        await trio.sleep(1)
        self.events.append("closed")


async def cling(seconds: float = 10_000) -> None:
    """What can not be cancelled, like a thread."""
    with trio.CancelScope(shield=True):
        await trio.sleep(seconds)


# --- closing ---------------------------------------------------------------------------


async def test_nothing_comes_online_while_it_is_closed(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    handler = Slow()
    hosted = await monitor.host("r", lambda: handler)
    await hosted.online()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(monitor.unhost, "r")
        await trio.sleep(0.5)
        with pytest.raises(InvalidStateError, match="r is not open"):
            hosted.begin_online()
    assert handler.events == ["online", "terminate", "close", "closed"]


async def test_it_is_closed_once(autojump_clock: MockClock, monitor: ResourceMonitor) -> None:
    handler = Slow()
    hosted = await monitor.host("r", lambda: handler)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(monitor.unhost, "r")
        nursery.start_soon(hosted.close)
    assert handler.events == ["close", "closed"]
    assert trio.current_time() == 1


async def test_a_late_unhost_spares_the_next_of_that_name(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    await monitor.host("r", Slow)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(monitor.unhost, "r")
        nursery.start_soon(monitor.unhost, "r")
        while "r" in monitor.resources:  # noqa: ASYNC110 - there is no event for this
            await trio.sleep(0.1)
        new = await monitor.host("r", Slow)
    assert monitor.resources == {"r": new}


async def test_it_can_not_be_closed_by_a_task_of_its_own(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", Slow)
    await hosted.online()
    answers: list[str] = []

    async def close() -> None:
        with pytest.raises(InvalidStateError) as caught:
            await monitor.unhost("r")
        answers.append(str(caught.value))
        await trio.sleep_forever()

    hosted.value.start_soon(close)
    await trio.testing.wait_all_tasks_blocked()
    assert answers == ["r can not be closed by a task of its own"]
    assert hosted.state is RS.ONLINE


async def test_close_is_not_torn_by_cancellation(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    handler = Slow()
    await monitor.host("r", lambda: handler)
    with trio.move_on_after(0.5):
        await monitor.unhost("r")
    assert handler.events == ["close", "closed"]


async def test_a_stuck_resource_stays_hosted(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", Slow, deadlines=Deadlines(terminate=5))
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
    class Clings(Slow):
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


# --- crashes ---------------------------------------------------------------------------


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
            slow = await monitor.host("slow", Slow)
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
            clings = await monitor.host("clings", Slow, deadlines=Deadlines(terminate=30))
            await clings.online()
            clings.value.start_soon(cling, 500)
            crashes = await monitor.host("crashes", Crashes)
            await crashes.online()
            await trio.sleep_forever()
    reports = [report async for report in channels[0]]
    (stuck,) = [report for report in reports if isinstance(report, AttemptStuck)]
    assert stuck.time == pytest.approx(31)


@asynccontextmanager
async def connection() -> AsyncGenerator[None, None]:
    async def pump() -> None:
        await trio.sleep(5)
        raise OSError("connection lost")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump)
        yield


async def test_a_context_whose_task_crashes(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Connected(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            await scope.enter(connection())

    hosted = await monitor.host("r", Connected)
    await hosted.online()
    await hosted.wait_state(RS.FAILED)
    assert trio.current_time() == 5
    assert str(hosted.last_failure) == "a task crashed: OSError: connection lost"


async def test_a_context_that_is_slow_to_leave_after_a_crash(autojump_clock: MockClock) -> None:
    @asynccontextmanager
    async def sticky() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await cling(200)  # noqa: ASYNC102 - so it does

    class Connected(ResourceHandler[Any]):
        polls = 0

        async def online(self, scope: OnlineScope) -> None:
            await scope.enter(connection())
            await scope.enter(sticky())

        async def is_alive(self) -> bool:
            Connected.polls += 1
            return True

    async with open_monitor() as monitor:
        hosted = await monitor.host("r", Connected, poll=PollIntervals(is_alive=1))
        await hosted.online()
        await trio.sleep(100)
        assert hosted.state is RS.FAILED
        assert hosted.statistics().stuck
        assert Connected.polls <= 5
        assert hosted.last_failure is not None
        assert hosted.last_failure.reason is FailureReason.TASK_CRASHED


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


# --- calls -----------------------------------------------------------------------------


async def test_a_probe_that_can_not_be_cancelled_is_noticed(autojump_clock: MockClock) -> None:
    class Hangs(ResourceHandler[Any]):
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


async def test_offline_that_is_terminated_before_it_began(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    handler = Slow()
    hosted = await monitor.host("r", lambda: handler)
    await hosted.online()
    hosted.begin_offline()
    await hosted.terminate()
    assert handler.events == ["online", "terminate"]


async def test_terminate_in_the_moment_in_which_the_gate_is_handed_over(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    for number in range(20):
        handler = Slow()
        hosted = await monitor.host(f"r{number}", lambda handler=handler: handler)  # type: ignore[misc]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hosted.control, "1")
            await trio.sleep(0.5)
            hosted.begin_online()
            await trio.sleep(0.5)
            while hosted.statistics().running == "control":  # noqa: ASYNC110
                await trio.lowlevel.checkpoint()
            await hosted.terminate()
        assert "late online" not in handler.events


@resource_type("trusting", trust_signals=True)
class Trusting(Slow):
    async def online(self, scope: OnlineScope) -> OnlineScope:
        self.go = trio.Event()
        scope.start_soon(self.go.wait)
        return scope


@pytest.mark.parametrize("what", ["task", "signal", "overrun"])
async def test_going_offline_while_a_control_call_runs(
    autojump_clock: MockClock, monitor: ResourceMonitor, what: str
) -> None:
    """What goes away then was asked to, also before ``offline`` has its turn."""
    handler = Trusting()
    hosted = await monitor.host("r", lambda: handler, deadlines=Deadlines(pending=5))
    await hosted.online()
    scope = hosted.value

    async def control() -> None:
        with pytest.raises(Exception, match="terminated") if what == "overrun" else _nothing():
            await hosted.control("8" if what == "overrun" else "1")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(control)
        await trio.testing.wait_all_tasks_blocked()
        hosted.begin_offline()
        await trio.testing.wait_all_tasks_blocked()
        if what == "task":
            handler.go.set()
        elif what == "signal":
            assert not scope.report_failure("gone")
    await trio.sleep(20)
    if what == "overrun":
        assert hosted.last_failure is not None
        assert hosted.last_failure.reason is FailureReason.OFFLINE_TIMEOUT
    else:
        assert (hosted.state, hosted.last_failure) == (RS.OFFLINE, None)


class _nothing:  # noqa: N801
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


# --- signals ---------------------------------------------------------------------------


async def test_properties_changed_may_report_a_failure(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Picky(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            self.scope = scope

        def properties_changed(self, previous: Any) -> None:
            self.scope.report_failure("the new value does not work")

        async def is_alive(self) -> bool:
            return False

    hosted = await monitor.host("r", Picky)
    await hosted.online()
    hosted.apply_properties()
    await trio.testing.wait_all_tasks_blocked()
    assert str(hosted.last_failure).endswith("the new value does not work")


async def test_a_failure_source_that_is_announced_later(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Later(Slow):
        looked = 0

        def looks_alive(self) -> bool:
            self.looked += 1
            return True

    handler = Later()
    hosted = await monitor.host("r", lambda: handler)
    await hosted.online()
    await trio.sleep(7)
    hosted.value.failure_signal()
    await trio.sleep(40)
    assert handler.looked == 1


def test_a_report_from_a_thread_after_the_end() -> None:
    scopes: list[OnlineScope] = []

    async def main() -> None:
        async with open_monitor() as monitor:
            hosted = await monitor.host("r", Slow)
            await hosted.online()
            scopes.append(hosted.value)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(scopes[0].report_failure("late")))
    thread.start()
    thread.join()
    assert answers == [False]


async def test_nothing_can_be_entered_in_terminate(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Enters(Slow):
        async def online(self, scope: OnlineScope) -> OnlineScope:
            self.scope = scope
            return scope

        async def terminate(self) -> None:
            with pytest.raises(RuntimeError, match="the attempt is over"):
                await self.scope.enter(connection())
            self.events.append("refused")

    handler = Enters()
    hosted = await monitor.host("r", lambda: handler)
    await hosted.online()
    await hosted.terminate()
    assert handler.events == ["refused"]


async def test_the_owners_timers_are_its_own(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    expired: list[str] = []

    def expire(key: str, _: float) -> None:
        expired.append(key)

    await monitor.host("r", Slow)
    monitor.timers("pending", expire)(180.0).arm("mine")
    await trio.sleep(200)
    assert expired == ["mine"]


async def test_task_trees_are_printed_in_one_order(autojump_clock: MockClock) -> None:
    async def first() -> None:
        await trio.sleep_forever()

    async def second() -> None:
        await trio.sleep_forever()

    trees: dict[str, None] = {}
    functions: list[Callable[[], Awaitable[None]]] = [first, second]
    for _ in range(20):
        functions.reverse()
        async with trio.open_nursery() as nursery:
            for fn in functions:
                nursery.start_soon(fn, name="same")
            await trio.testing.wait_all_tasks_blocked()
            trees[format_task_tree(trio.lowlevel.current_task())] = None
            nursery.cancel_scope.cancel()
    assert len(trees) == 1
