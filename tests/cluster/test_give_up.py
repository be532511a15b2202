"""What becomes of the cluster when a resource has given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest
import trio

from trioresource import (
    OnlineScope,
    ResourceGaveUp,
    ResourceHandler,
    RestartPolicy,
    StateChange,
    open_cluster,
)

from .conftest import NEVER, RS

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trioresource import Cluster

TWICE = RestartPolicy(threshold=1, delay=1.0, retry=3600.0)
DEADLOCK = 1000


class Fragile(ResourceHandler[Any]):
    """Comes online, and crashes a second later, each time."""

    async def online(self, scope: OnlineScope) -> None:
        scope.start_soon(self.crash)

    async def crash(self) -> None:
        await trio.sleep(1)
        raise OSError(f"{self.name} lost its disk")


class Solid(ResourceHandler[Any]):
    async def online(self, scope: OnlineScope) -> None:
        pass


async def stay(cluster: Cluster) -> None:
    await cluster.online()
    await trio.sleep(DEADLOCK)
    pytest.fail("the block was not cancelled")


def offline_order(cluster: Cluster) -> list[str]:
    return [
        event.resource
        for event in cluster.history()
        if isinstance(event, StateChange) and event.new is RS.OFFLINE
    ]


async def test_by_default_it_stays_failed(autojump_clock: MockClock) -> None:
    async with open_cluster() as cluster:
        db = await cluster.add("db", Fragile, restart=TWICE)
        await cluster.online()
        await trio.sleep(60)
        assert db.state is RS.FAILED


@pytest.mark.parametrize("restart", [TWICE, NEVER, RestartPolicy(threshold=0, retry=None)])
async def test_raise_ends_the_cluster(autojump_clock: MockClock, restart: RestartPolicy) -> None:
    """Whether it would be retried later or not."""
    with pytest.raises(ResourceGaveUp) as caught:
        async with open_cluster(on_give_up="raise") as cluster:
            await cluster.add("db", Fragile, restart=restart)
            await stay(cluster)
    assert caught.value.resource == "db"
    assert str(caught.value).startswith("db gave up after ")
    assert "db lost its disk" in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert str(caught.value.__cause__) == "db lost its disk"
    assert trio.current_time() < DEADLOCK


async def test_everything_goes_down_in_order(autojump_clock: MockClock) -> None:
    clusters: list[Cluster] = []
    with pytest.raises(ResourceGaveUp):
        async with open_cluster() as cluster:
            clusters.append(cluster)
            await cluster.add("db", Solid)
            await cluster.add("web", Solid, depends_on="db")
            await cluster.add("mail", Fragile, restart=NEVER, on_give_up="raise")
            await stay(cluster)
    (cluster,) = clusters
    # What has failed is put away last: nothing of it is left to take down.
    assert offline_order(cluster) == ["web", "db", "mail"]


@pytest.mark.parametrize(
    ("of_cluster", "of_resource", "is_raised"),
    [
        ("stay-failed", None, False),
        ("stay-failed", "raise", True),
        ("raise", None, True),
        ("raise", "stay-failed", False),
    ],
)
async def test_a_resource_knows_better_than_the_cluster(
    of_cluster: Literal["stay-failed", "raise"],
    of_resource: Literal["stay-failed", "raise"] | None,
    is_raised: bool,
    autojump_clock: MockClock,
) -> None:
    ended = False
    try:
        async with open_cluster(on_give_up=of_cluster) as cluster:
            await cluster.add("db", Fragile, restart=NEVER, on_give_up=of_resource)
            await cluster.online()
            await trio.sleep(10)
            ended = True
    except ResourceGaveUp:
        assert is_raised
    assert ended is not is_raised


async def test_a_restart_is_no_reason(autojump_clock: MockClock) -> None:
    async with open_cluster(on_give_up="raise") as cluster:
        db = await cluster.add("db", Fragile, restart=RestartPolicy(threshold=3, period=1.5))
        await cluster.online()
        await trio.sleep(60)
        assert db.epoch > 10


async def test_nor_is_a_failure_in_maintenance(autojump_clock: MockClock) -> None:
    async with open_cluster(on_give_up="raise") as cluster:
        db = await cluster.add("db", Fragile, restart=NEVER)
        await db.online()
        db.set_maintenance(True)
        await trio.sleep(10)
        assert db.state is RS.FAILED


async def test_nor_a_failure_of_what_should_be_offline(autojump_clock: MockClock) -> None:
    class Sticky(Solid):
        async def offline(self, scope: OnlineScope) -> None:
            raise OSError("does not stop")

    async with open_cluster(on_give_up="raise") as cluster:
        await cluster.add("db", Sticky, restart=NEVER)
        await cluster.online()


async def test_several_that_give_up(autojump_clock: MockClock) -> None:
    """The first one is the error, the others are its notes."""
    with pytest.raises(ResourceGaveUp) as caught:
        async with open_cluster(on_give_up="raise") as cluster:
            await cluster.add("a", Fragile, restart=NEVER)
            await cluster.add("b", Fragile, restart=NEVER)
            try:
                await stay(cluster)
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)
    (note,) = caught.value.__notes__
    assert {caught.value.resource, note[0]} == {"a", "b"}


async def test_another_error_of_the_block(autojump_clock: MockClock) -> None:
    with pytest.raises(BaseExceptionGroup) as caught:  # noqa: ASYNC401 - groups in groups
        async with open_cluster(on_give_up="raise") as cluster:
            await cluster.add("db", Fragile, restart=NEVER)
            try:
                await stay(cluster)
            finally:
                raise KeyError("clean-up of the block")
    assert caught.value.subgroup(ResourceGaveUp) is not None
    assert caught.value.subgroup(KeyError) is not None


async def test_in_surroundings_that_are_cancelled_as_well(autojump_clock: MockClock) -> None:
    with trio.CancelScope() as around, pytest.raises(ResourceGaveUp):
        async with open_cluster(on_give_up="raise") as cluster:
            await cluster.add("db", Fragile, restart=NEVER)
            try:
                await stay(cluster)
            finally:
                around.cancel()
    assert not around.cancelled_caught


async def test_the_block_ends_when_it_gives_up(autojump_clock: MockClock) -> None:
    """Its last step is not cancelled, but what gave up before the end is told."""
    with pytest.raises(ResourceGaveUp):
        async with open_cluster(on_give_up="raise") as cluster:
            await cluster.add("db", Fragile, restart=NEVER)
            await cluster.online()
            with trio.CancelScope(shield=True):
                await trio.sleep(5)


async def test_a_failure_without_an_exception(autojump_clock: MockClock) -> None:
    with pytest.raises(ResourceGaveUp, match="failure asked for: too hot") as caught:
        async with open_cluster(on_give_up="raise") as cluster:
            db = await cluster.add("db", Solid, restart=NEVER)
            await db.online()
            db.fail("too hot")
            await trio.sleep(DEADLOCK)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("value", ["Raise", None, True, 1, ["raise"]])
async def test_other_values_are_refused(value: Any, autojump_clock: MockClock) -> None:
    with pytest.raises(ValueError, match='on_give_up must be "stay-failed" or "raise", not '):
        open_cluster(on_give_up=value)
    if value is not None:
        async with open_cluster() as cluster:
            with pytest.raises(ValueError, match="on_give_up must be"):
                await cluster.add("db", Solid, on_give_up=value)
            assert not cluster.resources
