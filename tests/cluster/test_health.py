"""Waiting for several resources, and one value that says how the cluster is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from trioresource import (
    Deadlines,
    Health,
    HealthStatus,
    InvalidStateError,
    OnlineFailed,
    ProviderFailed,
    open_cluster,
    service,
)

from .conftest import NEVER, RS

if TYPE_CHECKING:
    from trio.testing import MockClock

    from .conftest import Shop


async def test_wait_for_all_that_should_be_online(shop: Shop, autojump_clock: MockClock) -> None:
    await shop.add("db", online=5.0)
    await shop.add("web", "[db]", online=2.0)
    await shop.add("spare")
    await shop.cluster.online("web")
    await shop.cluster.wait_online()
    assert trio.current_time() == pytest.approx(7.0)
    assert shop.cluster.group("shop").states == {
        "db": RS.ONLINE,
        "web": RS.ONLINE,
        "spare": RS.OFFLINE,
    }


async def test_wait_for_some(shop: Shop, autojump_clock: MockClock) -> None:
    await shop.add("db", online=5.0)
    await shop.add("slow", online=50.0)
    await shop.cluster.online()
    await shop.cluster.wait_online("db")
    assert trio.current_time() == pytest.approx(5.0)
    await shop.cluster.wait_online("shop")
    assert trio.current_time() == pytest.approx(50.0)


async def test_wait_until_all_are_online_at_once(shop: Shop, autojump_clock: MockClock) -> None:
    """The first one is online early, and restarting when the other one comes."""
    await shop.add("db", crash_after=4.9)
    await shop.add("slow", online=5.0)
    await shop.cluster.online()
    await shop.cluster.wait_online("db", "slow")
    assert trio.current_time() == pytest.approx(5.4)


async def test_wait_ends_when_any_cannot_come(shop: Shop, autojump_clock: MockClock) -> None:
    """At once, not when the others before it have come."""
    await shop.add("slow", online=50.0)
    await shop.add("db", online=1.0, failures=1, restart=NEVER)
    await shop.add("web", "[db]")
    await shop.cluster.online()
    with pytest.raises(OnlineFailed, match="db does not start") as caught:
        await shop.cluster.wait_online("slow", "db")
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert trio.current_time() == pytest.approx(1.0)
    with pytest.raises(ProviderFailed, match="web needs"):
        await shop.cluster.wait_online("slow", "web")


async def test_wait_for_nothing(shop: Shop, autojump_clock: MockClock) -> None:
    await shop.add("db")
    with trio.testing.assert_checkpoints():
        await shop.cluster.wait_online()
    with pytest.raises(KeyError):
        await shop.cluster.wait_online("dB")


async def test_wait_for_what_is_removed(shop: Shop, autojump_clock: MockClock) -> None:
    await shop.add("db")
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(InvalidStateError, match="db has been removed"):
                await shop.cluster.wait_online("db")

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        await shop.cluster.remove("db")


async def test_health_while_all_is_well(shop: Shop, autojump_clock: MockClock) -> None:
    await shop.add("db", online=1.0)
    await shop.add("spare")
    assert shop.cluster.health() == Health(HealthStatus.OK, {})
    await shop.cluster.online("db")
    assert shop.cluster.health() == Health(HealthStatus.DEGRADED, {"db": "online-pending"})
    await shop.cluster.wait_online()
    assert shop.cluster.health() == Health(HealthStatus.OK, {})


async def test_health_while_it_is_restarted(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", crash_after=1.0)
    await shop.add("web", "[db]")
    await shop.cluster.online()
    await db.wait_state(RS.FAILED)
    health = shop.cluster.health()
    assert health.status is HealthStatus.DEGRADED
    assert health.reasons["db"].startswith("failed and is restarted: a task crashed: ")
    assert list(health.reasons) == ["db", "web"]
    await shop.cluster.wait_online()
    assert shop.cluster.health().status is HealthStatus.OK


async def test_health_when_it_has_given_up(shop: Shop, autojump_clock: MockClock) -> None:
    await shop.add("slow", online=100.0)
    await shop.add("db", failures=1, restart=NEVER)
    await shop.add("web", "[db]")
    await shop.cluster.online()
    await trio.sleep(1)
    assert shop.cluster.health() == Health(
        HealthStatus.FAILED,
        {
            "slow": "online-pending",
            "db": "online raised: RuntimeError: db does not start",
            "web": "web needs [db]: db is failed",
        },
    )


async def test_health_when_an_attempt_does_not_end(shop: Shop, autojump_clock: MockClock) -> None:
    deadlines = Deadlines(pending=5.0, terminate=1.0)
    await shop.add("db", stubborn=30.0, deadlines=deadlines)
    await shop.cluster.online()
    await trio.sleep(10)
    health = shop.cluster.health()
    assert health.status is HealthStatus.FAILED
    assert health.reasons == {"db": "attempt 1 was terminated and has not ended"}
    await trio.sleep(30)


async def test_health_in_the_hands_of_an_operator(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", crash_after=1.0, restart=NEVER)
    await shop.add("mail", group="post")
    await shop.cluster.online()
    db.set_maintenance(True)
    await trio.sleep(2)
    assert shop.cluster.health() == Health(HealthStatus.DEGRADED, {"db": "failed, in maintenance"})
    db.set_maintenance(False)
    await shop.cluster.pause(drain=True)
    await trio.sleep(1)
    assert shop.cluster.health().reasons["mail"] == "offline, the node or the group is drained"


async def test_health_at_the_end(autojump_clock: MockClock) -> None:
    async def run(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await trio.sleep_forever()

    async with open_cluster() as cluster:
        await cluster.add("db", service(run))
        await cluster.online()
    expected = {"db": "offline, the cluster is closing"}
    assert cluster.health() == Health(HealthStatus.DEGRADED, expected)
    with pytest.raises(InvalidStateError, match="the cluster is closing"):
        await cluster.wait_online()
