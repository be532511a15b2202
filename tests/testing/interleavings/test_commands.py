from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from trioresource import (
    FailureReason,
    InvalidStateError,
    OnlineFailed,
    OnlineScope,
    ResourceState,
    RestartAction,
    RestartPolicy,
    open_cluster,
    open_monitor,
)
from trioresource.testing import explore

from .race import ONLY_SOFT, SOFT, Race, Scene, Small, race

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

RS = ResourceState
pytestmark = pytest.mark.bounded


def test_two_onlines_are_one_attempt() -> None:
    def contenders(scene: Scene) -> Sequence[Callable[[], Awaitable[None]]]:
        online = scene.hosted.online
        return [partial(scene.ask, "one", online), partial(scene.ask, "other", online)]

    def check(scene: Scene) -> None:
        assert scene.hosted.epoch == 1
        assert scene.handler.calls.count("online") <= 1
        for answer in scene.answers.values():
            assert answer in ("online", "online-pending")

    race(contenders, check, most=1_000)


def test_cancelled_caller_leaves_the_attempt_alone() -> None:
    def contenders(scene: Scene) -> Sequence[Callable[[], Awaitable[None]]]:
        scope = trio.CancelScope()

        async def online() -> None:
            with scope:
                await scene.hosted.online()

        async def cancel() -> None:
            scope.cancel()
            await scene.hosted.wait_state(RS.ONLINE)

        return [online, cancel]

    def check(scene: Scene) -> None:
        assert scene.hosted.state is RS.ONLINE
        assert scene.handler.calls == ["online"]

    def begun(scene: Scene) -> Sequence[Callable[[], Awaitable[None]]]:
        # However early the caller is cancelled, the attempt was begun.
        scene.hosted.begin_online()
        return contenders(scene)

    race(begun, check, most=1_000, timers=False)


def test_failure_beside_offline() -> None:
    """A failure counts or comes too late; it is never told twice, and never half."""

    def contenders(scene: Scene) -> Sequence[Callable[[], Awaitable[None]]]:
        async def fail() -> None:
            await trio.lowlevel.checkpoint()
            try:
                scene.hosted.fail("asked for")
            except InvalidStateError:
                scene.answers["fail"] = "too late"

        return [fail, partial(scene.ask, "offline", scene.hosted.offline)]

    def check(scene: Scene) -> None:
        reasons = [failure.reason for failure in scene.failures]
        if "fail" in scene.answers:
            assert not reasons
            assert scene.hosted.state is RS.OFFLINE
        else:
            assert reasons == [FailureReason.REQUESTED]
            # The command may have come first, or last: then it makes good for the failure.
            assert scene.hosted.state in (RS.FAILED, RS.OFFLINE)
            assert scene.answers["offline"] in ("offline", "OfflineFailed", "offline-pending")

    race(contenders, check, online=True, most=10_000)


def test_tie_at_the_soft_deadline() -> None:
    """Whichever command wins, the answer fits the state when it is given."""
    strategy = Race()
    seen: dict[str, int] = {}

    async def scenario() -> None:
        async with open_monitor() as monitor:
            hosted = await monitor.host("r", lambda: Small(SOFT), deadlines=ONLY_SOFT)
            with strategy.run():
                answer = await hosted.online()
            assert answer is hosted.state
            seen[answer.value] = seen.get(answer.value, 0) + 1
            if answer is RS.ONLINE_PENDING:
                await hosted.wait_state(RS.ONLINE)
            assert hosted.epoch == 1

    explore(scenario, strategy=strategy, schedules=2_000, timers=True)
    assert strategy.exhausted
    # Both can be: time may be up before the task that completes has had its turn.
    assert sorted(seen) == ["online", "online-pending"]


@pytest.mark.parametrize("passes", [0, 1])
def test_tie_in_the_plain_schedule_counts_as_complete(passes: int) -> None:
    """Also if what completes needs one more pass of the scheduler."""

    class Slower(Small):
        async def online(self, scope: OnlineScope) -> str:
            await trio.sleep(SOFT)
            for _ in range(passes):
                await trio.lowlevel.checkpoint()
            return "value"

    async def scenario() -> None:
        async with open_monitor() as monitor:
            hosted = await monitor.host("r", Slower, deadlines=ONLY_SOFT)
            assert await hosted.online() is RS.ONLINE

    explore(scenario, strategy="fifo")


def test_restart_delay_beside_offline() -> None:
    """Rule 6: an offline during the delay cancels the restart, also in its last instant."""
    strategy = Race()
    restart = RestartPolicy(action=RestartAction.RESTART, delay=0.5)

    async def scenario() -> None:
        async with open_cluster() as cluster:
            resource = await cluster.add("r", Small, restart=restart, deadlines=ONLY_SOFT)
            await resource.online()
            resource.fail()
            await resource.wait_state(RS.FAILED)
            await trio.sleep(0.5)
            with strategy.run():
                try:
                    await resource.offline()
                except OnlineFailed:
                    raise AssertionError("offline speaks of an online") from None
                await resource.wait_state(RS.OFFLINE)
            epoch = resource.epoch
            await trio.sleep(60)
            assert resource.state is RS.OFFLINE
            assert resource.epoch == epoch <= 2

    explore(scenario, strategy=strategy, schedules=4_000, timers=True)
    assert strategy.exhausted


@pytest.mark.parametrize("commands", [("online",), ("terminate", "online")])
@pytest.mark.parametrize("action", [RestartAction.NONE, RestartAction.RESTART])
def test_the_last_command_counts_whoever_has_heard_of_the_failure(
    action: RestartAction, commands: tuple[str, ...]
) -> None:
    """Rule 6: an online that comes last brings it up, though it had failed before.

    With one command, every schedule without a preemption; the space with both is too large for
    that, so there, many of its schedules.
    """
    strategy = Race(0)
    restart = RestartPolicy(action=action, delay=60)

    async def scenario() -> None:
        given: list[str] = []
        async with open_cluster() as cluster:
            resource = await cluster.add("r", Small, restart=restart, deadlines=ONLY_SOFT)
            await resource.online()

            async def command(name: str) -> None:
                given.append(name)
                try:
                    await getattr(resource, name)()
                except OnlineFailed:
                    assert given[-1] == "terminate"

            with strategy.run():
                async with trio.open_nursery() as nursery:
                    resource.fail()
                    for name in commands:
                        nursery.start_soon(command, name)
            state = RS.ONLINE if given[-1] == "online" else RS.OFFLINE
            await trio.sleep(30)
            assert resource.state is state, given

    if len(commands) == 1:
        explore(scenario, strategy=strategy, schedules=20_000)
        assert strategy.exhausted
    else:
        explore(scenario, schedules=1_000)
