"""What keeps the cluster from acting: locks, pause and drain, maintenance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from trioresource import (
    DesiredState,
    FailureReason,
    InvalidStateError,
    NodePaused,
    NodeState,
    OnlineFailed,
    ResourceLocked,
    ResourceState,
)

if TYPE_CHECKING:
    from trio.testing import MockClock

    from .conftest import Shop

RS = ResourceState


# --- lock ------------------------------------------------------------------------------


@pytest.mark.any_hosted
async def test_a_locked_resource_refuses_commands_and_is_still_recovered(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db", crash_after=5.0)
    await db.online()
    db.set_locked(True)
    for command in (db.online, db.offline, db.terminate):
        with pytest.raises(ResourceLocked, match="db is locked; unlock it first"):
            await command()
    with pytest.raises(ResourceLocked):
        await shop.cluster.offline()
    with pytest.raises(ResourceLocked):
        await db.set_properties()
    assert db.state is RS.ONLINE
    await db.wait_state(RS.FAILED)
    assert await db.wait_online() == "db 2"
    db.set_locked(False)
    assert await db.offline() is RS.OFFLINE


@pytest.mark.any_hosted
async def test_a_command_to_many_is_refused_as_a_whole(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db")
    web = await shop.add("web")
    web.set_locked(True)
    with pytest.raises(ResourceLocked, match="web is locked"):
        await shop.cluster.online()
    assert db.desired is DesiredState.OFFLINE
    await trio.sleep(1)
    assert db.epoch == 0


# --- pause and drain -------------------------------------------------------------------


@pytest.mark.any_hosted
async def test_a_paused_node_keeps_what_it_has(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", crash_after=5.0)
    await db.online()
    seen = [shop.cluster.node_state]
    await shop.cluster.pause()
    seen.append(shop.cluster.node_state)
    assert seen == [NodeState.UP, NodeState.PAUSED]
    await db.wait_state(RS.FAILED)
    assert await db.wait_online() == "db 2"
    await db.offline()
    with pytest.raises(NodePaused):
        await db.online()
    await shop.cluster.resume()
    assert await db.online() is RS.ONLINE


async def test_a_drained_node_gets_everything_back(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", offline=1)
    web = await shop.add("web", "[db]", offline=1)
    idle = await shop.add("idle")
    await web.online()
    await shop.cluster.pause(drain=True)
    await db.wait_state(RS.OFFLINE)
    assert trio.current_time() == 2
    assert web.state is RS.OFFLINE
    assert web.desired is db.desired is DesiredState.ONLINE
    with trio.move_on_after(100) as waiting:
        await web.wait_online()
    assert waiting.cancelled_caught
    await shop.cluster.resume()
    assert await web.wait_online() == "web 2"
    assert idle.epoch == 0


@pytest.mark.any_hosted
async def test_a_failure_while_draining_is_not_recovered_before_resume(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db", offline_error=True)
    await db.online()
    await shop.cluster.pause(drain=True)
    await db.wait_state(RS.FAILED)
    await trio.sleep(10_000)
    assert (db.state, db.epoch) == (RS.FAILED, 1)
    await shop.cluster.resume()
    assert await db.wait_online() == "db 2"


# --- maintenance -----------------------------------------------------------------------


async def test_failures_in_maintenance_are_ignored_and_looked_into_at_the_end(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db")
    with pytest.raises(InvalidStateError, match="db is offline, not online"):
        db.set_maintenance(True)
    await db.online()
    db.set_maintenance(True)
    db.set_maintenance(True)
    assert db.is_in_maintenance
    shop.scripts["db"].alive = False
    scope = shop.parts["db"].scope
    assert scope is not None
    scope.report_failure("cable pulled")
    await trio.sleep(1000)
    assert db.state is RS.ONLINE
    db.set_maintenance(False)
    await db.wait_state(RS.FAILED)
    assert trio.current_time() == 1000
    assert db.last_failure is not None
    assert (db.last_failure.reason, db.last_failure.detail) == (
        FailureReason.SIGNAL,
        "cable pulled",
    )
    shop.scripts["db"].alive = True
    await db.wait_online()


async def test_a_healthy_resource_leaves_maintenance_as_it_was(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db")
    await db.online()
    db.set_maintenance(True)
    scope = shop.parts["db"].scope
    assert scope is not None
    scope.report_failure("false alarm")
    db.set_maintenance(False)
    await trio.sleep(10)
    assert (db.state, db.epoch) == (RS.ONLINE, 1)
    assert shop.trace.count(("db", "is_alive")) == 1


@pytest.mark.any_hosted
async def test_what_fails_in_maintenance_is_restarted_at_its_end(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db", crash_after=5.0)
    await db.online()
    db.set_maintenance(True)
    await db.wait_state(RS.FAILED)
    await trio.sleep(10_000)
    assert (db.state, db.epoch) == (RS.FAILED, 1)
    with pytest.raises(OnlineFailed):
        await db.wait_online()
    db.set_maintenance(False)
    assert await db.wait_online() == "db 2"
