"""One state, known by its generation: what a cluster does while commands and reports travel.

``Traffic`` holds them up where a test wants it. Each test fails when the rule in its docstring
is broken; tests/monitor/test_commands.py has the monitor's part.
"""

from __future__ import annotations

import random
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from tests.hosting.delayed import Traffic, open_delayed_monitor
from trioresource import (
    Applied,
    Cluster,
    DesiredState,
    OfflineFailed,
    RecoveryPlanned,
    ResourceNotAvailable,
    ResourceState,
    RestartPolicy,
    StateChange,
)
from trioresource._cluster.cluster import open_cluster_over
from trioresource._cluster.event_log import EventLog
from trioresource._util.nurseries import ungrouped

from .conftest import NEVER, Server, Shop, check_events

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from trio.testing import MockClock

RS = ResourceState


@asynccontextmanager
async def far_shop(
    delay: Callable[[str], Awaitable[object]], *, names_are_used_again: bool = False
) -> AsyncGenerator[Shop, None]:
    opening = open_cluster_over(
        open_delayed_monitor(delay),
        log=EventLog(100_000),
        random=random.Random(1),
        shutdown_deadline=1200.0,
    )
    async with ungrouped(opening) as cluster:
        yield Shop(cluster)
    if not names_are_used_again:
        check_events(cluster.history())


def plans(cluster: Cluster) -> list[str]:
    return [event.resource for event in cluster.history() if isinstance(event, RecoveryPlanned)]


async def crash(shop: Shop, name: str) -> None:
    """Let the attempt of a resource fail by itself, far away from the cluster."""
    scope = shop.parts[name].scope
    assert scope is not None
    shop.scripts[name].alive = False
    scope.report_failure("crashed")
    await trio.testing.wait_all_tasks_blocked()
    shop.scripts[name].alive = True


async def test_a_failure_before_the_latest_command_spends_nothing(
    autojump_clock: MockClock,
) -> None:
    """G2: a restart, a budget and giving up are decided from current reports only."""
    traffic = Traffic()
    async with far_shop(traffic.delay) as shop:
        db = await shop.add("db", restart=NEVER)
        await db.online()
        traffic.hold("reports")
        await crash(shop, "db")
        # The cluster has not heard of it. The command comes after the failure all the same.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(db.online)
            await trio.testing.wait_all_tasks_blocked()
            traffic.let_go("reports")
        await db.wait_online()
        assert db.epoch == 2
        assert plans(shop.cluster) == []
        # A failure after it counts.
        await crash(shop, "db")
        assert plans(shop.cluster) == ["db"]
        assert db.state is RS.FAILED


async def test_facts_count_however_old_their_report_is(autojump_clock: MockClock) -> None:
    """G2: a failure closes the gate and takes dependents down, whatever was commanded since."""
    traffic = Traffic()
    async with far_shop(traffic.delay) as shop:
        db = await shop.add("db")
        web = await shop.add("web", "[db]")
        await web.online()
        lost: list[str] = []

        async def use() -> None:
            with pytest.raises(ResourceNotAvailable):
                async with db.available():
                    await trio.sleep_forever()
            lost.append("db")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(use)
            await trio.testing.wait_all_tasks_blocked()
            traffic.hold("db", "reports")
            await crash(shop, "db")
            nursery.start_soon(db.online)
            await trio.testing.wait_all_tasks_blocked()
            traffic.let_go("reports")
            await trio.testing.wait_all_tasks_blocked()
            # The command that asks whether it still runs has not arrived.
            assert lost == ["db"]
            assert shop.calls("web")[-1] == "down"
            assert shop.calls("db").count("online") == 1
            traffic.let_go("db")
        assert await web.wait_online() == "web 2"
        assert (db.epoch, plans(shop.cluster)) == (2, [])


async def test_a_provider_is_not_begun_before_its_dependents_are_down(
    autojump_clock: MockClock,
) -> None:
    """G3: an ``online()`` that meets a failure never makes the monitor begin an attempt."""
    traffic = Traffic()
    async with far_shop(traffic.delay) as shop:
        db = await shop.add("db")
        web = await shop.add("web", "[db]", offline=5.0)
        await web.online()
        traffic.hold("reports")
        await crash(shop, "db")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(db.online)
            await trio.testing.wait_all_tasks_blocked()
            assert shop.calls("db").count("online") == 1
            traffic.let_go("reports")
        await web.wait_online()
        down = shop.trace.index(("web", "down"))
        begun = [place for place, call in enumerate(shop.trace) if call == ("db", "online")]
        assert len(begun) == 2
        assert begun[1] > down


async def test_a_dependent_is_bound_to_the_attempt_that_it_was_given(
    shop: Shop, autojump_clock: MockClock
) -> None:
    """G4: what another attempt of the provider provides is not what it uses."""
    first = await shop.add("first", restart=RestartPolicy(delay=0))
    second = await shop.add("second", restart=RestartPolicy(delay=0))
    web = await shop.add("web", "[first] or [second]")
    await shop.cluster.online()
    first.fail()
    assert await first.wait_online() == "first 2"
    # It was given both, and still has the second.
    assert (web.state, web.epoch) == (RS.ONLINE, 1)
    second.fail()
    await second.wait_online()
    # Both are back, but neither is the one that it was given.
    assert await web.wait_online() == "web 2"
    assert shop.calls("web").count("online") == 2


async def test_the_gate_closes_with_the_command(autojump_clock: MockClock) -> None:
    """G5: what is published follows from the command, before its answer has come."""
    traffic = Traffic()
    async with far_shop(traffic.delay) as shop:
        db = await shop.add("db")
        await db.online()
        traffic.hold("reports")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(db.terminate)
            await trio.testing.wait_all_tasks_blocked()
            assert db.state is RS.OFFLINE_PENDING
            with pytest.raises(ResourceNotAvailable, match="db is offline-pending"):
                _ = db.value
            with pytest.raises(ResourceNotAvailable):
                async with db.available():
                    raise AssertionError("what is told to go down has no new users")
            traffic.let_go("reports")
        await db.wait_state(RS.OFFLINE)


async def test_a_failure_on_request_closes_the_gate_too(autojump_clock: MockClock) -> None:
    """G5: a wait_online() that begins after it waits for the next attempt."""
    traffic = Traffic()
    async with far_shop(traffic.delay) as shop:
        db = await shop.add("db")
        await db.online()
        traffic.hold("reports")
        db.fail("for the test")
        with pytest.raises(ResourceNotAvailable):
            async with db.available():
                raise AssertionError("it was told to fail")
        async with trio.open_nursery() as nursery:
            values: list[Any] = []

            async def wait() -> None:
                values.append(await db.wait_online())

            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            assert values == []
            traffic.let_go("reports")
        assert values == ["db 2"]


async def test_the_value_comes_with_the_report_and_is_no_part_of_an_event(
    autojump_clock: MockClock,
) -> None:
    """G5: history may be kept and shown; what a resource provides may not."""
    traffic = Traffic()
    async with far_shop(traffic.delay) as shop:
        db = await shop.add("db")
        traffic.hold("reports")
        assert await db.online() is RS.ONLINE_PENDING
        assert shop.calls("db") == ["online", "up"]
        assert db.state is RS.ONLINE_PENDING
        traffic.let_go("reports")
        assert await db.wait_online() == "db 1"
        changes = [one for one in shop.cluster.history() if isinstance(one, StateChange)]
        assert [change.new for change in changes] == [RS.ONLINE_PENDING, RS.ONLINE]
        assert [change.value for change in changes] == [None, None]


async def test_no_attempt_is_begun_by_a_monitor_that_goes_down(autojump_clock: MockClock) -> None:
    """G7: a handler that ends the program is not followed by restarts of the others."""
    arrived = Traffic()
    shops: list[Shop] = []
    with pytest.RaisesGroup(SystemExit, flatten_subgroups=True):
        async with far_shop(arrived.delay) as shop:
            shops.append(shop)
            for number in range(5):
                await shop.add(f"r{number}", restart=RestartPolicy(delay=0))
            await shop.cluster.online()
            await shop.add("bad", trouble=SystemExit())
            await shop.cluster.online("bad")
            await trio.sleep_forever()
    for number in range(5):
        assert shops[0].calls(f"r{number}").count("online") == 1


async def test_a_report_belongs_to_an_instance_and_not_to_a_name(
    autojump_clock: MockClock,
) -> None:
    """G8: what was removed and added again never gets the news of the one before."""
    traffic = Traffic()
    async with far_shop(traffic.delay, names_are_used_again=True) as shop:
        old = await shop.add("db", restart=NEVER)
        await old.online()
        await crash(shop, "db")
        assert old.state is RS.FAILED
        traffic.hold("reports")
        await shop.cluster.remove("db")
        new = await shop.add("db")
        seen = len(shop.cluster.history())
        traffic.let_go("reports")
        await trio.testing.wait_all_tasks_blocked()
        assert shop.cluster.history()[seen:] == ()
        assert (new.state, new.epoch, new.last_failure) == (RS.OFFLINE, 0, None)
        assert await new.online() is RS.ONLINE
        assert new.value == "db 1"


async def test_properties_in_use_are_those_of_the_latest_attempt(
    autojump_clock: MockClock,
) -> None:
    """G6 and rule 9: both blocks can be read, also while nothing arrives."""
    traffic = Traffic()
    async with far_shop(traffic.delay) as shop:
        web = await shop.cluster.add("web", Server, properties={"port": 1})
        await web.online()
        traffic.hold("web")
        assert await web.set_properties(port=2) is Applied.AT_NEXT_ONLINE
        assert web.properties.model_dump()["port"] == 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(web.offline)
            await trio.testing.wait_all_tasks_blocked()
            traffic.let_go("web")
        assert web.desired is DesiredState.OFFLINE
        await web.online()
        assert web.properties.model_dump()["port"] == web.value == 2


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_arrives_when_everything_settles_in_order(
    autojump_clock: MockClock, seed: int
) -> None:
    """Crashes and commands beside each other, with every delay left to chance.

    In the end both are online, the dependent runs on what its provider provides now, and at no
    time was the provider begun while its dependent ran.
    """
    chance = random.Random(seed)

    async def delay(way: str) -> None:
        await trio.sleep(chance.choice((0.0, 0.01, chance.uniform(0, 0.2))))

    async with far_shop(delay) as shop:
        db = await shop.add("db", restart=RestartPolicy(threshold=100, delay=0))
        web = await shop.add("web", "[db]", restart=RestartPolicy(threshold=100, delay=0))
        await web.online()
        await web.wait_online()
        for _ in range(6):
            what = chance.choice(("crash db", "crash web", "online", "offline", "wait"))
            if what.startswith("crash"):
                scope = shop.parts[what.split()[1]].scope
                assert scope is not None
                if not scope.terminated:
                    scope.start_soon(trio.lowlevel.checkpoint)
            elif what == "online":
                await shop.cluster.online()
            elif what == "offline":
                # It may fail on the way, as it was told to.
                with suppress(OfflineFailed):
                    await chance.choice((db, web)).offline()
            await trio.sleep(chance.choice((0.0, 0.02, 0.3)))
        await shop.cluster.online()
        await trio.sleep(60)
        assert (db.state, web.state) == (RS.ONLINE, RS.ONLINE)
    runs = False
    for name, call in shop.trace:
        if name == "web":
            runs = call not in ("down", "terminate")
        elif call == "online":
            assert not runs, "db was begun while web ran"
