"""Waiting for a state: wait_online() and wait_state()."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from trioresource import InvalidStateError, Resource, ResourceState, open_cluster

from .conftest import Server

if TYPE_CHECKING:
    from trio.testing import MockClock

    from .conftest import Shop

RS = ResourceState


@pytest.mark.any_hosted
async def test_wait_online_waits_until_somebody_asks(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db")
    values: list[object] = []

    async def wait() -> None:
        values.append(await db.wait_online())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(100)
        assert values == []
        await db.online()
    assert values == ["db 1"]


@pytest.mark.any_hosted
async def test_wait_online_survives_a_failure_in_the_instant_of_success(
    shop: Shop, autojump_clock: MockClock
) -> None:
    for turn in range(10):
        name = f"db{turn}"
        db = await shop.add(name, online=1)
        values: list[object] = []

        async def wait(db: Resource = db, values: list[object] = values) -> None:
            values.append(await db.wait_online())

        await db.online()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await db.wait_state(RS.ONLINE)
            db.fail()
        assert values in ([f"{name} 1"], [f"{name} 2"])


@pytest.mark.any_hosted
async def test_wait_online_ends_with_the_cluster(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db")

    async def wait() -> None:
        with pytest.raises(InvalidStateError, match="closing"):
            await db.wait_online()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        await shop.cluster.shut_down(10)
    with pytest.raises(InvalidStateError, match="closing"):
        await db.online()
    with pytest.raises(InvalidStateError, match="closing"):
        await shop.add("other")


async def test_wait_state_can_ask_for_some_duration(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db", crash_after=3.0)
    await db.online()
    assert await db.wait_state(RS.ONLINE, held_for=5) is RS.ONLINE
    assert trio.current_time() == 3 + 0.5 + 5


@pytest.mark.any_hosted
async def test_waiting_for_a_state_ends_with_the_resource(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db")
    errors: list[str] = []

    async def wait() -> None:
        with pytest.raises(InvalidStateError) as caught:
            await db.wait_state(RS.ONLINE)
        errors.append(str(caught.value))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        await shop.cluster.remove("db")
    await wait()
    assert errors == ["db has been removed"] * 2
    # A state that it is in is told all the same.
    assert await db.wait_state(RS.OFFLINE) is RS.OFFLINE


async def test_waiting_for_a_state_ends_with_the_cluster(autojump_clock: MockClock) -> None:
    errors: list[str] = []
    async with trio.open_nursery() as nursery:
        async with open_cluster() as cluster:
            db = await cluster.add("db", Server)

            async def wait() -> None:
                with pytest.raises(InvalidStateError) as caught:
                    await db.wait_state(RS.ONLINE)
                errors.append(str(caught.value))

            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
        await trio.testing.wait_all_tasks_blocked()
        assert errors == ["db is gone: the cluster has closed"]
    await wait()
    assert len(errors) == 2
