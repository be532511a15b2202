"""Rule 3: terminate, where clean-up raises, hangs, or swallows its cancellation."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource import (
    FailureReport,
    OfflineFailed,
    OnlineScope,
    ResourceHandler,
    ResourceMonitor,
    ResourceState,
    ResourceStuck,
)

from .conftest import Recorder, recorder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trio.testing import MockClock

    from .conftest import Drain

RS = ResourceState


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


async def test_a_background_task_begins_also_when_it_is_over_already(
    autojump_clock: MockClock, monitor: ResourceMonitor
) -> None:
    notes: list[str] = []

    class Server(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            scope.start_soon(self.serve, "listener")
            hosted.begin_terminate()

        async def serve(self, listener: str) -> None:
            # As trio.serve_listeners() does, which owns its listeners from now on.
            try:
                await trio.sleep_forever()
            finally:
                notes.append(f"{listener} closed")

    hosted = await monitor.host("server", Server)
    hosted.begin_online()
    await trio.testing.wait_all_tasks_blocked()
    await hosted.wait_state(RS.OFFLINE)
    assert notes == ["listener closed"]
