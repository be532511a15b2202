from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from trioresource import ResourceState

from .race import SOFT, Scene, Watched, race

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

pytestmark = pytest.mark.bounded


def nothing_is_left(scene: Scene) -> None:
    assert scene.hosted.is_ended
    assert scene.hosted.state is ResourceState.OFFLINE
    assert scene.handler.held == 0
    assert not scene.handler.running
    assert not scene.failures


def after_terminate_nothing_runs(scene: Scene) -> Callable[[], Awaitable[None]]:
    """Terminate; when that returns, nothing of the attempt that was there is left."""

    async def terminate() -> None:
        epoch = scene.hosted.epoch
        await scene.hosted.terminate()
        if scene.hosted.epoch == epoch:
            assert scene.hosted.is_ended
            assert scene.handler.held == 0
            assert "online" not in scene.handler.running

    return terminate


@pytest.mark.parametrize(
    ("takes", "most"),
    [
        pytest.param(0.0, 10_000, id="every-interleaving"),
        pytest.param(SOFT, 8_000, id="tie-at-the-soft-deadline"),
    ],
)
def test_beside_online(takes: float, most: int) -> None:
    """The promise of the lifecycle, at every interleaving and with every timer race."""

    def contenders(scene: Scene) -> Sequence[Callable[[], Awaitable[None]]]:
        hosted = scene.hosted
        return [
            after_terminate_nothing_runs(scene),
            partial(scene.ask, "online", hosted.online),
        ]

    def check(scene: Scene) -> None:
        assert scene.hosted.epoch == 1
        answer = scene.answers["online"]
        if scene.hosted.state is ResourceState.OFFLINE:
            # The terminate came after the command, and before or after its answer.
            nothing_is_left(scene)
            assert answer in ("OnlineFailed", "online", "online-pending")
            begun = scene.handler.calls.count("online")
            assert scene.handler.calls.count("terminate") == begun
        else:
            # It came before there was anything to terminate.
            assert scene.hosted.state in (ResourceState.ONLINE, ResourceState.ONLINE_PENDING)
            assert answer == scene.hosted.state.value

    race(contenders, check, takes=takes, most=most)


def test_beside_the_first_step_of_an_attempt() -> None:
    def contenders(scene: Scene) -> Sequence[Callable[[], Awaitable[None]]]:
        async def begin() -> None:
            scene.hosted.begin_online()
            await trio.lowlevel.checkpoint()
            await scene.hosted.terminate()

        return [after_terminate_nothing_runs(scene), begin]

    race(contenders, nothing_is_left, most=1_000)


def test_beside_offline() -> None:
    def contenders(scene: Scene) -> Sequence[Callable[[], Awaitable[None]]]:
        offline = partial(scene.ask, "offline", scene.hosted.offline)
        return [after_terminate_nothing_runs(scene), offline]

    def check(scene: Scene) -> None:
        nothing_is_left(scene)
        assert scene.answers["offline"] in ("offline", "offline-pending")
        assert scene.hosted.epoch == 1

    race(contenders, check, online=True, most=3_000)


def test_beside_is_alive() -> None:
    def contenders(scene: Scene) -> Sequence[Callable[[], Awaitable[None]]]:
        async def suspect() -> None:
            assert scene.handler.scope is not None
            scene.handler.alive = False
            scene.handler.scope.report_failure("suspected")
            await trio.lowlevel.checkpoint()

        return [suspect, after_terminate_nothing_runs(scene)]

    def check(scene: Scene) -> None:
        assert scene.hosted.is_ended
        assert scene.handler.held == 0
        told = [failure.epoch for failure in scene.failures]
        expected = [1] if scene.hosted.state is ResourceState.FAILED else []
        assert told == expected

    race(contenders, check, online=True, most=12_000, kind=Watched)


def test_beside_control() -> None:
    def contenders(scene: Scene) -> Sequence[Callable[[], Awaitable[None]]]:
        control = partial(scene.ask, "control", partial(scene.hosted.control, "code"))
        return [after_terminate_nothing_runs(scene), control]

    def check(scene: Scene) -> None:
        nothing_is_left(scene)
        assert scene.answers["control"] in ("code", "ResourceNotAvailable")

    race(contenders, check, online=True, most=8_000)


def test_twice_and_cancelled() -> None:
    """A caller that is cancelled still joins; two callers await one completion."""

    def contenders(scene: Scene) -> Sequence[Callable[[], Awaitable[None]]]:
        async def cancelled() -> None:
            with trio.CancelScope() as scope:
                scope.cancel()
                await scene.hosted.terminate()
            assert scene.hosted.is_ended

        return [after_terminate_nothing_runs(scene), cancelled]

    race(contenders, nothing_is_left, online=True, most=4_000)
