"""Rules 8 and 9: one entry point at a time; properties are frozen at online."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio
import trio.testing

from trioresource import (
    Deadlines,
    FailureReason,
    InvalidStateError,
    OnlineFailed,
    OnlineScope,
    Properties,
    PropertyError,
    ResourceHandler,
    ResourceMonitor,
    ResourceNotAvailable,
    ResourceState,
    UnknownControlCode,
    dynamic,
    open_monitor,
)

from .conftest import Watched

if TYPE_CHECKING:
    from trio.testing import MockClock

RS = ResourceState


class Busy(ResourceHandler[Any]):
    """Notes which of its entry points run, and fails if two do at the same time."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.done: list[str] = []

    async def work(self, name: str, seconds: float = 1.0) -> None:
        assert self.running == [], f"{name} beside {self.running}"
        self.running.append(name)
        try:
            await trio.sleep(seconds)
            self.done.append(name)
        finally:
            self.running.remove(name)

    async def open(self) -> None:
        await self.work("open")

    async def online(self, scope: OnlineScope) -> None:
        await self.work("online")

    async def offline(self, scope: OnlineScope) -> None:
        await self.work("offline")

    async def is_alive(self) -> bool:
        await self.work("is_alive", 4)
        return True

    async def control(self, code: str, argument: Any = None) -> Any:
        await self.work(code)
        if isinstance(argument, Exception):
            raise argument
        return argument

    async def close(self) -> None:
        await self.work("close")


def busy(hosted: Any) -> Busy:
    assert isinstance(hosted.handler, Busy)
    return hosted.handler


async def test_one_at_a_time_in_the_order_of_asking(autojump_clock: MockClock) -> None:
    async with open_monitor() as monitor:
        hosted = await monitor.host("r", Busy)
        async with trio.open_nursery() as nursery:
            for code in ("a", "b"):
                nursery.start_soon(hosted.control, code)
                await trio.testing.wait_all_tasks_blocked()
            hosted.begin_online()
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(hosted.control, "c")
            await hosted.wait_state(RS.ONLINE)
            await trio.sleep(62)
            # is_alive is at work: control waits for it.
            nursery.start_soon(hosted.control, "d")
        await hosted.offline()
        await hosted.wait_state(RS.OFFLINE)
        handler = busy(hosted)
    assert handler.done == ["open", "a", "b", "online", "c", "is_alive", "d", "offline", "close"]


async def test_offline_does_not_wait_for_a_probe(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", Busy)
    await hosted.online()
    await trio.sleep(61.5)
    begun = trio.current_time()
    assert busy(hosted).running == ["is_alive"]
    await hosted.offline()
    await hosted.wait_state(RS.OFFLINE)
    assert trio.current_time() == pytest.approx(begun + 1)
    assert busy(hosted).done[-1] == "offline"
    assert hosted.statistics().failures == 0


async def test_a_probe_waits_for_control_and_offline_overtakes_it(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", Busy)
    await hosted.online()
    await trio.sleep(60.5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hosted.control, "long")
        await trio.sleep(0.4)
        assert hosted.statistics().running == "control"
        await hosted.offline()
    await hosted.wait_state(RS.OFFLINE)
    assert busy(hosted).done[-2:] == ["long", "offline"]
    assert "is_alive" not in busy(hosted).done


async def test_control_answers_and_raises(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", Busy)
    assert await hosted.control("echo", 42) == 42
    with pytest.raises(LookupError, match="nothing there"):
        await hosted.control("echo", LookupError("nothing there"))
    assert hosted.state is RS.OFFLINE

    plain = await monitor.host("plain", Watched)
    with pytest.raises(UnknownControlCode, match=r"plain: .* has no control code 'x'"):
        await plain.control("x")


async def test_a_cancelled_control_call_is_over_when_its_caller_is(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", Busy)
    with trio.move_on_after(0.5) as scope:
        await hosted.control("long")
    assert scope.cancelled_caught
    assert busy(hosted).running == []
    assert busy(hosted).done == ["open"]


async def test_control_is_bounded_by_the_deadlock_deadline(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", Busy, deadlines=Deadlines(deadlock=1.5))

    async def second() -> None:
        assert await hosted.control("waits", 1) == 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hosted.control, "first")
        await trio.testing.wait_all_tasks_blocked()
        # The time in the queue does not count.
        nursery.start_soon(second)
    hanging = await monitor.host("hanging", Busy, deadlines=Deadlines(deadlock=1.0001))
    busy(hanging).work = _hang  # type: ignore[method-assign]
    with pytest.raises(TimeoutError, match=r"hanging: control did not return within 1\.0001 s"):
        await hanging.control("x")


async def _hang(name: str, seconds: float = 0) -> None:
    await trio.sleep_forever()


async def test_open_that_raises_hosts_nothing(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    closed: list[str] = []

    class Bad(Watched):
        async def open(self) -> None:
            raise LookupError("nothing to open")

        async def close(self) -> None:
            closed.append(self.name)

    with pytest.raises(LookupError, match="nothing to open"):
        await monitor.host("r", Bad)
    assert dict(monitor.resources) == {}
    assert closed == []
    await monitor.host("r", Watched)


async def test_names_are_unique_and_a_closing_monitor_takes_nothing(
    autojump_clock: MockClock,
) -> None:
    async with open_monitor() as monitor:
        hosted = await monitor.host("r", Busy)
        with pytest.raises(InvalidStateError, match="'r' already"):
            await monitor.host("r", Busy)
        assert monitor.resources == {"r": hosted}
    with pytest.raises(InvalidStateError, match="closing"):
        await monitor.host("s", Busy)
    with pytest.raises(InvalidStateError, match="not open"):
        await hosted.online()
    with pytest.raises(InvalidStateError, match="r is closed"):
        await hosted.control("x")


async def test_unhost_terminates_and_closes(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", Busy)
    await hosted.online()
    await monitor.unhost("r")
    assert dict(monitor.resources) == {}
    assert busy(hosted).done == ["open", "close"]
    await hosted.close()
    assert busy(hosted).done == ["open", "close"]
    again = await monitor.host("r", Busy)
    assert again is not hosted


async def test_value_before_and_after(autojump_clock: MockClock, monitor: ResourceMonitor) -> None:
    class Gives(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> str:
            return "something"

    hosted = await monitor.host("r", Gives)
    with pytest.raises(ResourceNotAvailable, match="r is offline"):
        _ = hosted.value
    await hosted.online()
    assert hosted.value == "something"
    hosted.fail()
    with pytest.raises(ResourceNotAvailable, match="r is failed"):
        _ = hosted.value


class Limits(Properties):
    size: int = 1
    colour: Annotated[str, dynamic] = "red"


class Limited(ResourceHandler[Limits]):
    def __init__(self) -> None:
        self.seen: list[tuple[int, str]] = []

    async def online(self, scope: OnlineScope) -> None:
        self.seen.append((self.properties.size, self.properties.colour))

    def properties_changed(self, previous: Limits) -> None:
        self.seen.append((previous.size, self.properties.colour))


async def test_properties_are_read_at_each_online(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", Limited, properties={"size": 2})
    assert isinstance(hosted.handler, Limited)
    await hosted.online()
    hosted.store_properties({"size": 3})
    assert hosted.properties == Limits(size=2)
    await hosted.offline()
    await hosted.online()
    assert hosted.handler.seen == [(2, "red"), (3, "red")]
    hosted.store_properties({"size": 3, "colour": "blue"})
    assert await hosted.apply_properties()
    assert hosted.handler.seen[-1] == (3, "blue")


async def test_properties_that_are_no_longer_valid_fail_the_online(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    hosted = await monitor.host("r", Limited)
    hosted.store_properties({"size": "many"})
    with pytest.raises(OnlineFailed, match="properties not accepted"):
        await hosted.online()
    assert hosted.last_failure is not None
    assert hosted.last_failure.reason is FailureReason.PROPERTIES
    assert isinstance(hosted.handler, Limited)
    assert hosted.handler.seen == []


async def test_bad_properties_are_refused_before_anything_is_opened(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    with pytest.raises(PropertyError):
        await monitor.host("r", Limited, properties={"size": "many", "taste": 1})
    assert dict(monitor.resources) == {}


async def test_a_handler_written_with_anyio_alone(monitor: ResourceMonitor) -> None:
    class Anyio(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> int:
            self.events: list[str] = []
            await scope.enter(anyio.create_task_group())
            scope.start_soon(self.work)
            return await anyio.to_thread.run_sync(lambda: 42)

        async def work(self) -> None:
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                with anyio.move_on_after(1, shield=True):
                    await anyio.sleep(0.001)
                    self.events.append("cleaned up")
                raise

        async def offline(self, scope: OnlineScope) -> None:
            with anyio.move_on_after(5):
                await anyio.lowlevel.checkpoint()

    hosted = await monitor.host("r", Anyio)
    hosted.begin_online()
    await hosted.wait_state(RS.ONLINE)
    assert hosted.value == 42
    await anyio.sleep(0.001)
    await hosted.terminate()
    assert isinstance(hosted.handler, Anyio)
    assert hosted.handler.events == ["cleaned up"]
    hosted.begin_online()
    await hosted.wait_state(RS.ONLINE)
    hosted.begin_offline()
    await hosted.wait_state(RS.OFFLINE)
    assert hosted.statistics().failures == 0


async def test_anyios_timeout_is_just_a_failure(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Late(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            with anyio.fail_after(0.1):
                await anyio.sleep(1)

    hosted = await monitor.host("r", Late)
    with pytest.raises(OnlineFailed, match="online raised: TimeoutError"):
        await hosted.online()


async def test_looks_alive_is_left_out_while_another_entry_point_runs(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Looks(Busy):
        def looks_alive(self) -> bool:
            assert self.running == []
            self.done.append("looks_alive")
            return True

    hosted = await monitor.host("r", Looks, deadlines=Deadlines(soft=5))
    await hosted.online()
    begun = trio.current_time()
    await trio.sleep(4.5)
    await hosted.control("control")
    await trio.sleep_until(begun + 11)
    # The turn at 5 s fell into the control call; the schedule is kept.
    assert busy(hosted).done[-2:] == ["control", "looks_alive"]
    assert hosted.statistics().looks_alive_polls == 1
    assert hosted.statistics().suspicions == 0


async def test_an_error_of_the_block_comes_out_as_it_is(autojump_clock: MockClock) -> None:
    handler = Busy()
    with pytest.raises(LookupError, match="of the block"):
        async with open_monitor() as monitor:
            hosted = await monitor.host("r", lambda: handler)
            await hosted.online()
            raise LookupError("of the block")
    assert handler.done[-1] == "close"


async def test_opening_under_cancellation(autojump_clock: MockClock) -> None:
    with trio.move_on_after(0) as scope:
        async with open_monitor():
            pytest.fail("not reached")
    assert scope.cancelled_caught
