"""Using what a resource provides, and losing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest
import trio
import trio.testing

from trioresource import Resource, ResourceNotAvailable, ResourceState

if TYPE_CHECKING:
    from trio.testing import MockClock

    from .conftest import Shop

RS = ResourceState


@attrs.define
class User:
    """A task that uses a resource, and writes down how that ended."""

    value: object = None
    ended: float | None = None
    lost: bool = False

    async def use(
        self,
        resource: Resource,
        seconds: float = 1e6,
        *,
        clean_up: float = 0.0,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        try:
            async with resource.available() as self.value:
                task_status.started()
                try:
                    await trio.sleep(seconds)
                finally:
                    with trio.CancelScope(shield=True):
                        await trio.sleep(clean_up)
        except ResourceNotAvailable:
            self.lost = True
        self.ended = trio.current_time()


@pytest.mark.any_hosted
async def test_it_has_to_be_online(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", online=1)
    with pytest.raises(ResourceNotAvailable, match="db is offline"):
        async with db.available():
            raise AssertionError
    await db.online()
    with pytest.raises(ResourceNotAvailable, match="db is online-pending"):
        async with db.available():
            raise AssertionError
    await db.wait_online()
    async with db.available() as value:
        assert value == "db 1"


@pytest.mark.any_hosted
async def test_errors_of_the_body_come_out(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db")
    await db.online()
    with pytest.raises(KeyError):
        async with db.available():
            raise KeyError
    with trio.move_on_after(1) as scope:
        async with db.available():
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert await db.offline() is RS.OFFLINE


async def test_a_failure_cancels_the_body(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", crash_after=5.0)
    await db.online()
    user = User()
    await user.use(db)
    assert user == User("db 1", ended=5, lost=True)


async def test_terminate_cancels_the_body(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db")
    await db.online()
    user = User()
    async with trio.open_nursery() as nursery:
        await nursery.start(user.use, db)
        await db.terminate()
    assert user == User("db 1", ended=0, lost=True)


async def test_offline_waits_for_those_who_end_by_themselves(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db")
    await db.online()
    user, other = User(), User()
    async with trio.open_nursery() as nursery:
        await nursery.start(user.use, db, 5)
        await nursery.start(other.use, db, 7)
        assert await db.offline() is RS.OFFLINE_PENDING
        assert db.state is RS.OFFLINE_PENDING
        with pytest.raises(ResourceNotAvailable):
            await db.available().__aenter__()
        await db.wait_state(RS.OFFLINE)
        assert trio.current_time() == 7
    assert user == User("db 1", ended=5)
    assert other == User("db 1", ended=7)


async def test_offline_cancels_those_who_do_not(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", drain_deadline=4)
    await db.online()
    user = User()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(user.use, db)
        await trio.testing.wait_all_tasks_blocked()
        await db.offline()
        await db.wait_state(RS.OFFLINE)
    assert user == User("db 1", ended=4, lost=True)


async def test_users_that_do_not_listen_hold_it_up_no_longer_than_twice(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db", drain_deadline=4)
    await db.online()
    user = User()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: user.use(db, clean_up=100))
        await trio.testing.wait_all_tasks_blocked()
        await db.offline()
        await db.wait_state(RS.OFFLINE)
        assert trio.current_time() == 8
        # Those of an earlier attempt are not waited for again.
        assert await db.online() is RS.ONLINE
        assert await db.offline() is RS.OFFLINE
    assert user == User("db 1", ended=104, lost=True)


async def test_a_lost_provider_cancels_at_once(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", crash_after=5.0)
    web = await shop.add("web", "[db]")
    await web.online()
    user = User()
    await user.use(web)
    assert user == User("web 1", ended=5, lost=True)
    await web.wait_online()
    assert db.epoch == web.epoch == 2


async def test_a_provider_that_is_lost_while_users_have_their_time(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db", crash_after=5.0)
    web = await shop.add("web", "[db]")
    await web.online()
    user = User()
    async with trio.open_nursery() as nursery:
        await nursery.start(user.use, web)
        await web.offline()
        await web.wait_state(RS.OFFLINE)
    assert user == User("web 1", ended=5, lost=True)
    assert db.last_failure is not None


async def test_what_is_coming_up_does_not_wait_for_users_of_its_dependents(
    shop: Shop, autojump_clock: MockClock
) -> None:
    disk = await shop.add("disk")
    other = await shop.add("other", "[disk]", online=100)
    web = await shop.add("web", "[disk] or [other]")
    await shop.cluster.online()
    user = User()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: user.use(web, clean_up=5))
        await trio.sleep(1)
        disk.fail()
        await other.wait_state(RS.OFFLINE_PENDING)
        assert trio.current_time() == pytest.approx(1.3)
        await web.wait_state(RS.OFFLINE)
        assert trio.current_time() == pytest.approx(6.3)


async def test_the_drain_of_one_attempt_does_not_touch_the_next(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db", drain_deadline=10)
    await db.online()
    async with trio.open_nursery() as nursery:
        await nursery.start(User().use, db, 1)
        await db.offline()
        await db.wait_state(RS.OFFLINE)
    await db.online()
    user = User()
    await user.use(db, 100)
    assert user == User("db 2", ended=101)


async def test_online_while_users_have_their_time_follows(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db")
    web = await shop.add("web", "[db]")
    await web.online()
    user = User()
    async with trio.open_nursery() as nursery:
        await nursery.start(user.use, db, 5)
        await db.offline()
        assert await db.online() is RS.ONLINE_PENDING
        assert await web.wait_online() == "web 2"
        assert trio.current_time() == 5
    assert user == User("db 1", ended=5)
    assert shop.states("db")[1:] == [
        RS.ONLINE,
        RS.OFFLINE_PENDING,
        RS.OFFLINE,
        RS.ONLINE_PENDING,
        RS.ONLINE,
    ]


async def test_terminate_while_users_have_their_time(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db")
    await db.online()
    user = User()
    async with trio.open_nursery() as nursery:
        await nursery.start(user.use, db)
        await db.offline()
        await db.terminate()
    assert (user.value, user.lost) == ("db 1", True)
    assert user.ended == pytest.approx(0.3)
    # Told once, and not that it was online again in between.
    assert shop.states("db")[2:] == [RS.OFFLINE_PENDING, RS.OFFLINE]


async def test_a_failure_while_users_have_their_time(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", crash_after=5.0)
    await db.online()
    user = User()
    async with trio.open_nursery() as nursery:
        await nursery.start(user.use, db)
        await db.offline()
        await db.wait_state(RS.FAILED)
    assert user == User("db 1", ended=5, lost=True)
    await trio.sleep(1000)
    assert (db.state, db.epoch) == (RS.FAILED, 1)


@pytest.mark.any_hosted
async def test_a_drain_deadline_has_to_be_one(shop: Shop, autojump_clock: MockClock) -> None:
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="drain_deadline must be at least 0"):
            await shop.add("db", drain_deadline=wrong)
    db = await shop.add("db", drain_deadline=0)
    await db.online()
    user = User()
    async with trio.open_nursery() as nursery:
        await nursery.start(user.use, db)
        assert await db.offline() is RS.OFFLINE
    assert user.lost
