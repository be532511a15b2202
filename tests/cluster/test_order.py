"""Providers first on the way up, dependents first on the way down; alternatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from trioresource import GroupState, OnlineFailed, ProviderFailed, ResourceState

from .conftest import NEVER

if TYPE_CHECKING:
    from trio.testing import MockClock

    from .conftest import Shop

RS = ResourceState
GS = GroupState


async def test_providers_come_up_first_and_side_by_side(
    shop: Shop, autojump_clock: MockClock
) -> None:
    await shop.add("disk", online=1)
    await shop.add("net", online=2)
    await shop.add("db", "[disk] and [net]", online=1)
    web = await shop.add("web", "[db]")
    assert await web.online() is RS.ONLINE_PENDING
    assert await web.wait_online() == "web 1"
    assert trio.current_time() == 3  # disk and net at the same time
    assert shop.place("net", "up") < shop.place("db", "online")
    assert shop.place("db", "up") < shop.place("web", "online")


async def test_dependents_go_down_first(shop: Shop, autojump_clock: MockClock) -> None:
    disk = await shop.add("disk", offline=1)
    await shop.add("db", "[disk]", offline=1)
    await shop.add("web", "[db]", offline=1)
    await shop.add("mail", "[db]", offline=1)
    await shop.cluster.online()
    assert await disk.offline() is RS.OFFLINE_PENDING
    await disk.wait_state(RS.OFFLINE)
    assert trio.current_time() == 3  # web and mail at the same time
    for dependent in ("web", "mail"):
        assert shop.place(dependent, "down") < shop.place("db", "offline")
    assert shop.place("db", "down") < shop.place("disk", "offline")


@pytest.mark.any_hosted
async def test_dependents_come_back_with_their_provider(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db")
    web = await shop.add("web", "[db]")
    await web.online()
    await db.offline()
    assert web.state is RS.OFFLINE
    await db.online()
    assert await web.wait_online() == "web 2"


@pytest.mark.any_hosted
async def test_a_waiting_resource_is_pending(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", online=5)
    web = await shop.add("web", "[db]")
    await web.online()
    assert (db.state, web.state, web.epoch) == (RS.ONLINE_PENDING, RS.ONLINE_PENDING, 0)
    assert await web.offline() is RS.OFFLINE
    await db.wait_online()
    assert shop.calls("web") == []


@pytest.mark.any_hosted
async def test_the_last_of_several_providers_protects(
    shop: Shop, autojump_clock: MockClock
) -> None:
    first = await shop.add("first")
    second = await shop.add("second")
    web = await shop.add("web", "[first] or [second]")
    # Both first, so that it is given both.
    await shop.cluster.online("first", "second")
    await second.wait_online()
    await first.wait_online()
    await web.online()
    await web.wait_online()
    await first.offline()
    await first.wait_state(RS.OFFLINE)
    assert web.state is RS.ONLINE
    second.fail("cable")
    await web.wait_state(RS.ONLINE_PENDING)
    await web.wait_online()
    assert web.epoch == 2
    assert shop.calls("first") == ["online", "up", "offline", "down"]


@pytest.mark.any_hosted
async def test_one_of_several_providers_is_enough_to_start(
    shop: Shop, autojump_clock: MockClock
) -> None:
    await shop.add("slow", online=100)
    await shop.add("quick")
    web = await shop.add("web", "[slow] or [quick]")
    assert await web.online() is RS.ONLINE
    assert trio.current_time() < 1


async def test_a_failed_provider_takes_its_dependents_down_and_brings_them_back(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db")
    web = await shop.add("web", "[db]", offline=2)
    await web.online()
    shop.trace.clear()
    db.fail("disk full")
    await db.wait_state(RS.FAILED)
    await db.wait_state(RS.ONLINE)
    # The restart waits until the dependent has gone, longer than the restart delay.
    assert trio.current_time() == 2
    await web.wait_online()
    # Which of the two is told first, is Trio's to choose.
    assert sorted(shop.trace[:2]) == [("db", "terminate"), ("web", "offline")]
    assert shop.trace[2:] == [
        ("web", "down"),
        ("db", "online"),
        ("db", "up"),
        ("web", "online"),
        ("web", "up"),
    ]
    assert shop.failures("web") == []
    assert web.last_failure is None


@pytest.mark.any_hosted
async def test_a_provider_that_stays_failed_keeps_its_dependents_offline(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db", restart=NEVER)
    cache = await shop.add("cache", "[db]")
    web = await shop.add("web", "[cache]")
    await web.online()
    db.fail()
    await web.wait_state(RS.OFFLINE)
    await trio.sleep(10_000)
    assert (db.state, cache.state, web.state) == (RS.FAILED, RS.OFFLINE, RS.OFFLINE)
    with pytest.raises(ProviderFailed, match="db is failed"):
        await web.wait_online()
    assert await web.online() is RS.ONLINE  # a command mends the provider, too


@pytest.mark.any_hosted
async def test_nobody_waits_for_a_failed_provider_that_waits_in_vain(
    shop: Shop, autojump_clock: MockClock
) -> None:
    disk = await shop.add("disk")
    db = await shop.add("db", "[disk]", offline_error=True)
    web = await shop.add("web", "[db]")
    await web.online()
    # The database fails on its way down, and could only be restarted with its disk.
    await disk.offline()
    assert db.state is RS.FAILED
    await trio.sleep(10)
    assert (db.state, web.state) == (RS.FAILED, RS.OFFLINE)
    shop.scripts["db"].offline_error = False
    await disk.online()
    assert await web.wait_online() == "web 2"


@pytest.mark.any_hosted
async def test_the_state_of_a_group_is_computed(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", online=1)
    web = await shop.add("web", "[db]", restart=NEVER)
    other = await shop.add("other", group="others")
    group = shop.cluster.group("shop")
    seen = [group.state]
    await web.online()
    seen.append(group.state)
    await web.wait_online()
    seen.append(group.state)
    await web.offline()
    seen.append(group.state)
    await web.online()
    web.fail()
    await web.wait_state(RS.FAILED)
    seen.append(group.state)
    assert seen == [GS.OFFLINE, GS.PENDING, GS.ONLINE, GS.PARTIAL_ONLINE, GS.FAILED]
    assert group.states == {"db": RS.ONLINE, "web": RS.FAILED}
    assert shop.cluster.group("others").state is GS.OFFLINE
    assert other.group == "others"
    assert db.dependents == ("web",)
    assert web.providers == ("db",)


@pytest.mark.any_hosted
async def test_a_group_changes_its_state_with_its_members(
    shop: Shop, autojump_clock: MockClock
) -> None:
    await (await shop.add("db")).online()
    group = shop.cluster.group("shop")
    web = await shop.add("web")
    seen = [group.state]
    cron = await shop.add("cron", restart=NEVER, failures=1)
    with pytest.raises(OnlineFailed, match="does not start"):
        await cron.online()
    seen.append(group.state)
    await shop.cluster.remove("cron")
    seen.append(group.state)
    await shop.cluster.remove("web")
    seen.append(group.state)
    assert seen == [GS.PARTIAL_ONLINE, GS.FAILED, GS.PARTIAL_ONLINE, GS.ONLINE]
    assert list(group.resources) == ["db"]
    assert web.group == "shop"


async def test_a_thousand_resources_come_up_and_go_down(
    shop: Shop, autojump_clock: MockClock
) -> None:
    for layer in range(10):
        for number in range(100):
            below = f"[{layer - 1}.{number}]" if layer else None
            await shop.add(f"{layer}.{number}", below, group="many")
    await shop.cluster.online()
    assert set(shop.cluster.group("many").states.values()) == {RS.ONLINE}
    assert set((await shop.cluster.offline("many")).values()) == {RS.OFFLINE}
