"""Adding and removing resources."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from trioresource import (
    DependencyError,
    GroupState,
    InvalidStateError,
    OnlineScope,
    PropertyError,
    Resource,
    ResourceHandler,
    ResourceLocked,
    ResourceNotAvailable,
    ResourceState,
)

from .conftest import Server

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trioresource import Cluster

    from .conftest import Shop

RS = ResourceState


class Opener(ResourceHandler[Any]):
    """Says when it is opened and closed, takes its time, and may refuse."""

    def __init__(self, calls: list[str], *, refuse: str = "", seconds: float = 0) -> None:
        self.calls = calls
        self.refuse = refuse
        self.seconds = seconds

    async def open(self) -> None:
        self.calls.append("open")
        await trio.sleep(self.seconds)
        if self.refuse == "open":
            raise OSError("no licence")

    async def online(self, scope: OnlineScope) -> None:
        self.calls.append("online")

    async def close(self) -> None:
        self.calls.append("close")
        await trio.sleep(self.seconds)
        if self.refuse == "close":
            raise OSError("still in use")


async def assert_nothing_left(cluster: Cluster, *names: str) -> None:
    """Names are free, and no group has come to be."""
    assert list(cluster.groups) == ["shop"]
    for name in names:
        assert name not in cluster.resources
        calls: list[str] = []
        await cluster.add(name, functools.partial(Opener, calls), group="shop")
        await cluster.remove(name)
        assert calls == ["open", "close"]


@pytest.mark.any_hosted
async def test_a_name_can_be_used_once(shop: Shop, autojump_clock: MockClock) -> None:
    await shop.add("db")
    with pytest.raises(InvalidStateError, match="there is a resource named 'db' already"):
        await shop.add("db", group="new")
    assert list(shop.cluster.groups) == ["shop"]
    assert await shop.cluster.resource("db").online() is RS.ONLINE


@pytest.mark.any_hosted
@pytest.mark.parametrize(
    ("depends_on", "wrong"),
    [
        ("[disk]", "depends on unknown resource 'disk'"),
        ("[web]", "cannot depend on itself"),
        ("[far]", "into one group"),
        ("[db] or [db]", "named once"),
        ("[db", "no counterpart"),
    ],
)
async def test_dependencies_that_can_not_be(
    shop: Shop, autojump_clock: MockClock, depends_on: str, wrong: str
) -> None:
    db = await shop.add("db")
    await shop.add("far", group="farther")
    with pytest.raises(DependencyError, match=wrong):
        await shop.add("web", depends_on)
    await shop.cluster.remove("far")
    assert db.dependents == ()
    await assert_nothing_left(shop.cluster, "web")


async def test_a_chain_may_not_be_too_long(shop: Shop, autojump_clock: MockClock) -> None:
    await shop.add("0")
    for number in range(1, 100):
        await shop.add(str(number), f"[{number - 1}]")
    with pytest.raises(DependencyError, match="at most 100 are allowed"):
        await shop.add("100", "[99]")
    assert await shop.cluster.resource("99").online() is RS.ONLINE


@pytest.mark.any_hosted
async def test_properties_that_are_wrong(shop: Shop, autojump_clock: MockClock) -> None:
    await shop.add("db")
    with pytest.raises(PropertyError, match="web: port"):
        await shop.cluster.add("web", Server, properties={"port": "many"}, group="new")
    await assert_nothing_left(shop.cluster, "web")


@pytest.mark.any_hosted
async def test_open_that_raises_or_is_cancelled(shop: Shop, autojump_clock: MockClock) -> None:
    await shop.add("db")
    cluster, calls = shop.cluster, list[str]()
    with pytest.raises(OSError, match="no licence"):
        await cluster.add("web", lambda: Opener(calls, refuse="open"), group="new")
    with trio.move_on_after(1) as scope:
        await cluster.add("web", lambda: Opener(calls, seconds=5), group="new")
    assert scope.cancelled_caught
    assert calls == ["open", "open"]
    await assert_nothing_left(cluster, "web")


@pytest.mark.any_hosted
async def test_a_provider_that_goes_while_a_dependent_is_opened(
    shop: Shop, autojump_clock: MockClock
) -> None:
    await shop.add("db")
    await shop.add("keeps the group")
    cluster, calls = shop.cluster, list[str]()

    async def add() -> None:
        with pytest.raises(DependencyError, match="depends on unknown resource 'db'"):
            await cluster.add(
                "web", lambda: Opener(calls, seconds=5), group="shop", depends_on="db"
            )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(add)
        await trio.testing.wait_all_tasks_blocked()
        await cluster.remove("db")
    assert calls == ["open", "close"]
    await assert_nothing_left(cluster, "web")


async def assert_refuses(resource: Resource) -> None:
    """A resource that was removed takes no commands, and does no harm."""
    for command in (resource.online, resource.offline, resource.terminate, resource.wait_online):
        with pytest.raises(InvalidStateError, match="has been removed"):
            await command()
    with pytest.raises(InvalidStateError, match="has been removed"):
        resource.fail()
    with pytest.raises(InvalidStateError, match="has been removed"):
        await resource.set_properties()
    with pytest.raises(InvalidStateError):
        await resource.control("echo")
    with pytest.raises(ResourceNotAvailable):
        await resource.available().__aenter__()


@pytest.mark.any_hosted
async def test_remove_closes_and_forgets(shop: Shop, autojump_clock: MockClock) -> None:
    calls: list[str] = []
    cluster = shop.cluster
    db = await cluster.add("db", lambda: Opener(calls), group="new")
    web = await cluster.add("web", lambda: Opener([]), group="new", depends_on=["db"])
    with pytest.raises(InvalidStateError, match="db cannot be removed: web depends on it"):
        await cluster.remove("db")
    await web.online()
    with pytest.raises(InvalidStateError, match="web is online; take it offline first"):
        await cluster.remove("web")
    web.set_locked(True)
    with pytest.raises(ResourceLocked):
        await cluster.remove("web")
    web.set_locked(False)
    await cluster.offline()
    await cluster.remove("web")
    await cluster.remove("db")
    assert calls == ["open", "online", "close"]
    assert not cluster.resources
    assert not cluster.groups
    with pytest.raises(KeyError):
        await cluster.remove("db")
    await assert_refuses(db)


async def test_remove_of_a_failed_resource(shop: Shop, autojump_clock: MockClock) -> None:
    await (await shop.add("good")).online()
    db = await shop.add("db")
    await db.online()
    db.fail()
    await db.wait_state(RS.FAILED)
    await shop.cluster.remove("db")
    assert shop.cluster.group("shop").state is GroupState.ONLINE
    await trio.sleep(1000)  # past the restart that was planned
    assert shop.calls("db").count("online") == 1
    before = trio.current_time()
    await shop.cluster.shut_down(1000)
    assert trio.current_time() == before


async def assert_refuses_online(resource: Resource) -> None:
    with pytest.raises(InvalidStateError, match="has been removed"):
        await resource.online()


@pytest.mark.any_hosted
async def test_commands_while_a_resource_is_removed(shop: Shop, autojump_clock: MockClock) -> None:
    cluster, calls = shop.cluster, list[str]()
    db = await cluster.add("db", lambda: Opener(calls, seconds=1), group="shop")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cluster.remove, "db")
        await trio.testing.wait_all_tasks_blocked()
        await assert_refuses_online(db)
        with pytest.raises(InvalidStateError, match="has been removed"):
            await cluster.remove("db")
        with pytest.raises(DependencyError, match="depends on unknown resource 'db'"):
            await shop.add("web", "[db]")
        with pytest.raises(InvalidStateError, match="already"):
            await shop.add("db")
    assert calls == ["open", "close"]
    assert "db" not in cluster.resources
    await shop.add("db")


@pytest.mark.any_hosted
async def test_a_removal_that_is_cancelled_before_it_begins(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db")
    with trio.CancelScope() as scope:
        scope.cancel()
        await shop.cluster.remove("db")
    assert scope.cancelled_caught
    assert await db.online() is RS.ONLINE


@pytest.mark.any_hosted
async def test_close_that_raises(shop: Shop, autojump_clock: MockClock) -> None:
    await shop.add("db")
    await shop.cluster.add("web", lambda: Opener([], refuse="close"), group="shop")
    with pytest.raises(OSError, match="still in use"):
        await shop.cluster.remove("web")
    await assert_nothing_left(shop.cluster, "web")
