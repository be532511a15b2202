"""Adding, removing, locking, pausing, maintaining, changing properties."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any

import pytest
import trio
import trio.testing

from trioresource import (
    Applied,
    DependencyError,
    DesiredState,
    FailureReason,
    GroupState,
    InvalidStateError,
    NodePaused,
    NodeState,
    OnlineFailed,
    OnlineScope,
    Properties,
    PropertyError,
    Resource,
    ResourceHandler,
    ResourceLocked,
    ResourceNotAvailable,
    ResourceState,
    RestartAction,
    RestartPolicy,
    UnknownControlCode,
    dynamic,
    resource_type,
)
from trioresource.model.properties import DEFAULT

if TYPE_CHECKING:
    from trio.testing import MockClock

    from trioresource import Cluster

    from .conftest import Shop

RS = ResourceState
NEVER = RestartPolicy(action=RestartAction.NONE)


# --- add and remove --------------------------------------------------------------------


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


async def test_a_name_can_be_used_once(shop: Shop, autojump_clock: MockClock) -> None:
    await shop.add("db")
    with pytest.raises(InvalidStateError, match="there is a resource named 'db' already"):
        await shop.add("db", group="new")
    assert list(shop.cluster.groups) == ["shop"]
    assert await shop.cluster.resource("db").online() is RS.ONLINE


@pytest.mark.parametrize(
    ("depends_on", "wrong"),
    [
        ("[disk]", "depends on 'disk', which there is not"),
        ("[web]", "can not depend on itself"),
        ("[far]", "into one group"),
        ("[db] or [db]", "named once"),
        ("[db", "no counterpart"),
    ],
)
async def test_dependencies_that_can_not_be(
    shop: Shop, autojump_clock: MockClock, depends_on: str, wrong: str
) -> None:
    db = await shop.add("db")
    await shop.add("far", group="far")
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


async def test_properties_that_are_wrong(shop: Shop, autojump_clock: MockClock) -> None:
    await shop.add("db")
    with pytest.raises(PropertyError, match="web: port"):
        await shop.cluster.add("web", Server, properties={"port": "many"}, group="new")
    await assert_nothing_left(shop.cluster, "web")


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


async def test_a_provider_that_goes_while_a_dependent_is_opened(
    shop: Shop, autojump_clock: MockClock
) -> None:
    await shop.add("db")
    await shop.add("keeps the group")
    cluster, calls = shop.cluster, list[str]()

    async def add() -> None:
        with pytest.raises(DependencyError, match="depends on 'db', which there is not"):
            await cluster.add(
                "web", lambda: Opener(calls, seconds=5), group="shop", depends_on="db"
            )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(add)
        await trio.testing.wait_all_tasks_blocked()
        await cluster.remove("db")
    assert calls == ["open", "close"]
    await assert_nothing_left(cluster, "web")


async def test_remove_closes_and_forgets(shop: Shop, autojump_clock: MockClock) -> None:
    calls: list[str] = []
    cluster = shop.cluster
    db = await cluster.add("db", lambda: Opener(calls), group="new")
    web = await cluster.add("web", lambda: Opener([]), group="new", depends_on=["db"])
    with pytest.raises(InvalidStateError, match="db can not be removed: web depends on it"):
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


async def test_commands_while_a_resource_is_removed(shop: Shop, autojump_clock: MockClock) -> None:
    cluster, calls = shop.cluster, list[str]()
    db = await cluster.add("db", lambda: Opener(calls, seconds=1), group="shop")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cluster.remove, "db")
        await trio.testing.wait_all_tasks_blocked()
        await assert_refuses_online(db)
        with pytest.raises(InvalidStateError, match="has been removed"):
            await cluster.remove("db")
        with pytest.raises(DependencyError, match="depends on 'db', which there is not"):
            await shop.add("web", "[db]")
        with pytest.raises(InvalidStateError, match="already"):
            await shop.add("db")
    assert calls == ["open", "close"]
    assert "db" not in cluster.resources
    await shop.add("db")


async def assert_refuses_online(resource: Resource) -> None:
    with pytest.raises(InvalidStateError, match="has been removed"):
        await resource.online()


async def test_a_removal_that_is_cancelled_before_it_begins(
    shop: Shop, autojump_clock: MockClock
) -> None:
    db = await shop.add("db")
    with trio.CancelScope() as scope:
        scope.cancel()
        await shop.cluster.remove("db")
    assert scope.cancelled_caught
    assert await db.online() is RS.ONLINE


async def test_close_that_raises(shop: Shop, autojump_clock: MockClock) -> None:
    await shop.add("db")
    await shop.cluster.add("web", lambda: Opener([], refuse="close"), group="shop")
    with pytest.raises(OSError, match="still in use"):
        await shop.cluster.remove("web")
    await assert_nothing_left(shop.cluster, "web")


# --- lock ------------------------------------------------------------------------------


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


async def test_a_group_can_not_be_moved_from_the_only_node(
    shop: Shop, autojump_clock: MockClock
) -> None:
    await shop.add("db")
    with pytest.raises(InvalidStateError, match="shop can not be moved to other: this node is"):
        await shop.cluster.move("shop", "other")
    with pytest.raises(InvalidStateError, match="shop can not be moved: this node is"):
        await shop.cluster.move("shop")
    with pytest.raises(KeyError):
        await shop.cluster.move("nowhere")


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


# --- properties and control ------------------------------------------------------------


class ServerProperties(Properties):
    port: int = 80
    size: Annotated[int, dynamic] = 1
    limit: Annotated[int, dynamic] = 1


class Server(ResourceHandler[ServerProperties]):
    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    async def online(self, scope: OnlineScope) -> int:
        return self.properties.port

    def properties_changed(self, previous: ServerProperties) -> None:
        self.told.append((previous.size, self.properties.size))
        if self.properties.size == 13:
            raise ValueError("unlucky")


async def add_server(cluster: Cluster, **properties: Any) -> tuple[Resource, Server]:
    made: list[Server] = []

    def make() -> Server:
        made.append(Server())
        return made[0]

    return await cluster.add("web", make, properties=properties, group="shop"), made[0]


async def test_dynamic_properties_are_applied_at_once(
    shop: Shop, autojump_clock: MockClock
) -> None:
    web, server = await add_server(shop.cluster)
    await web.online()
    assert await web.set_properties(size=5, limit=7) is Applied.NOW
    assert web.properties == ServerProperties(size=5, limit=7)
    assert await web.set_properties(size=5) is Applied.NOW
    assert await web.set_properties(size=DEFAULT) is Applied.NOW
    assert server.told == [(1, 5), (5, 1)]
    assert (web.epoch, web.properties) == (1, ServerProperties(limit=7))


async def test_other_properties_are_applied_at_the_next_online(
    shop: Shop, autojump_clock: MockClock
) -> None:
    web, server = await add_server(shop.cluster, port=81)
    assert await web.set_properties(port=82) is Applied.AT_NEXT_ONLINE
    await web.online()
    assert web.value == 82
    assert await web.set_properties(port=83, size=5) is Applied.AT_NEXT_ONLINE
    assert web.properties == ServerProperties(port=82)  # not even the dynamic half
    assert await web.set_properties(limit=9) is Applied.AT_NEXT_ONLINE
    # Taken back: what is left is dynamic.
    assert await web.set_properties(port=82) is Applied.NOW
    assert web.properties == ServerProperties(port=82, size=5, limit=9)
    assert await web.set_properties(port=84) is Applied.AT_NEXT_ONLINE
    web.fail()
    await web.wait_state(RS.FAILED)
    assert await web.wait_online() == 84
    assert server.told == [(1, 5)]


async def test_mistakes_in_properties_change_nothing(shop: Shop, autojump_clock: MockClock) -> None:
    web, _ = await add_server(shop.cluster)
    await web.online()
    with pytest.raises(PropertyError) as caught:
        await web.set_properties(size=5, port="many", colour="red")
    assert len(caught.value.mistakes) == 2
    assert web.properties == ServerProperties()
    assert await web.set_properties(limit=2) is Applied.NOW
    assert web.properties == ServerProperties(limit=2)


async def test_a_handler_that_chokes_on_new_properties_fails(
    shop: Shop, autojump_clock: MockClock
) -> None:
    web, _ = await add_server(shop.cluster)
    await web.online()
    assert await web.set_properties(size=13) is Applied.AT_NEXT_ONLINE
    await web.wait_state(RS.FAILED)
    assert web.last_failure is not None
    assert "unlucky" in web.last_failure.detail
    await web.wait_online()
    assert web.properties == ServerProperties(size=13)


async def test_defaults_of_the_type_stand_below(shop: Shop, autojump_clock: MockClock) -> None:
    class Needy(Properties):
        host: str
        size: Annotated[int, dynamic] = 1

    @resource_type("needy", property_defaults={"host": "localhost"})
    class NeedyHandler(ResourceHandler[Needy]):
        pass

    needy = await shop.cluster.add("needy", NeedyHandler, group="shop")
    await needy.online()
    assert await needy.set_properties(size=2) is Applied.NOW
    assert needy.properties == Needy(host="localhost", size=2)


async def test_control_codes(shop: Shop, autojump_clock: MockClock) -> None:
    db = await shop.add("db")
    assert await db.control("echo", 5) == 5
    await db.online()
    assert await db.control("echo", 6) == 6
    with pytest.raises(UnknownControlCode, match="part has no control code 'dance'"):
        await db.control("dance")
    assert db.state is RS.ONLINE
