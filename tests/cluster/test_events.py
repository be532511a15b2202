"""Being told what happens: in order, bounded, and never in the engine's way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource import (
    FailureReport,
    GroupStateChange,
    Missed,
    Progress,
    RecoveryPlanned,
    ResourceHandler,
    ResourceState,
    StateChange,
    Subscription,
    open_cluster,
    service,
)

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trioresource import ClusterEvent, OnlineScope

    from .conftest import Shop

RS = ResourceState


def take_all(subscription: Subscription) -> list[ClusterEvent | Missed]:
    found: list[ClusterEvent | Missed] = []
    while True:
        try:
            found.append(subscription.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            return found


@pytest.mark.any_hosted
async def test_events_come_in_order(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", crash_after=5.0)
    web = await shop.add("web", "[db]")
    with shop.cluster.subscribe() as subscription:
        await web.online()
        await web.wait_state(RS.ONLINE_PENDING)
        await web.wait_online()
        events = take_all(subscription)
    assert tuple(events) == shop.cluster.history()
    # One step after another of the engine's, and nothing twice.
    kinds = [
        (type(one).__name__, one.new.value)
        for one in events
        if isinstance(one, StateChange) and one.resource == "db"
    ]
    assert kinds == [
        ("StateChange", "online-pending"),
        ("StateChange", "online"),
        ("StateChange", "failed"),
        ("StateChange", "online-pending"),
        ("StateChange", "online"),
    ]
    failure = next(place for place, one in enumerate(events) if isinstance(one, FailureReport))
    assert isinstance(events[failure + 1], RecoveryPlanned)
    assert any(isinstance(one, GroupStateChange) for one in events)
    assert db.last_failure == events[failure]


async def test_the_history_is_bounded_and_can_be_asked_for_one_resource(
    autojump_clock: MockClock,
) -> None:
    async with open_cluster(history=4) as cluster:

        async def run(*, task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            await trio.sleep_forever()

        for name in ("a", "b"):
            await cluster.add(name, service(run))
        await cluster.online("a")
        await cluster.online("b")
        assert len(cluster.history()) == 4
        only = [one for one in cluster.history("b") if isinstance(one, StateChange)]
        assert [one.new for one in only] == [RS.ONLINE_PENDING, RS.ONLINE]
        assert len(cluster.history("b")) == 2
        assert cluster.history("c") == ()


@pytest.mark.any_hosted
async def test_a_slow_subscriber_misses_events_and_is_told_how_many(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db")
    with shop.cluster.subscribe(buffer=2) as slow, shop.cluster.subscribe() as fast:
        for _ in range(50):
            await db.online()
            await db.offline()
        everything = take_all(fast)
        assert len(everything) == 50 * 8  # 4 states of the resource, as many of its group
        found = [await slow.receive() for _ in range(3)]
        assert found == [*everything[:2], Missed(len(everything) - 2)]
        with pytest.raises(trio.WouldBlock):
            slow.receive_nowait()
        # It catches up, and falls behind again.
        await db.online()
        await db.offline()
        assert take_all(slow) == [*take_all(fast)[:2], Missed(6)]


@pytest.mark.any_hosted
async def test_what_was_missed_stands_in_its_place(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db")
    with shop.cluster.subscribe(buffer=1) as slow, shop.cluster.subscribe() as fast:
        await db.online()
        everything = take_all(fast)
        assert await slow.receive() == everything[0]
        await db.offline()
        later = take_all(fast)
        assert take_all(slow) == [Missed(len(everything) - 1), later[0], Missed(len(later) - 1)]


@pytest.mark.any_hosted
async def test_a_waiting_subscriber_is_woken(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db")
    found: list[ClusterEvent | Missed] = []
    async with trio.open_nursery() as nursery:
        with shop.cluster.subscribe() as subscription:
            nursery.start_soon(_collect, subscription, found)  # noqa: ASYNC111
            await trio.testing.wait_all_tasks_blocked()
            await db.online()
            await trio.testing.wait_all_tasks_blocked()
            assert tuple(found) == shop.cluster.history()
            nursery.cancel_scope.cancel()
            await trio.testing.wait_all_tasks_blocked()


async def _collect(subscription: Subscription, found: list[ClusterEvent | Missed]) -> None:
    async for event in subscription:
        found.append(event)  # noqa: PERF401 - as they come


@pytest.mark.any_hosted
async def test_cancelling_a_subscriber_loses_nothing(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db")
    with shop.cluster.subscribe() as subscription:
        with trio.move_on_after(1):
            await subscription.receive()
        await db.online()
        with trio.CancelScope() as scope:
            scope.cancel()
            await subscription.receive()
        assert tuple(take_all(subscription)) == shop.cluster.history()


async def test_the_end_comes_after_the_last_event(autojump_clock: MockClock) -> None:
    found: list[ClusterEvent | Missed] = []
    async with trio.open_nursery() as nursery:
        async with open_cluster() as cluster:

            async def run(*, task_status: trio.TaskStatus[None]) -> None:
                task_status.started()
                await trio.sleep_forever()

            db = await cluster.add("db", service(run))

            async def watch(task_status: trio.TaskStatus[None]) -> None:
                with cluster.subscribe() as subscription:
                    task_status.started()
                    await _collect(subscription, found)
                    with pytest.raises(trio.EndOfChannel):
                        await subscription.receive()
                    with pytest.raises(trio.EndOfChannel):
                        subscription.receive_nowait()

            await nursery.start(watch)
            await db.online()
    assert [one.new for one in found if isinstance(one, StateChange)] == [
        RS.ONLINE_PENDING,
        RS.ONLINE,
        RS.OFFLINE_PENDING,
        RS.OFFLINE,
    ]
    with cluster.subscribe() as late:
        with pytest.raises(trio.EndOfChannel):
            await late.receive()


@pytest.mark.any_hosted
async def test_a_subscription_needs_room(  # noqa: ASYNC124 - its fixtures are async
    shop: Shop, autojump_clock: MockClock
) -> None:
    with pytest.raises(ValueError, match="buffer must be at least 1, not 0"):
        shop.cluster.subscribe(buffer=0).__enter__()


@pytest.mark.any_hosted
async def test_progress_is_told(shop: Shop, autojump_clock: MockClock) -> None:
    class Slow(ResourceHandler[Any]):
        async def online(self, scope: OnlineScope) -> None:
            await trio.lowlevel.checkpoint()
            scope.report_progress("half", fraction=0.5)

    await (await shop.cluster.add("slow", Slow)).online()
    found = [one for one in shop.cluster.history("slow") if isinstance(one, Progress)]
    assert [(one.message, one.fraction) for one in found] == [("half", 0.5)]
