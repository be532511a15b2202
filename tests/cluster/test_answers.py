"""What online(), offline(), terminate() and fail() answer, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from trioresource import (
    Deadlines,
    DesiredState,
    InvalidStateError,
    NodePaused,
    OnlineFailed,
    ProviderFailed,
    ResourceLocked,
    ResourceNotAvailable,
    ResourceState,
    ResourceStuck,
)

from .conftest import NEVER

if TYPE_CHECKING:
    from trio.testing import MockClock

    from .conftest import Shop

RS = ResourceState


@pytest.mark.any_hosted
async def test_online_at_once(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db")
    assert (db.state, db.desired, db.epoch) == (RS.OFFLINE, DesiredState.OFFLINE, 0)
    with pytest.raises(ResourceNotAvailable, match="db is offline, not online"):
        _ = db.value
    assert await db.online() is RS.ONLINE
    assert (db.value, db.desired, db.epoch) == ("db 1", DesiredState.ONLINE, 1)
    assert await db.online() is RS.ONLINE
    assert db.epoch == 1
    assert repr(db) == "<Resource 'db' online epoch=1>"


@pytest.mark.any_hosted
async def test_pending_is_answered_at_the_soft_deadline_exactly(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db", online=0.4, offline=0.4)
    assert await db.online() is RS.ONLINE_PENDING
    assert trio.current_time() == pytest.approx(0.3)
    await db.wait_online()
    before = trio.current_time()
    assert await db.offline() is RS.OFFLINE_PENDING
    assert trio.current_time() == pytest.approx(before + 0.3)
    assert await db.wait_state(RS.OFFLINE, RS.FAILED) is RS.OFFLINE


@pytest.mark.any_hosted
async def test_the_soft_deadline_is_the_resources_own(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db", online=2, deadlines=Deadlines(soft=1.5))
    assert await db.online() is RS.ONLINE_PENDING
    assert trio.current_time() == pytest.approx(1.5)


@pytest.mark.parametrize("turn", range(10))
async def test_a_tie_counts_as_settled(shop: Shop, autojump_clock: MockClock, turn: int) -> None:
    # Trio chooses at random which of two tasks it wakes first.
    db = await shop.add("db", online=0.3, offline=0.25)
    assert await db.online() is RS.ONLINE
    assert trio.current_time() == pytest.approx(0.3)
    # In binary, 0.3 + 0.25 has the same sum for both of those who add it.
    shop.scripts["db"].offline = 0.3
    assert await db.offline() is RS.OFFLINE


@pytest.mark.parametrize("turn", range(10))
async def test_a_tie_counts_as_settled_for_many(
    shop: Shop, autojump_clock: MockClock, turn: int
) -> None:
    await shop.add("db", online=0.3)
    await shop.add("mail", online=0.3)
    await shop.add("slow", online=0.4)
    assert await shop.cluster.online() == {
        "db": RS.ONLINE,
        "mail": RS.ONLINE,
        "slow": RS.ONLINE_PENDING,
    }
    assert trio.current_time() == pytest.approx(0.3)


@pytest.mark.any_hosted
async def test_the_cluster_answers_for_those_named(shop: Shop, autojump_clock: MockClock) -> None:
    await shop.add("db", group="data")
    await shop.add("log", group="data", failures=1, restart=NEVER)
    await shop.add("web")
    cluster = shop.cluster
    assert await cluster.online("data", "db") == {"db": RS.ONLINE, "log": RS.FAILED}
    assert cluster.resource("web").state is RS.OFFLINE
    assert await cluster.offline("db", "web") == {"db": RS.OFFLINE, "web": RS.OFFLINE}
    with pytest.raises(KeyError, match="nobody"):
        await cluster.online("nobody")
    with pytest.raises(KeyError, match="nobody"):
        cluster.resource("nobody")
    with pytest.raises(KeyError, match="nobody"):
        cluster.group("nobody")
    assert list(cluster.resources) == ["db", "log", "web"]
    assert list(cluster.groups) == ["data", "shop"]
    assert cluster.resource("db") == cluster.resources["db"]
    assert len({cluster.resource("db"), cluster.resource("db"), cluster.resource("web")}) == 2
    assert cluster.resource("db") != "db"
    assert repr(cluster.group("data")) == "<Group 'data' failed>"


@pytest.mark.any_hosted
async def test_nothing_to_bring_online(shop: Shop, autojump_clock: MockClock) -> None:
    assert await shop.cluster.online() == {}


@pytest.mark.any_hosted
async def test_online_that_fails(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", failures=1)
    with pytest.raises(OnlineFailed, match="db: online raised: RuntimeError: db does") as caught:
        await db.online()
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert db.state is RS.FAILED


@pytest.mark.any_hosted
async def test_online_whose_provider_fails(shop: Shop, autojump_clock: MockClock) -> None:
    await shop.add("disk", failures=1, restart=NEVER)
    await shop.add("db", "[disk]")
    web = await shop.add("web", "[db]")
    with pytest.raises(ProviderFailed, match=r"web needs \[db\]: disk is failed"):
        await web.online()
    assert web.state is RS.OFFLINE


async def test_online_whose_provider_is_taken_offline(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db", online=10)
    web = await shop.add("web", "[db]")
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(ProviderFailed, match="db is offline"):
                await web.online()

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        await db.offline()
    # Nobody has failed: it is waited for.
    with trio.move_on_after(100) as waiting:
        await web.wait_online()
    assert waiting.cancelled_caught
    shop.scripts["db"].online = 0
    await db.online()
    assert await web.wait_online() == "web 1"


@pytest.mark.any_hosted
async def test_a_paused_node_refuses(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db")
    await shop.cluster.pause()
    with pytest.raises(NodePaused, match="resume"):
        await db.online()
    with pytest.raises(NodePaused):
        await shop.cluster.online()
    assert db.desired is DesiredState.OFFLINE


@pytest.mark.any_hosted
async def test_online_while_the_node_is_being_drained(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db", online=10)
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(NodePaused, match="the node was paused"):
                await db.online()

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        await shop.cluster.pause(drain=True)


@pytest.mark.any_hosted
async def test_a_locked_provider_refuses(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db")
    web = await shop.add("web", "[db]")
    db.set_locked(True)
    with pytest.raises(ResourceLocked, match="db is locked"):
        await web.online()
    assert web.desired is DesiredState.OFFLINE
    assert db.is_locked
    assert shop.cluster.group("shop").is_locked
    db.set_locked(False)
    assert await web.online() is RS.ONLINE


async def test_a_stuck_resource(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db")
    bad = await shop.add("bad", "[db]", stubborn=100.0, deadlines=Deadlines(terminate=5))
    assert await bad.online() is RS.ONLINE_PENDING
    with pytest.raises(ResourceStuck):
        await bad.terminate()
    assert trio.current_time() == pytest.approx(5.3)
    with pytest.raises(ResourceStuck, match="has not ended") as caught:
        await bad.online()
    assert "conftest.py" in caught.value.task_tree
    with pytest.raises(ResourceStuck, match="has not ended"):
        await bad.offline()
    # It does not hold up what it depends on.
    assert await db.offline() is RS.OFFLINE
    with pytest.raises(ResourceStuck):
        await shop.cluster.remove("bad")
    assert "bad" in shop.cluster.resources
    await bad.wait_state(RS.OFFLINE)
    assert trio.current_time() == pytest.approx(100.3, abs=0.5)
    shop.scripts["bad"].stubborn = 0
    assert await bad.online() is RS.ONLINE


async def test_a_stuck_provider(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", stubborn=100.0, deadlines=Deadlines(terminate=5))
    web = await shop.add("web", "[db]")
    await web.online()
    db.fail()
    with pytest.raises(ProviderFailed, match="db is failed"):
        await web.wait_online()
    with pytest.raises(ResourceStuck):
        await db.wait_online()
    shop.scripts["db"].stubborn = 0
    # When the attempt has gone at last, the resource comes back by itself.
    await web.wait_state(RS.ONLINE)
    assert (db.epoch, trio.current_time()) == (2, 100)


async def test_cancelling_the_caller_leaves_the_attempt_alone(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db", online=1, offline=1)
    with trio.move_on_after(0.1):
        await db.online()
    assert await db.wait_online() == "db 1"
    assert trio.current_time() == 1
    with trio.move_on_after(0.1):
        await db.offline()
    await db.wait_state(RS.OFFLINE)
    assert shop.calls("db") == ["online", "up", "offline", "down"]


@pytest.mark.any_hosted
async def test_a_cancelled_caller_has_given_the_command_all_the_same(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db")
    with trio.CancelScope() as scope:
        scope.cancel()
        await db.online()
    assert scope.cancelled_caught
    assert await db.wait_online() == "db 1"


async def test_online_follows_a_pending_offline(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", offline=1)
    await db.online()
    assert await db.offline() is RS.OFFLINE_PENDING
    assert await db.online() is RS.ONLINE_PENDING
    assert await db.wait_online() == "db 2"
    assert trio.current_time() == 1
    assert shop.states("db") == [
        RS.ONLINE_PENDING,
        RS.ONLINE,
        RS.OFFLINE_PENDING,
        RS.OFFLINE,
        RS.ONLINE_PENDING,
        RS.ONLINE,
    ]


@pytest.mark.any_hosted
async def test_offline_ends_a_pending_online(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", online=100)
    outcome: list[str] = []

    async def ask() -> None:
        try:
            await db.online()
        except OnlineFailed as error:
            outcome.append(str(error))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert await db.offline() is RS.OFFLINE
    assert outcome == ["db was taken offline while it was coming online"]
    assert shop.calls("db") == ["online", "terminate"]
    assert shop.failures("db") == []


@pytest.mark.any_hosted
async def test_offline_overtaken_by_online(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", offline=0.1)
    await db.online()
    answers: list[ResourceState] = []

    async def ask() -> None:
        answers.append(await db.offline())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert await db.online() is RS.ONLINE
    assert answers == [RS.ONLINE]


async def test_terminate_is_at_once(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", offline=100)
    web = await shop.add("web", "[db]")
    await web.online()
    await db.terminate()
    assert (db.state, db.desired, trio.current_time()) == (RS.OFFLINE, DesiredState.OFFLINE, 0)
    assert shop.calls("db") == ["online", "up", "terminate"]
    await web.wait_state(RS.OFFLINE)
    assert web.desired is DesiredState.ONLINE
    await db.terminate()
    await trio.sleep(1000)
    assert db.epoch == 1


@pytest.mark.any_hosted
async def test_terminate_of_a_resource_that_waits_for_its_provider(
    shop: Shop, autojump_clock: MockClock
) -> None:
    await shop.add("db", online=100)
    web = await shop.add("web", "[db]")
    assert await web.online() is RS.ONLINE_PENDING
    await web.terminate()
    assert web.state is RS.OFFLINE


@pytest.mark.any_hosted
async def test_fail_is_refused_where_nothing_runs(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db")
    with pytest.raises(InvalidStateError, match="cannot fail now"):
        db.fail()
    await db.online()
    db.set_locked(True)
    with pytest.raises(ResourceLocked):
        db.fail()
    assert db.state is RS.ONLINE
