"""Recovery looks at the desired state; budgets, delays and retries."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from trioresource import (
    Backoff,
    Deadlines,
    FailureReason,
    OfflineFailed,
    OnlineFailed,
    RecoveryPlanned,
    ResourceState,
    RestartAction,
    RestartPolicy,
    open_cluster,
    service,
)
from trioresource._model.policy import Restart, StayFailed

if TYPE_CHECKING:
    from trio.testing import MockClock

    from .conftest import Shop

RS = ResourceState


def plans(shop: Shop, name: str) -> list[Restart | StayFailed]:
    return [
        one.decision
        for one in shop.cluster.history()
        if isinstance(one, RecoveryPlanned)
        and one.resource == name
        and isinstance(one.decision, Restart | StayFailed)
    ]


async def test_a_failed_resource_is_restarted_after_the_delay(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db", crash_after=10.0)
    await db.online()
    await db.wait_state(RS.FAILED)
    assert trio.current_time() == 10
    assert await db.wait_online() == "db 2"
    assert trio.current_time() == 10.5
    assert db.last_failure is not None
    assert db.last_failure.reason is FailureReason.TASK_CRASHED
    assert plans(shop, "db") == [Restart(0.5, 1)]


@pytest.mark.any_hosted
async def test_offline_during_the_delay_cancels_the_restart(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db")
    await db.online()
    db.fail()
    await db.wait_state(RS.FAILED)
    assert await db.offline() is RS.OFFLINE
    await trio.sleep(10_000)
    assert (db.state, db.epoch) == (RS.OFFLINE, 1)


@pytest.mark.any_hosted
async def test_offline_at_the_very_end_of_the_delay_wins(
    shop: Shop, autojump_clock: MockClock
) -> None:
    for turn in range(20):  # the order in which two tasks are woken together is random
        db = await shop.add(f"db{turn}")
        await db.online()
        db.fail()
        await db.wait_state(RS.FAILED)
        await trio.sleep(0.5)
        state = await db.offline()
        await trio.sleep(5)
        assert state is db.state is RS.OFFLINE


async def test_a_command_during_the_delay_restarts_at_once(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db")
    await db.online()
    db.fail()
    await db.wait_state(RS.FAILED)
    assert await db.online() is RS.ONLINE
    assert trio.current_time() < 0.1
    await trio.sleep(10)
    assert db.epoch == 2  # the restart that was planned does not come as well


@pytest.mark.any_hosted
async def test_a_failure_on_the_way_offline_is_not_recovered(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db", offline_error=True)
    await db.online()
    with pytest.raises(OfflineFailed, match="db does not stop") as caught:
        await db.offline()
    assert isinstance(caught.value.__cause__, RuntimeError)
    await trio.sleep(10_000)
    assert (db.state, db.epoch) == (RS.FAILED, 1)
    assert plans(shop, "db") == []
    assert await db.offline() is RS.OFFLINE
    assert await db.online() is RS.ONLINE


async def test_a_dependent_that_fails_on_the_way_down_comes_back_with_its_provider(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db")
    web = await shop.add("web", "[db]", offline_error=True)
    await web.online()
    db.fail()
    await web.wait_state(RS.FAILED)
    await web.wait_state(RS.ONLINE)
    assert trio.current_time() == 0.5


@pytest.mark.any_hosted
async def test_no_restart_where_none_is_wanted(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", restart=RestartPolicy(action=RestartAction.NONE))
    await db.online()
    db.fail("gone")
    with pytest.raises(OnlineFailed, match="gone"):
        await db.wait_online()
    await trio.sleep(80_000)
    assert (db.state, db.epoch) == (RS.FAILED, 1)
    assert plans(shop, "db") == [StayFailed(None, 1)]


@pytest.mark.parametrize("action", [RestartAction.RESTART, RestartAction.RESTART_AND_FAIL_OVER])
async def test_the_failure_after_the_threshold_escalates_and_is_retried_later(
    shop: Shop, autojump_clock: MockClock, action: RestartAction
) -> None:
    db = await shop.add("db", restart=RestartPolicy(action=action), failures=6)
    with pytest.raises(OnlineFailed, match="db does not start"):
        await db.online()
    with pytest.raises(OnlineFailed, match="db does not start"):
        await db.wait_online()
    # Three restarts, and the fourth failure is the last resort.
    assert (db.state, db.epoch, trio.current_time()) == (RS.FAILED, 4, 1.5)
    restarts = [Restart(0.5, 1), Restart(0.5, 2), Restart(0.5, 3)]
    assert plans(shop, "db") == [*restarts, StayFailed(3600.0, 4)]
    await trio.sleep(3599)
    assert db.epoch == 4
    await db.wait_state(RS.ONLINE)
    # A new series of restarts: the retry fails, the restart after it as well.
    assert (db.epoch, trio.current_time()) == (7, 1.5 + 3600 + 1)
    assert plans(shop, "db")[4:] == restarts[:2]


@pytest.mark.any_hosted
async def test_failures_that_are_far_apart_do_not_escalate(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db", restart=RestartPolicy(threshold=1, period=10))
    await db.online()
    for _ in range(5):
        await trio.sleep(11)
        db.fail()
        await db.wait_state(RS.FAILED)
        await db.wait_online()
    db.fail()
    with pytest.raises(OnlineFailed):
        await db.wait_online()
    assert [one.failures for one in plans(shop, "db")] == [1, 1, 1, 1, 1, 2]


async def test_a_command_renews_the_budget(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", restart=RestartPolicy(threshold=1, retry=None), failures=2)
    with pytest.raises(OnlineFailed):
        await db.online()
    with pytest.raises(OnlineFailed):
        await db.wait_online()
    await trio.sleep(80_000)
    assert (db.state, db.epoch) == (RS.FAILED, 2)
    assert await db.online() is RS.ONLINE
    db.fail()
    await db.wait_state(RS.FAILED)
    assert plans(shop, "db")[-1] == Restart(0.5, 1)
    await db.wait_online()


@pytest.mark.any_hosted
async def test_being_stable_clears_the_budget(shop: Shop, autojump_clock: MockClock) -> None:
    policy = RestartPolicy(threshold=1, stable_after=60)
    db = await shop.add("db", restart=policy)
    await db.online()  # at time 0
    for _ in range(3):
        await trio.sleep(60)
        db.fail()
        await db.wait_state(RS.FAILED)
        await db.wait_online()
    assert plans(shop, "db") == [Restart(0.5, 1)] * 3


@pytest.mark.any_hosted
async def test_only_being_online_counts_as_stable(shop: Shop, autojump_clock: MockClock) -> None:
    policy = RestartPolicy(threshold=1, stable_after=60)
    db = await shop.add("db", restart=policy, online=50.0)
    await db.online()
    await db.wait_online()
    await trio.sleep(40)
    db.fail()
    shop.scripts["db"].failures = 1
    await db.wait_state(RS.FAILED)
    # The restart takes 50 s and then fails: 90 s since it last came online, but only 40 s
    # of them online.
    with pytest.raises(OnlineFailed):
        await db.wait_online()
    assert plans(shop, "db") == [Restart(0.5, 1), StayFailed(3600.0, 2)]


async def test_a_delay_of_nothing_restarts_at_once(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", restart=RestartPolicy(delay=0), failures=2)
    await db.online()
    await db.wait_online()
    assert (db.epoch, trio.current_time()) == (3, 0)


async def test_the_delay_grows_and_its_jitter_comes_from_the_generator(
    autojump_clock: MockClock,
) -> None:
    policy = RestartPolicy(threshold=5, delay=1, backoff=Backoff(factor=3, maximum=10, jitter=0.5))
    async with open_cluster(random=random.Random(42)) as cluster:

        async def broken(*, task_status: trio.TaskStatus[None]) -> None:  # noqa: ASYNC128
            await trio.lowlevel.checkpoint()
            raise OSError("no")

        db = await cluster.add("db", service(broken), restart=policy)
        with pytest.raises(OnlineFailed):
            await db.online()
        with pytest.raises(OnlineFailed, match="OSError: no"):
            await db.wait_online()
        delays = [
            event.decision.delay
            for event in cluster.history()
            if isinstance(event, RecoveryPlanned) and isinstance(event.decision, Restart)
        ]
    expected = random.Random(42)
    assert delays == [base * (1 - 0.5 * expected.random()) for base in (1.0, 3.0, 9.0, 10.0, 10.0)]


async def test_a_check_that_answers_no_is_a_failure(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db")
    await db.online()
    shop.scripts["db"].alive = False
    await db.wait_state(RS.FAILED)
    assert trio.current_time() == 60
    shop.scripts["db"].alive = True
    await db.wait_online()
    assert db.last_failure is not None
    assert db.last_failure.reason is FailureReason.NOT_ALIVE


async def test_a_hanging_handler_is_terminated_and_restarted(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db", deadlines=Deadlines(pending=20), online=10_000.0)
    assert await db.online() is RS.ONLINE_PENDING
    await db.wait_state(RS.FAILED)
    assert trio.current_time() == 20
    shop.scripts["db"].online = 0
    await db.wait_online()
    assert shop.calls("db") == ["online", "terminate", "online", "up"]


@pytest.mark.any_hosted
async def test_neighbours_never_notice_a_broken_handler(
    shop: Shop, autojump_clock: MockClock
) -> None:
    good = await shop.add("good")
    bad = await shop.add("bad", restart=RestartPolicy(retry=1), failures=1000, offline_error=True)
    await good.online()
    with pytest.raises(OnlineFailed):
        await bad.online()
    await trio.sleep(600)
    assert bad.epoch > 600
    assert shop.states("good") == [RS.ONLINE_PENDING, RS.ONLINE]


@pytest.mark.any_hosted
async def test_statistics_count_attempts(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db")
    await db.online()
    db.fail()
    await db.wait_state(RS.FAILED)
    await db.wait_online()
    figures = db.statistics()
    assert (figures.epoch, figures.failures, figures.stuck) == (2, 1, False)


async def test_fail_from_a_thread_is_refused_before_anything_is_changed(shop: Shop) -> None:
    db = await shop.add("db")
    await db.online()
    for call in (db.fail, partial(db.set_maintenance, True)):
        with pytest.raises(RuntimeError, match="in its own Trio run only"):
            await trio.to_thread.run_sync(call)
    assert db.state is RS.ONLINE
    assert not db.is_in_maintenance
    # As the message says, this does.
    await trio.to_thread.run_sync(lambda: trio.from_thread.run_sync(db.fail))
    await db.wait_state(RS.FAILED)
    assert await db.wait_online() == "db 2"
