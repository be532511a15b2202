"""Rule 1: a blocked event loop is found, and whose handler blocked it has failed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import trio

from trioresource import (
    FailureReason,
    OnlineScope,
    PollIntervals,
    ResourceHandler,
    ResourceState,
    open_monitor,
)

if TYPE_CHECKING:
    from collections.abc import Callable

RS = ResourceState
pytestmark = pytest.mark.alone
LIMIT = 0.1


class Blocks(ResourceHandler[Any]):
    """Blocks the loop once, in the place it is told."""

    def __init__(self, place: str) -> None:
        self.place = place

    def pass_through(self, place: str) -> None:
        if place == self.place:
            self.place = ""
            time.sleep(5 * LIMIT)  # noqa: TID251

    async def online(self, scope: OnlineScope) -> None:
        self.pass_through("online")
        scope.start_soon(self.background)

    async def background(self) -> None:
        self.pass_through("background")
        await trio.sleep_forever()

    def looks_alive(self) -> bool:
        self.pass_through("looks_alive")
        return True

    async def is_alive(self) -> bool:
        self.pass_through("is_alive")
        return True

    async def control(self, code: str, argument: Any = None) -> None:
        self.pass_through("control")


@pytest.mark.parametrize("place", ["online", "background", "looks_alive", "is_alive", "control"])
async def test_the_culprit_fails(place: str, caplog: pytest.LogCaptureFixture) -> None:
    make: Callable[[], Blocks] = lambda: Blocks(place)  # noqa: E731
    async with open_monitor(watchdog=LIMIT) as monitor:
        innocent = await monitor.host("innocent", lambda: Blocks(""))
        await innocent.online()
        poll = PollIntervals(looks_alive=0.05, is_alive=0.05)
        culprit = await monitor.host("culprit", make, poll=poll)
        culprit.begin_online()
        if place == "control":
            await culprit.wait_state(RS.ONLINE)
            with trio.move_on_after(5):
                await culprit.control("x")
        with trio.fail_after(10):
            await culprit.wait_state(RS.FAILED)
        assert innocent.state is RS.ONLINE
        assert culprit.last_failure is not None
        assert culprit.last_failure.reason is FailureReason.LOOP_BLOCKED
        assert "in pass_through" in culprit.last_failure.detail
    assert "blocked" in caplog.text
    assert "time.sleep" in caplog.text


async def test_blocking_outside_of_handlers_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_monitor(watchdog=LIMIT) as monitor:
        innocent = await monitor.host("innocent", lambda: Blocks(""))
        await innocent.online()
        await trio.sleep(LIMIT)
        time.sleep(5 * LIMIT)  # noqa: TID251, ASYNC251
        await trio.sleep(LIMIT)
        assert innocent.state is RS.ONLINE
    assert "code outside of every handler" in caplog.text
