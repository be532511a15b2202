from __future__ import annotations

from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any

import pytest
import trio

from trioresource import (
    FailureReason,
    FailureReport,
    OnlineFailed,
    OnlineScope,
    ResourceHandler,
    ResourceState,
    ResourceStuck,
    RestartPolicy,
    service,
)
from trioresource.testing import InjectedFault, SimulatedCluster, explore, simulated_cluster
from trioresource.testing._leaks import no_leaks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trio.testing import MockClock

RS = ResourceState


class Thing(ResourceHandler[Any]):
    async def online(self, scope: OnlineScope) -> str:
        return f"{self.name} {scope.epoch}"

    def looks_alive(self) -> bool:
        return True


@pytest.fixture
async def simulated() -> AsyncGenerator[SimulatedCluster, None]:
    async with simulated_cluster() as simulated:
        yield simulated


async def test_fails_once_and_is_restarted(
    autojump_clock: MockClock, simulated: SimulatedCluster
) -> None:
    thing = await simulated.add("thing", Thing)
    simulated.faults.fail("thing", "online")
    with pytest.raises(OnlineFailed) as caught:
        await thing.online()
    assert isinstance(caught.value.__cause__, InjectedFault)
    change = await simulated.events.until_state("thing", RS.ONLINE)
    assert getattr(change, "time", None) == 0.5
    assert thing.value == "thing 2"
    assert simulated.events.states("thing") == [
        RS.ONLINE_PENDING,
        RS.FAILED,
        RS.ONLINE_PENDING,
        RS.ONLINE,
    ]


async def test_slow_and_hanging(autojump_clock: MockClock, simulated: SimulatedCluster) -> None:
    thing = await simulated.add("thing", Thing)
    simulated.faults.slow("thing", "online", 5)
    assert await thing.online() is RS.ONLINE_PENDING
    await thing.wait_online()
    assert trio.current_time() == 5
    simulated.faults.hang("thing", "offline")
    assert await thing.offline() is RS.OFFLINE_PENDING
    await simulated.events.until_state("thing", RS.FAILED)
    assert thing.last_failure is not None
    assert thing.last_failure.reason is FailureReason.OFFLINE_TIMEOUT


async def test_ignoring_cancellation(
    autojump_clock: MockClock, simulated: SimulatedCluster
) -> None:
    thing = await simulated.add("thing", Thing)
    simulated.faults.hang("thing", "online", ignoring_cancellation_for=100)
    await thing.online()
    with pytest.raises(ResourceStuck):
        await thing.terminate()
    await trio.sleep(100)
    assert await thing.online() is RS.ONLINE


@pytest.mark.parametrize(
    "reason", [FailureReason.NOT_ALIVE, FailureReason.TASK_CRASHED, FailureReason.SIGNAL]
)
async def test_fails_while_online(
    autojump_clock: MockClock, simulated: SimulatedCluster, reason: FailureReason
) -> None:
    thing = await simulated.add("thing", Thing, restart=RestartPolicy(delay=0))
    await thing.online()
    faults, before = simulated.faults, len(simulated.events)
    if reason is FailureReason.NOT_ALIVE:
        faults.lie("thing", entry="looks_alive")
        faults.lie("thing")
    elif reason is FailureReason.TASK_CRASHED:
        faults.crash("thing")
    else:
        faults.lie("thing")
        assert faults.report("thing")
    failure = await simulated.events.until(
        lambda event: isinstance(event, FailureReport), after=before
    )
    assert isinstance(failure, FailureReport)
    assert failure.reason is reason
    await simulated.events.until_state("thing", RS.ONLINE, after=before)
    assert thing.epoch == 2


async def test_a_function_can_go_wrong_too(
    autojump_clock: MockClock, simulated: SimulatedCluster
) -> None:
    async def serve(task_status: trio.TaskStatus[str]) -> None:
        task_status.started("served")
        await trio.sleep_forever()

    served = await simulated.add("served", service(serve))
    simulated.faults.fail("served", "online", times=inf)
    with suppress(OnlineFailed):
        await served.online()
    await simulated.events.until_state("served", RS.FAILED)
    simulated.faults.clear()
    assert await served.wait_online() == "served"


async def test_the_end_is_recorded(autojump_clock: MockClock) -> None:
    async with simulated_cluster() as simulated:
        await (await simulated.add("thing", Thing)).online()
    assert simulated.events.states("thing")[-2:] == [RS.OFFLINE_PENDING, RS.OFFLINE]
    with pytest.raises(trio.EndOfChannel):
        await simulated.events.until_state("thing", RS.FAILED)


def test_mistakes() -> None:
    start: Any = "start"

    async def scenario() -> None:
        async with simulated_cluster() as simulated:
            with pytest.raises(ValueError, match="'start' is no entry point; known: open"):
                simulated.faults.fail("thing", start)
            with pytest.raises(ValueError, match="looks_alive cannot take time"):
                simulated.faults.slow("thing", "looks_alive", 1)

    trio.run(scenario)


def test_in_every_schedule_nothing_is_left_behind() -> None:
    async def scenario() -> None:
        async with no_leaks(), simulated_cluster() as simulated:
            thing = await simulated.add("thing", Thing)
            simulated.faults.fail("thing", "online")
            with suppress(OnlineFailed):
                await thing.online()
            await simulated.events.until_state("thing", RS.ONLINE)
            simulated.faults.crash("thing")
            await simulated.events.until_state("thing", RS.FAILED, after=5)

    explore(scenario, schedules=40)
