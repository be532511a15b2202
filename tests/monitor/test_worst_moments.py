"""Handlers and callers that do the worst thing at the worst moment."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource import (
    Deadlines,
    FailureReason,
    OnlineScope,
    ResourceHandler,
    ResourceMonitor,
    ResourceState,
    resource_type,
)
from trioresource._util.task_tree import format_task_tree

from .conftest import SlowToEnd

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

RS = ResourceState


# --- calls -----------------------------------------------------------------------------


async def test_offline_that_is_terminated_before_it_began(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    handler = SlowToEnd()
    hosted = await monitor.host("r", lambda: handler)
    await hosted.online()
    hosted.begin_offline()
    await hosted.terminate()
    assert handler.events == ["online", "terminate"]


async def test_terminate_in_the_moment_in_which_the_gate_is_handed_over(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    for number in range(20):
        handler = SlowToEnd()
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
class Trusting(SlowToEnd):
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
        with pytest.raises(Exception, match="terminated") if what == "overrun" else nullcontext():
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
    assert await hosted.apply_properties()
    await trio.testing.wait_all_tasks_blocked()
    assert str(hosted.last_failure).endswith("the new value does not work")


async def test_a_failure_source_that_is_announced_later(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    class Later(SlowToEnd):
        looked = 0

        def looks_alive(self) -> bool:
            self.looked += 1
            return True

    handler = Later()
    hosted = await monitor.host("r", lambda: handler)
    await hosted.online()
    await trio.sleep(7)
    hosted.value.failure_channel()
    await trio.sleep(40)
    assert handler.looked == 1


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
